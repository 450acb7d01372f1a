//! What is a condition and what isn't.

use lanner_filter::{Expr, ExprKind, Modifier, Operator, Right, parse, parse_operand, parse_with_limit};

fn canonical(text: &str) -> String {
    match parse(text) {
        Ok(tree) => tree.to_string(),
        Err(error) => format!("{} | {}:{}", error, error.position.line, error.position.column),
    }
}

#[test]
fn conditions_print_in_one_form() {
    let conditions = [
        "proc.name=cat",
        "proc.name = cat and fd.name startswith /etc or evt.type in (open, openat)",
        "not proc.name = cat",
        "not not proc.name exists",
        "not(a and not b)",
        "a and(b or c)",
        "not (not a)",
        "proc.aname[2] in (a, 'b c')",
        "proc.env[ \"x\"] = a",
        "evt.arg[\"a b\"] = \"\"",
        "fd.sip=fd.cip",
        "fd.name = val(fd.nameraw)",
        "tolower(proc.name) = toupper( fd.name )",
        "join(\", \", proc.args) contains x",
        "concat(proc.name, 'x', 5) = y",
        "getopt(proc.args, ('-p', \"--port\"))[0] = 1",
        "len(fd.name) >= 0x1F",
        "evt.res < -1.5e+3",
        "proc.name = oneof",
        "proc.name = oneof and b",
        "proc.name = oneof (a, b)",
        "proc.name startswith anyof list_a",
        "proc.name contains allof(a,b)",
        "proc.name in()",
        "proc.name in shells",
        "fd.name pmatch (/etc, /usr)",
        "fd.name glob '/home/*/.ssh/*'",
        "a\tand\n  b\r\nand c",
        "notes",
        "proc.cmdline contains \"\\\"a\\\\b\\x00\"",
        "proc.name = 'it\\'s'",
        "proc.name in (\"\\xff\")",
        "evt.num exists",
    ];
    let table: Vec<String> = conditions.iter().map(|text| format!("{text}\n  {}", canonical(text))).collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn errors_say_what_and_where() {
    let conditions = [
        "",
        "   ",
        "proc.name",
        "proc.name =",
        "proc.name == \n cat dog",
        "proc.name = cat andfd.name = x",
        "proc.name = cat or",
        "(proc.name = cat",
        "proc.name = cat)",
        "proc.name < cat",
        "proc.name containscat",
        "proc.name in",
        "proc.name in (a b)",
        "proc.name in (a, )",
        "proc.name in (a",
        "proc.name in (\"a)",
        "proc.name = \"a",
        "proc.name = anyof ('a",
        "proc.aname[] = a",
        "proc.aname[2 = a",
        "proc.aname[\"\\xff\"] = a",
        "proc.name = (a)",
        "proc.name = val(5)",
        "proc.name = val(proc.pname",
        "tolower(proc.name = a",
        "tolower() = a",
        "join(\",\", (proc.name, x)) = a",
        "join(\",\", (proc.name, \"x\" = a",
        "proc.name = \"\\q\"",
        "proc.name = '\\\"'",
        "proc.name = \"\\x1\"",
        "proc.name = a = b",
        "=",
        "é",
    ];
    let table: Vec<String> = conditions
        .iter()
        .map(|text| {
            let error = parse(text).expect_err(text);
            let at = error.position;
            format!("{text:?} at {}:{} ({})\n  {error}\n  {}", at.line, at.column, at.offset, error.advice())
        })
        .collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn positions_point_at_the_text() {
    let text = "  proc.name = cat and\n  not fd.name in (a, 'b')";
    let tree = parse(text).unwrap();
    let slice = |start: u32, end: u32| &text[start as usize..end as usize];
    let ExprKind::And(parts) = &tree.kind else { panic!("an 'and'") };
    assert_eq!(slice(parts[0].span.start.offset, parts[0].span.end), "proc.name = cat");
    assert_eq!(slice(parts[1].span.start.offset, parts[1].span.end), "not fd.name in (a, 'b')");
    assert_eq!((parts[1].span.start.line, parts[1].span.start.column), (2, 3));
    let ExprKind::Not(inner) = &parts[1].kind else { panic!("a 'not'") };
    let ExprKind::Check(check) = &inner.kind else { panic!("a check") };
    assert_eq!(check.left.span().len(), "fd.name".len());
    let Right::List(items) = &check.right else { panic!("a list") };
    assert_eq!(slice(items[1].span.start.offset, items[1].span.end), "'b'");
}

#[test]
fn modifiers_need_a_list() {
    let check = |text: &str| match parse(text).unwrap().kind {
        ExprKind::Check(check) => (check.operator, check.modifier),
        other => panic!("{other:?}"),
    };
    assert_eq!(check("a.b = oneof (x)"), (Operator::Equal, Some(Modifier::OneOf)));
    assert_eq!(check("a.b =oneof"), (Operator::Equal, None));
    assert_eq!(check("a.b endswith allof names"), (Operator::EndsWith, Some(Modifier::AllOf)));
}

#[test]
fn nesting_is_limited() {
    let nested = |levels: usize| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse_with_limit(&nested(19), 100).is_ok());
    let error = parse_with_limit(&nested(20), 100).unwrap_err();
    assert_eq!(error.to_string(), "exceeded max depth limit of 100");
    assert!(parse(&nested(100_000)).is_err());
    assert!(parse(&"not(".repeat(100_000)).is_err());
    assert!(parse(&"tolower(".repeat(100_000)).is_err());
    assert!(parse(&format!("{}a", "not ".repeat(100_000))).is_ok());
}

#[test]
fn operands_are_read_alone() {
    assert_eq!(parse_operand("toupper(proc.aname[1])").unwrap().to_string(), "toupper(proc.aname[1])");
    assert!(parse_operand("proc.name x").is_err());
    assert!(parse_operand("x").is_err());
}

#[test]
fn macros_take_the_place_of_names() {
    let body: std::sync::Arc<Expr> = parse("proc.name = a or proc.name = b").unwrap().into();
    let tree = parse("not m and other").unwrap();
    let replaced =
        tree.replace_names(&mut |name, _| Ok::<_, ()>((name == "m").then(|| body.clone()))).unwrap();
    assert_eq!(replaced.to_string(), "(not (proc.name = a or proc.name = b) and other)");
    let mut fields = Vec::new();
    replaced.visit_fields(&mut |field| fields.push(field.name.clone()));
    assert_eq!(fields, ["proc.name", "proc.name"]);
}
