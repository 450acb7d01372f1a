//! Sets of event types.

use std::fmt;

use lanner_event::{EVENTS, EventType};

const WORDS: usize = EVENTS.len().div_ceil(64);

/// A set of the event types of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EventTypes([u64; WORDS]);

impl EventTypes {
    /// None of them.
    pub const NONE: EventTypes = EventTypes([0; WORDS]);

    /// All of them.
    pub fn all() -> EventTypes {
        EVENTS.iter().map(|info| info.code).collect()
    }

    /// Whether a type is in it.
    #[inline]
    pub fn contains(&self, ty: EventType) -> bool {
        let bit = usize::from(ty.0);
        self.0.get(bit / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }

    /// Puts a type in; one that the table doesn't know is left out.
    pub fn insert(&mut self, ty: EventType) {
        let bit = usize::from(ty.0);
        if bit < EVENTS.len() {
            self.0[bit / 64] |= 1 << (bit % 64);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The types, by number.
    pub fn iter(&self) -> impl Iterator<Item = EventType> + '_ {
        EVENTS.iter().map(|info| info.code).filter(|ty| self.contains(*ty))
    }

    /// Those in both.
    #[must_use]
    pub fn and(&self, other: &EventTypes) -> EventTypes {
        EventTypes(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    /// Those in either.
    #[must_use]
    pub fn or(&self, other: &EventTypes) -> EventTypes {
        EventTypes(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }
}

impl FromIterator<EventType> for EventTypes {
    fn from_iter<T: IntoIterator<Item = EventType>>(types: T) -> EventTypes {
        let mut set = EventTypes::NONE;
        types.into_iter().for_each(|ty| set.insert(ty));
        set
    }
}

impl fmt::Debug for EventTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbols = self.iter().filter_map(|ty| ty.info()).map(|info| info.symbol);
        f.debug_set().entries(symbols).finish()
    }
}

/// The types for which something may be true, and those for which it may be false.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub(crate) may_hold: EventTypes,
    pub(crate) may_fail: EventTypes,
}

impl Reach {
    pub(crate) fn always() -> Reach {
        Reach { may_hold: EventTypes::all(), may_fail: EventTypes::NONE }
    }

    pub(crate) fn not(self) -> Reach {
        Reach { may_hold: self.may_fail, may_fail: self.may_hold }
    }

    pub(crate) fn and(self, other: Reach) -> Reach {
        Reach { may_hold: self.may_hold.and(&other.may_hold), may_fail: self.may_fail.or(&other.may_fail) }
    }
}
