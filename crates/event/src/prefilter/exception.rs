//! Names of processes of which less is asked, as classes: those of which the same types are.

use std::collections::{BTreeMap, BTreeSet};

use super::{ASKED, Prefilter};
use crate::EventType;

/// So many classes are told apart. Of names of further ones as much is asked as of those that no exception is made for.
const CLASSES: usize = ASKED.trailing_zeros() as usize;

/// Classes of names, each a bit.
pub(super) struct NameClasses<'a> {
    by_name: BTreeMap<&'a [u8], u64>,
    by_type: BTreeMap<EventType, u64>,
}

impl<'a> NameClasses<'a> {
    /// Those of a prefilter.
    pub(super) fn of(prefilter: &'a Prefilter) -> NameClasses<'a> {
        let mut types_of: BTreeMap<&[u8], BTreeSet<EventType>> = BTreeMap::new();
        for (ty, names) in &prefilter.excepted {
            for name in names {
                types_of.entry(name).or_default().insert(*ty);
            }
        }
        let (mut by_name, mut by_type) = (BTreeMap::new(), BTreeMap::new());
        let mut known: Vec<BTreeSet<EventType>> = Vec::new();
        for (name, types) in types_of {
            let class = known.iter().position(|of| *of == types).unwrap_or_else(|| {
                known.push(types);
                known.len() - 1
            });
            if class < CLASSES {
                by_name.insert(name, 1 << class);
                known[class].iter().for_each(|ty| *by_type.entry(*ty).or_default() |= 1 << class);
            }
        }
        NameClasses { by_name, by_type }
    }

    /// The names of all classes.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.by_name.keys().copied()
    }

    /// The class of a name; 0 if it is of none.
    pub(super) fn of_name(&self, name: &[u8]) -> u64 {
        self.by_name.get(name).copied().unwrap_or(0)
    }

    /// The classes of which less is asked in events of a type.
    pub(super) fn of_type(&self, ty: EventType) -> u64 {
        self.by_type.get(&ty).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types as t;

    #[test]
    fn names_of_the_same_types_are_of_one_class() {
        let names = |names: &[&str]| names.iter().map(|name| name.as_bytes().into()).collect();
        let prefilter = Prefilter {
            excepted: [
                (t::SYSCALL_OPEN_X, names(&["a", "b", "c"])),
                (t::SYSCALL_CREAT_X, names(&["b", "c"])),
                (t::SYSCALL_CLOSE_X, names(&["a"])),
            ]
            .into(),
            ..Prefilter::default()
        };
        let classes = NameClasses::of(&prefilter);
        let [a, b, c, d] = [b"a", b"b", b"c", b"d"].map(|name| classes.of_name(name));
        assert!(b == c && a & b == 0 && d == 0 && a.count_ones() == 1 && b.count_ones() == 1);
        let of = |ty| classes.of_type(ty);
        assert_eq!([of(t::SYSCALL_OPEN_X), of(t::SYSCALL_CREAT_X)], [a | b, b]);
        assert_eq!([of(t::SYSCALL_CLOSE_X), of(t::SYSCALL_OPENAT_2_X)], [a, 0]);
        assert_eq!(classes.names().count(), 3);
    }

    #[test]
    fn there_are_no_more_classes_than_bits() {
        let many = |count: u16| {
            let one = |n: u16| (EventType(n), [n.to_string().into_bytes().into()].into());
            let prefilter = Prefilter { excepted: (1..=count).map(one).collect(), ..Prefilter::default() };
            NameClasses::of(&prefilter).names().count()
        };
        assert_eq!([many(9), many(100)], [9, 63]);
    }
}
