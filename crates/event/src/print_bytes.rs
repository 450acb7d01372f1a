//! Text of byte buffers and of durations.

use std::io::Write as _;

use crate::BufferFormat;

/// A byte buffer as text.
pub fn print_bytes(bytes: &[u8], format: BufferFormat, out: &mut Vec<u8>) {
    match format {
        BufferFormat::Printable => {
            out.extend(bytes.iter().map(|&b| if (0x20..0x7f).contains(&b) { b } else { b'.' }));
        }
        BufferFormat::Base64 => print_base64(bytes, out),
    }
}

fn print_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let octet = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let group = octet(0) << 16 | octet(1) << 8 | octet(2);
        for i in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { digit } else { b'=' });
        }
    }
}

/// A number with six significant digits and no closing zeros, as C's `%g` prints it.
pub(crate) fn print_general(value: f64, out: &mut Vec<u8>) {
    const DIGITS: i32 = 6;
    let scientific = format!("{value:.*e}", DIGITS as usize - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return out.extend(scientific.as_bytes());
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Writing into memory cannot fail.
    if (-4..DIGITS).contains(&exponent) {
        let text = format!("{value:.*}", (DIGITS - 1 - exponent) as usize);
        out.extend(without_zeros(&text).as_bytes());
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{}e{sign}{:02}", without_zeros(mantissa), exponent.abs());
    }
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8], format: BufferFormat) -> String {
        let mut out = Vec::new();
        print_bytes(bytes, format, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bytes_that_do_not_print_are_dots() {
        assert_eq!(shown(b"a b\n\0~\x7f\xff\"", BufferFormat::Printable), "a b..~..\"");
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(shown(bytes.as_bytes(), BufferFormat::Base64), text);
        }
    }

    #[test]
    fn general_numbers_look_as_in_c() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.5, "0.5"),
            (1e-9, "1e-09"),
            (0.0001, "0.0001"),
            (0.00001234567, "1.23457e-05"),
            (123456.4, "123456"),
            (999999.6, "1e+06"),
            (18446744073.709551, "1.84467e+10"),
            (3.0000001, "3"),
        ] {
            let mut out = Vec::new();
            print_general(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
