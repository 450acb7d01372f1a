//! Writing an event.

use crate::{DecodeError, Event, EventFlag, EventType, HEADER_LEN};

/// Why an event cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The type's number is not in the table.
    #[error("unknown event type {0}")]
    UnknownType(u16),
    /// A parameter or the event is longer than its length field can say.
    #[error("parameter {index} of {len} bytes is too long for its length field")]
    TooLong {
        /// Which parameter.
        index: usize,
        /// Its length.
        len: usize,
    },
}

/// An event that owns its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventBuf {
    bytes: Vec<u8>,
    cpu: u16,
}

impl EventBuf {
    /// Writes an event from the bytes of its parameters.
    ///
    /// # Errors
    /// When the type is unknown or a parameter is too long.
    pub fn new(
        ts: u64,
        tid: i64,
        cpu: u16,
        ty: EventType,
        params: &[&[u8]],
    ) -> Result<EventBuf, EncodeError> {
        let mut buf = EventBuf::default();
        buf.write(ts, tid, cpu, ty, params)?;
        Ok(buf)
    }

    /// Writes another event in its place, with the memory that is there.
    ///
    /// # Errors
    /// As [`EventBuf::new`]; nothing whole is in it then.
    pub fn write(
        &mut self,
        ts: u64,
        tid: i64,
        cpu: u16,
        ty: EventType,
        params: &[&[u8]],
    ) -> Result<(), EncodeError> {
        let info = ty.info().ok_or(EncodeError::UnknownType(ty.0))?;
        let wide = info.has(EventFlag::LargePayload);
        let lengths = if wide { 4 } else { 2 } * params.len();
        let total = HEADER_LEN + lengths + params.iter().map(|p| p.len()).sum::<usize>();
        let too_long = |index, len| EncodeError::TooLong { index, len };
        self.cpu = cpu;
        let bytes = &mut self.bytes;
        bytes.clear();
        bytes.reserve(total);
        bytes.extend(ts.to_ne_bytes());
        bytes.extend((tid as u64).to_ne_bytes());
        bytes.extend(u32::try_from(total).map_err(|_| too_long(params.len(), total))?.to_ne_bytes());
        bytes.extend(ty.0.to_ne_bytes());
        bytes.extend((params.len() as u32).to_ne_bytes());
        for (i, p) in params.iter().enumerate() {
            let len = p.len();
            if wide {
                bytes.extend(u32::try_from(len).map_err(|_| too_long(i, len))?.to_ne_bytes());
            } else {
                bytes.extend(u16::try_from(len).map_err(|_| too_long(i, len))?.to_ne_bytes());
            }
        }
        for p in params {
            bytes.extend_from_slice(p);
        }
        Ok(())
    }

    /// A copy of a borrowed event.
    pub fn copy_of(event: &Event<'_>) -> EventBuf {
        EventBuf { bytes: event.as_bytes().to_vec(), cpu: event.cpu }
    }

    /// Reads it.
    ///
    /// # Errors
    /// Never for an event made by this type; the error is that of [`Event::decode`].
    pub fn event(&self) -> Result<Event<'_>, DecodeError> {
        Event::decode(&self.bytes, self.cpu)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types;

    #[test]
    fn what_is_written_is_read() {
        let fd = 3i64.to_ne_bytes();
        let buf = EventBuf::new(7, 42, 1, types::SYSCALL_CLOSE_X, &[&0i64.to_ne_bytes(), &fd]).unwrap();
        let event = buf.event().unwrap();
        assert_eq!((event.ts, event.tid, event.cpu, event.ty()), (7, 42, 1, types::SYSCALL_CLOSE_X));
        assert_eq!((event.i64(0), event.i64(1), event.param(2)), (Some(0), Some(3), None));
        assert_eq!(event.params().count(), 2);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let buf = EventBuf::new(7, 42, 1, types::SYSCALL_CLOSE_X, &[&[0; 8], &[0; 8]]).unwrap();
        for len in 0..buf.as_bytes().len() {
            assert!(Event::decode(&buf.as_bytes()[..len], 0).is_err(), "{len}");
        }
        let mut lying = buf.as_bytes().to_vec();
        lying[22] = 200;
        assert_eq!(
            Event::decode(&lying, 0).unwrap_err(),
            DecodeError::Inconsistent { code: 5, params: 200, len: lying.len() }
        );
    }
}
