//! Writing a capture.

use std::io::{self, Write};

use lanner_event::{Event, EventFlag};

use crate::block::{BYTE_ORDER, FRAME_LEN, SECTION, STATE_ONLY, VERSION, written};
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
}

impl<W: Write> Writer<W> {
    /// Begins a capture with what runs now.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(to: W, snapshot: &Snapshot) -> io::Result<Writer<W>> {
        let mut writer = Writer { to, block: Vec::new(), written: 0 };
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

    /// Appends an event.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, event: &Event<'_>) -> io::Result<()> {
        let large = event.info.has(EventFlag::LargePayload);
        let ty = if large { written::LARGE_EVENT } else { written::EVENT };
        self.write_block(ty, &[&event.cpu.to_ne_bytes(), event.as_bytes()])
    }

    /// Appends an event that only tells of a change of state: a filter let its thread through, not itself.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_state_only(&mut self, event: &Event<'_>) -> io::Result<()> {
        let large = event.info.has(EventFlag::LargePayload);
        let ty = if large { written::LARGE_EVENT_FLAGS } else { written::EVENT_FLAGS };
        self.write_block(ty, &[&event.cpu.to_ne_bytes(), &STATE_ONLY.to_ne_bytes(), event.as_bytes()])
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
