//! What transformers make of values.

use crate::scratch::Buffer;
use crate::{Scratch, Transformer, Value};

/// A simple transformer over a value, or over each of a list.
pub(crate) fn apply<'a>(transformer: Transformer, value: Value<'a>, scratch: &'a Scratch) -> Value<'a> {
    match (transformer, value) {
        (Transformer::Len, Value::List(values)) => Value::Unsigned(values.len() as u64),
        (_, Value::List(values)) => {
            let mut out = scratch.value_buffer();
            for value in values {
                match apply(transformer, *value, scratch) {
                    Value::Absent => return Value::Absent,
                    value => out.push(value),
                }
            }
            Value::List(out.into_bump_slice())
        }
        (Transformer::Len, Value::Text(text)) => Value::Unsigned(until_nul(text).len() as u64),
        (Transformer::Len, Value::Bytes(bytes)) => Value::Unsigned(bytes.len() as u64),
        (Transformer::ToLower, Value::Text(text)) => Value::Text(scratch.map(text, u8::to_ascii_lowercase)),
        (Transformer::ToUpper, Value::Text(text)) => Value::Text(scratch.map(text, u8::to_ascii_uppercase)),
        (Transformer::BaseName, Value::Text(text)) => {
            let after = memchr::memrchr(b'/', text).map_or(0, |slash| slash + 1);
            Value::Text(text.get(after..).unwrap_or_default())
        }
        (Transformer::Base64, Value::Text(text)) => Value::or_absent(base64(text, scratch).map(Value::Text)),
        (Transformer::Base64, Value::Bytes(text)) => {
            Value::or_absent(base64(text, scratch).map(Value::Bytes))
        }
        _ => Value::Absent,
    }
}

fn until_nul(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

/// Base 64 with or without padding; nothing else may be in it.
fn base64<'a>(text: &[u8], scratch: &'a Scratch) -> Option<&'a [u8]> {
    let text = text.strip_suffix(b"=").map_or(text, |t| t.strip_suffix(b"=").unwrap_or(t));
    let mut out = scratch.buffer();
    for group in text.chunks(4) {
        let mut bits = 0u32;
        for &c in group {
            let digit = match c {
                b'A'..=b'Z' => c - b'A',
                b'a'..=b'z' => c - b'a' + 26,
                b'0'..=b'9' => c - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(digit);
        }
        let (count, spare) = match group.len() {
            4 => (3, 0),
            3 => (2, 2),
            2 => (1, 4),
            _ => return None,
        };
        if bits & ((1 << spare) - 1) != 0 {
            return None;
        }
        let bytes = ((bits >> spare) << (8 * (4 - count))).to_be_bytes();
        out.extend_from_slice(&bytes[..count]);
    }
    Some(out.into_bump_slice())
}

/// A list of single values; absent if one is.
pub(crate) fn list<'a>(values: impl Iterator<Item = Value<'a>>, scratch: &'a Scratch) -> Value<'a> {
    let mut out = scratch.value_buffer();
    for value in values {
        match value {
            Value::Absent => return Value::Absent,
            Value::List(values) => out.extend_from_slice(values),
            value => out.push(value),
        }
    }
    Value::List(out.into_bump_slice())
}

/// Texts put together; absent if one is.
pub(crate) fn concat<'a>(values: impl Iterator<Item = Value<'a>>, scratch: &'a Scratch) -> Value<'a> {
    let mut out = scratch.buffer();
    for value in values {
        match value.as_bytes() {
            Some(text) => out.extend_from_slice(text),
            None => return Value::Absent,
        }
    }
    Value::Text(out.into_bump_slice())
}

/// The values of a list with a separator between them.
pub(crate) fn join<'a>(separator: Value<'a>, values: Value<'a>, scratch: &'a Scratch) -> Value<'a> {
    let (Some(separator), Value::List(values)) = (separator.as_bytes(), values) else { return Value::Absent };
    let mut out = scratch.buffer();
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(separator);
        }
        match value.as_bytes() {
            Some(text) => out.extend_from_slice(text),
            None => crate::text::print_number(value, &mut out),
        }
    }
    Value::Text(out.into_bump_slice())
}

/// The letters of a getopt(3) option text.
struct Letters<'a>(&'a [u8]);

impl Letters<'_> {
    /// Whether there is such an option, and whether a value belongs to it.
    fn find(&self, letter: u8) -> Option<bool> {
        let at = if letter == b':' { None } else { memchr::memchr(letter, self.0) };
        at.map(|at| self.0.get(at + 1) == Some(&b':'))
    }
}

