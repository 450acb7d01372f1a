//! Memory for what is built while one event is looked at.

use std::cell::{Cell, OnceCell, RefCell};

use bumpalo::Bump;

use crate::Value;
use crate::json::{Json, Tape};

/// A vector in scratch memory.
pub type Buffer<'a, T> = bumpalo::collections::Vec<'a, T>;

/// Grows to what the largest event needs and is then used again and again without asking the allocator.
#[derive(Default, Debug)]
pub struct Scratch {
    bump: Bump,
    /// Something was built since the last reset.
    used: Cell<bool>,
    /// Vectors for those who write into nothing else.
    spares: RefCell<Vec<Vec<u8>>>,
    /// The event's payload as JSON, once it was asked for.
    document: OnceCell<Document>,
    /// A tape from before, to be filled again.
    tape: RefCell<Tape>,
}

/// A text that was read as JSON.
#[derive(Debug)]
struct Document {
    /// Where the text is and how long, to tell it from another.
    text: (usize, usize),
    tape: Tape,
}

impl Scratch {
    /// Empty memory.
    pub fn new() -> Scratch {
        Scratch::default()
    }

    /// Forgets all that was built. To be called between events.
    #[inline]
    pub fn reset(&mut self) {
        if self.used.take() {
            self.bump.reset();
            if let Some(document) = self.document.take() {
                self.tape.replace(document.tape);
            }
        }
    }

    fn bump(&self) -> &Bump {
        self.used.set(true);
        &self.bump
    }

    /// An event's payload as JSON, which is read once. `None` when it is none, or not the payload that was first
    /// asked for since the last reset.
    pub fn json<'a>(&'a self, text: &'a [u8]) -> Option<Json<'a>> {
        self.used.set(true);
        let place = (text.as_ptr() as usize, text.len());
        let document = self.document.get_or_init(|| {
            let mut tape = self.tape.take();
            // What can't be read leaves an empty tape, which has no root.
            let _ = tape.read(text);
            Document { text: place, tape }
        });
        if document.text == place { document.tape.root(text) } else { None }
    }

    /// So many cells with the same value.
    pub fn cells<T: Copy>(&self, length: usize, value: T) -> &[Cell<T>] {
        Cell::from_mut(self.bump().alloc_slice_fill_copy(length, value)).as_slice_of_cells()
    }

    /// Keeps a value that needs no clean-up.
    pub(crate) fn keep<T: Copy>(&self, value: T) -> &T {
        self.bump().alloc(value)
    }

    /// A buffer to build bytes in.
    pub fn buffer(&self) -> Buffer<'_, u8> {
        Buffer::new_in(self.bump())
    }

    /// A buffer to gather values in.
    pub fn value_buffer<'a>(&'a self) -> Buffer<'a, Value<'a>> {
        Buffer::new_in(self.bump())
    }

    /// Bytes put together of pieces.
    pub fn concat(&self, pieces: &[&[u8]]) -> &[u8] {
        let mut out = Buffer::with_capacity_in(pieces.iter().map(|p| p.len()).sum(), self.bump());
        for piece in pieces {
            out.extend_from_slice(piece);
        }
        out.into_bump_slice()
    }

    /// Each byte changed.
    pub(crate) fn map(&self, bytes: &[u8], change: impl Fn(&u8) -> u8) -> &[u8] {
        let mut out = Buffer::with_capacity_in(bytes.len(), self.bump());
        out.extend(bytes.iter().map(change));
        out.into_bump_slice()
    }

    /// What a function writes into a vector.
    pub(crate) fn built(&self, write: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        let mut out = self.spares.borrow_mut().pop().unwrap_or_default();
        out.clear();
        write(&mut out);
        let built = self.bump().alloc_slice_copy(&out);
        self.spares.borrow_mut().push(out);
        built
    }

    /// Formatted text.
    pub(crate) fn format(&self, text: std::fmt::Arguments<'_>) -> &[u8] {
        let mut out = self.buffer();
        // Writing into memory cannot fail.
        let _ = std::io::Write::write_fmt(&mut Sink(&mut out), text);
        out.into_bump_slice()
    }
}

/// Lets formatted text be written into a buffer.
pub(crate) struct Sink<'a, 'b>(pub &'b mut Buffer<'a, u8>);

impl std::io::Write for Sink<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
