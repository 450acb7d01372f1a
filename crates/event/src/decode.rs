//! Reading an event in place.

use crate::{EventFlag, EventInfo, EventType};

/// Bytes of an event's header: time u64, thread u64, length u32, type u16, parameter count u32.
pub const HEADER_LEN: usize = 26;

/// So many lengths of two bytes are added up at once.
const FEW: usize = 8;

/// Masks of the first none, one, … of them.
const FIRST: [u128; FEW + 1] = {
    let mut masks = [0; FEW + 1];
    let mut count = 1;
    while count <= FEW {
        masks[count] = masks[count - 1] << 16 | 0xffff;
        count += 1;
    }
    masks
};

/// Why bytes are no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the event does.
    #[error("an event of {need} bytes is cut off after {have}")]
    Truncated {
        /// Bytes that the event says it has.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// The event's own length does not hold its header and parameter lengths.
    #[error("event type {code}: {params} parameters do not fit into {len} bytes")]
    Inconsistent {
        /// The type's number.
        code: u16,
        /// The number of parameters it claims.
        params: u32,
        /// The length it claims.
        len: usize,
    },
    /// The type's number is not in the table.
    #[error("unknown event type {0}")]
    UnknownType(u16),
}

/// What a check of an event's bytes found out. A reader that must move on before it hands an event out keeps
/// this in place of the event, which borrows its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    info: &'static EventInfo,
    len: u32,
    count: u32,
    cpu: u16,
}

impl Head {
    /// Checks the event at the start of `bytes`, which may go on behind it.
    ///
    /// # Errors
    /// When the bytes are too short, the event contradicts itself, or its type is unknown.
    #[inline]
    pub fn check(bytes: &[u8], cpu: u16) -> Result<Head, DecodeError> {
        match Head::of_few(bytes, cpu) {
            Some(head) => Ok(head),
            None => Head::of_any(bytes, cpu),
        }
    }

    /// The check in as few steps as possible, for what nearly all events are: right, with few parameters, and with
    /// bytes behind them. `None` says nothing.
    #[inline]
    fn of_few(bytes: &[u8], cpu: u16) -> Option<Head> {
        let start: &[u8; HEADER_LEN + FEW * 2] = bytes.first_chunk()?;
        let head = Head::read(start.first_chunk()?, cpu)?;
        if head.count as usize > FEW
            || head.len as usize > bytes.len()
            || head.is_wide()
            || cfg!(target_endian = "big")
        {
            return None;
        }
        (head.end_of_few(start.last_chunk()?) <= head.len as usize).then_some(head)
    }

    #[cold]
    fn of_any(bytes: &[u8], cpu: u16) -> Result<Head, DecodeError> {
        let short = |need| DecodeError::Truncated { need, have: bytes.len() };
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(short(HEADER_LEN))?;
        let code = u16::from_ne_bytes([header[20], header[21]]);
        let head = Head::read(header, cpu).ok_or(DecodeError::UnknownType(code))?;
        let len = head.len as usize;
        if len > bytes.len() {
            return Err(short(len));
        }
        if head.end_of_params(&bytes[..len]).is_some_and(|end| end <= len) {
            Ok(head)
        } else {
            Err(DecodeError::Inconsistent { code, params: head.count, len })
        }
    }

    /// What the header says, unchecked; `None` if the table doesn't know the type.
    #[inline]
    fn read(header: &[u8; HEADER_LEN], cpu: u16) -> Option<Head> {
        let half = |at: usize| array::<4>(header, at).map_or(0, u32::from_ne_bytes);
        let info = EventType(u16::from_ne_bytes([header[20], header[21]])).info()?;
        Some(Head { info, len: half(16), count: half(22), cpu })
    }

    /// Whether parameters' lengths have four bytes.
    #[inline]
    fn is_wide(&self) -> bool {
        self.info.has(EventFlag::LargePayload)
    }

    /// The type's number.
    #[inline]
    pub fn ty(&self) -> EventType {
        self.info.code
    }

