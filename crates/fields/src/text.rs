//! Text and JSON of values.

use std::net::IpAddr;

use lanner_event::print_ipv6;

use crate::{FieldType, NumberFormat, Value};

/// The text of what is absent.
pub(crate) const ABSENT: &str = "<NA>";

/// Longest data that is shown whole; of longer data one byte less is.
const BYTES_LIMIT: usize = 1022;

/// Longest text of a list; the rest is left out.
const LIST_LIMIT: usize = 1023;

/// Appends a value as outputs show it; `<NA>` for an absent one.
pub fn render_value(value: &Value<'_>, ty: FieldType, format: NumberFormat, out: &mut Vec<u8>) {
    match *value {
        Value::Absent => out.extend_from_slice(ABSENT.as_bytes()),
        Value::Text(text) => out.extend_from_slice(until_nul(text)),
        Value::Bytes(bytes) => out.extend_from_slice(until_nul(shown(bytes))),
        Value::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
        Value::Double(number) => write(out, format_args!("{number:.1}")),
        Value::Ip(_) if ty == FieldType::Net => out.extend_from_slice(b"<IPNET>"),
        Value::Ip(IpAddr::V4(ip)) => write(out, format_args!("{ip}")),
        Value::Ip(IpAddr::V6(ip)) => print_ipv6(ip.octets(), out),
        Value::Unsigned(number) => match format {
            NumberFormat::Plain => write(out, format_args!("{number}")),
            NumberFormat::Padded => write(out, format_args!("{number:09}")),
            NumberFormat::Hex => write(out, format_args!("{number:X}")),
            NumberFormat::Octal => write(out, format_args!("{number:o}")),
        },
        Value::Signed(number) => match (format, ty) {
            (NumberFormat::Hex, FieldType::Int64) => write(out, format_args!("{number:X}")),
            (NumberFormat::Hex, _) => write(out, format_args!("{:X}", number as u32)),
            (NumberFormat::Octal, FieldType::Int64) => write(out, format_args!("{number:o}")),
            (NumberFormat::Octal, _) => write(out, format_args!("{:o}", number as u32)),
            _ => write(out, format_args!("{number}")),
        },
        Value::List(values) => render_list(values, ty, format, out),
        Value::Any(values) | Value::Ends(values) => render_list(values, ty, format, out),
        Value::Distance(ns) => write(out, format_args!("{ns}")),
    }
}

fn render_list(values: &[Value<'_>], ty: FieldType, format: NumberFormat, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'(');
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        render_value(value, ty, format, out);
    }
    out.push(b')');
    out.truncate(start + LIST_LIMIT);
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into memory cannot fail.
    let _ = std::io::Write::write_fmt(out, text);
}

/// Appends a number to a text that is put together.
pub(crate) fn print_number(value: &Value<'_>, out: &mut crate::scratch::Buffer<'_, u8>) {
    use std::io::Write as _;
    let mut out = crate::scratch::Sink(out);
    // Writing into memory cannot fail.
    let _ = match *value {
        Value::Unsigned(number) => write!(out, "{number}"),
        Value::Signed(number) => write!(out, "{number}"),
        _ => Ok(()),
    };
}

/// A value as JSON: numbers as numbers, truth as truth, lists as arrays, null for an absent one.
pub(crate) fn json_value(value: &Value<'_>, ty: FieldType, format: NumberFormat) -> serde_json::Value {
    match *value {
        Value::Absent => serde_json::Value::Null,
        Value::Bool(truth) => truth.into(),
        Value::Double(number) => number.into(),
        Value::Unsigned(number) if matches!(format, NumberFormat::Plain | NumberFormat::Padded) => {
            number.into()
        }
        Value::Signed(number) if matches!(format, NumberFormat::Plain | NumberFormat::Padded) => {
            number.into()
        }
        Value::List([]) => serde_json::Value::Null,
        Value::List(values) => values.iter().map(|v| json_value(v, ty, format)).collect(),
        _ => {
            let mut text = Vec::new();
            render_value(value, ty, format, &mut text);
            String::from_utf8_lossy(&text).into()
        }
    }
}

/// As much of some data as outputs show.
fn shown(bytes: &[u8]) -> &[u8] {
    if bytes.len() > BYTES_LIMIT { &bytes[..BYTES_LIMIT - 1] } else { bytes }
}

/// Texts are shown as far as their first byte of zero.
pub(crate) fn until_nul(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: Value<'_>, ty: FieldType, format: NumberFormat) -> String {
        let mut out = Vec::new();
        render_value(&value, ty, format, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_type_has_its_text() {
        let plain = |value, ty| text(value, ty, NumberFormat::Plain);
        assert_eq!(plain(Value::Absent, FieldType::Text), "<NA>");
        assert_eq!(plain(Value::Text(b"a\0b"), FieldType::Text), "a");
        assert_eq!(plain(Value::Bool(true), FieldType::Bool), "true");
        assert_eq!(plain(Value::Double(0.58), FieldType::Double), "0.6");
        assert_eq!(plain(Value::Signed(-1), FieldType::Int64), "-1");
        assert_eq!(plain(Value::Ip([127, 0, 0, 1].into()), FieldType::Ip), "127.0.0.1");
        assert_eq!(text(Value::Unsigned(7), FieldType::RelTime, NumberFormat::Padded), "000000007");
        assert_eq!(text(Value::Signed(-1), FieldType::Int32, NumberFormat::Hex), "FFFFFFFF");
        let data = vec![b'x'; 2000];
        for (have, want) in [(1022, 1022), (1023, 1021), (2000, 1021)] {
            assert_eq!(plain(Value::Bytes(&data[..have]), FieldType::Bytes).len(), want);
        }
        let list = [Value::Text(b"file"), Value::Text(b"ipv4")];
        assert_eq!(plain(Value::List(&list), FieldType::Text), "(file,ipv4)");
    }

    #[test]
    fn json_keeps_the_type() {
        let json = |value, ty| json_value(&value, ty, NumberFormat::Plain).to_string();
        assert_eq!(json(Value::Absent, FieldType::Text), "null");
        assert_eq!(json(Value::Unsigned(u64::MAX), FieldType::Uint64), u64::MAX.to_string());
        assert_eq!(json(Value::Bool(false), FieldType::Bool), "false");
        assert_eq!(json(Value::Double(0.5), FieldType::Double), "0.5");
        assert_eq!(json(Value::Text(b"\xff\""), FieldType::Text), "\"\u{fffd}\\\"\"");
        assert_eq!(json(Value::List(&[Value::Signed(1)]), FieldType::Int64), "[1]");
    }
}
