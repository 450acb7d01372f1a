//! Writing a capture.

use std::io::{self, Write};

use lanner_event::{Event, EventBuf, EventFlag};

use crate::block::{BYTE_ORDER, FRAME_LEN, LEARNT, REPEATS, SECTION, STATE_ONLY, VERSION, written};
use crate::former::Former;
use crate::records::Snapshot;
use crate::snapshot::write_blocks;

/// Blocks fill multiples of so many bytes.
const ALIGN: usize = 4;
/// The length of a section that is not known yet.
const OPEN_END: u64 = u64::MAX;

/// Writes a capture that every reader of the format's version 1.2 understands, in this machine's byte order.
///
/// The same snapshot and events always give the same bytes. Compression and buffering are the caller's: hand in a
/// `GzEncoder` or a `BufWriter`.
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
    block: Vec<u8>,
    written: u64,
    former: Option<Former>,
}

impl<W: Write> Writer<W> {
    /// Begins a capture with what runs now.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(to: W, snapshot: &Snapshot) -> io::Result<Writer<W>> {
        let mut writer = Writer { to, block: Vec::new(), written: 0, former: None };
        let mut section = Vec::with_capacity(16);
        section.extend(BYTE_ORDER.to_ne_bytes());
        section.extend(VERSION.0.to_ne_bytes());
        section.extend(VERSION.1.to_ne_bytes());
        section.extend(OPEN_END.to_ne_bytes());
        writer.write_block(SECTION, &[&section])?;
        let mut result = Ok(());
        write_blocks(snapshot, |ty, body| {
            if result.is_ok() {
                result = writer.write_block(ty, &[body]);
            }
        });
        result.map(|()| writer)
    }

    /// The same, with what readers of before 2023 want besides, such as sysdig 0.29: the beginning of each call,
    /// from which they take its fd, and later calls as ones that they know.
    #[must_use]
    pub fn for_old_readers(self) -> Writer<W> {
        Writer { former: Some(Former::new()), ..self }
    }

    /// Appends an event.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.write_event(event, 0)
    }

    /// Appends an event that only tells of a change of state: a filter let its thread through, not itself.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_state_only(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.write_event(event, STATE_ONLY)
    }

    /// Appends an event that tells what was learnt of a container besides what its threads did: its names, its
    /// accounts. It tells of state only, and [`Reader::is_learnt`] knows it again.
    ///
    /// # Errors
    /// When writing fails.
    ///
    /// [`Reader::is_learnt`]: crate::Reader::is_learnt
    pub fn write_learnt(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.write_event(event, STATE_ONLY | LEARNT)
    }

    fn write_event(&mut self, event: &Event<'_>, flags: u32) -> io::Result<()> {
        let Some(former) = self.former.take() else { return self.write_one(event, flags) };
        let written = self.write_among(&former, event, flags);
        self.former = Some(former);
        written
    }

    /// Writes an event among the older ones that repeat it.
    fn write_among(&mut self, former: &Former, event: &Event<'_>, flags: u32) -> io::Result<()> {
        if let Some(Ok(before)) = former.before(event).as_ref().map(EventBuf::event) {
            self.write_one(&before, STATE_ONLY | REPEATS)?;
        }
        self.write_one(event, flags)?;
        for after in former.after(event) {
            if let Ok(after) = after.event() {
                self.write_one(&after, STATE_ONLY | REPEATS)?;
            }
        }
        Ok(())
    }

    fn write_one(&mut self, event: &Event<'_>, flags: u32) -> io::Result<()> {
        let large = event.info.has(EventFlag::LargePayload);
        let cpu = event.cpu.to_ne_bytes();
        if flags == 0 {
            let ty = if large { written::LARGE_EVENT } else { written::EVENT };
            return self.write_block(ty, &[&cpu, event.as_bytes()]);
        }
        let ty = if large { written::LARGE_EVENT_FLAGS } else { written::EVENT_FLAGS };
        self.write_block(ty, &[&cpu, &flags.to_ne_bytes(), event.as_bytes()])
    }

    /// Bytes written so far, before compression.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// When writing fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// Ends the capture and gives back what it was written to.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }

    fn write_block(&mut self, ty: u32, parts: &[&[u8]]) -> io::Result<()> {
        let body: usize = parts.iter().map(|part| part.len()).sum();
        let total = (FRAME_LEN + body).next_multiple_of(ALIGN);
        let len =
            u32::try_from(total).map_err(|_| io::Error::other("a block is longer than the format allows"))?;
        self.block.clear();
        self.block.extend(ty.to_ne_bytes());
        self.block.extend(len.to_ne_bytes());
        parts.iter().for_each(|part| self.block.extend_from_slice(part));
        self.block.resize(total - 4, 0);
        self.block.extend(len.to_ne_bytes());
        self.to.write_all(&self.block)?;
        self.written += total as u64;
        Ok(())
    }
}
