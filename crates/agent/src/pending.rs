//! Events of a recording that wait for a moment until the containers in them are known, so that a capture says who
//! a container is before the first thing that happens in it.

use std::time::{Duration, Instant};

use lanner_event::{Event, EventBuf};
use lanner_machine::ContainerId;

/// The most bytes of events that wait.
const MOST_BYTES: usize = 16 << 20;

/// A container that is asked about.
struct Asked {
    id: ContainerId,
    names: bool,
    accounts: bool,
}

/// Events that wait, and what for.
pub struct Pending {
    patience: Duration,
    asked: Vec<Asked>,
    events: Vec<(EventBuf, bool)>,
    bytes: usize,
    until: Option<Instant>,
}

impl Pending {
    /// Nothing waits yet; nothing ever waits longer than `patience`.
    pub fn new(patience: Duration) -> Pending {
        Pending { patience, asked: Vec::new(), events: Vec::new(), bytes: 0, until: None }
    }

    /// From now on events wait for what is asked about a container.
    pub fn ask(&mut self, id: ContainerId, now: Instant) {
        self.asked.push(Asked { id, names: true, accounts: true });
        self.until.get_or_insert(now + self.patience);
    }

    /// A container's names have come.
    pub fn named(&mut self, id: &[u8]) {
        self.answered(id, |asked| asked.names = false);
    }

    /// A container's accounts have come.
    pub fn has_accounts(&mut self, id: &[u8]) {
        self.answered(id, |asked| asked.accounts = false);
    }

    fn answered(&mut self, id: &[u8], note: impl Fn(&mut Asked)) {
        self.asked.iter_mut().filter(|asked| *asked.id == *id).for_each(note);
        self.asked.retain(|asked| asked.names || asked.accounts);
    }

    /// Whether events wait.
    pub fn is_waiting(&self) -> bool {
        self.until.is_some()
    }

    /// An event that waits; `state_only` says that a filter left it out.
    pub fn push(&mut self, event: &Event<'_>, state_only: bool) {
        self.bytes += event.as_bytes().len();
        self.events.push((EventBuf::copy_of(event), state_only));
    }

    /// When the first event happened that waits, ns since 1970.
    pub fn first_ts(&self) -> Option<u64> {
        self.events.first().and_then(|(event, _)| event.event().ok()).map(|event| event.ts)
    }

    /// Whether there is no more to wait for, or no more time or room.
    pub fn is_over(&self, now: Instant) -> bool {
        let Some(until) = self.until else { return false };
        self.asked.is_empty() || now >= until || self.bytes >= MOST_BYTES
    }

    /// Ends the waiting and gives back the events.
    pub fn take(&mut self) -> Vec<(EventBuf, bool)> {
        self.asked.clear();
        self.until = None;
        self.bytes = 0;
        std::mem::take(&mut self.events)
    }
}

#[cfg(test)]
mod tests {
    use lanner_event::types;

    use super::*;

    #[test]
    fn events_wait_until_all_is_known_or_the_time_is_up() {
        let (now, patience) = (Instant::now(), Duration::from_secs(1));
        let event = EventBuf::new(7, 1, 0, types::SYSCALL_CLOSE_X, &[&[0; 8], &[0; 8]]).unwrap();
        let mut pending = Pending::new(patience);
        assert!(!pending.is_waiting() && !pending.is_over(now));
        pending.ask("a".into(), now);
        pending.ask("b".into(), now + patience / 2);
        pending.push(&event.event().unwrap(), true);
        assert_eq!((pending.is_waiting(), pending.first_ts()), (true, Some(7)));
        assert!(!pending.is_over(now) && pending.is_over(now + patience));
        pending.named(b"a");
        pending.has_accounts(b"a");
        pending.has_accounts(b"b");
        assert!(!pending.is_over(now));
        pending.named(b"b");
        assert!(pending.is_over(now));
        assert_eq!(pending.take(), [(event, true)]);
        assert!(!pending.is_waiting());
    }
}
