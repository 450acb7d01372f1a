//! Backslashes in quoted texts.

use crate::error::EscapeError;

/// Resolves the escapes of what stands between two `quote`s.
pub(crate) fn unescape(inner: &[u8], quote: u8) -> Result<Vec<u8>, EscapeError> {
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        // A backslash right before the closing quote would have kept it from closing, so one
        // more byte is there.
        let Some((&escaped, tail)) = rest.split_first() else { break };
        rest = tail;
        match escaped {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            // Old rule files have `\ ` where they mean a backslash; Falco drops the blank.
            b' ' | b'\\' => out.push(b'\\'),
            b'/' => out.push(b'/'),
            b'"' if quote != b'"' => return Err(EscapeError::DoubleInSingle),
            b'\'' if quote != b'\'' => return Err(EscapeError::SingleInDouble),
            b'"' | b'\'' => out.push(escaped),
            b'x' => {
                let digits = rest.get(..2).ok_or(EscapeError::ShortHex)?;
                out.push(hex(digits)?);
                rest = &rest[2..];
            }
            _ => return Err(EscapeError::Unknown(first_char(escaped, rest))),
        }
    }
    Ok(out)
}

fn hex(digits: &[u8]) -> Result<u8, EscapeError> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    match (value(digits[0]), value(digits[1])) {
        (Some(high), Some(low)) => Ok((high * 16 + low) as u8),
        _ => Err(EscapeError::Hex(String::from_utf8_lossy(digits).into_owned())),
    }
}

/// The character that begins with `byte`, to name it in a message.
fn first_char(byte: u8, rest: &[u8]) -> char {
    let mut bytes = vec![byte];
    bytes.extend(rest.iter().take_while(|byte| (**byte as i8) < -64));
    String::from_utf8_lossy(&bytes).chars().next().unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Whether `bytes` can stand without quotes and be read back as they are.
pub(crate) fn is_bare(bytes: &[u8]) -> bool {
    let begins_well = bytes.first().is_some_and(|byte| *byte != 8);
    begins_well && std::str::from_utf8(bytes).is_ok() && bytes.iter().all(|byte| bare_byte(*byte))
}

/// Bytes that a bare text may have. A backspace is a blank between words, but not within one.
pub(crate) fn bare_byte(byte: u8) -> bool {
    !matches!(byte, b'(' | b')' | b'"' | b'\'' | b' ' | b'\t'..=b'\r' | b'=' | b',')
}

/// Writes `bytes` between double quotes such that reading gives them back.
pub(crate) fn quote(bytes: &[u8], out: &mut String) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                // Not `\\`: a quote after it would be taken for an escaped one.
                '\\' => out.push_str("\\x5c"),
                '\0'..='\u{1f}' | '\u{7f}' => hex_escape(character as u8, out),
                _ => out.push(character),
            }
        }
        chunk.invalid().iter().for_each(|byte| hex_escape(*byte, out));
    }
    out.push('"');
}

fn hex_escape(byte: u8, out: &mut String) {
    use std::fmt::Write;
    // Writing to a String can't fail.
    let _ = write!(out, "\\x{byte:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_resolve() {
        let got = unescape(br#"\b\f\n\r\t\\\/\"\x41\ x"#, b'"').unwrap();
        assert_eq!(got, b"\x08\x0c\n\r\t\\/\"A\\x");
    }

    #[test]
    fn bad_escapes_are_named() {
        let error = |text: &str| unescape(text.as_bytes(), b'"').unwrap_err().to_string();
        assert_eq!(error(r"\'"), "invalid \\' escape in \"-quoted string");
        assert_eq!(error(r"\x4"), "truncated hex char escape sequence");
        assert_eq!(error(r"\xzz"), "invalid hex char escape sequence: zz");
        assert_eq!(error(r"\é"), "unsupported string escape sequence: \\é");
    }

    #[test]
    fn any_byte_survives_quoting() {
        let all: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        quote(&all, &mut text);
        assert_eq!(unescape(&text.as_bytes()[1..text.len() - 1], b'"').unwrap(), all);
    }
}
