//! Captures that rules start: what happens from a match on is written to a file, for a while.

mod file;

use std::path::PathBuf;

use lanner_alert::{Alert, Fields, Origin, Priority};
use lanner_capture::Snapshot;
use lanner_event::{Event, EventBuf};
use lanner_machine::Machine;
use lanner_plugin::host::Crew;
use lanner_rules::Rule;
use serde_json::json;

use crate::config::CaptureConfig;
use crate::learnt;
use crate::log::{Log, now};
use file::File;

pub use file::Closed;

/// The rule name of the alert that tells of a full file, which users route by.
const FULL: &str = "Falco internal: capture size limit reached";

/// After its time a capture that no event ends is ended, ns: events may come a little late.
const GRACE: u64 = 1_000_000_000;

/// A capture can't be written.
#[derive(Debug, thiserror::Error)]
#[error("capture.path_prefix: can't write the capture {}: {cause}", path.display())]
pub struct TriggerError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub cause: std::io::Error,
}

/// Who waits for whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Events never wait: what the disk is too slow for is lost to the capture, and that is said.
    Live,
    /// Each event is written before the next.
    Replay,
}

/// Starts captures and ends them.
pub struct Triggered {
    config: CaptureConfig,
    pace: Pace,
    log: Log,
    open: Option<Open>,
}

struct Open {
    file: File,
    /// When it ends, ns since 1970; every match moves that on.
    deadline: u64,
}

/// What matched, and what a capture begins with.
pub struct Matched<'a> {
    /// The rules.
    pub rules: &'a mut dyn Iterator<Item = &'a Rule>,
    /// The event's number.
    pub number: u64,
    /// What a capture begins with.
    pub beginning: &'a dyn Fn() -> Beginning,
}

/// What runs when a capture begins.
#[derive(Default)]
pub struct Beginning {
    /// Threads, files, users.
    pub snapshot: Snapshot,
    /// Events that tell who the containers are, and what plugins know.
    pub told: Vec<EventBuf>,
}

impl Beginning {
    /// What a machine knows; `snapshot` are its records, `ts` is when the capture begins, ns since 1970.
    pub fn new(machine: &Machine, snapshot: Snapshot, ts: u64) -> Beginning {
        let known = machine.containers().filter(|container| container.complete);
        // One of which more is known than an event can hold stays without its names.
        let events = known.filter_map(|container| learnt::container_event(ts, container).ok());
        Beginning { snapshot, told: events.collect() }
    }

    /// The same, with what plugins tell of their state.
    pub fn with_plugins(mut self, crew: Option<&Crew>, machine: &Machine) -> Beginning {
        self.told.extend(crew.map(|crew| crew.dump(machine)).unwrap_or_default());
        self
    }
}

impl Triggered {
    /// Captures as the settings ask for.
    pub fn new(config: CaptureConfig, pace: Pace, log: &Log) -> Triggered {
        Triggered { config, pace, log: log.clone(), open: None }
    }

    /// Other settings from now on; a capture under way goes on.
    pub fn follow(&mut self, config: CaptureConfig, log: &Log) {
        self.config = config;
        self.log = log.clone();
    }

    /// Whether something is being written, so that events should be shown.
    pub fn is_writing(&self) -> bool {
        self.open.is_some()
    }

    /// Whether matches may start something.
    pub fn is_enabled(&self) -> bool {
        self.config.enabled
    }

    /// An event that matched rules: it may begin a capture, and is then the first one in it. An alert tells of a
    /// file that is full.
    ///
    /// # Errors
    /// When the file can't be created or written.
    pub fn matched(
        &mut self,
        event: &Event<'_>,
        matched: Matched<'_>,
    ) -> Result<Option<Alert>, TriggerError> {
        if self.config.enabled {
            let mut wanted = self.config.all;
            let mut deadline = 0;
            for rule in matched.rules {
                wanted |= rule.capture;
                let time = match rule.capture_duration {
                    0 => self.config.duration,
                    ms => u64::from(ms) * 1_000_000,
                };
                deadline = deadline.max(event.ts.saturating_add(time));
            }
            match &mut self.open {
                Some(open) => open.deadline = open.deadline.max(deadline),
                None if wanted => {
                    let path = self.config.path(event.ts, matched.number);
                    let beginning = (matched.beginning)();
                    let mut file = File::create(path, &beginning.snapshot, self.pace == Pace::Live)?;
                    for told in beginning.told.iter().filter_map(|buffer| buffer.event().ok()) {
                        file.write(&told)?;
                    }
                    self.open = Some(Open { file, deadline });
                }
                None => {}
            }
        }
        self.write(event)
    }

