//! Events that came together.

use lanner_event::{EncodeError, EventBuf, types};

use crate::source::Sink;

/// Payloads with their times, in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Time in ns since 1970 and where the payload ends.
    events: Vec<(u64, usize)>,
}

impl Batch {
    /// Appends an event whose payload `write` writes. It is taken back if it is longer than `limit` bytes.
    pub fn add(&mut self, ts: u64, limit: usize, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let start = self.bytes.len();
        write(&mut self.bytes);
        if self.bytes.len() - start > limit {
            self.bytes.truncate(start);
            return false;
        }
        self.events.push((ts, self.bytes.len()));
        true
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Bytes of all payloads.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the events and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.events.clear();
    }

    /// Times and payloads, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut start = 0;
        self.events.iter().map(move |&(ts, end)| (ts, &self.bytes[std::mem::replace(&mut start, end)..end]))
    }
}

/// Writes payloads as events of a plugin.
#[derive(Debug)]
pub(crate) struct Writer {
    plugin: [u8; 4],
    buf: EventBuf,
}

impl Writer {
    pub(crate) fn new(plugin: u32) -> Writer {
        Writer { plugin: plugin.to_ne_bytes(), buf: EventBuf::default() }
    }

    /// Hands one event over.
    fn give(&mut self, ts: u64, payload: &[u8], sink: &mut Sink<'_>) -> Result<(), EncodeError> {
        self.buf.write(ts, -1, 0, types::PLUGINEVENT_E, &[&self.plugin, payload])?;
        // What was just written can be read.
        if let Ok(event) = self.buf.event() {
            sink(&event);
        }
        Ok(())
    }

    /// Hands all over and says how many they are. A payload beyond 4 GB can't be an event; no source lets one through.
    pub(crate) fn give_all(&mut self, batch: &Batch, sink: &mut Sink<'_>) -> usize {
        self.give_some(batch, 0, usize::MAX, sink)
    }

    /// The same for up to `count` of them from one on.
    pub(crate) fn give_some(
        &mut self,
        batch: &Batch,
        from: usize,
        count: usize,
        sink: &mut Sink<'_>,
    ) -> usize {
        let mut given = 0;
        for (ts, payload) in batch.iter().skip(from).take(count) {
            given += 1;
            // One that is too long for an event is left out.
            let _ = self.give(ts, payload, sink);
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_become_events_of_the_plugin() {
        let mut batch = Batch::default();
        assert!(batch.add(5, 10, |out| out.extend(b"one")));
        assert!(!batch.add(6, 2, |out| out.extend(b"two")));
        assert!(batch.add(7, 10, |out| out.extend(b"three")));
        let mut seen = Vec::new();
        let given = Writer::new(9).give_all(&batch, &mut |event| {
            let id = event.u32(0);
            seen.push((event.ts, event.tid, id, event.param(1).map(<[u8]>::to_vec)));
        });
        assert_eq!(given, 2);
        let event = |ts, payload: &[u8]| (ts, -1, Some(9), Some(payload.to_vec()));
        assert_eq!(seen, [event(5, b"one"), event(7, b"three")]);
    }
}