    /// How many parameters the event carries.
    #[inline]
    pub fn param_count(&self) -> usize {
        self.count as usize
    }

    /// How many bytes it has.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Where the parameters end if there are few of them: all lengths are added up at once, those masked out that are
    /// none. Where the event has less than its lengths, this is behind its end, too.
    #[inline]
    fn end_of_few(&self, lengths: &[u8; FEW * 2]) -> usize {
        let count = self.count as usize;
        let all = u128::from_le_bytes(*lengths) & FIRST[count];
        // Two lanes of 32 bits, then one: four lengths of 16 bits fill no more than 18.
        let pairs = |four: u64| (four & 0xffff_0000_ffff) + (four >> 16 & 0xffff_0000_ffff);
        let both = pairs(all as u64) + pairs((all >> 64) as u64);
        HEADER_LEN + count * 2 + (both as u32 as usize) + (both >> 32) as usize
    }

    /// Where the parameters end, if their lengths are there.
    #[cold]
    fn end_of_params(&self, bytes: &[u8]) -> Option<usize> {
        let width = if self.is_wide() { 4 } else { 2 };
        let data = (self.count as usize).checked_mul(width)?.checked_add(HEADER_LEN)?;
        let lengths = bytes.get(HEADER_LEN..data)?;
        let total: usize = if self.is_wide() {
            lengths.chunks_exact(4).map(|l| u32::from_ne_bytes([l[0], l[1], l[2], l[3]]) as usize).sum()
        } else {
            lengths.chunks_exact(2).map(|l| usize::from(u16::from_ne_bytes([l[0], l[1]]))).sum()
        };
        data.checked_add(total)
    }

    /// The event, given the bytes that were checked. Given others, parameters may be absent or cut.
    #[inline]
    pub fn event(self, bytes: &[u8]) -> Event<'_> {
        let Head { info, len, count, cpu } = self;
        let bytes = bytes.get(..len as usize).unwrap_or(bytes);
        let [ts, tid] = match bytes.first_chunk::<16>() {
            Some(start) => [0, 8].map(|at| array(start, at).map_or(0, u64::from_ne_bytes)),
            None => [0, 0],
        };
        Event { ts, tid: tid as i64, cpu, info, bytes, count, wide: self.is_wide() }
    }
}

/// An event, borrowed from the bytes that it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// When it happened: nanoseconds since 1970.
    pub ts: u64,
    /// The thread that caused it, in the host's pid namespace.
    pub tid: i64,
    /// The CPU it happened on.
    pub cpu: u16,
    /// What happened.
    pub info: &'static EventInfo,
    bytes: &'a [u8],
    count: u32,
    wide: bool,
}

#[inline]
fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

impl<'a> Event<'a> {
    /// Reads the event at the start of `bytes`, which may go on behind it.
    ///
    /// # Errors
    /// When the bytes are too short, the event contradicts itself, or its type is unknown.
    pub fn decode(bytes: &'a [u8], cpu: u16) -> Result<Event<'a>, DecodeError> {
        Ok(Head::check(bytes, cpu)?.event(bytes))
    }

    #[inline]
    fn width(&self) -> usize {
        if self.wide { 4 } else { 2 }
    }

    /// The type's number.
    #[inline]
    pub fn ty(&self) -> EventType {
        self.info.code
    }

    /// How many parameters the event carries (an old capture may carry fewer than the table says).
    #[inline]
    pub fn param_count(&self) -> usize {
        self.count as usize
    }

    /// The whole event as it was read.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A parameter's bytes.
    #[inline]
    pub fn param(&self, index: usize) -> Option<&'a [u8]> {
        if self.wide {
            return self.wide_param(index);
        }
        if index >= self.count as usize {
            return None;
        }
        let lengths = &self.bytes[HEADER_LEN.min(self.bytes.len())..];
        let mut at = HEADER_LEN + self.count as usize * 2;
        for i in 0..index {
            at += usize::from(u16::from_ne_bytes(array(lengths, i * 2)?));
        }
        let length = u16::from_ne_bytes(array(lengths, index * 2)?);
        self.bytes.get(at..at + usize::from(length))
    }

