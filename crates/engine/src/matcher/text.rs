//! Comparisons of texts and bytes.

use memchr::memmem::Finder;
use rustc_hash::FxHashSet;

use super::any::AnyOf;
use crate::glob::Glob;
use crate::paths::PathSet;
use crate::pattern::Pattern;

/// What a text must be.
#[derive(Clone, Debug)]
pub(crate) enum TextMatcher {
    Equal(Box<[u8]>),
    NotEqual(Box<[u8]>),
    Less(Box<[u8]>),
    LessEqual(Box<[u8]>),
    Greater(Box<[u8]>),
    GreaterEqual(Box<[u8]>),
    Contains(Box<Finder<'static>>),
    /// Needle in lower case.
    IContains(Box<[u8]>),
    StartsWith(Box<[u8]>),
    EndsWith(Box<[u8]>),
    Glob(Glob),
    Regex(Pattern),
    In(TextSet),
    Under(PathSet),
    AnyOf(Box<AnyOf>),
}

impl TextMatcher {
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        match self {
            TextMatcher::Equal(wanted) => text == &**wanted,
            TextMatcher::NotEqual(unwanted) => text != &**unwanted,
            TextMatcher::Less(bound) => text < &**bound,
            TextMatcher::LessEqual(bound) => text <= &**bound,
            TextMatcher::Greater(bound) => text > &**bound,
            TextMatcher::GreaterEqual(bound) => text >= &**bound,
            TextMatcher::Contains(finder) => finder.find(text).is_some(),
            TextMatcher::IContains(needle) => contains_folded(text, needle),
            TextMatcher::StartsWith(start) => text.starts_with(start),
            TextMatcher::EndsWith(end) => text.ends_with(end),
            TextMatcher::Glob(glob) => glob.matches(text),
            TextMatcher::Regex(pattern) => pattern.matches(text),
            TextMatcher::In(set) => set.has(text),
            TextMatcher::Under(paths) => paths.covers(text),
            TextMatcher::AnyOf(any) => any.matches(text),
        }
    }
}

impl TextMatcher {
    /// Expected work of one comparison; see [`crate::cost`].
    pub(crate) fn cost(&self) -> u32 {
        match self {
            TextMatcher::In(_) => 2,
            TextMatcher::Contains(_) => 4,
            TextMatcher::Glob(_) | TextMatcher::IContains(_) | TextMatcher::Under(_) => 8,
            TextMatcher::AnyOf(any) => any.cost(),
            TextMatcher::Regex(_) => 30,
            _ => 1,
        }
    }
}

/// Whether `needle`, in lower case, is in `text`, whose case doesn't count.
pub(crate) fn contains_folded(text: &[u8], needle: &[u8]) -> bool {
    let Some(&first) = needle.first() else { return true };
    let upper = first.to_ascii_uppercase();
    let Some(last_start) = text.len().checked_sub(needle.len()) else { return false };
    memchr::memchr2_iter(first, upper, &text[..=last_start])
        .any(|at| text[at..at + needle.len()].eq_ignore_ascii_case(needle))
}

/// A set of texts.
#[derive(Clone, Debug)]
pub(crate) struct TextSet {
    shortest: usize,
    longest: usize,
    items: Items,
}

#[derive(Clone, Debug)]
enum Items {
    Few(Box<[Box<[u8]>]>),
    Many(FxHashSet<Box<[u8]>>),
}

/// Up to so many, comparing is quicker than hashing.
const FEW: usize = 4;

impl TextSet {
    pub(crate) fn new<'t>(texts: impl IntoIterator<Item = &'t [u8]>) -> TextSet {
        let all: FxHashSet<Box<[u8]>> = texts.into_iter().map(Into::into).collect();
        let lengths = all.iter().map(|text| text.len());
        let (shortest, longest) = (lengths.clone().min().unwrap_or(1), lengths.max().unwrap_or(0));
        let items = if all.len() <= FEW { Items::Few(all.into_iter().collect()) } else { Items::Many(all) };
        TextSet { shortest, longest, items }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let (few, many) = match &self.items {
            Items::Few(items) => (&items[..], None),
            Items::Many(items) => (&[][..], Some(items)),
        };
        few.iter().chain(many.into_iter().flatten()).map(|item| &**item)
    }

    pub(crate) fn has(&self, text: &[u8]) -> bool {
        if text.len() < self.shortest || text.len() > self.longest {
            return false;
        }
        match &self.items {
            Items::Few(items) => items.iter().any(|item| **item == *text),
            Items::Many(items) => items.contains(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_folded_for_ascii_only() {
        assert!(contains_folded(b"Hello World", b"o w"));
        assert!(contains_folded(b"x", b""));
        assert!(!contains_folded(b"x", b"xx"));
        assert!(!contains_folded("É".as_bytes(), "é".as_bytes()));
    }

    #[test]
    fn sets_have_what_was_put_in() {
        for size in [0usize, 1, 4, 5, 100] {
            let items: Vec<String> = (0..size).map(|n| "x".repeat(n % 7) + &n.to_string()).collect();
            let set = TextSet::new(items.iter().map(|item| item.as_bytes()));
            assert!(items.iter().all(|item| set.has(item.as_bytes())));
            assert!(!set.has(b"") && !set.has(b"y") && !set.has(b"xxxxxxxxxxxxxx"));
        }
    }
}
