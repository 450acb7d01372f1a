use super::*;

/// A node as text: where it stands and what it is.
fn show(node: &Node) -> String {
    let inside = match &node.value {
        Value::Null => "null".to_owned(),
        Value::Scalar(scalar) => format!("{:?}", scalar.text),
        Value::Sequence(elements) => {
            format!("[{}]", elements.iter().map(|e| show(e)).collect::<Vec<_>>().join(" "))
        }
        Value::Map(entries) => {
            let pair = |(k, v): &(Rc<Node>, Rc<Node>)| format!("{}={}", k.text().unwrap_or("?"), show(v));
            format!("{{{}}}", entries.iter().map(pair).collect::<Vec<_>>().join(" "))
        }
    };
    format!("{}:{} {inside}", node.at.line, node.at.column)
}

fn read(text: &str) -> String {
    match parse(text) {
        Ok(documents) => documents.iter().map(|d| show(d)).collect::<Vec<_>>().join(" --- "),
        Err(error) => format!("{}:{} {}", error.at.line, error.at.column, error.reason),
    }
}

#[test]
fn block_collections() {
    assert_eq!(
        read("- rule: a\n  tags: [x, y]\n- b\n"),
        r#"0:0 [0:2 {rule=0:8 "a" tags=1:8 [1:9 "x" 1:12 "y"]} 2:2 "b"]"#
    );
    assert_eq!(read("a:\n- b\n- c\nd: e"), r#"0:0 {a=1:0 [1:2 "b" 2:2 "c"] d=3:3 "e"}"#);
    assert_eq!(read("- a:\n    b: c\n  d:\n"), r#"0:0 [0:2 {a=1:4 {b=1:7 "c"} d=3:0 null}]"#);
    assert_eq!(read("-\n- ~\n- null\n- 'null'\n"), r#"0:0 [1:0 null 1:2 null 2:2 null 3:2 "null"]"#);
}

#[test]
fn content_of_brackets_may_stand_anywhere() {
    assert_eq!(
        read("- list: foo\n  items: [\na, \"b\nc\"\n]\n"),
        r#"0:0 [0:2 {list=0:8 "foo" items=1:9 [2:0 "a" 2:3 "b c"]}]"#
    );
    assert_eq!(read("[a\n, b #c\n, d\n, ]\n"), r#"0:0 [0:1 "a" 1:2 "b" 2:2 "d"]"#);
    assert_eq!(read("{a: b, c, \"d\":e}"), r#"0:0 {a=0:4 "b" c=0:8 null d=0:14 "e"}"#);
    assert_eq!(read("[a: b, c]"), r#"0:0 [0:1 {a=0:4 "b"} 0:7 "c"]"#);
}

#[test]
fn scalars_are_folded_and_chomped() {
    assert_eq!(read("a: b\n  c\n\n  d #e\n"), r#"0:0 {a=0:3 "b c\nd"}"#);
    assert_eq!(read("a: >\n  b\n  c\n\n  d\n   e\n  f\n\n"), r#"0:0 {a=0:3 "b c\nd\n e\nf\n"}"#);
    assert_eq!(read("a: |-\n  b\n   c\n\n"), r#"0:0 {a=0:3 "b\n c"}"#);
    assert_eq!(read("a: |+\n  b\n\n"), r#"0:0 {a=0:3 "b\n\n"}"#);
    assert_eq!(read("- |2\n   b\n- >-\n  c\n  d\n"), r#"0:0 [0:2 " b\n" 2:2 "c d"]"#);
    assert_eq!(
        read(
            r#""a\tb\x41\u00e9 \
    c ""#
        ),
        r#"0:0 "a\tbAé c ""#
    );
    assert_eq!(read("'it''s\n  so'"), r#"0:0 "it's so""#);
    assert_eq!(read("a: http://x:y#z"), r#"0:0 {a=0:3 "http://x:y#z"}"#);
    assert_eq!(read("a: b\r\nc: d\r\n"), r#"0:0 {a=0:3 "b" c=1:3 "d"}"#);
    assert_eq!(read("a: é\nb: \"é\": c"), "1:7 illegal map value");
}

#[test]
fn documents_and_anchors() {
    assert_eq!(read("---\n- a\n---\n- b\n...\n"), r#"1:0 [1:2 "a"] --- 3:0 [3:2 "b"]"#);
    assert_eq!(read("- a\nb: c\n"), r#"0:0 [0:2 "a"] --- 1:0 {b=1:3 "c"}"#);
    assert_eq!(read("- &x [a]\n- *x\n- !!str ~\n"), r#"0:0 [0:2 [0:6 "a"] 0:2 [0:6 "a"] 2:2 "~"]"#);
    assert_eq!(read("# nothing\n"), "");
    assert_eq!(read("%YAML 1.2\n---\na\n"), r#"2:0 "a""#);
}

#[test]
fn refusals_are_those_of_yaml_cpp() {
    assert_eq!(read("this : is : not : yaml\n"), "0:10 illegal map value");
    assert_eq!(read("- macro: a\n condition: b\n"), "1:1 end of sequence not found");
    assert_eq!(read("a: b\n  - c\n d: e"), "2:2 illegal map value");
    assert_eq!(read("- a: \"b\n- c"), "1:3 illegal EOF in scalar");
    assert_eq!(read("- [a, b\n- c"), "1:0 end of sequence flow not found");
    assert_eq!(read("- [a, b"), "0:0 end of sequence flow not found");
    assert_eq!(read("a: ]"), "0:3 illegal flow end");
    assert_eq!(read("a: [}"), "0:4 illegal flow end");
    assert_eq!(read("a: @b"), "0:3 unknown token");
    assert_eq!(read("a: %b"), "0:3 unknown token");
    assert_eq!(read("a: *b"), "0:3 the referenced anchor is not defined: b");
    assert_eq!(read("&a [*a]"), "0:4 the referenced anchor is not defined: a");
    assert_eq!(read("a: \"\\q\""), "0:6 unknown escape character: q");
    assert_eq!(read("a: b\n\tc: d"), "1:0 illegal tab when looking for indentation");
    assert_eq!(read("[a],"), "0:3 unknown token");
}

#[test]
fn bombs_are_refused() {
    assert_eq!(read(&"[".repeat(100_000)), "0:100 bad file");
    let mut laughs = "- &a0 [x, x]\n".to_owned();
    for n in 1..60 {
        laughs += &format!("- &a{n} [*a{0}, *a{0}]\n", n - 1);
    }
    assert!(read(&laughs).ends_with("aliases stand for more than a million nodes"));
    let mut chain = "- &a0 [x]\n".to_owned();
    for n in 1..3000 {
        chain += &format!("- &a{n} [*a{}]\n", n - 1);
    }
    assert!(read(&chain).ends_with("bad file"));
}

#[test]
fn bytes_of_a_text_are_found_in_its_file() {
    for (source, wanted) in [
        ("- a b c", "c"),
        ("- a\n   b\n   c", "c"),
        ("- >\n   a b\n   c\n", "c"),
        ("- |-\n   a\n\n   b c", "c"),
        ("- \"a \\\" b\n  c\"", "c"),
        ("- 'a '' c'", "c"),
    ] {
        let documents = parse(source).unwrap();
        let node = &documents[0].sequence().unwrap()[0];
        let Value::Scalar(scalar) = &node.value else { panic!("no scalar") };
        let offset = scalar.text.find(wanted).unwrap();
        let found = scalar.offset_in_file(source, node.at.offset, node.end, offset);
        assert_eq!(source[found..].chars().next(), Some('c'), "{source:?}");
    }
}
