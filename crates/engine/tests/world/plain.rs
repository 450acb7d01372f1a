//! The plainest evaluation of a condition: the tree is walked, values are taken as they are written.
//! What the engine makes of a condition must always agree with this.

use std::net::IpAddr;

use lanner_fields::{Context, FieldType, Term, Value};
use lanner_filter::{Argument, Check, Expr, ExprKind, Modifier, Operand, Operator, Right};

pub fn holds(expr: &Expr, cx: &Context<'_>) -> bool {
    match &expr.kind {
        ExprKind::And(parts) => parts.iter().all(|part| holds(part, cx)),
        ExprKind::Or(parts) => parts.iter().any(|part| holds(part, cx)),
        ExprKind::Not(inner) => !holds(inner, cx),
        ExprKind::Macro { body, .. } => holds(body, cx),
        ExprKind::Name(name) => panic!("macro {name} is not put in"),
        ExprKind::Exists(operand) => !matches!(term(operand).operand(cx), Value::Absent | Value::Any([])),
        ExprKind::Check(check) => check_holds(check, cx),
    }
}

fn term(operand: &Operand) -> Term {
    match operand {
        Operand::Field(field) => Term::field("syscall", &field.name, field.argument.as_deref()).unwrap(),
        Operand::Transform(transform) => {
            let arguments = transform.arguments.iter().map(|argument| match argument {
                Argument::Operand(operand) => term(operand),
                other => panic!("{other}"),
            });
            Term::apply(transform.function.as_str(), arguments.collect(), None).unwrap()
        }
    }
}

fn check_holds(check: &Check, cx: &Context<'_>) -> bool {
    let left_term = term(&check.left);
    let left = left_term.operand(cx);
    let wanted: Vec<Vec<u8>> = match &check.right {
        Right::Value(value) | Right::Name(value) => vec![value.bytes.clone()],
        Right::List(values) => values.iter().map(|value| value.bytes.clone()).collect(),
        Right::Operand(operand) => {
            let right_term = term(operand);
            let right = right_term.operand(cx);
            return !left.is_absent() && !right.is_absent() && dynamic(check.operator, &left, &right);
        }
    };
    let fits = |value: &Value<'_>| fits(left_term.ty(), check, value, &wanted);
    match left {
        Value::Absent => false,
        Value::Any(values) => values.iter().any(fits),
        Value::Ends([]) => false,
        Value::Ends(values) if check.operator == Operator::NotEqual => values.iter().all(fits),
        Value::Ends(values) => values.iter().any(fits),
        Value::List(values) if check.operator == Operator::Intersects => values.iter().any(fits),
        Value::List(values) => values.iter().all(fits),
        single => fits(&single),
    }
}

fn fits(ty: FieldType, check: &Check, value: &Value<'_>, wanted: &[Vec<u8>]) -> bool {
    let one = |wanted: &Vec<u8>| compare(ty, check.operator, value, wanted);
    let count = wanted.iter().filter(|wanted| one(wanted)).count();
    match check.modifier {
        Some(Modifier::OneOf) => count == 1,
        Some(Modifier::AnyOf) => count >= 1,
        Some(Modifier::AllOf) => !wanted.is_empty() && count == wanted.len(),
        None => count >= 1,
    }
}

fn dynamic(operator: Operator, left: &Value<'_>, right: &Value<'_>) -> bool {
    match (operator, left.as_bytes(), right.as_bytes()) {
        (Operator::Equal | Operator::DoubleEqual | Operator::In, ..) => left == right,
        (Operator::NotEqual, ..) => left != right,
        (_, Some(left), Some(right)) => compare_text(operator, left, right),
        (_, None, None) => compare_number(operator, number(left), number(right)),
        _ => false,
    }
}

fn compare(ty: FieldType, operator: Operator, value: &Value<'_>, wanted: &[u8]) -> bool {
    let text = std::str::from_utf8(wanted).unwrap();
    match value {
        Value::Text(value) | Value::Bytes(value) => compare_text(operator, value, wanted),
        Value::Bool(value) => (value.to_string() == text) == (operator != Operator::NotEqual),
        Value::Ip(ip) if ty == FieldType::Net => in_network(*ip, text) == (operator != Operator::NotEqual),
        Value::Ip(ip) => (*ip == text.parse::<IpAddr>().unwrap()) == (operator != Operator::NotEqual),
        other => compare_number(operator, number(other), text.parse().unwrap()),
    }
}

fn number(value: &Value<'_>) -> i128 {
    match value {
        Value::Unsigned(value) => i128::from(*value),
        Value::Signed(value) => i128::from(*value),
        other => panic!("{other:?} is no number"),
    }
}

fn compare_number(operator: Operator, value: i128, wanted: i128) -> bool {
    match operator {
        Operator::Equal | Operator::DoubleEqual | Operator::In | Operator::Intersects => value == wanted,
        Operator::NotEqual => value != wanted,
        Operator::Less => value < wanted,
        Operator::LessEqual => value <= wanted,
        Operator::Greater => value > wanted,
        Operator::GreaterEqual => value >= wanted,
        other => panic!("{other:?} of numbers"),
    }
}

fn compare_text(operator: Operator, value: &[u8], wanted: &[u8]) -> bool {
    let found = |value: &[u8], wanted: &[u8]| {
        wanted.is_empty() || value.windows(wanted.len()).any(|window| window == wanted)
    };
    match operator {
        Operator::Equal | Operator::DoubleEqual | Operator::In | Operator::Intersects => value == wanted,
        Operator::NotEqual => value != wanted,
        Operator::Contains => found(value, wanted),
        Operator::IContains => found(&value.to_ascii_lowercase(), &wanted.to_ascii_lowercase()),
        Operator::StartsWith => value.len() >= wanted.len() && value[..wanted.len()] == *wanted,
        Operator::EndsWith => value.len() >= wanted.len() && value[value.len() - wanted.len()..] == *wanted,
        Operator::Glob => glob(wanted, value),
        Operator::IGlob => glob(&wanted.to_ascii_lowercase(), &value.to_ascii_lowercase()),
        Operator::PMatch => under(value, wanted),
        other => panic!("{other:?} of texts"),
    }
}

/// `*` and `?` only.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', pattern)), _) => (0..=text.len()).any(|skip| glob(pattern, &text[skip..])),
        (Some((b'?', pattern)), Some((_, text))) => glob(pattern, text),
        (Some((wanted, pattern)), Some((byte, text))) => wanted == byte && glob(pattern, text),
        _ => false,
    }
}

fn under(path: &[u8], above: &[u8]) -> bool {
    let parts = |path: &[u8]| -> Vec<Vec<u8>> {
        path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
    };
    parts(path).starts_with(&parts(above))
}

fn in_network(ip: IpAddr, network: &str) -> bool {
    let (base, length) = network.split_once('/').unwrap();
    let bits = |ip: IpAddr| -> String {
        match ip {
            IpAddr::V4(ip) => ip.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
            IpAddr::V6(ip) => ip.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
        }
    };
    let base: IpAddr = base.parse().unwrap();
    let length: usize = length.parse().unwrap();
    base.is_ipv4() == ip.is_ipv4() && bits(ip)[..length] == bits(base)[..length]
}
