//! Reading an event's parameters into numbers and texts, all in one pass where many are needed.

use lanner_event::Event;

/// The first `N` parameters, empty where the event carries fewer.
pub(crate) fn params<'a, const N: usize>(event: &Event<'a>) -> [&'a [u8]; N] {
    let mut all: [&[u8]; N] = [&[]; N];
    for (slot, bytes) in all.iter_mut().zip(event.params()) {
        *slot = bytes;
    }
    all
}

/// A 64-bit signed parameter.
pub(crate) fn i64_of(bytes: &[u8]) -> Option<i64> {
    bytes.first_chunk().copied().map(i64::from_ne_bytes)
}

/// A 64-bit unsigned parameter.
pub(crate) fn u64_of(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().copied().map(u64::from_ne_bytes)
}

/// A 32-bit parameter.
pub(crate) fn u32_of(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_ne_bytes)
}

/// A 16-bit parameter.
pub(crate) fn u16_of(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().copied().map(u16::from_ne_bytes)
}

/// A text up to its NUL. What the source could not read is `<NA>`.
pub(crate) fn text_of(bytes: &[u8]) -> &[u8] {
    if bytes.is_empty() {
        return b"<NA>";
    }
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}
