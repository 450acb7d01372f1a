//! From an operator and the words of a rule to a [`Matcher`] for a type.

use std::cmp::Ordering;
use std::net::IpAddr;

use lanner_fields::FieldType;
use lanner_filter::{Literal, Modifier, Operator};

use super::text::{TextMatcher, TextSet};
use super::{Matcher, Number};
use crate::glob::Glob;
use crate::net::Networks;
use crate::paths::PathSet;
use crate::pattern::Pattern;
use crate::{net, number, services};

/// Why a comparison can't be made: Falco's words and advice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reason {
    pub(crate) message: String,
    pub(crate) advice: Option<String>,
}

impl Reason {
    pub(crate) fn new(message: impl Into<String>, advice: impl Into<String>) -> Reason {
        Reason { message: message.into(), advice: Some(advice.into()) }
    }
}

/// Types that are compared alike.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Number,
    Bool,
    Address,
    Text,
    Bytes,
    None,
}

fn family(ty: FieldType) -> Family {
    match ty {
        FieldType::Text => Family::Text,
        FieldType::Bytes => Family::Bytes,
        FieldType::Bool => Family::Bool,
        FieldType::Ip | FieldType::Net => Family::Address,
        FieldType::Dynamic | FieldType::Opaque => Family::None,
        _ => Family::Number,
    }
}

/// Whether a field of this type can be compared by this operator.
pub(crate) fn check_operator(ty: FieldType, list: bool, operator: Operator) -> Result<(), Reason> {
    use Operator::{BContains, BStartsWith, Contains, DoubleEqual, EndsWith, Equal, In, Intersects};
    use Operator::{NotEqual, StartsWith};
    const EQUALITY: [Operator; 5] = [Equal, DoubleEqual, NotEqual, In, Intersects];
    let (fits, what, usable) = match family(ty) {
        Family::Text | Family::Number | Family::Bool | Family::Address if list => {
            let fits = matches!(operator, In | Intersects);
            (fits, "list filters".to_owned(), "'in', 'intersects' and 'exists'")
        }
        Family::Bytes | Family::None if list => {
            let message = format!("filter error: list filters are not supported for type '{}'", ty.as_str());
            return Err(Reason::new(message, "only 'exists' works on this field"));
        }
        Family::Number => (
            EQUALITY.contains(&operator) || operator.takes_number(),
            "for numeric filters".to_owned(),
            "= != < <= > >= in intersects exists",
        ),
        Family::Bool => {
            (EQUALITY.contains(&operator), "for numeric filters".to_owned(), "= != in intersects exists")
        }
        Family::Address => (
            EQUALITY.contains(&operator),
            "for ip address and network filters".to_owned(),
            "= != in intersects exists",
        ),
        Family::Text => (
            !matches!(operator, BContains | BStartsWith),
            "for string filters".to_owned(),
            "'contains' and 'startswith', or a field of bytes such as evt.buffer",
        ),
        Family::Bytes => (
            EQUALITY.contains(&operator)
                || matches!(operator, Contains | StartsWith | EndsWith | BContains | BStartsWith),
            "for buffer filters".to_owned(),
            "= != contains startswith endswith bcontains bstartswith in intersects exists",
        ),
        Family::None => (false, format!("for type '{}'", ty.as_str()), "exists"),
    };
    if fits {
        return Ok(());
    }
    let operator = if operator == DoubleEqual { "=" } else { operator.as_str() };
    let message = format!("filter error: '{operator}' operator not supported {what}");
    Err(Reason::new(message, format!("usable here: {usable}")))
}

