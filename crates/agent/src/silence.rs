//! Silence of the kernel, told as Falco tells it: after so many waits without an event.

use std::time::{Duration, Instant};

use lanner_alert::{Alert, Clock, Fields, Origin, Priority};

use crate::log::now;

/// The rule name of the alert, which users route by.
const RULE: &str = "Falco internal: timeouts notification";

/// How long one of Falco's waits lasts.
const WAIT: Duration = Duration::from_millis(30);

/// Watches the count of events.
#[derive(Debug)]
pub struct Silence {
    waits: u32,
    events: u64,
    since: Instant,
    /// When the last event was seen to have come, ns since 1970.
    last: Option<u64>,
}

impl Silence {
    /// A watch that tells after so many waits.
    pub fn new(waits: u32) -> Silence {
        Silence { waits, events: 0, since: Instant::now(), last: None }
    }

    /// Tells after another number of waits from now on.
    pub fn set_waits(&mut self, waits: u32) {
        self.waits = waits;
    }

    /// Looks at the count of events; the alert when it has not changed for long. It comes again when that lasts.
    pub fn look(&mut self, events: u64, at: Instant) -> Option<Alert> {
        if events != self.events {
            (self.events, self.since, self.last) = (events, at, Some(now()));
            return None;
        }
        if at.duration_since(self.since) < WAIT * self.waits {
            return None;
        }
        self.since = at;
        let mut last = String::new();
        match self.last {
            Some(ts) => Clock::local().time_of_day(ts, &mut last),
            None => last.push_str("none"),
        }
        Some(Alert {
            ts: now(),
            priority: Priority::Debug,
            rule: RULE.into(),
            origin: Origin::Internal,
            message: format!("{RULE}. {} consecutive timeouts without event.", self.waits),
            fields: Fields::from([("last_event_time".to_owned(), last.into())]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_after_the_waits_and_again_when_it_lasts() {
        let mut silence = Silence::new(10);
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        silence.since = begin;
        assert_eq!(silence.look(0, at(299)), None);
        let alert = silence.look(0, at(300)).unwrap();
        assert_eq!(
            alert.message,
            "Falco internal: timeouts notification. 10 consecutive timeouts without event."
        );
        assert_eq!(alert.fields["last_event_time"], "none");
        assert_eq!(silence.look(1, at(400)), None, "an event came");
        assert_eq!(silence.look(1, at(699)), None);
        let alert = silence.look(1, at(700)).unwrap();
        assert_eq!(alert.fields["last_event_time"].as_str().unwrap().len(), "HH:MM:SS.nnnnnnnnn".len());
        assert!(silence.look(1, at(800)).is_none() && silence.look(1, at(1000)).is_some());
    }
}
