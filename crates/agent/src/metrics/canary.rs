//! Whether events still flow when none come: on a quiet host nothing may happen for long, so something is made
//! to happen, and must be seen.

use std::time::{Duration, Instant};

/// After so long without an event one is made.
const QUIET: Duration = Duration::from_secs(10);
/// An event that was made must come within so long.
const DUE: Duration = Duration::from_secs(5);

/// Watches the count of events.
#[derive(Debug)]
pub(super) struct Canary {
    events: u64,
    /// When the last event came.
    last: Instant,
    /// When one was made, since then.
    made: Option<Instant>,
    make: fn() -> bool,
}

impl Canary {
    /// A watch that begins now.
    pub fn new(now: Instant) -> Canary {
        Canary { events: 0, last: now, made: None, make: process }
    }

    /// Looks at the count; for how many seconds nothing has come though something should have, else 0.
    pub fn look(&mut self, events: u64, now: Instant) -> u64 {
        if events != self.events {
            self.events = events;
            self.last = now;
            self.made = None;
            return 0;
        }
        let silent = now.duration_since(self.last);
        match self.made {
            None if silent >= QUIET && (self.make)() => self.made = Some(now),
            // Nothing can be made here, so nothing can be said: it is tried again later.
            None if silent >= QUIET => self.last = now,
            Some(made) if now.duration_since(made) >= DUE => return silent.as_secs(),
            _ => {}
        }
        0
    }
}

/// Makes an event: a process that ends at once. False if the system doesn't let us.
fn process() -> bool {
    // SAFETY: between fork and its end the child calls nothing but `_exit`, which is safe in the child of a
    // process with threads.
    let child = unsafe { libc::fork() };
    match child {
        -1 => false,
        // SAFETY: ends the child without running anything of this program.
        0 => unsafe { libc::_exit(0) },
        child => {
            // SAFETY: waits for our own child and asks for no status.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_a_fault_only_when_an_event_was_made_and_did_not_come() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut canary = Canary { make: || true, ..Canary::new(begin) };
        assert_eq!((canary.look(0, at(9)), canary.look(0, at(11)), canary.look(0, at(15))), (0, 0, 0));
        assert_eq!((canary.look(0, at(16)), canary.look(0, at(20))), (16, 20));
        assert_eq!((canary.look(1, at(21)), canary.look(1, at(30))), (0, 0), "events flow again");
    }

    #[test]
    fn where_no_event_can_be_made_nothing_is_said() {
        let begin = Instant::now();
        let mut canary = Canary { make: || false, ..Canary::new(begin) };
        assert!((0..100).all(|s| canary.look(0, begin + Duration::from_secs(s)) == 0));
    }

    #[test]
    fn a_process_is_made() {
        assert!(process());
    }
}
