//! What a field's value is compared with, and whether it holds.

mod any;
mod build;
#[cfg(test)]
mod tests;
mod text;

use std::cmp::Ordering;
use std::net::IpAddr;

use lanner_fields::Value;

pub(crate) use any::AnyOf;
pub(crate) use build::{Reason, check_operator};
pub(crate) use text::{TextMatcher, TextSet, contains_folded};

use crate::net::Networks;

/// A constant right side, made ready for the type of the left.
#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    /// Any value will do.
    Exists,
    Text(TextMatcher),
    Unsigned(Number<u64>),
    Signed(Number<i64>),
    Double(Number<f64>),
    Bool(Number<bool>),
    Ip(Number<IpAddr>),
    Net {
        negated: bool,
        networks: Networks,
    },
    /// `oneof`, `anyof`, `allof`
    Count {
        how: lanner_filter::Modifier,
        of: Box<[Matcher]>,
    },
    /// `evt.around`: no further away than so many nanoseconds.
    Within(u64),
}

/// A comparison of things that have an order.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Number<T> {
    Equal(T),
    NotEqual(T),
    Less(T),
    LessEqual(T),
    Greater(T),
    GreaterEqual(T),
    /// Any of these, which are in order.
    In(Box<[T]>),
}

/// Up to so many, comparing with each is quicker than searching.
const FEW: usize = 8;

impl<T: PartialOrd + Copy> Number<T> {
    fn matches(&self, value: T) -> bool {
        match self {
            Number::Equal(wanted) => value == *wanted,
            Number::NotEqual(unwanted) => value != *unwanted,
            Number::Less(bound) => value < *bound,
            Number::LessEqual(bound) => value <= *bound,
            Number::Greater(bound) => value > *bound,
            Number::GreaterEqual(bound) => value >= *bound,
            Number::In(items) if items.len() <= FEW => items.contains(&value),
            Number::In(items) => {
                items.binary_search_by(|item| item.partial_cmp(&value).unwrap_or(Ordering::Less)).is_ok()
            }
        }
    }
}

impl Matcher {
    /// Whether a value fits. Nothing is true of an absent one.
    pub(crate) fn matches(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            // By far the most frequent.
            (Matcher::Text(text), Value::Text(bytes)) => text.matches(bytes),
            (matcher, value) => matcher.matches_any(value),
        }
    }

    fn matches_any(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Absent => false,
            Value::Any(values) => values.iter().any(|value| self.matches(value)),
            Value::Ends(ends) => self.matches_ends(ends),
            Value::List(values) => self.matches_list(values),
            single => self.matches_single(single),
        }
    }

    fn matches_ends(&self, ends: &[Value<'_>]) -> bool {
        if matches!(self, Matcher::Exists) {
            return true;
        }
        if self.is_negative() {
            return !ends.is_empty() && ends.iter().all(|end| self.matches(end));
        }
        ends.iter().any(|end| self.matches(end))
    }

    /// A list fits `in` if each of its values does.
    fn matches_list(&self, values: &[Value<'_>]) -> bool {
        matches!(self, Matcher::Exists) || values.iter().all(|value| self.matches_single(value))
    }

    /// Whether any value of a list fits; of a single value, whether it does.
    pub(crate) fn intersects(&self, value: &Value<'_>) -> bool {
        match value {
            Value::List(values) => values.iter().any(|value| self.matches_single(value)),
            other => self.matches(other),
        }
    }

    fn matches_single(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Matcher::Exists, _) => true,
            (Matcher::Text(text), Value::Text(bytes) | Value::Bytes(bytes)) => text.matches(bytes),
            (Matcher::Unsigned(number), Value::Unsigned(value)) => number.matches(*value),
            // `evt.rawarg` may be of another type in this event than its name was first found with.
            (Matcher::Unsigned(number), Value::Signed(value)) => number.matches(*value as u64),
            (Matcher::Signed(number), Value::Signed(value)) => number.matches(*value),
            (Matcher::Signed(number), Value::Unsigned(value)) => number.matches(*value as i64),
            (Matcher::Double(number), Value::Double(value)) => number.matches(*value),
            (Matcher::Bool(truth), Value::Bool(value)) => truth.matches(*value),
            (Matcher::Ip(address), Value::Ip(value)) => address.matches(*value),
            (Matcher::Net { negated, networks }, Value::Ip(value)) => networks.hold(*value) != *negated,
            (Matcher::Within(most), Value::Distance(distance)) => distance <= most,
            (Matcher::Count { how, of }, value) => {
                let mut fitting = of.iter().filter(|matcher| matcher.matches_single(value));
                match how {
                    lanner_filter::Modifier::AnyOf => fitting.next().is_some(),
                    lanner_filter::Modifier::OneOf => fitting.next().is_some() && fitting.next().is_none(),
                    lanner_filter::Modifier::AllOf => !of.is_empty() && fitting.count() == of.len(),
                }
            }
            _ => false,
        }
    }

    /// Whether it is a `!=`.
    fn is_negative(&self) -> bool {
        match self {
            Matcher::Text(TextMatcher::NotEqual(_))
            | Matcher::Unsigned(Number::NotEqual(_))
            | Matcher::Signed(Number::NotEqual(_))
            | Matcher::Ip(Number::NotEqual(_))
            | Matcher::Net { negated: true, .. } => true,
            Matcher::Count { of, .. } => of.iter().any(Matcher::is_negative),
            _ => false,
        }
    }
}

impl Matcher {
    /// Expected work of one comparison; see [`crate::cost`].
    pub(crate) fn cost(&self) -> u32 {
        match self {
            Matcher::Text(text) => text.cost(),
            Matcher::Count { of, .. } => of.iter().map(Matcher::cost).sum(),
            Matcher::Net { networks, .. } => 1 + networks.searches() as u32,
            _ => 1,
        }
    }
}
