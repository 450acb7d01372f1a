//! A value and what is in it.

use super::Node;
use super::write::{self, unescape};
use crate::Scratch;

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the words are JSON's own")]
pub enum Kind {
    Object,
    Array,
    Text,
    Number,
    True,
    False,
    Null,
    /// A key of an object; never a value.
    Key,
}

/// A value of a JSON text.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a> {
    text: &'a [u8],
    nodes: &'a [Node],
    at: u32,
}

impl<'a> Json<'a> {
    pub(super) fn new(text: &'a [u8], nodes: &'a [Node], at: u32) -> Json<'a> {
        Json { text, nodes, at }
    }

    fn node(&self) -> Node {
        self.nodes[self.at as usize]
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Its text as it stands there.
    pub fn raw(&self) -> &'a [u8] {
        let node = self.node();
        &self.text[node.start as usize..node.end as usize]
    }

    /// The inside of a text in quotes, escapes left alone.
    fn inside(&self) -> &'a [u8] {
        let raw = self.raw();
        &raw[1..raw.len() - 1]
    }

    /// Its direct parts: keys and values of an object, values of an array.
    fn parts(&self) -> impl Iterator<Item = Json<'a>> + use<'a> {
        let (whole, end) = (*self, self.node().next);
        let inner = matches!(self.kind(), Kind::Object | Kind::Array);
        let mut at = if inner { self.at + 1 } else { end };
        std::iter::from_fn(move || {
            let part = (at < end).then_some(Json { at, ..whole })?;
            at = part.node().next;
            Some(part)
        })
    }

    /// The values of an array; none for anything else.
    pub fn items(&self) -> impl Iterator<Item = Json<'a>> + use<'a> {
        let array = self.kind() == Kind::Array;
        self.parts().filter(move |_| array)
    }

    /// The keys of an object, as they stand there, with their values; none for anything else.
    pub fn entries(&self) -> impl Iterator<Item = (&'a [u8], Json<'a>)> + use<'a> {
        let whole = *self;
        let object = self.kind() == Kind::Object;
        self.parts().filter(move |part| object && part.kind() == Kind::Key).map(move |key| {
            let value = Json { at: key.node().next, ..whole };
            (key.inside(), value)
        })
    }

    /// The value of a key (the first of that name), or of an array at a position.
    pub fn get(&self, key: &str) -> Option<Json<'a>> {
        if self.kind() == Kind::Array {
            return self.items().nth(key.parse().ok()?);
        }
        let wanted = key.as_bytes();
        let is_it =
            |name: &[u8]| name == wanted || (name.contains(&b'\\') && unescape(name).as_slice() == wanted);
        self.entries().find(|(name, _)| is_it(name)).map(|(_, value)| value)
    }

    /// The value that a path of keys leads to.
    pub fn at_path(&self, path: &[&str]) -> Option<Json<'a>> {
        path.iter().try_fold(*self, |value, key| value.get(key))
    }

    /// The value at a JSON pointer (RFC 6901), whose first slash may be missing.
    pub fn at_pointer(&self, pointer: &str) -> Option<Json<'a>> {
        if pointer.is_empty() {
            return Some(*self);
        }
        let keys = pointer.strip_prefix('/').unwrap_or(pointer).split('/');
        let mut value = *self;
        for key in keys {
            value = if key.contains('~') {
                value.get(&key.replace("~1", "/").replace("~0", "~"))?
            } else {
                value.get(key)?
            };
        }
        Some(value)
    }

    /// A text's own characters; `None` for any other value.
    pub fn as_text(&self, scratch: &'a Scratch) -> Option<&'a [u8]> {
        if self.kind() != Kind::Text {
            return None;
        }
        let inside = self.inside();
        if !inside.contains(&b'\\') {
            return Some(inside);
        }
        Some(scratch.built(|out| write::unescape_into(inside, out)))
    }

    /// The same on its own.
    pub fn to_text(&self) -> Option<Vec<u8>> {
        (self.kind() == Kind::Text).then(|| unescape(self.inside()))
    }

    /// A text's own characters, any other value as compact JSON.
    pub fn show(&self, scratch: &'a Scratch) -> &'a [u8] {
        match self.kind() {
            Kind::Text => self.as_text(scratch).unwrap_or_default(),
            Kind::Object | Kind::Array => scratch.built(|out| self.write(out)),
            _ => self.raw(),
        }
    }

    /// Appends it as compact JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self.kind() {
            Kind::Object => {
                out.push(b'{');
                for (nth, part) in self.parts().enumerate() {
                    match part.kind() {
                        Kind::Key if nth > 0 => out.push(b','),
                        Kind::Key => {}
                        _ => out.push(b':'),
                    }
                    part.write(out);
                }
                out.push(b'}');
            }
            Kind::Array => {
                out.push(b'[');
                for (nth, part) in self.parts().enumerate() {
                    if nth > 0 {
                        out.push(b',');
                    }
                    part.write(out);
                }
                out.push(b']');
            }
            Kind::Text | Kind::Key => write::quoted(self.inside(), out),
            _ => out.extend_from_slice(self.raw()),
        }
    }
}