    #[inline(never)]
    fn wide_param(&self, index: usize) -> Option<&'a [u8]> {
        self.params().nth(index)
    }

    /// All parameters' bytes in order.
    #[inline]
    pub fn params(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Event { bytes, count, wide, .. } = *self;
        let start = count as usize * self.width();
        let parts = bytes.get(HEADER_LEN..).and_then(|bytes| bytes.split_at_checked(start));
        let (mut lengths, mut rest) = parts.unwrap_or_default();
        (0..count).map_while(move |_| {
            let length = if wide {
                let (length, behind) = lengths.split_first_chunk()?;
                lengths = behind;
                u32::from_ne_bytes(*length) as usize
            } else {
                let (length, behind) = lengths.split_first_chunk()?;
                lengths = behind;
                usize::from(u16::from_ne_bytes(*length))
            };
            let (param, behind) = rest.split_at_checked(length)?;
            rest = behind;
            Some(param)
        })
    }

    /// A parameter that is a 64-bit signed number (fd, result, process id).
    #[inline]
    pub fn i64(&self, index: usize) -> Option<i64> {
        array(self.param(index)?, 0).map(i64::from_ne_bytes)
    }

    /// A parameter that is a 64-bit unsigned number.
    #[inline]
    pub fn u64(&self, index: usize) -> Option<u64> {
        array(self.param(index)?, 0).map(u64::from_ne_bytes)
    }

    /// A parameter that is a 32-bit unsigned number (flags, ids, modes).
    #[inline]
    pub fn u32(&self, index: usize) -> Option<u32> {
        array(self.param(index)?, 0).map(u32::from_ne_bytes)
    }

    /// A parameter that is a 16-bit unsigned number.
    #[inline]
    pub fn u16(&self, index: usize) -> Option<u16> {
        array(self.param(index)?, 0).map(u16::from_ne_bytes)
    }

    /// A parameter that is one byte.
    #[inline]
    pub fn u8(&self, index: usize) -> Option<u8> {
        self.param(index)?.first().copied()
    }

    /// A parameter that is text, up to its NUL; `None` also where the source could not read it (no bytes).
    #[inline]
    pub fn text(&self, index: usize) -> Option<&'a [u8]> {
        let bytes = self.param(index)?;
        if bytes.is_empty() {
            return None;
        }
        Some(&bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types;

    /// An event of so many parameters, whose own length says something else by `off`.
    fn checked(lengths: &[u16], off: i64, behind: usize) -> Result<Head, DecodeError> {
        let total: usize = lengths.iter().map(|length| usize::from(*length)).sum();
        let len = HEADER_LEN + lengths.len() * 2 + total;
        let mut bytes = vec![0; 16];
        bytes.extend(((len as i64 + off) as u32).to_ne_bytes());
        bytes.extend(types::SYSCALL_READ_X.0.to_ne_bytes());
        bytes.extend((lengths.len() as u32).to_ne_bytes());
        lengths.iter().for_each(|length| bytes.extend(length.to_ne_bytes()));
        bytes.resize(len + behind, 0xff);
        Head::check(&bytes, 0)
    }

    #[test]
    fn lengths_add_up_or_are_refused() {
        for count in 0..12 {
            for length in [0, 1, 300, u16::MAX] {
                let mut lengths = vec![length; count];
                if let Some(last) = lengths.last_mut() {
                    *last = 7;
                }
                for behind in [0, 1, 100] {
                    assert!(checked(&lengths, 0, behind).is_ok(), "{lengths:?}");
                    assert!(checked(&lengths, -1, behind).is_err(), "{lengths:?}");
                    assert_eq!(checked(&lengths, 1, behind).is_ok(), behind > 0, "{lengths:?}");
                }
            }
        }
    }
}
