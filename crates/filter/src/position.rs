//! Places in the text of a condition.

/// A place in a text, counted as Falco counts it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Position {
    /// Bytes before it.
    pub offset: u32,
    /// Line, from 1; a line feed and a carriage return each begin one.
    pub line: u32,
    /// Bytes into the line, from 1.
    pub column: u32,
}

impl Default for Position {
    fn default() -> Self {
        Position { offset: 0, line: 1, column: 1 }
    }
}

impl Position {
    /// The place right after `byte`, which stands here.
    pub(crate) fn after(self, byte: u8) -> Position {
        let offset = self.offset + 1;
        match byte {
            b'\n' | b'\r' => Position { offset, line: self.line + 1, column: 1 },
            _ => Position { offset, column: self.column + 1, ..self },
        }
    }
}

/// The stretch of text that a part of the tree was read from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Span {
    /// Its first byte.
    pub start: Position,
    /// Offset of the byte after its last.
    pub end: u32,
}

impl Span {
    /// Bytes it covers.
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start.offset) as usize
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
