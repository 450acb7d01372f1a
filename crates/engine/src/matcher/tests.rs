//! Semantics: what fits what, type by type.

use lanner_fields::{FieldType, Value};
use lanner_filter::{Check, ExprKind, Right, parse};

use super::{Matcher, check_operator};

/// Compiles the right side of `evt.x CONDITION` for a type.
fn matcher(ty: FieldType, condition: &str) -> Result<Matcher, String> {
    let ExprKind::Check(check) = parse(&format!("evt.x {condition}")).unwrap().kind else {
        panic!("{condition}")
    };
    let Check { operator, modifier, right, .. } = *check;
    let values = match right {
        Right::Value(value) | Right::Name(value) => vec![value],
        Right::List(values) => values,
        Right::Operand(operand) => panic!("{operand}"),
    };
    check_operator(ty, false, operator).map_err(|reason| reason.message)?;
    Matcher::build(ty, operator, modifier, &values).map_err(|reason| reason.message)
}

fn fits(ty: FieldType, value: Value<'_>, condition: &str) -> bool {
    matcher(ty, condition).unwrap_or_else(|message| panic!("{condition}: {message}")).matches(&value)
}

#[test]
fn texts() {
    let cases: &[(&str, &str, bool)] = &[
        ("cat", "= cat", true),
        ("cat", "== dog", false),
        ("cat", "!= dog", true),
        ("cat", "contains a", true),
        ("cat", "contains ''", true),
        ("CAT", "contains a", false),
        ("CAT", "icontains at", true),
        ("cat", "startswith ca", true),
        ("cat", "startswith cats", false),
        ("cat", "endswith at", true),
        ("cat", "endswith ''", true),
        ("cat", "glob c*", true),
        ("CAT", "glob c*", false),
        ("CAT", "iglob c*", true),
        ("cat", "regex c.t", true),
        ("cats", "regex c.t", false),
        ("cat", "in (dog, cat)", true),
        ("cat", "in (dog, cats)", false),
        ("cat", "in ()", false),
        ("", "in ('')", true),
        ("cat", "intersects (cat)", true),
        ("/etc/passwd", "pmatch (/etc, /usr)", true),
        ("/etcetera", "pmatch (/etc, /usr)", false),
        ("cat", "= anyof (dog, cat)", true),
        ("cat", "= anyof ()", false),
        ("cat", "!= allof (dog, cat)", false),
        ("cat", "!= allof ()", false),
        ("cat", "!= anyof (dog, cat)", true),
        ("cat", "startswith oneof (c, d)", true),
        ("cat", "startswith oneof (c, ca)", false),
        ("cat", "contains allof (c, a)", true),
        ("cat", "contains allof (c, x)", false),
        ("cat", "regex anyof ('d.g', 'c.t')", true),
        ("10", "< 9", true),
        ("10", "< 10", false),
        ("10", "<= 10", true),
        ("9", "> 10", true),
        ("9", ">= 9", true),
    ];
    for (text, condition, expected) in cases {
        let value = Value::Text(text.as_bytes());
        assert_eq!(fits(FieldType::Text, value, condition), *expected, "{text:?} {condition}");
    }
}

#[test]
fn bytes() {
    let value = Value::Bytes(b"\x7fELF\x00\x01");
    for (condition, expected) in [
        ("bstartswith 7f454c46", true),
        ("bstartswith 7F45", true),
        ("bstartswith 45", false),
        ("bcontains 4c4600", true),
        ("contains ELF", true),
        ("contains \"F\\x00\"", true),
        ("startswith ELF", false),
        ("endswith \"\\x01\"", true),
        ("= \"\\x7fELF\\x00\\x01\"", true),
        ("= \"\\x7fELF\"", false),
    ] {
        assert_eq!(fits(FieldType::Bytes, value, condition), expected, "{condition}");
    }
}

#[test]
fn numbers() {
    for (value, condition, expected) in [
        (5, "= 5", true),
        (5, "!= 5", false),
        (5, "< 6", true),
        (5, "<= 5", true),
        (5, "> 5", false),
        (5, ">= 5", true),
        (5, "in (4, 5)", true),
        (5, "= anyof (4, 5)", true),
        (4_294_967_295, "= -1", true),
    ] {
        assert_eq!(
            fits(FieldType::Uint32, Value::Unsigned(value), condition),
            expected,
            "{value} {condition}"
        );
    }
    assert!(fits(FieldType::Int64, Value::Signed(-2), "< 0"));
    assert!(fits(FieldType::Int64, Value::Signed(-2), "in (-2, 3)"));
    assert!(fits(FieldType::Double, Value::Double(1.5), "> 1"));
    assert!(fits(FieldType::Port, Value::Unsigned(22), "= ssh"));
    assert!(fits(FieldType::Port, Value::Unsigned(22), "in (ssh, 80)"));
    assert!(fits(FieldType::Bool, Value::Bool(true), "= true"));
    assert!(fits(FieldType::Bool, Value::Bool(false), "!= true"));
}