/// The options in a command line's arguments, each followed by its value where it has one; with a selector
/// the last value (or letter) of that option. Short options only; `--long` ones are passed over.
pub(crate) fn getopt<'a>(
    args: Value<'a>,
    letters: Value<'a>,
    selector: Option<u8>,
    scratch: &'a Scratch,
) -> Value<'a> {
    let (Value::List(args), Some(letters)) = (args, letters.as_bytes()) else { return Value::Absent };
    let letters = Letters(letters);
    let mut found = scratch.value_buffer();
    let mut args = args.iter().filter_map(Value::as_bytes);
    while let Some(arg) = args.next() {
        if arg == b"--" || arg.len() < 2 || arg[0] != b'-' {
            break;
        }
        if arg[1] != b'-' {
            options_of(arg, &mut args, &letters, selector, &mut found);
        }
    }
    match selector {
        None => Value::List(found.into_bump_slice()),
        Some(_) => Value::or_absent(found.last().copied()),
    }
}

/// The options of one argument such as `-abvalue`.
fn options_of<'a>(
    arg: &'a [u8],
    rest: &mut impl Iterator<Item = &'a [u8]>,
    letters: &Letters<'_>,
    selector: Option<u8>,
    found: &mut Buffer<'a, Value<'a>>,
) {
    for i in 1..arg.len() {
        let wanted = selector.is_none_or(|s| s == arg[i]);
        let Some(takes_value) = letters.find(arg[i]) else {
            if selector.is_none() {
                found.push(Value::Text(b"?"));
            }
            continue;
        };
        let name = Value::Text(&arg[i..=i]);
        if !takes_value {
            if wanted {
                found.push(name);
            }
            continue;
        }
        let value = if i + 1 < arg.len() { Some(&arg[i + 1..]) } else { rest.next() };
        match value {
            _ if !wanted => {}
            None => found.push(Value::Text(b"")),
            Some(value) => {
                if selector.is_none() {
                    found.push(name);
                }
                found.push(Value::Text(value));
            }
        }
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(transformer: Transformer, text: &str) -> Option<String> {
        let scratch = Scratch::new();
        let value = apply(transformer, Value::Text(text.as_bytes()), &scratch);
        value.as_bytes().map(|b| String::from_utf8(b.to_vec()).unwrap())
    }

    #[test]
    fn simple_transformers() {
        assert_eq!(text(Transformer::ToLower, "AbC-Ä").unwrap(), "abc-Ä");
        assert_eq!(text(Transformer::ToUpper, "aBc").unwrap(), "ABC");
        assert_eq!(text(Transformer::BaseName, "/usr/bin/cat").unwrap(), "cat");
        assert_eq!(text(Transformer::BaseName, "/usr/").unwrap(), "");
        assert_eq!(text(Transformer::BaseName, "cat").unwrap(), "cat");
        assert_eq!(apply(Transformer::Len, Value::Text(b"abc"), &Scratch::new()), Value::Unsigned(3));
    }

    #[test]
    fn base64_is_strict_but_for_padding() {
        assert_eq!(text(Transformer::Base64, "c2VjcmV0").unwrap(), "secret");
        for padded in ["c2VjcmU=", "c2VjcmU"] {
            assert_eq!(text(Transformer::Base64, padded).unwrap(), "secre");
        }
        assert_eq!(text(Transformer::Base64, "").unwrap(), "");
        for wrong in ["c", "c2V cmV0", "c2VjcmV", "===", "c2Vjc_"] {
            assert_eq!(text(Transformer::Base64, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn options_are_found_in_clusters_and_with_values() {
        let scratch = Scratch::new();
        let args =
            ["-vx", "-t", "5", "--long", "-ofile", "-z", "plain", "-v"].map(|a| Value::Text(a.as_bytes()));
        let ask = |selector| getopt(Value::List(&args), Value::Text(b"vxt:o:"), selector, &scratch);
        let texts: Vec<&[u8]> = match ask(None) {
            Value::List(values) => values.iter().filter_map(Value::as_bytes).collect(),
            _ => Vec::new(),
        };
        assert_eq!(texts, [&b"v"[..], b"x", b"t", b"5", b"o", b"file", b"?"]);
        assert_eq!(ask(Some(b'o')), Value::Text(b"file"));
        assert_eq!(ask(Some(b'v')), Value::Text(b"v"));
        assert_eq!(ask(Some(b'q')), Value::Absent);
    }
}
