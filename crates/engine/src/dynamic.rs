//! Comparison of two values of one event.

use std::cmp::Ordering;

use lanner_fields::Value;
use lanner_filter::Operator;

use crate::glob::Glob;
use crate::matcher::contains_folded;

/// Whether the comparison holds; never if either side is absent.
pub(crate) fn compare(operator: Operator, left: &Value<'_>, right: &Value<'_>) -> bool {
    if left.is_absent() || right.is_absent() {
        return false;
    }
    match operator {
        Operator::In => values(left).iter().all(|value| has(right, value)),
        Operator::Intersects => values(left).iter().any(|value| has(right, value)),
        _ => compare_single(operator, left, right),
    }
}

fn values<'v, 'a>(value: &'v Value<'a>) -> &'v [Value<'a>] {
    match value {
        Value::List(values) | Value::Any(values) | Value::Ends(values) => values,
        single => std::slice::from_ref(single),
    }
}

fn has(set: &Value<'_>, value: &Value<'_>) -> bool {
    values(set).iter().any(|item| order(value, item) == Some(Ordering::Equal))
}

fn compare_single(operator: Operator, left: &Value<'_>, right: &Value<'_>) -> bool {
    let ordered = |wanted: fn(Ordering) -> bool| order(left, right).is_some_and(wanted);
    match operator {
        Operator::Equal | Operator::DoubleEqual => ordered(Ordering::is_eq),
        // Of an IPv4 and an IPv6 address neither comes first, but they differ.
        Operator::NotEqual => order(left, right) != Some(Ordering::Equal),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessEqual => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterEqual => ordered(Ordering::is_ge),
        _ => match (left.as_bytes(), right.as_bytes()) {
            (Some(left), Some(right)) => compare_text(operator, left, right),
            _ => false,
        },
    }
}

fn compare_text(operator: Operator, left: &[u8], right: &[u8]) -> bool {
    match operator {
        Operator::Contains | Operator::BContains => memchr::memmem::find(left, right).is_some(),
        Operator::IContains => contains_folded(left, &right.to_ascii_lowercase()),
        Operator::StartsWith | Operator::BStartsWith => left.starts_with(right),
        Operator::EndsWith => left.ends_with(right),
        Operator::Glob => Glob::new(right, false).matches(left),
        Operator::IGlob => Glob::new(right, true).matches(left),
        _ => false,
    }
}

fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Text(a) | Value::Bytes(a), Value::Text(b) | Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Unsigned(a), Value::Unsigned(b)) => Some(a.cmp(b)),
        (Value::Signed(a), Value::Signed(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Ip(a), Value::Ip(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
