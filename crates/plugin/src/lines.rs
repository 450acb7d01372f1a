//! Texts of many lines, each a document.

use std::io::{self, BufRead};

/// Reads lines of up to a length; a longer one is left out as a whole.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    limit: usize,
    line: Vec<u8>,
}

/// What was read.
#[derive(PartialEq, Eq, Debug)]
pub enum Line<'a> {
    /// A line without its end.
    Text(&'a [u8]),
    /// A line that is longer than allowed.
    TooLong,
    /// There are no more.
    End,
}

impl<R: BufRead> Lines<R> {
    /// Lines of up to `limit` bytes.
    pub fn new(input: R, limit: usize) -> Lines<R> {
        Lines { input, limit, line: Vec::new() }
    }

    /// The next line. A last line without its end counts.
    ///
    /// # Errors
    /// When the input can't be read.
    pub fn read(&mut self) -> io::Result<Line<'_>> {
        self.line.clear();
        let mut too_long = false;
        loop {
            let there = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                there => there?,
            };
            if there.is_empty() {
                return Ok(match (too_long, self.line.is_empty()) {
                    (true, _) => Line::TooLong,
                    (false, true) => Line::End,
                    (false, false) => Line::Text(&self.line),
                });
            }
            let end = there.iter().position(|&byte| byte == b'\n');
            let part = &there[..end.unwrap_or(there.len())];
            too_long |= self.line.len() + part.len() > self.limit;
            if !too_long {
                self.line.extend_from_slice(part);
            }
            let used = end.map_or(there.len(), |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                return Ok(if too_long { Line::TooLong } else { Line::Text(&self.line) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_whatever_the_buffer() {
        let text: &[u8] = b"one\n\nlonger than that\ntwo";
        for capacity in [1, 3, 100] {
            let mut lines = Lines::new(io::BufReader::with_capacity(capacity, text), 5);
            assert_eq!(lines.read().unwrap(), Line::Text(b"one"));
            assert_eq!(lines.read().unwrap(), Line::Text(b""));
            assert_eq!(lines.read().unwrap(), Line::TooLong);
            assert_eq!(lines.read().unwrap(), Line::Text(b"two"));
            assert_eq!(lines.read().unwrap(), Line::End);
        }
    }
}
