use super::*;

fn parse(text: &str) -> Result<Format, String> {
    Format::parse("syscall", text).map_err(|e| e.to_string())
}

fn shape(text: &str) -> Vec<String> {
    let piece = |p: &Piece| match p {
        Piece::Text(text) => format!("'{text}'"),
        Piece::Term { term, width: 0 } => term.to_string(),
        Piece::Term { term, width } => format!("{width}:{term}"),
    };
    parse(text).unwrap().pieces.iter().map(piece).collect()
}

#[test]
fn fields_end_where_their_longest_name_ends() {
    assert_eq!(shape("a %proc.name."), ["'a '", "proc.name", "'.'"]);
    assert_eq!(shape("%proc.aname[2]|%(fd.name)x"), ["proc.aname[2]", "'|'", "fd.name", "'x'"]);
    assert_eq!(shape("%evt.arg.flagsx%evt.type.is"), ["evt.arg.flags", "'x'", "evt.type", "'.is'"]);
    assert_eq!(shape("%proc.name[0]"), ["proc.name", "'[0]'"]);
    assert_eq!(shape("%10proc.pid%proc.pid"), ["10:proc.pid", "proc.pid"]);
    assert_eq!(shape("*%fd.cip.names"), ["fd.cip.name", "'s'"]);
}

#[test]
fn transformers_nest() {
    assert_eq!(shape("%toupper(proc.name) !"), ["toupper(proc.name)", "' !'"]);
    assert_eq!(shape("%join(\",\", ( proc.name , proc.pid))"), ["join(,,(proc.name,proc.pid))"]);
    let format = parse("%len(basename(proc.exepath)) %proc.name").unwrap();
    let names: Vec<String> = format.fields().map(|f| f.to_string()).collect();
    assert_eq!(names, ["proc.exepath", "proc.name"]);
}

#[test]
fn errors_have_a_place() {
    assert_eq!(parse("").unwrap_err(), "at character 1: the text is empty");
    assert_eq!(parse("abc%").unwrap_err(), "at character 4: a % stands at the end; a field must follow it");
    assert_eq!(
        parse("abc %proc.nmae").unwrap_err(),
        "at character 6: there is no field proc.nmae; did you mean proc.name?"
    );
    assert_eq!(
        parse("%tolower(proc.pid)").unwrap_err(),
        "at character 2: tolower() works on text, but proc.pid is INT64"
    );
    assert_eq!(
        parse("%tolower(proc.name").unwrap_err(),
        "at character 19: a comma or a closing parenthesis expected"
    );
    assert_eq!(parse("50% of").unwrap_err(), "at character 4: the name of a field or transformer expected");
    let error = Format::parse("syscall", "%ka.verb").unwrap_err();
    assert!(error.is_unknown_field());
}