#[test]
fn addresses() {
    let v4 = Value::Ip("10.1.2.3".parse().unwrap());
    let v6 = Value::Ip("fe80::1".parse().unwrap());
    for (value, condition, expected) in [
        (v4, "= 10.1.2.3", true),
        (v4, "!= 10.1.2.4", true),
        (v4, "!= '::1'", true),
        (v4, "in ('::1', 10.1.2.3)", true),
        (v6, "= fe80::1", true),
        (v6, "= 10.1.2.3", false),
    ] {
        assert_eq!(fits(FieldType::Ip, value, condition), expected, "{condition}");
    }
    for (value, condition, expected) in [
        (v4, "= 10.0.0.0/8", true),
        (v4, "!= 10.0.0.0/8", false),
        (v4, "= fe80::/10", false),
        (v4, "!= fe80::/10", true),
        (v6, "in (10.0.0.0/8, fe80::/10)", true),
        (v4, "intersects (11.0.0.0/8)", false),
    ] {
        assert_eq!(fits(FieldType::Net, value, condition), expected, "{condition}");
    }
}

#[test]
fn nothing_is_true_of_what_is_absent() {
    for condition in ["= a", "!= a", "in (a)", "contains ''", "!= allof (a)", "glob *"] {
        assert!(!fits(FieldType::Text, Value::Absent, condition), "{condition}");
    }
    assert!(!Matcher::Exists.matches(&Value::Absent));
    assert!(Matcher::Exists.matches(&Value::Text(b"")));
}

#[test]
fn several_values() {
    let ends = [Value::Unsigned(22), Value::Unsigned(40000)];
    let ports = |condition: &str| fits(FieldType::Port, Value::Ends(&ends), condition);
    assert!(ports("= 22") && ports("= 40000") && ports("in (1, 22)") && ports("> 30000") && ports("< 30000"));
    assert!(!ports("!= 22") && ports("!= 23"));
    assert!(!fits(FieldType::Port, Value::Ends(&[]), "!= 23"));
    assert!(Matcher::Exists.matches(&Value::Ends(&[])));

    let names = [Value::Text(b"bash"), Value::Text(b"sshd")];
    let ancestors = |condition: &str| fits(FieldType::Text, Value::Any(&names), condition);
    assert!(ancestors("= sshd") && ancestors("!= sshd") && ancestors("in (x, bash)") && !ancestors("= init"));

    let list = Value::List(&names);
    assert!(fits(FieldType::Text, list, "in (bash, sshd, x)"));
    assert!(!fits(FieldType::Text, list, "in (bash, x)"));
    let some = matcher(FieldType::Text, "intersects (x, bash)").unwrap();
    assert!(some.intersects(&list));
    assert!(!matcher(FieldType::Text, "intersects (x)").unwrap().intersects(&list));
}

#[test]
fn what_cannot_be_compared_is_said() {
    let table: Vec<String> = [
        (FieldType::Uint64, "contains 5"),
        (FieldType::Uint64, "= five"),
        (FieldType::Uint64, "= 0x10"),
        (FieldType::Uint64, "in (1, '')"),
        (FieldType::Bool, "< 1"),
        (FieldType::Bool, "= yes"),
        (FieldType::Ip, "startswith 10"),
        (FieldType::Ip, "= 10.0.0"),
        (FieldType::Ip, "= nobody"),
        (FieldType::Net, "= 10.0.0.1"),
        (FieldType::Net, "in (10.0.0.0/8, 10.0.0.0/33)"),
        (FieldType::Port, "= nosuchservice"),
        (FieldType::Text, "bcontains 00"),
        (FieldType::Text, "= \"a\\x00b\""),
        (FieldType::Text, "regex '('"),
        (FieldType::Bytes, "glob *"),
        (FieldType::Bytes, "bcontains 0"),
        (FieldType::Bytes, "bcontains xx"),
        (FieldType::Opaque, "= x"),
        (FieldType::Double, "= 1.5"),
    ]
    .into_iter()
    .map(|(ty, condition)| format!("{} {condition}\n  {}", ty.as_str(), matcher(ty, condition).unwrap_err()))
    .collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn long_lists_have_what_was_put_in() {
    let list = |of: &dyn Fn(u32) -> String| {
        let items: Vec<String> = (0..500).rev().map(of).collect();
        format!("in ({})", items.join(", "))
    };
    let (odd, addresses) =
        (list(&|n| (2 * n + 1).to_string()), list(&|n| format!("10.0.{}.{}", n / 250, n % 250)));
    for n in [0_u64, 1, 2, 499, 500, 999, 1_000, 1_001] {
        assert_eq!(fits(FieldType::Uint64, Value::Unsigned(n), &odd), n % 2 == 1 && n < 1_000, "{n}");
    }
    for (address, expected) in
        [("10.0.0.0", true), ("10.0.1.249", true), ("10.0.1.250", false), ("::1", false)]
    {
        let value = Value::Ip(address.parse().unwrap());
        assert_eq!(fits(FieldType::Ip, value, &addresses), expected, "{address}");
    }
}
