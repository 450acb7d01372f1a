//! Threads that ended lately, so that a parent's late clone event doesn't bring one back.

use rustc_hash::FxHashMap;

/// An end, or an entry of the thread table, this old is of another thread that had the same id.
pub(crate) const STALE_NS: u64 = 2_000_000_000;

/// Most ends of one period. With so many a period is over early: the latest ends are those that matter most.
const MAX: usize = 8_192;

/// Ends of this period and of the last one, each as long as an end matters, or as `MAX` ends take.
#[derive(Default, Debug)]
pub(crate) struct RecentExits {
    current: FxHashMap<(i64, i64), u64>,
    previous: FxHashMap<(i64, i64), u64>,
    since: u64,
}

impl RecentExits {
    /// Notes that `thread`, a child of `parent`, ended at `ts`.
    pub(crate) fn note(&mut self, parent: i64, thread: i64, ts: u64) {
        if ts.saturating_sub(self.since) >= STALE_NS || self.current.len() >= MAX {
            std::mem::swap(&mut self.current, &mut self.previous);
            self.current.clear();
            self.since = ts;
        }
        self.current.insert((parent, thread), ts);
    }

    /// Whether the `thread` that `parent` began at about `ts` has ended. An end of after `ts` is that thread's, too: what
    /// tells of its beginning comes late when the CPU that wrote it was stopped meanwhile.
    pub(crate) fn has(&self, parent: i64, thread: i64, ts: u64) -> bool {
        let recent = |map: &FxHashMap<(i64, i64), u64>| {
            map.get(&(parent, thread)).is_some_and(|&then| then.abs_diff(ts) < STALE_NS)
        };
        recent(&self.current) || recent(&self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_remembered_for_a_while_and_in_bounds() {
        let mut exits = RecentExits::default();
        exits.note(1, 5, 100);
        assert!(exits.has(1, 5, 100) && exits.has(1, 5, 100 + STALE_NS - 1));
        assert!(!exits.has(1, 5, 100 + STALE_NS) && !exits.has(2, 5, 100));
        assert!(exits.has(1, 5, 99), "what was told before the end comes behind it");
        exits.note(1, 7, 300 + STALE_NS);
        assert!(exits.has(1, 7, 301 + STALE_NS) && exits.has(1, 5, 99 + STALE_NS));
    }

    #[test]
    fn of_more_ends_than_are_remembered_it_is_the_latest() {
        let mut exits = RecentExits::default();
        let many = 3 * MAX as i64;
        for thread in 0..many {
            exits.note(1, thread, 200);
            assert!(exits.has(1, thread, 200) && exits.has(1, (thread - MAX as i64).max(0), 200));
        }
        assert!(!exits.has(1, 0, 200));
        assert!(exits.current.len() + exits.previous.len() <= 2 * MAX);
    }
}
