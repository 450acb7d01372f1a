//! A table of hashed tests, small enough for the kernel's side to keep whole. An entry that is found by chance
//! lets an event through that doesn't matter, which is allowed.

use super::{CALLERS, PathTest, States};

/// Places of the table; a power of two.
pub const TABLE: usize = 2048;

/// So many places are looked at for one key.
pub const PROBES: usize = 4;

/// Lengths of prefixes that are told apart.
pub const PREFIXES: [usize; 6] = [4, 8, 12, 16, 24, 32];

/// Words of the bit set that says which four bytes some test asks for.
pub const GRAM_WORDS: usize = 64;

/// Words of the bit set that says which keys are in the table.
pub const KNOWN_WORDS: usize = 512;

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a key stands for, beside the bytes.
const EXACT: u64 = 1 << 32;
const PREFIX: u64 = 2 << 32;
const SUFFIX: u64 = 3 << 32;
const GRAM: u64 = 4 << 32;
const NAME: u64 = 5 << 32;
const TOP_LEVEL: u64 = 6 << 32;

/// Longest name of a process, with the 0 behind it (`TASK_COMM_LEN` in the kernel's include/linux/sched.h).
const NAME_ROOM: usize = 16;

/// A place of the table.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Slot {
    /// The hash; 0 if the place is free.
    pub key: u64,
    /// In which states the event matters then, by who made the call: of each two kinds the first in the lower half. Of a
    /// name what is asked of it, and its second half, by which it is told from others of the same hash.
    pub states: [u64; CALLERS / 2],
}

/// In which states an event matters, by who made the call. What doesn't matter if kind 0 did may be among those of others.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Verdict(pub(super) [States; CALLERS]);

impl Verdict {
    pub(super) const ALL: Verdict = Verdict([States::ALL; CALLERS]);

    /// As a [`Slot`] has it.
    fn packed(self) -> [u64; CALLERS / 2] {
        std::array::from_fn(|at| self.0[2 * at].0 | self.0[2 * at + 1].0 << 32)
    }

    fn unpacked(packed: [u64; CALLERS / 2]) -> Verdict {
        Verdict(std::array::from_fn(|at| States(packed[at / 2] >> (at % 2 * 32) & States::ALL.0)))
    }

    #[must_use]
    pub(super) fn or(self, more: Verdict) -> Verdict {
        let mut all = self;
        all.0.iter_mut().zip(more.0).for_each(|(states, more)| *states = states.or(more));
        all
    }

    /// The states in which it matters whoever made the call, of any kind.
    pub(super) fn hull(self) -> States {
        self.0.into_iter().fold(States::NONE, States::or)
    }
}

pub(super) fn mix(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(FACTOR);
    hash ^ hash >> 32
}

/// The bytes as a number, the first one lowest.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn hash(salt: u32, bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(u64::from(salt), |hash, chunk| mix(hash, word(chunk)))
}

fn exact(salt: u32, path: &[u8]) -> u64 {
    mix(hash(salt, path), EXACT | path.len() as u64)
}

fn prefix(salt: u32, start: &[u8]) -> u64 {
    mix(hash(salt, start), PREFIX | start.len() as u64)
}

fn suffix(salt: u32, end: &[u8]) -> u64 {
    mix(mix(u64::from(salt), word(end)), SUFFIX | end.len() as u64)
}

fn gram(salt: u32, four: &[u8]) -> u64 {
    mix(mix(u64::from(salt), word(four)), GRAM)
}

fn top_level(salt: u32) -> u64 {
    mix(u64::from(salt), TOP_LEVEL)
}

/// The key of a name and its second half: both together are of no other name. `None`: no process has it.
fn name_key(name: &[u8]) -> Option<(u64, u64)> {
    let mut whole = [0; NAME_ROOM];
    whole[..NAME_ROOM - 1].get_mut(..name.len())?.copy_from_slice(name);
    Some((mix(hash(0, &whole), NAME), word(&whole[8..])))
}

/// The bit of four bytes: word and place in it.
fn gram_bit(four: &[u8]) -> (usize, u32) {
    let bit = (word(four) as u32).wrapping_mul(FACTOR as u32) >> 20;
    ((bit >> 6) as usize, bit & 63)
}

