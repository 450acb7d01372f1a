//! JSON, read once into a flat list of its parts, so that each value is found without reading the text again and
//! without an allocation per value.

mod parse;
mod view;
mod write;

pub use parse::JsonError;
pub use view::{Json, Kind};
pub use write::{indent, unescape};

/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 300;

/// A part of the text: a value, or the key before one.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// Where its text begins and ends.
    start: u32,
    end: u32,
    /// The node behind it and all that is in it.
    next: u32,
}

/// The parts of one JSON text, in the order they stand in it. It may be filled again and again.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    nodes: Vec<Node>,
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Tape {
        Tape::default()
    }

    /// Reads a text whole, in place of what was read before.
    ///
    /// # Errors
    /// Where it isn't JSON, is nested deeper than [`MAX_DEPTH`] or longer than 4 GB.
    pub fn read(&mut self, text: &[u8]) -> Result<(), JsonError> {
        self.nodes.clear();
        let read = parse::parse(text, &mut self.nodes);
        if read.is_err() {
            self.nodes.clear();
        }
        read
    }

    /// The value of the text that was read. `None` when nothing was, or not to its end.
    pub fn root<'a>(&'a self, text: &'a [u8]) -> Option<Json<'a>> {
        (!self.nodes.is_empty()).then_some(Json::new(text, &self.nodes, 0))
    }
}

#[cfg(test)]
mod tests;
