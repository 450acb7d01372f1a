use proptest::prelude::*;

use super::*;
use crate::Scratch;

fn compact(text: &str) -> Option<String> {
    let mut tape = Tape::new();
    tape.read(text.as_bytes()).ok()?;
    let mut out = Vec::new();
    tape.root(text.as_bytes())?.write(&mut out);
    String::from_utf8(out).ok()
}

fn error(text: &str) -> String {
    Tape::new().read(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn values_are_found_by_path_and_pointer() {
    let text = br#" {"a": {"b/c": [10, "x\ty", {"~": null}]}, "a": 1, "\u00e9": "\ud83d\ude00"} "#;
    let mut tape = Tape::new();
    tape.read(text).unwrap();
    let scratch = Scratch::new();
    let root = tape.root(text).unwrap();
    let shown = |pointer: &str| {
        root.at_pointer(pointer).map(|v| String::from_utf8(v.show(&scratch).to_vec()).unwrap())
    };
    assert_eq!(shown("/a/b~1c/1").as_deref(), Some("x\ty"));
    assert_eq!(shown("a/b~1c/2/~0").as_deref(), Some("null"));
    assert_eq!(shown("/a/b~1c").as_deref(), Some(r#"[10,"x\ty",{"~":null}]"#));
    assert_eq!(shown("/é").as_deref(), Some("😀"));
    assert_eq!(shown("/a/b~1c/3"), None);
    assert_eq!(shown("/a/nothing"), None);
    assert_eq!(root.at_path(&["a", "b/c", "0"]).unwrap().raw(), b"10");
    assert_eq!(root.entries().count(), 3);
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    assert_eq!(error("{\"a\" 1}"), "not JSON at byte 5: a colon is missing");
    assert_eq!(error("[1,]"), "not JSON at byte 3: no value begins so");
    assert_eq!(error("\"a\nb\""), "not JSON at byte 2: a control character stands in a text");
    assert_eq!(
        error("\"\\x\""),
        "not JSON at byte 1: a backslash stands before something else than JSON allows"
    );
    for text in ["", " ", "{", "[1 2]", "01", "-", "1.", "1e", "tru", "\"", "\"\\u12\"", "{} {}", "nul"] {
        assert!(Tape::new().read(text.as_bytes()).is_err(), "{text}");
    }
    let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
    assert!(Tape::new().read(deep(MAX_DEPTH).as_bytes()).is_ok());
    assert!(error(&deep(MAX_DEPTH + 1)).ends_with("it is nested too deeply"));
    assert!(error(&"[".repeat(1 << 20)).ends_with("it is nested too deeply"));
}

#[test]
fn a_tape_forgets_what_was_read_before() {
    let mut tape = Tape::new();
    tape.read(b"[1,2,3]").unwrap();
    assert!(tape.read(b"[1,2").is_err());
    assert!(tape.root(b"[1,2").is_none());
}

#[test]
fn indented_json_is_laid_out_as_go_does() {
    let mut out = Vec::new();
    indent(br#"{"a":[1,{}],"b":"x,{\"y","c":[]}"#, &mut out);
    let want = "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"x,{\\\"y\",\n  \"c\": []\n}";
    assert_eq!(String::from_utf8(out).unwrap(), want);
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec(("[a-c\\\\\"/~]{0,3}", inner), 0..4)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_writes_is_read_as_it_is(value in any_json()) {
        let written = compact(&format!("{value:#}")).unwrap();
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
    }

    #[test]
    fn texts_are_taken_or_refused_as_serde_does(text in "[\\[\\]{}:,\"\\\\a-e0-2.truefalsnull \n-]{0,24}") {
        let taken = Tape::new().read(text.as_bytes()).is_ok();
        prop_assert_eq!(taken, serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
    }
}