    /// An event that comes while a capture is written.
    ///
    /// # Errors
    /// When it can't be written; the capture has ended then.
    pub fn write(&mut self, event: &Event<'_>) -> Result<Option<Alert>, TriggerError> {
        let Some(open) = &mut self.open else { return Ok(None) };
        if let Err(error) = open.file.write(event) {
            self.end();
            return Err(error);
        }
        let limit = self.config.max_bytes;
        if event.ts >= open.deadline {
            self.end();
        } else if limit > 0 && open.file.written() >= limit {
            let closed = self.end();
            return Ok(Some(self.full(closed.map_or(0, |closed| closed.written))));
        }
        Ok(None)
    }

    /// Hands on what is buffered, and ends a capture whose time is over though no event says so. To be called
    /// now and then; `ts`: now, ns since 1970.
    pub fn tick(&mut self, ts: u64) {
        match &mut self.open {
            Some(open) if ts > open.deadline.saturating_add(GRACE) => drop(self.end()),
            Some(open) => open.file.hand_on(),
            None => {}
        }
    }

    /// Ends the capture that is being written.
    pub fn end(&mut self) -> Option<Closed> {
        let closed = self.open.take()?.file.close();
        let path = closed.path.display();
        match &closed.error {
            Some(cause) => {
                self.log.write(Priority::Error, &format!("capture {path} is not complete: {cause}"));
            }
            None => self.log.info(&format!("Capture written to {path}, {} events", closed.events)),
        }
        if closed.lost > 0 {
            let message = format!("capture {path}: {} events were lost, the disk is too slow", closed.lost);
            self.log.warning(&message);
        }
        Some(closed)
    }

    fn full(&self, written: u64) -> Alert {
        let limit = self.config.max_bytes >> 20;
        let mut fields = Fields::new();
        fields.insert("max_file_size_mb".to_owned(), json!(limit));
        fields.insert("written_bytes".to_owned(), json!(written));
        Alert {
            ts: now(),
            priority: Priority::Informational,
            rule: FULL.into(),
            origin: Origin::Internal,
            message: format!("{FULL}. Configured limit: {limit} MB."),
            fields,
        }
    }
}

impl Drop for Triggered {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use lanner_capture::{Reader, ThreadRecord};
    use lanner_event::types;
    use lanner_machine::Container;
    use lanner_rules::{ItemKind, Place, Position};

    use super::*;
    use crate::config::Config;

    fn rule(capture: bool, capture_duration: u32) -> Rule {
        Rule {
            name: "r".into(),
            description: String::new(),
            source: "syscall".into(),
            condition: lanner_filter::parse("evt.type=close").unwrap().into(),
            output: "x".into(),
            priority: Priority::Notice,
            tags: Default::default(),
            enabled: true,
            capture,
            capture_duration,
            exception_fields: Default::default(),
            extra_fields: Vec::new(),
            place: Place::file("f".into()).within(Position::default(), ItemKind::Rule, "r"),
        }
    }

    /// What a test does: an event at so many ms, matching rules or none.
    struct Stage {
        triggered: Triggered,
        folder: tempfile::TempDir,
    }

    const BEGIN: u64 = 1_700_000_000_000_000_000;

    impl Stage {
        fn new(pace: Pace, change: impl FnOnce(&mut CaptureConfig)) -> Stage {
            let folder = tempfile::tempdir().unwrap();
            let prefix = folder.path().join("falco").display().to_string();
            let mut config = CaptureConfig { enabled: true, prefix, ..CaptureConfig::default() };
            change(&mut config);
            let log = Log::new(Config::default().log, false);
            Stage { triggered: Triggered::new(config, pace, &log), folder }
        }

        fn event(&mut self, ms: u64, rules: &[Rule]) -> Option<Alert> {
            let ts = BEGIN + ms * 1_000_000;
            let data = ms.to_ne_bytes().repeat(100);
            let buffer = EventBuf::new(ts, 7, 3, types::SYSCALL_WRITE_X, &[&[0; 8], &data[..60]]).unwrap();
            let event = buffer.event().unwrap();
            if rules.is_empty() {
                return self.triggered.write(&event).unwrap();
            }
            let thread = ThreadRecord { tid: 7, pid: 7, ..ThreadRecord::default() };
            let snapshot = Snapshot { threads: vec![thread], ..Snapshot::default() };
            let beginning = || Beginning { snapshot: snapshot.clone(), told: Vec::new() };
            let matched = Matched { rules: &mut rules.iter(), number: ms, beginning: &beginning };
            self.triggered.matched(&event, matched).unwrap()
        }

