//! Numbers as rule files may write them: those that C's `scanf` takes.

/// Reads a whole decimal number, perhaps with a sign, as `%d` or `%u` would for `bits` bits: what
/// is too large for 64 bits becomes the largest, and of the rest the low bits count. Blanks may stand before, nothing may follow.
fn scan(text: &[u8], signed: bool) -> Option<u64> {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits
        .iter()
        .fold(0u128, |size, digit| size.saturating_mul(10).saturating_add(u128::from(digit - b'0')));
    Some(match (signed, negative) {
        (true, true) => size.min(1 << 63).wrapping_neg() as u64,
        (true, false) => size.min((1 << 63) - 1) as u64,
        (false, _) if size > u128::from(u64::MAX) => u64::MAX,
        (false, true) => (size as u64).wrapping_neg(),
        (false, false) => size as u64,
    })
}

/// For an unsigned field of so many bits.
pub(crate) fn unsigned(text: &[u8], bits: u32) -> Option<u64> {
    scan(text, false).map(|value| value & (u64::MAX >> (64 - bits)))
}

/// For a signed field of so many bits.
pub(crate) fn signed(text: &[u8], bits: u32) -> Option<i64> {
    scan(text, true).map(|value| ((value << (64 - bits)) as i64) >> (64 - bits))
}

/// Bytes written as pairs of hexadecimal digits.
pub(crate) fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_scanf_reads_them() {
        assert_eq!(unsigned(b"12", 64), Some(12));
        assert_eq!(unsigned(b" +7", 8), Some(7));
        assert_eq!(unsigned(b"-1", 32), Some(u64::from(u32::MAX)));
        assert_eq!(unsigned(b"256", 8), Some(0));
        assert_eq!(unsigned(b"99999999999999999999999", 64), Some(u64::MAX));
        assert_eq!(signed(b"-1", 64), Some(-1));
        assert_eq!(signed(b"-99999999999999999999", 64), Some(i64::MIN));
        assert_eq!(signed(b"255", 8), Some(-1));
        for bad in ["", "-", "0x1f", "1.5", "1 ", "a", "--1"] {
            assert_eq!(unsigned(bad.as_bytes(), 64), None, "{bad}");
            assert_eq!(signed(bad.as_bytes(), 64), None, "{bad}");
        }
    }

    #[test]
    fn hex_needs_pairs() {
        assert_eq!(hex(b"00fF10"), Some(vec![0, 255, 16]));
        assert_eq!(hex(b""), Some(vec![]));
        assert_eq!(hex(b"0"), None);
        assert_eq!(hex(b"0g"), None);
    }
}
