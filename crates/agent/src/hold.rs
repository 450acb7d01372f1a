//! Alerts that wait a bounded moment for what a container's runtime will tell. They hold up neither events
//! nor each other.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lanner_alert::Alert;
use lanner_machine::Machine;

use crate::announce::Draft;

/// Alerts that may wait at a time; beyond it the oldest goes as it is.
const MAX_HELD: usize = 4096;

/// Alerts that wait, oldest first.
pub struct Hold {
    patience: Duration,
    held: VecDeque<(Instant, Draft)>,
    /// Alerts that had to go before all was known of them.
    pub incomplete: u64,
}

impl Hold {
    /// Alerts wait for at most `patience`.
    pub fn new(patience: Duration) -> Hold {
        Hold { patience, held: VecDeque::new(), incomplete: 0 }
    }

    /// Alerts that come from now on wait for at most `patience`.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Takes an alert; hands on what need not or cannot wait.
    pub fn take(&mut self, draft: Draft, now: Instant, machine: &Machine, send: &mut dyn FnMut(Alert)) {
        if self.patience.is_zero() || !draft.waits(machine) {
            return send(draft.finish(machine));
        }
        if self.held.len() >= MAX_HELD {
            self.release_first(machine, send);
        }
        self.held.push_back((now + self.patience, draft));
    }

    /// Hands on those whose time is up, and with `news` of containers those that wait for nothing more.
    pub fn release(&mut self, now: Instant, news: bool, machine: &Machine, send: &mut dyn FnMut(Alert)) {
        while self.held.front().is_some_and(|(end, _)| *end <= now) {
            self.release_first(machine, send);
        }
        if news {
            let mut still = VecDeque::with_capacity(self.held.len());
            for (end, draft) in self.held.drain(..) {
                if draft.waits(machine) {
                    still.push_back((end, draft));
                } else {
                    send(draft.finish(machine));
                }
            }
            self.held = still;
        }
    }

    /// Hands on all of them.
    pub fn release_all(&mut self, machine: &Machine, send: &mut dyn FnMut(Alert)) {
        while !self.held.is_empty() {
            self.release_first(machine, send);
        }
    }

    fn release_first(&mut self, machine: &Machine, send: &mut dyn FnMut(Alert)) {
        if let Some((_, draft)) = self.held.pop_front() {
            self.incomplete += u64::from(draft.waits(machine));
            send(draft.finish(machine));
        }
    }

    /// How many alerts wait.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How long until the first alert's time is up.
    pub fn due_in(&self, now: Instant) -> Option<Duration> {
        self.held.front().map(|(end, _)| end.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use lanner_alert::Priority;
    use lanner_engine::{Engine, EngineOptions};
    use lanner_event::{EventBuf, types};
    use lanner_fields::{Context, EventMeta, Scratch};
    use lanner_machine::{Container, MachineOptions, Text, Thread};
    use lanner_rules::{ItemKind, Place, Position, Rule, RuleSet};

    use super::*;
    use crate::announce::Announcer;

    fn engine() -> Engine {
        let place = Place::file("f".into()).within(Position::default(), ItemKind::Rule, "r");
        let rule = Rule {
            name: "r".into(),
            description: String::new(),
            source: "syscall".into(),
            condition: lanner_filter::parse("evt.type=close").unwrap().into(),
            output: "in %container.name on %evt.type".into(),
            priority: Priority::Notice,
            tags: ["t".to_owned()].into(),
            enabled: true,
            capture: false,
            capture_duration: 0,
            exception_fields: Default::default(),
            extra_fields: vec![("container.id".into(), "%container.id".into(), true)],
            place,
        };
        Engine::build(&RuleSet { rules: vec![rule], ..RuleSet::default() }, EngineOptions::default()).unwrap()
    }

    fn draft(machine: &mut Machine, container: &str) -> Draft {
        let buffer = EventBuf::new(5, 7, 0, types::SYSCALL_CLOSE_X, &[&[0; 8], &[0; 8]]).unwrap();
        let event = buffer.event().unwrap();
        let thread = Thread {
            tid: 7,
            pid: 7,
            comm: Text::from("cat"),
            container: Text::from(container),
            ..Thread::default()
        };
        machine.add_thread(thread);
        let subject = machine.apply(&event);
        let (meta, scratch) = (EventMeta::default(), Scratch::new());
        let cx = Context { event: &event, machine, subject: &subject, meta: &meta, scratch: &scratch };
        let (engine, mut hits) = (engine(), Vec::new());
        engine.process(&mut lanner_engine::Memory::default(), &cx, &mut hits);
        Announcer::new(&engine, true).draft(&engine, hits[0], &cx)
    }

    fn known(id: &str, name: &str) -> Container {
        Container { id: id.into(), name: name.into(), complete: true, ..Container::default() }
    }

    fn messages(run: impl FnOnce(&mut dyn FnMut(Alert))) -> Vec<String> {
        let mut got = Vec::new();
        run(&mut |alert| got.push(alert.message));
        got
    }

    const PATIENCE: Duration = Duration::from_secs(1);

    #[test]
    fn an_alert_goes_when_its_container_is_known_and_others_go_at_once() {
        let mut machine = Machine::new(MachineOptions::default());
        let mut hold = Hold::new(PATIENCE);
        let now = Instant::now();
        let waiting = draft(&mut machine, "aaaaaaaaaaaa");
        assert!(messages(|send| hold.take(waiting, now, &machine, send)).is_empty());
        let on_host = draft(&mut machine, "");
        let sent = messages(|send| hold.take(on_host, now, &machine, send));
        assert_eq!(sent, ["in host on close"]);
        assert!(messages(|send| hold.release(now, true, &machine, send)).is_empty());
        machine.set_container(known("aaaaaaaaaaaa", "web"));
        assert_eq!(messages(|send| hold.release(now, true, &machine, send)), ["in web on close"]);
        assert_eq!(hold.incomplete, 0);
    }

    #[test]
    fn an_alert_goes_as_it_is_when_its_time_is_up() {
        let mut machine = Machine::new(MachineOptions::default());
        let mut hold = Hold::new(PATIENCE);
        let now = Instant::now();
        let waiting = draft(&mut machine, "bbbbbbbbbbbb");
        assert!(messages(|send| hold.take(waiting, now, &machine, send)).is_empty());
        assert_eq!(hold.due_in(now), Some(PATIENCE));
        assert_eq!(
            messages(|send| hold.release(now + PATIENCE, false, &machine, send)),
            ["in <NA> on close"]
        );
        assert_eq!((hold.incomplete, hold.due_in(now)), (1, None));
    }
}
