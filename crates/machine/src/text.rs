//! Text as the kernel gives it: bytes that are usually UTF-8, cheap to copy.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Immutable shared bytes. Empty text costs no allocation and no reference count.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(Option<Arc<[u8]>>);

impl Text {
    /// The text as UTF-8, with what isn't replaced.
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self)
    }

    /// `<NA>`, which stands for a text that the source of events could not read.
    pub fn not_known() -> Text {
        static TEXT: std::sync::OnceLock<Text> = std::sync::OnceLock::new();
        TEXT.get_or_init(|| Text::from("<NA>")).clone()
    }

    /// A text of these bytes that shares `other`'s memory where they are equal.
    pub fn sharing(bytes: &[u8], other: &Text) -> Text {
        if **other == *bytes { other.clone() } else { Text::from(bytes) }
    }
}

/// A text that goes with another one and often is that one's end, or all of it: then it takes no memory and no
/// reference count of its own.
#[derive(Clone, Debug)]
pub struct Tail(Kept);

#[derive(Clone, Debug)]
enum Kept {
    /// So many bytes of the other text's end.
    End(u32),
    Own(Arc<[u8]>),
}

impl Default for Tail {
    /// The empty text.
    fn default() -> Tail {
        Tail(Kept::End(0))
    }
}

impl Tail {
    /// A text of these bytes that goes with `other`.
    pub fn of(bytes: &[u8], other: &Text) -> Tail {
        match u32::try_from(bytes.len()) {
            // Comparing nothing isn't free: the C library's function loads before it counts.
            Ok(0) => Tail::default(),
            Ok(end) if other.ends_with(bytes) => Tail(Kept::End(end)),
            _ => Tail(Kept::Own(bytes.into())),
        }
    }

    /// The last bytes of the text that it goes with.
    pub(crate) fn end(bytes: usize) -> Tail {
        Tail(Kept::End(bytes as u32))
    }

    /// The text, given the one that it goes with.
    pub fn get<'a>(&'a self, other: &'a [u8]) -> &'a [u8] {
        match &self.0 {
            Kept::End(end) => &other[other.len().saturating_sub(*end as usize)..],
            Kept::Own(text) => text,
        }
    }

    /// Makes it a text by itself, because the one that it goes with is about to change.
    pub(crate) fn part(&mut self, other: &[u8]) {
        if let Kept::End(1..) = self.0 {
            self.0 = Kept::Own(self.get(other).into());
        }
    }
}

impl From<&str> for Tail {
    fn from(text: &str) -> Tail {
        Tail::of(text.as_bytes(), &Text::default())
    }
}

impl Deref for Text {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Text {
        if bytes.is_empty() { Text(None) } else { Text(Some(bytes.into())) }
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Text {
        Text::from(&bytes[..])
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text::from(text.as_bytes())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text::from(text.as_bytes())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str_lossy(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str_lossy())
    }
}

/// A list of texts in one piece of shared memory, as events carry arguments, environment and cgroups:
/// each closed by a NUL.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TextList {
    joined: Text,
    len: u32,
}

impl TextList {
    /// Reads the form that events carry. A last text without its NUL counts too; a single empty text is
    /// none.
    pub fn from_joined(bytes: &[u8]) -> TextList {
        let joined = if bytes == [0] {
            Text::default()
        } else if bytes.is_empty() || bytes.ends_with(&[0]) {
            Text::from(bytes)
        } else {
            Text::from([bytes, &[0]].concat())
        };
        let len = memchr::memchr_iter(0, &joined).count() as u32;
        TextList { joined, len }
    }

    /// Like [`TextList::from_joined`], sharing `other`'s memory where both are equal.
    pub fn sharing(bytes: &[u8], other: &TextList) -> TextList {
        if *other.joined == *bytes { other.clone() } else { TextList::from_joined(bytes) }
    }

    /// The form that events carry.
    pub fn as_joined(&self) -> &[u8] {
        &self.joined
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.iter().nth(index)
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let mut rest: &[u8] = &self.joined;
        std::iter::from_fn(move || {
            let end = memchr::memchr(0, rest)?;
            let (item, tail) = rest.split_at(end);
            rest = &tail[1..];
            Some(item)
        })
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for TextList {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> TextList {
        let mut joined = Vec::new();
        for item in items {
            joined.extend(item.as_ref().iter().copied().filter(|&b| b != 0));
            joined.push(0);
        }
        TextList::from_joined(&joined)
    }
}

impl fmt::Debug for TextList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_both_closed_and_open_ends() {
        for joined in [&b"a\0\0bc\0"[..], b"a\0\0bc"] {
            let list = TextList::from_joined(joined);
            assert_eq!(list.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"bc"]);
            assert_eq!((list.len(), list.get(2), list.get(3)), (3, Some(&b"bc"[..]), None));
        }
        assert!(TextList::from_joined(b"").is_empty());
        assert_eq!(TextList::from_iter(["a", "", "bc"]), TextList::from_joined(b"a\0\0bc\0"));
    }

    #[test]
    fn a_tail_is_what_it_was_made_of() {
        for (bytes, own) in [("/etc/passwd", false), ("passwd", false), ("", false), ("../passwd", true)] {
            let mut name = Text::from("/etc/passwd");
            let mut tail = Tail::of(bytes.as_bytes(), &name);
            assert_eq!((tail.get(&name), matches!(tail.0, Kept::Own(_))), (bytes.as_bytes(), own));
            tail.part(&name);
            name = "other".into();
            assert_eq!(tail.get(&name), bytes.as_bytes());
        }
        assert_eq!(Tail::from("x").get(b"yy"), b"x");
        assert_eq!((Tail::default().get(b"yy"), Tail::from("").get(b"yy")), (&b""[..], &b""[..]));
    }

    #[test]
    fn a_map_of_texts_is_asked_by_bytes() {
        let map = std::collections::HashMap::from([(Text::from("abc"), 1)]);
        assert_eq!(map.get(&b"abc"[..]), Some(&1));
    }
}