/// The bit of a key among those that say what is in the table: word and place in it.
fn known_bit(key: u64) -> (usize, u32) {
    ((key >> 38) as usize % KNOWN_WORDS, (key >> 32) as u32 & 63)
}

/// The places of a key.
fn places(key: u64) -> impl Iterator<Item = usize> {
    (0..PROBES).map(move |step| (key as usize).wrapping_add(step) % TABLE)
}

/// The table and the bit sets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Table {
    pub(super) slots: Box<[Slot]>,
    pub(super) grams: [u64; GRAM_WORDS],
    pub(super) known: [u64; KNOWN_WORDS],
}

impl Default for Table {
    fn default() -> Table {
        Table { slots: vec![Slot::default(); TABLE].into(), grams: [0; GRAM_WORDS], known: [0; KNOWN_WORDS] }
    }
}

impl Table {
    /// Puts in a test of the group `salt`. False if there is no room.
    pub(super) fn insert(&mut self, salt: u32, test: &PathTest, verdict: Verdict) -> bool {
        let key = match test {
            PathTest::Exact(path) => exact(salt, path),
            PathTest::Prefix(start) => prefix(salt, start),
            PathTest::Suffix(end) => suffix(salt, end),
            PathTest::Holds(four) => gram(salt, four),
            PathTest::TopLevel => top_level(salt),
        };
        if !self.put(key, verdict) {
            return false;
        }
        if let PathTest::Holds(four) = test {
            let (word, bit) = gram_bit(four);
            self.grams[word] |= 1 << bit;
        }
        true
    }

    /// Puts in a name and what is asked of it, which is not 0. False if there is no room.
    pub(super) fn insert_name(&mut self, name: &[u8], asked: u64) -> bool {
        let Some((key, rest)) = name_key(name) else { return true };
        let Some(slot) = self.room_for(key).map(|at| &mut self.slots[at]).filter(|slot| slot.key == 0) else {
            return false;
        };
        *slot = Slot { key, states: [asked, rest, 0] };
        self.note_known(key);
        true
    }

    /// What is asked of a name, or 0.
    pub(super) fn of_name(&self, name: &[u8]) -> u64 {
        let known = name_key(name).and_then(|(key, rest)| Some((self.find(key)?.states, rest)));
        known.map_or(0, |([asked, second, _], rest)| if second == rest { asked } else { 0 })
    }

    fn put(&mut self, key: u64, verdict: Verdict) -> bool {
        let Some(slot) = self.room_for(key).map(|at| &mut self.slots[at]) else { return false };
        slot.key = key;
        slot.states = Verdict::unpacked(slot.states).or(verdict).packed();
        self.note_known(key);
        true
    }

    /// Where a key is, or can be.
    fn room_for(&self, key: u64) -> Option<usize> {
        places(key).find(|at| matches!(self.slots[*at].key, 0) || self.slots[*at].key == key)
    }

    fn note_known(&mut self, key: u64) {
        let (word, bit) = known_bit(key);
        self.known[word] |= 1 << bit;
    }

    fn find(&self, key: u64) -> Option<&Slot> {
        places(key).map(|at| &self.slots[at]).find(|slot| slot.key == key)
    }

    fn states(&self, key: u64) -> Verdict {
        self.find(key).map_or(Verdict::default(), |slot| Verdict::unpacked(slot.states))
    }

    /// The states in which an event at a path matters, by the tests of a group.
    pub(super) fn of_path(&self, salt: u32, path: &[u8]) -> Verdict {
        let mut states = self.states(exact(salt, path));
        if !path[1..].contains(&b'/') {
            states = states.or(self.states(top_level(salt)));
        }
        for len in PREFIXES.into_iter().filter(|len| *len <= path.len()) {
            states = states.or(self.states(prefix(salt, &path[..len])));
        }
        for len in 1..=path.len().min(8) {
            states = states.or(self.states(suffix(salt, &path[path.len() - len..])));
        }
        for four in path.windows(4) {
            let (word, bit) = gram_bit(four);
            if self.grams[word] >> bit & 1 != 0 {
                states = states.or(self.states(gram(salt, four)));
            }
        }
        states
    }
}
