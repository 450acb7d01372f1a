//! How much of a prefilter is in use, which changes with what happens.

use lanner_event::prefilter::Prefilter;

/// What decides how much can be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Circumstances {
    /// The state has had room for every thread, and has for as many again.
    pub has_room: bool,
    /// A capture is being written, which holds every event.
    pub captured: bool,
}

/// What is in use.
#[derive(Default)]
pub struct Dropping {
    /// Whether calls by processes of certain names are dropped.
    excepts_names: bool,
    captured: bool,
}

impl Dropping {
    /// What of a prefilter is used from now on.
    pub fn used(&mut self, mut prefilter: Prefilter, now: Circumstances) -> Prefilter {
        // a thread for which there is no room is called nothing in the state, which no exception fits
        if !now.has_room {
            prefilter.excepted.clear();
        }
        self.excepts_names = !prefilter.excepted.is_empty();
        self.captured = now.captured;
        if now.captured { Prefilter::default() } else { prefilter }
    }

    /// Why something else should be used now; `None`: it need not.
    pub fn changed_by(&self, now: Circumstances) -> Option<&'static str> {
        match now.captured {
            true if !self.captured => Some("The kernel drops nothing: a capture is being written"),
            false if self.captured => Some("The kernel drops what it did before the capture"),
            _ if self.excepts_names && !now.has_room => Some(
                "Calls by processes that rules except by name are told: there may be no room to know all threads",
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use lanner_event::types as t;

    use super::*;

    const USUAL: Circumstances = Circumstances { has_room: true, captured: false };
    const CAPTURED: Circumstances = Circumstances { captured: true, ..USUAL };
    const CROWDED: Circumstances = Circumstances { has_room: false, ..USUAL };

    fn prefilter() -> Prefilter {
        let names = [b"tar".as_slice().into()];
        Prefilter {
            births_once: true,
            excepted: [(t::SYSCALL_OPEN_X, names.into())].into(),
            ..Prefilter::default()
        }
    }

    #[test]
    fn nothing_is_dropped_while_a_capture_is_written() {
        let mut dropping = Dropping::default();
        assert_eq!(dropping.used(prefilter(), USUAL), prefilter());
        assert_eq!(dropping.changed_by(USUAL), None);
        assert!(dropping.changed_by(CAPTURED).is_some_and(|why| why.contains("being written")));
        assert_eq!(dropping.used(prefilter(), CAPTURED), Prefilter::default());
        assert_eq!(dropping.changed_by(CAPTURED), None);
        assert!(dropping.changed_by(USUAL).is_some_and(|why| why.contains("before the capture")));
        assert_eq!(dropping.used(prefilter(), USUAL), prefilter());
        assert_eq!(dropping.changed_by(USUAL), None);
    }

    #[test]
    fn where_threads_may_be_missing_no_name_is_excepted() {
        let mut dropping = Dropping::default();
        dropping.used(prefilter(), USUAL);
        assert!(dropping.changed_by(CROWDED).is_some_and(|why| why.contains("no room")));
        let used = dropping.used(prefilter(), CROWDED);
        assert!(used.excepted.is_empty() && used.births_once);
        assert_eq!(dropping.changed_by(CROWDED), None);
        assert_eq!(dropping.changed_by(USUAL), None, "it isn't tried again until something else changes");
    }
}