        /// The captures' names, and the times of their events in ms.
        fn captures(&self) -> Vec<(String, Vec<u64>)> {
            let entries = std::fs::read_dir(self.folder.path()).unwrap().map(|e| e.unwrap());
            let mut found: Vec<_> = entries
                .map(|entry| {
                    let mut reader = Reader::open(entry.path()).unwrap();
                    let mut times = Vec::new();
                    while reader.advance().unwrap() {
                        let event = reader.event().unwrap();
                        assert_eq!(event.cpu, 3);
                        times.push((event.ts - BEGIN) / 1_000_000);
                    }
                    assert_eq!(reader.take_snapshot().threads[0].tid, 7);
                    (entry.file_name().into_string().unwrap(), times)
                })
                .collect();
            found.sort();
            found
        }
    }

    #[test]
    fn a_rule_starts_a_capture_that_lasts_as_long_as_it_says() {
        for pace in [Pace::Live, Pace::Replay] {
            let mut stage = Stage::new(pace, |_| {});
            stage.event(0, &[rule(false, 0)]);
            assert!(!stage.triggered.is_writing(), "that rule asks for none");
            stage.event(10, &[rule(true, 50)]);
            stage.event(20, &[]);
            stage.event(60, &[]);
            assert!(!stage.triggered.is_writing());
            stage.event(70, &[]);
            stage.event(100, &[rule(true, 50)]);
            stage.event(120, &[rule(false, 100)]);
            stage.event(200, &[]);
            stage.triggered.end();
            let name = |ms: u64| format!("falco_{:020}_{ms:020}.scap", BEGIN + ms * 1_000_000);
            assert_eq!(
                stage.captures(),
                [(name(10), vec![10, 20, 60]), (name(100), vec![100, 120, 200])],
                "a match moves the end on, as in Falco also of a rule that starts none"
            );
        }
    }

    #[test]
    fn for_all_rules_each_match_starts_one_and_the_default_time_counts() {
        let mut stage = Stage::new(Pace::Live, |config| (config.all, config.duration) = (true, 5_000_000));
        stage.event(1, &[rule(false, 0)]);
        stage.event(6, &[]);
        assert!(!stage.triggered.is_writing());
        stage.event(7, &[rule(false, 0)]);
        stage.triggered.tick(BEGIN + 12_000_000);
        assert!(stage.triggered.is_writing());
        stage.triggered.tick(BEGIN + 2_000_000_000);
        assert!(!stage.triggered.is_writing(), "time ends it though no event comes");
        assert_eq!(stage.captures().len(), 2);
    }

    #[test]
    fn a_full_file_ends_the_capture_and_is_told() {
        let mut stage = Stage::new(Pace::Replay, |config| config.max_bytes = 1);
        let alert = stage.event(1, &[rule(true, 1000)]).unwrap();
        assert!(alert.message.starts_with("Falco internal: capture size limit reached. Configured limit: "));
        assert!(alert.fields["written_bytes"].as_u64().unwrap() > 1);
        assert!(!stage.triggered.is_writing());
    }

    #[test]
    fn a_file_that_cannot_be_created_is_named_with_its_setting() {
        let mut stage = Stage::new(Pace::Live, |config| config.prefix = "/nowhere/x".into());
        let buffer = EventBuf::new(5, 7, 0, types::SYSCALL_CLOSE_X, &[&[0; 8], &[0; 8]]).unwrap();
        let rules = [rule(true, 0)];
        let matched = Matched { rules: &mut rules.iter(), number: 1, beginning: &Beginning::default };
        let error = stage.triggered.matched(&buffer.event().unwrap(), matched).unwrap_err().to_string();
        assert!(error.starts_with("capture.path_prefix: can't write the capture /nowhere/x_000"), "{error}");
    }

    #[test]
    fn a_capture_says_who_the_containers_are() {
        let mut machine = Machine::default();
        let web = Container { id: "aaaaaaaaaaaa".into(), name: "web".into(), ..Container::default() };
        machine.set_container(Container { complete: true, ..web.clone() });
        machine.set_container(Container { id: "bbbbbbbbbbbb".into(), ..web });
        let beginning = Beginning::new(&machine, Snapshot::default(), 5);
        let told = beginning.told.iter().map(|event| {
            let event = event.event().unwrap();
            lanner_container::from_event(event.param(0).unwrap()).unwrap().name
        });
        assert_eq!(told.collect::<Vec<_>>(), ["web"], "the other one is not known yet");
    }
}
