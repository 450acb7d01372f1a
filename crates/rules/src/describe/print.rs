//! Conditions in the spelling of Falco's listings, which quotes only what it must.

use std::fmt::Write;

use lanner_filter::{Argument, Check, Expr, ExprKind, Literal, Operand, Right};

/// How long a printed condition may become.
const LONGEST: usize = 16 << 20;

pub(super) fn condition(expr: &Expr) -> String {
    let mut out = String::new();
    print(expr, &mut out);
    out
}

fn print(expr: &Expr, out: &mut String) {
    match &expr.kind {
        ExprKind::And(parts) => chain(parts, " and ", out),
        ExprKind::Or(parts) => chain(parts, " or ", out),
        ExprKind::Not(inner) => {
            out.push_str("not ");
            print(inner, out);
        }
        ExprKind::Name(name) => out.push_str(name),
        ExprKind::Macro { body, .. } if out.len() < LONGEST => print(body, out),
        ExprKind::Macro { name, .. } => out.push_str(name),
        ExprKind::Exists(operand) => {
            print_operand(operand, out);
            out.push_str(" exists");
        }
        ExprKind::Check(check) => print_check(check, out),
    }
}

fn chain(parts: &[Expr], word: &str, out: &mut String) {
    out.push('(');
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push_str(word);
        }
        print(part, out);
    }
    out.push(')');
}

fn print_check(check: &Check, out: &mut String) {
    print_operand(&check.left, out);
    let _ = write!(out, " {} ", operator(check));
    match &check.right {
        Right::Value(value) | Right::Name(value) => escape(value, out),
        Right::Operand(operand) => print_operand(operand, out),
        Right::List(values) => {
            out.push('(');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                escape(value, out);
            }
            out.push(')');
        }
    }
}

/// The operator with its modifier.
pub(super) fn operator(check: &Check) -> String {
    match check.modifier {
        Some(modifier) => format!("{} {}", check.operator.as_str(), modifier.as_str()),
        None => check.operator.as_str().to_owned(),
    }
}

fn print_operand(operand: &Operand, out: &mut String) {
    match operand {
        Operand::Field(field) => {
            out.push_str(&field.name);
            bracket(field.argument.as_deref(), out);
        }
        Operand::Transform(transform) => {
            out.push_str(transform.function.as_str());
            arguments(&transform.arguments, out);
            bracket(transform.index.as_deref(), out);
        }
    }
}

fn arguments(items: &[Argument], out: &mut String) {
    out.push('(');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match item {
            Argument::Operand(operand) => print_operand(operand, out),
            Argument::Value(value) => escape(value, out),
            Argument::List(items) => arguments(items, out),
        }
    }
    out.push(')');
}

fn bracket(argument: Option<&str>, out: &mut String) {
    match argument {
        None => {}
        Some("") => out.push_str("[\"\"]"),
        Some(argument) => {
            out.push('[');
            escape_text(argument, out);
            out.push(']');
        }
    }
}

fn escape(value: &Literal, out: &mut String) {
    escape_text(&value.text(), out);
}

fn escape_text(text: &str, out: &mut String) {
    const QUOTED: [char; 11] = ['\x08', '\x0c', '\n', '\r', '\t', ' ', '=', '\\', '"', '\'', '\0'];
    if !text.contains(QUOTED) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_must_be_quoted_is() {
        let text = r#"not (a.b = "c" and d.e in ("f", 'g h', "i=j")) and tolower(k.l[0])=val(m.n)"#;
        let expr = lanner_filter::parse(text).unwrap();
        assert_eq!(
            condition(&expr),
            r#"(not (a.b = c and d.e in (f, "g h", "i=j")) and tolower(k.l[0]) = val(m.n))"#
        );
    }
}
