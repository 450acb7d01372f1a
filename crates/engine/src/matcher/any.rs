//! Many comparisons of one text with literals, of which any may hold, made together: the equal ones are one
//! hash set, the beginnings and ends one binary search each, the parts one automaton.

use std::cmp::Ordering;

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;

use super::text::{TextMatcher, TextSet};

/// What a text is compared with.
#[derive(Clone, Debug)]
pub(crate) struct AnyOf {
    equal: Option<TextSet>,
    starts: Sorted,
    ends: Sorted,
    parts: Parts,
}

/// Texts in order, none of which begins with another; those that stand for ends are the wrong way round.
#[derive(Clone, Default, Debug)]
struct Sorted(Box<[Box<[u8]>]>);

/// Texts to be found anywhere.
#[derive(Clone, Debug)]
enum Parts {
    None,
    One(Box<Finder<'static>>),
    Many { needles: Box<[Box<[u8]>]>, automaton: Box<AhoCorasick> },
}

impl AnyOf {
    /// Whether a comparison is of a kind that can be made together with others.
    pub(crate) fn takes(matcher: &TextMatcher) -> bool {
        matches!(
            matcher,
            TextMatcher::Equal(_)
                | TextMatcher::In(_)
                | TextMatcher::StartsWith(_)
                | TextMatcher::EndsWith(_)
                | TextMatcher::Contains(_)
        )
    }

    /// Puts comparisons together, all of which it takes. `None` if it takes one of them not, or if no automaton
    /// can be made of them.
    pub(crate) fn new(matchers: &[&TextMatcher]) -> Option<AnyOf> {
        let (mut equal, mut starts, mut ends, mut parts) = (vec![], vec![], vec![], vec![]);
        for matcher in matchers {
            match matcher {
                TextMatcher::Equal(text) => equal.push(&**text),
                TextMatcher::In(set) => equal.extend(set.iter()),
                TextMatcher::StartsWith(start) => starts.push(start.to_vec()),
                TextMatcher::EndsWith(end) => ends.push(end.iter().rev().copied().collect()),
                TextMatcher::Contains(finder) => parts.push(finder.needle()),
                _ => return None,
            }
        }
        parts.sort_unstable();
        parts.dedup();
        let parts = match &parts[..] {
            [] => Parts::None,
            [one] => Parts::One(Box::new(Finder::new(one).into_owned())),
            many => Parts::Many {
                needles: many.iter().map(|needle| (*needle).into()).collect(),
                automaton: Box::new(AhoCorasick::new(many).ok()?),
            },
        };
        let equal = (!equal.is_empty()).then(|| TextSet::new(equal));
        Some(AnyOf { equal, starts: Sorted::new(starts), ends: Sorted::new(ends), parts })
    }

    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        self.equal.as_ref().is_some_and(|set| set.has(text))
            || self.starts.any_begins(|start| start.cmp(&text[..start.len().min(text.len())]))
            || self.ends.any_begins(|end| end.iter().cmp(text.iter().rev().take(end.len())))
            || self.parts.any_in(text)
    }

    /// Expected work of one comparison; see [`crate::cost`].
    pub(crate) fn cost(&self) -> u32 {
        let parts = match &self.parts {
            Parts::None => 0,
            Parts::One(_) => 4,
            Parts::Many { .. } => 6,
        };
        let sorted = |sorted: &Sorted| if sorted.0.is_empty() { 0 } else { 3 };
        parts + sorted(&self.starts) + sorted(&self.ends) + if self.equal.is_some() { 2 } else { 0 }
    }
}

impl AnyOf {
    /// Whether one holds, given what each answers.
    pub(crate) fn settle(
        &self,
        equal: impl Fn(&TextSet) -> Option<bool>,
        start: impl Fn(&[u8]) -> Option<bool>,
        end: impl Fn(Vec<u8>) -> Option<bool>,
        part: impl Fn(&[u8]) -> Option<bool>,
    ) -> Option<bool> {
        let ends = self.ends.iter().map(|text| end(text.iter().rev().copied().collect()));
        let answers = self.equal.iter().map(equal).chain(self.starts.iter().map(start));
        let mut all = Some(false);
        for answer in answers.chain(ends).chain(self.parts.iter().map(part)) {
            match answer {
                Some(true) => return Some(true),
                Some(false) => {}
                None => all = None,
            }
        }
        all
    }
}

impl AnyOf {
    /// The comparisons that it is made of, one by one.
    pub(crate) fn one_by_one(&self) -> impl Iterator<Item = TextMatcher> {
        let equal = self.equal.iter().flat_map(TextSet::iter).map(|text| TextMatcher::Equal(text.into()));
        let starts = self.starts.iter().map(|start| TextMatcher::StartsWith(start.into()));
        let ends = self.ends.iter().map(|end| TextMatcher::EndsWith(end.iter().rev().copied().collect()));
        let part = |part: &[u8]| TextMatcher::Contains(Box::new(Finder::new(part).into_owned()));
        equal.chain(starts).chain(ends).chain(self.parts.iter().map(part))
    }
}

impl Sorted {
    fn new(mut texts: Vec<Vec<u8>>) -> Sorted {
        texts.sort_unstable();
        // What begins with one that is there already says nothing new.
        texts.dedup_by(|longer, shorter| longer.starts_with(shorter));
        Sorted(texts.into_iter().map(Vec::into_boxed_slice).collect())
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|text| &**text)
    }

    /// Whether some text begins with one of these. `order`: that of one of these to as many bytes of the text.
    fn any_begins(&self, order: impl Fn(&[u8]) -> Ordering) -> bool {
        // Between a beginning and the text that has it only texts with the same beginning could stand.
        self.0.binary_search_by(|start| order(start)).is_ok()
    }
}

impl Parts {
    fn any_in(&self, text: &[u8]) -> bool {
        match self {
            Parts::None => false,
            Parts::One(finder) => finder.find(text).is_some(),
            Parts::Many { automaton, .. } => automaton.is_match(text),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let (one, many) = match self {
            Parts::None => (None, &[][..]),
            Parts::One(finder) => (Some(finder.needle()), &[][..]),
            Parts::Many { needles, .. } => (None, &needles[..]),
        };
        one.into_iter().chain(many.iter().map(|needle| &**needle))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matcher() -> impl Strategy<Value = TextMatcher> {
        let text = || "[ab/]{0,4}".prop_map(|text| text.into_bytes().into_boxed_slice());
        prop_oneof![
            text().prop_map(TextMatcher::Equal),
            text().prop_map(TextMatcher::StartsWith),
            text().prop_map(TextMatcher::EndsWith),
            text().prop_map(|text| TextMatcher::Contains(Box::new(Finder::new(&text).into_owned()))),
            proptest::collection::vec(text(), 0..3)
                .prop_map(|texts| TextMatcher::In(TextSet::new(texts.iter().map(|text| &**text)))),
        ]
    }

    proptest! {
        #[test]
        fn it_is_what_one_by_one_is(
            matchers in proptest::collection::vec(matcher(), 1..8),
            text in "[ab/]{0,6}",
        ) {
            let all: Vec<&TextMatcher> = matchers.iter().collect();
            let any = AnyOf::new(&all).unwrap();
            let expected = matchers.iter().any(|matcher| matcher.matches(text.as_bytes()));
            prop_assert_eq!(any.matches(text.as_bytes()), expected);
            prop_assert_eq!(any.one_by_one().any(|one| one.matches(text.as_bytes())), expected);
        }
    }
}
