//! What is remembered from one event to the next: for a thread and an event type, which rules cannot
//! match because of something about the thread that has not changed since.

use lanner_event::EventType;
use lanner_fields::StableUntil;
use lanner_machine::Versions;

/// On what an answer depends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Scope {
    /// On the event: it can't be remembered.
    Event,
    /// On a thread, its ancestors, its container, its user.
    Threads,
    /// On a thread and the first thread of its process alone.
    Thread,
}

impl Scope {
    /// The scope of a value that is stable for so long.
    pub(crate) fn of(stable: StableUntil) -> Scope {
        let has = |change| stable.contains(change);
        if has(StableUntil::EVENT) || has(StableUntil::FD) {
            Scope::Event
        } else if has(StableUntil::PARENT) || has(StableUntil::ENRICHMENT) {
            Scope::Threads
        } else {
            Scope::Thread
        }
    }
}

/// How many conditions of a plan can be remembered; those behind are evaluated each time.
pub(crate) const REMEMBERED: usize = 128;

/// Threads times event types that are remembered; a power of two.
const ENTRIES: usize = 4096;

/// What an [`crate::Engine`] remembers. Whoever processes events keeps one from event to event; it may be
/// used with any engine and any machine, though what was remembered of others is then forgotten.
#[derive(Debug, Default)]
pub struct Memory {
    entries: Vec<Entry>,
    /// Number of the engine whose memory it is.
    engine: u64,
}

/// What is remembered of one thread for events of one type.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry {
    ty: u16,
    versions: Versions,
    /// Conditions of the plan, by position, that cannot hold for as long as the thread doesn't change.
    by_thread: u128,
    /// The same for as long as nothing about any thread changes.
    by_threads: u128,
}

impl Memory {
    /// The entry for a thread and a type.
    pub(crate) fn entry(&mut self, engine: u64, versions: Versions, ty: EventType) -> &mut Entry {
        if self.engine != engine || self.entries.is_empty() {
            self.engine = engine;
            self.entries = vec![Entry::default(); ENTRIES];
        }
        let place = (versions.slot as usize).wrapping_mul(61).wrapping_add(usize::from(ty.0).wrapping_mul(7));
        let entry = &mut self.entries[place % ENTRIES];
        let known = &entry.versions;
        let same = (known.slot, known.own, known.main) == (versions.slot, versions.own, versions.main);
        if entry.ty != ty.0 || !same {
            *entry = Entry { ty: ty.0, versions, by_thread: 0, by_threads: 0 };
        } else if known.all != versions.all {
            entry.versions = versions;
            entry.by_threads = 0;
        }
        entry
    }
}

impl Entry {
    /// Conditions that cannot hold.
    pub(crate) fn dead(&self) -> u128 {
        self.by_thread | self.by_threads
    }

    /// Remembers that conditions cannot hold.
    pub(crate) fn bury(&mut self, conditions: u128, scope: Scope) {
        match scope {
            Scope::Thread => self.by_thread |= conditions,
            Scope::Threads => self.by_threads |= conditions,
            Scope::Event => {}
        }
    }
}