impl Matcher {
    /// The matcher for values of a type; `check_operator` has allowed the operator.
    pub(crate) fn build(
        ty: FieldType,
        operator: Operator,
        modifier: Option<Modifier>,
        values: &[Literal],
    ) -> Result<Matcher, Reason> {
        if let Some(how) = modifier {
            let each =
                values.iter().map(|value| Matcher::build(ty, operator, None, std::slice::from_ref(value)));
            return Ok(Matcher::Count { how, of: each.collect::<Result<_, _>>()? });
        }
        match family(ty) {
            Family::Text | Family::Bytes => text(ty, operator, values).map(Matcher::Text),
            _ if ty == FieldType::Net => {
                let networks = each(values, &|value| net::network(&value.text()).map_err(not_network))?;
                Ok(Matcher::Net {
                    negated: operator == Operator::NotEqual,
                    networks: Networks::new(&networks),
                })
            }
            Family::Address => {
                let address = |value: &Literal| net::address(&value.text()).map_err(not_address);
                ordered::<IpAddr>(operator, each(values, &address)?).map(Matcher::Ip)
            }
            Family::Bool => ordered(operator, each(values, &truth)?).map(Matcher::Bool),
            Family::Number | Family::None => numeric(ty, operator, values),
        }
    }

    /// For `evt.around`, whose values are distances in time.
    pub(crate) fn within(operator: Operator, value: &Literal) -> Result<Matcher, Reason> {
        if !matches!(operator, Operator::Equal | Operator::DoubleEqual) {
            let message = "evt.around supports only '=' comparison operator";
            return Err(Reason::new(message, "write evt.around[TIME] = MILLISECONDS"));
        }
        no_nul(value)?;
        let milliseconds = number::unsigned(&value.bytes, 64).ok_or_else(|| not_number(value))?;
        Ok(Matcher::Within(milliseconds.wrapping_mul(1_000_000)))
    }
}

fn each<T>(values: &[Literal], read: &dyn Fn(&Literal) -> Result<T, Reason>) -> Result<Vec<T>, Reason> {
    values.iter().map(|value| no_nul(value).and_then(|()| read(value))).collect()
}

fn no_nul(value: &Literal) -> Result<(), Reason> {
    if value.bytes.contains(&0) {
        let message = "filter error: filter value cannot contain a NUL byte (\\x00)";
        return Err(Reason::new(
            message,
            "texts end at a NUL byte, so none can have one in it; only fields of bytes can",
        ));
    }
    Ok(())
}

fn not_number(value: &Literal) -> Reason {
    let text = value.text();
    let advice = if text.starts_with("0x") || text.starts_with("0X") {
        "write the number in decimal".to_owned()
    } else {
        "the field is a whole number: write decimal digits".to_owned()
    };
    Reason::new(format!("{text} is not a valid number"), advice)
}

fn not_network(message: String) -> Reason {
    Reason::new(message, "write a network with the number of its fixed bits: 10.0.0.0/8, fe80::/10")
}

fn not_address(message: String) -> Reason {
    Reason::new(
        message,
        "write an address: 10.0.0.1, ::1; networks are compared with fd.net, fd.snet and the like",
    )
}

fn truth(value: &Literal) -> Result<bool, Reason> {
    match value.bytes.as_slice() {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => {
            let message = format!("filter error: unrecognized boolean value {}", value.text());
            Err(Reason::new(message, "write true or false"))
        }
    }
}

/// A comparison with the one value there is, or with the set of all.
fn ordered<T: Clone + PartialOrd>(operator: Operator, mut values: Vec<T>) -> Result<Number<T>, Reason> {
    if operator.takes_list() {
        // What isn't equal to itself is in no list.
        values.retain(|value| value.partial_cmp(value).is_some());
        values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
        return Ok(Number::In(values.into()));
    }
    let value = values
        .into_iter()
        .next()
        .ok_or_else(|| Reason::new("filter error: a value is missing", "write one"))?;
    Ok(match operator {
        Operator::NotEqual => Number::NotEqual(value),
        Operator::Less => Number::Less(value),
        Operator::LessEqual => Number::LessEqual(value),
        Operator::Greater => Number::Greater(value),
        Operator::GreaterEqual => Number::GreaterEqual(value),
        _ => Number::Equal(value),
    })
}

