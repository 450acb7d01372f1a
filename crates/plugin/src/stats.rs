//! Counts of a source.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why something that came isn't an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It isn't what the source reads: broken JSON, another kind of document, no time.
    Malformed,
    /// It is larger than allowed.
    TooLarge,
    /// There was no room: the sender has to come again.
    Full,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Malformed => "malformed",
            Refusal::TooLarge => "too large",
            Refusal::Full => "more than there is room for",
        })
    }
}

/// Counts of a source since it was opened. They only grow.
#[derive(Debug, Default)]
pub struct SourceStats {
    taken: AtomicU64,
    malformed: AtomicU64,
    too_large: AtomicU64,
    full: AtomicU64,
}

impl SourceStats {
    fn of(&self, refusal: Refusal) -> &AtomicU64 {
        match refusal {
            Refusal::Malformed => &self.malformed,
            Refusal::TooLarge => &self.too_large,
            Refusal::Full => &self.full,
        }
    }

    pub(crate) fn take(&self, events: u64) {
        self.taken.fetch_add(events, Ordering::Relaxed);
    }

    /// Counts what was refused and answers how much that is so far.
    pub(crate) fn refuse(&self, refusal: Refusal, count: u64) -> u64 {
        self.of(refusal).fetch_add(count, Ordering::Relaxed) + count
    }

    /// Events that were taken.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// What was refused for a reason: single events, or whole requests.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.of(refusal).load(Ordering::Relaxed)
    }
}
