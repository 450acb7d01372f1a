//! YAML as rule files use it: a tree whose every node knows where it stands.
//!
//! Rule files are read in the field by yaml-cpp, which is more lenient than the YAML specification (content
//! of `[...]` may stand at any indentation, a key may come twice, and so on), and tools read its marks and
//! messages out of load results. So this reader accepts what yaml-cpp accepts, gives nodes the positions it
//! gives them, and words its refusals alike. It reads in linear time, and aliases can't multiply.

mod parse;
mod scalar;
mod scan;
mod stream;

use std::rc::Rc;

use crate::place::Position;

pub(crate) use parse::parse;

/// A value in the document.
#[derive(Debug, PartialEq)]
pub(crate) struct Node {
    /// Where it starts.
    pub at: Position,
    /// The byte after its last.
    pub end: usize,
    pub value: Value,
    /// Levels of nodes in it, itself included.
    depth: u32,
    /// Nodes in it, itself included, aliases counted as what they stand for.
    weight: usize,
}

/// What a node is.
#[derive(Debug, PartialEq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(Scalar),
    Sequence(Vec<Rc<Node>>),
    Map(Vec<(Rc<Node>, Rc<Node>)>),
}

/// A piece of text, with what is needed to find a byte of it in the file again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scalar {
    pub text: String,
    pub style: Style,
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Block,
}

/// Why a text can't be read as YAML.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct YamlError {
    pub at: Position,
    /// The reason, without the place.
    pub reason: String,
    /// Where what isn't closed was opened.
    pub opened: Option<Position>,
}

impl YamlError {
    fn new(at: Position, reason: impl Into<String>) -> YamlError {
        YamlError { at, reason: reason.into(), opened: None }
    }
}

impl Node {
    /// The value of the first `key` of a map.
    pub fn get(&self, key: &str) -> Option<&Rc<Node>> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(k, _)| k.text() == Some(key)).map(|(_, value)| value)
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The elements, if it is a sequence.
    pub fn sequence(&self) -> Option<&[Rc<Node>]> {
        match &self.value {
            Value::Sequence(elements) => Some(elements),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    pub fn map(&self) -> Option<&[(Rc<Node>, Rc<Node>)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }
}

impl Scalar {
    /// Where in the file (a byte offset) byte `offset` of the text stands, if the scalar was read from
    /// `source[start..end]`. White space is where the two may differ, so what isn't white space is counted.
    pub fn offset_in_file(&self, source: &str, start: usize, end: usize, offset: usize) -> usize {
        let written = source.as_bytes().get(start..end).unwrap_or_default();
        let mut at = match self.style {
            Style::Plain => 0,
            Style::SingleQuoted | Style::DoubleQuoted => 1,
            Style::Block => written.iter().position(|&b| b == b'\n').map_or(0, |n| n + 1),
        };
        let blank = |b: u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
        let skip_blanks = |mut at: usize| {
            while written.get(at).is_some_and(|&b| blank(b)) {
                at += 1;
            }
            at
        };
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        for _ in before.iter().filter(|&&b| !blank(b)) {
            at = skip_blanks(at);
            let doubled = self.style == Style::SingleQuoted && written.get(at) == Some(&b'\'');
            let escaped = self.style == Style::DoubleQuoted && written.get(at) == Some(&b'\\');
            at += if doubled || escaped { 2 } else { 1 };
        }
        let in_blank = self.text.as_bytes().get(offset).is_some_and(|&b| blank(b));
        if !in_blank {
            at = skip_blanks(at);
        }
        start + at.min(written.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests;