fn numeric(ty: FieldType, operator: Operator, values: &[Literal]) -> Result<Matcher, Reason> {
    let unsigned = |bits| {
        let read =
            move |value: &Literal| number::unsigned(&value.bytes, bits).ok_or_else(|| not_number(value));
        ordered(operator, each(values, &read)?).map(Matcher::Unsigned)
    };
    let signed = |bits| {
        let read = move |value: &Literal| number::signed(&value.bytes, bits).ok_or_else(|| not_number(value));
        ordered(operator, each(values, &read)?).map(Matcher::Signed)
    };
    match ty {
        FieldType::Int8 => signed(8),
        FieldType::Int16 => signed(16),
        FieldType::Int32 => signed(32),
        FieldType::Int64 => signed(64),
        FieldType::Uint8 => unsigned(8),
        FieldType::Uint16 => unsigned(16),
        FieldType::Uint32 => unsigned(32),
        FieldType::Double => {
            // Falco reads whole numbers only, of 32 bits, for these fields too.
            let read = |value: &Literal| number::signed(&value.bytes, 32).ok_or_else(|| not_number(value));
            let values = each(values, &read)?.into_iter().map(|value| value as f64).collect();
            ordered(operator, values).map(Matcher::Double)
        }
        FieldType::Port => ordered(operator, each(values, &port)?).map(Matcher::Unsigned),
        _ => unsigned(64),
    }
}

fn port(value: &Literal) -> Result<u64, Reason> {
    let text = value.text();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let port = if text.is_empty() { Some(0) } else { number::unsigned(&value.bytes, 16) };
        return port.ok_or_else(|| not_number(value));
    }
    services::port(&text).map(u64::from).ok_or_else(|| {
        Reason::new(
            format!("unrecognized protocol {text}"),
            "write the port's number, or a name that /etc/services has",
        )
    })
}

fn text(ty: FieldType, operator: Operator, values: &[Literal]) -> Result<TextMatcher, Reason> {
    if ty == FieldType::Text {
        values.iter().try_for_each(no_nul)?;
    }
    let all = || values.iter().map(|value| value.bytes.as_slice());
    match operator {
        Operator::In | Operator::Intersects => return Ok(TextMatcher::In(TextSet::new(all()))),
        Operator::PMatch => return Ok(TextMatcher::Under(PathSet::new(all()))),
        _ => {}
    }
    let value = all().next().unwrap_or_default();
    let finder =
        |needle: &[u8]| TextMatcher::Contains(Box::new(memchr::memmem::Finder::new(needle).into_owned()));
    let hex = || {
        number::hex(value).ok_or_else(|| {
            let message = "filter error: bcontains and bstartswith operator support hex strings only";
            Reason::new(message, "write bytes as pairs of hexadecimal digits, for example 7f454c46")
        })
    };
    Ok(match operator {
        Operator::NotEqual => TextMatcher::NotEqual(value.into()),
        Operator::Less => TextMatcher::Less(value.into()),
        Operator::LessEqual => TextMatcher::LessEqual(value.into()),
        Operator::Greater => TextMatcher::Greater(value.into()),
        Operator::GreaterEqual => TextMatcher::GreaterEqual(value.into()),
        Operator::Contains => finder(value),
        Operator::IContains => TextMatcher::IContains(value.to_ascii_lowercase().into()),
        Operator::BContains => finder(&hex()?),
        Operator::BStartsWith => TextMatcher::StartsWith(hex()?.into()),
        Operator::StartsWith => TextMatcher::StartsWith(value.into()),
        Operator::EndsWith => TextMatcher::EndsWith(value.into()),
        Operator::Glob => TextMatcher::Glob(Glob::new(value, false)),
        Operator::IGlob => TextMatcher::Glob(Glob::new(value, true)),
        Operator::Regex => TextMatcher::Regex(Pattern::new(value).map_err(|reason| {
            Reason::new(
                format!("invalid regex pattern: {reason}"),
                "the pattern is a POSIX extended regular expression over the whole value",
            )
        })?),
        _ => TextMatcher::Equal(value.into()),
    })
}
