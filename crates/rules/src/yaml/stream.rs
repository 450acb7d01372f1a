//! The bytes of a document with the place of the next one.

use crate::place::Position;

/// A reader that counts lines and columns.
#[derive(Clone)]
pub(super) struct Stream<'a> {
    pub text: &'a str,
    bytes: &'a [u8],
    at: Position,
}

impl<'a> Stream<'a> {
    pub fn new(text: &'a str) -> Stream<'a> {
        Stream { text, bytes: text.as_bytes(), at: Position::default() }
    }

    pub fn mark(&self) -> Position {
        self.at
    }

    pub fn offset(&self) -> usize {
        self.at.offset
    }

    pub fn column(&self) -> usize {
        self.at.column
    }

    /// Treats what follows as the start of a line, which the end of the text counts as.
    pub fn reset_column(&mut self) {
        self.at.column = 0;
    }

    pub fn at_end(&self) -> bool {
        self.at.offset >= self.bytes.len()
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at.offset).copied()
    }

    /// The byte `ahead` after the next one.
    pub fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at.offset + ahead).copied()
    }

    pub fn eat(&mut self, count: usize) {
        for _ in 0..count {
            let Some(byte) = self.peek() else { return };
            self.at.offset += 1;
            self.at.column += 1;
            if byte == b'\n' {
                self.at.line += 1;
                self.at.column = 0;
            }
        }
    }

    pub fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.eat(1);
        byte
    }

    pub fn starts_with(&self, prefix: &[u8]) -> bool {
        self.bytes.get(self.at.offset..).is_some_and(|rest| rest.starts_with(prefix))
    }

    pub fn at_blank(&self) -> bool {
        is_blank(self.peek())
    }

    pub fn at_break(&self) -> bool {
        is_break(self.peek())
    }

    pub fn eat_break(&mut self) {
        self.eat(if self.starts_with(b"\r\n") { 2 } else { 1 });
    }

    pub fn eat_line(&mut self) {
        while !self.at_end() && !self.at_break() {
            self.eat(1);
        }
    }

    /// Whether `---` or `...` stands here by itself.
    pub fn at_document_mark(&self) -> bool {
        self.at_mark(b"---") || self.at_mark(b"...")
    }

    pub fn at_mark(&self, mark: &[u8; 3]) -> bool {
        self.at.column == 0 && self.starts_with(mark) && is_blank_break_or_end(self.peek_at(3))
    }
}

pub(super) fn is_blank(byte: Option<u8>) -> bool {
    matches!(byte, Some(b' ' | b'\t'))
}

pub(super) fn is_break(byte: Option<u8>) -> bool {
    matches!(byte, Some(b'\n' | b'\r'))
}

pub(super) fn is_blank_or_break(byte: Option<u8>) -> bool {
    is_blank(byte) || is_break(byte)
}

pub(super) fn is_blank_break_or_end(byte: Option<u8>) -> bool {
    byte.is_none() || is_blank_or_break(byte)
}
