//! A loop's own part in being observed: it counts what comes by, gives a sign of life, and tells what it knows
//! when that is wanted or due.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanner_alert::{Alert, Priority};
use lanner_event::{EVENTS, Event};
use lanner_machine::{Interface, Machine};
use lanner_output::ChannelStats;
use lanner_probe::{Probe, SnapshotSource, SnapshotStats};

use super::board::{Board, Place};
use super::canary::Canary;
use super::observation::{Counted, Observation, RuleCount, Waiting};
use super::snapshot::Snapshots;
use crate::config::MetricsConfig;
use crate::log::{Log, now};
use crate::program::Program;
use crate::tally::Tally;

/// Events for which one is measured.
pub const STRIDE: u64 = 1024;

/// Between two looks at whether events flow.
const LOOK: Duration = Duration::from_secs(1);

/// A loop's place among those that are observed.
pub struct Station {
    place: Arc<Place>,
    source: &'static str,
    engine: &'static str,
    config: MetricsConfig,
    version: &'static str,
    hostname: String,
    started: u64,
    loaded: u64,
    /// Events that rules saw.
    events: u64,
    by_type: Box<[u64]>,
    by_cpu: Vec<u64>,
    iterated: bool,
    canary: Canary,
    next_look: Instant,
    next_snapshot: Instant,
    snapshots: Snapshots,
    /// The file of snapshots can't be written, and that was said.
    failing: Option<PathBuf>,
    counts: Option<Counts>,
}

/// Asks plugins for what they count.
pub type Counts = Box<dyn Fn() -> Vec<Counted> + Send>;

/// What a loop lets be seen of itself.
pub struct View<'a> {
    /// Rules and settings in force.
    pub program: &'a Program,
    /// The probe, if it reads the kernel's events.
    pub probe: Option<&'a Probe>,
    /// The host.
    pub machine: &'a Machine,
    /// How often caches were shed for want of memory.
    pub sheds: u64,
    /// The rules' counts.
    pub tally: &'a Tally,
    /// The sinks' counts.
    pub outputs: &'a dyn Fn() -> Vec<ChannelStats>,
    /// What waits.
    pub waiting: Waiting,
}

impl Station {
    /// A place on a board, for a loop that begins now. `engine`: what reads its source, in Falco's word.
    pub fn new(board: &Board, source: &'static str, engine: &'static str, program: &Program) -> Station {
        let begin = Instant::now();
        let config = program.config.metrics.clone();
        Station {
            place: board.place(source),
            source,
            engine,
            version: program.version,
            hostname: crate::sinks::hostname(),
            started: now(),
            loaded: now(),
            events: 0,
            by_type: vec![0; EVENTS.len()].into(),
            by_cpu: Vec::new(),
            iterated: false,
            canary: Canary::new(begin),
            next_look: begin,
            next_snapshot: begin + config.interval,
            snapshots: Snapshots::default(),
            failing: None,
            config,
            counts: None,
        }
    }

    /// What plugins count is told too.
    #[must_use]
    pub fn counting(mut self, counts: Counts) -> Station {
        self.counts = Some(counts);
        self
    }

    /// An event comes by. True for one that should be measured.
    pub fn count(&mut self, event: &Event<'_>) -> bool {
        self.events += 1;
        self.count_type(event);
        let cpu = usize::from(event.cpu);
        if self.by_cpu.len() <= cpu {
            self.by_cpu.resize(cpu + 1, 0);
        }
        self.by_cpu[cpu] += 1;
        self.config.enabled && self.events % STRIDE == 0
    }

    /// An event of the snapshot comes by, which rules don't see.
    pub fn count_type(&mut self, event: &Event<'_>) {
        if let Some(count) = self.by_type.get_mut(usize::from(event.ty().0)) {
            *count += 1;
        }
    }

    /// The snapshot is taken.
    pub fn begin(&mut self, snapshot: &SnapshotStats) {
        self.iterated = snapshot.source == SnapshotSource::Iterators;
        self.place.beat();
    }

    /// Other rules and settings are in force.
    pub fn follow(&mut self, program: &Program, now: Instant) {
        self.loaded = crate::log::now();
        let config = &program.config.metrics;
        if config.interval != self.config.interval {
            self.next_snapshot = now + config.interval;
        }
        self.config = config.clone();
    }

    /// A sign of life; what is wanted or due is told. `send` takes the alert of a snapshot.
    pub fn tick(&mut self, view: &View<'_>, now: Instant, log: &Log, send: &mut dyn FnMut(Alert)) {
        self.place.beat();
        if now >= self.next_look {
            self.next_look = now + LOOK;
            // Only the kernel can be made to give an event.
            if view.probe.is_some() {
                self.place.set_dry(self.canary.look(self.events, now));
            }
        }
        if self.place.take_wanted() {
            self.place.post(self.observe(view));
        }
        if self.config.enabled && self.config.has_snapshots() && now >= self.next_snapshot {
            self.next_snapshot = now + self.config.interval;
            self.snapshot(view, log, send);
        }
    }

    fn snapshot(&mut self, view: &View<'_>, log: &Log, send: &mut dyn FnMut(Alert)) {
        let seen = self.observe(view);
        let interfaces: Vec<Interface> = crate::host::interfaces();
        let fields = self.snapshots.next(&seen, &self.config, &interfaces);
        if let Some(path) = &self.config.output_file {
            match self.snapshots.append(path, &fields) {
                Ok(()) => self.failing = None,
                Err(error) if self.failing.as_ref() != Some(path) => {
                    let message = format!("metrics.output_file: cannot write {}: {error}", path.display());
                    log.write(Priority::Error, &message);
                    self.failing = Some(path.clone());
                }
                Err(_) => {}
            }
        }
        if self.config.output_rule {
            send(Snapshots::alert(seen.ts, fields));
        }
    }

    fn observe(&self, view: &View<'_>) -> Observation {
        let probe_if = |wanted| view.probe.filter(|_| wanted);
        Observation {
            source: self.source.to_owned(),
            engine: self.engine,
            ts: now(),
            started: self.started,
            loaded: self.loaded,
            boot: view.machine.boot_ts(),
            hostname: self.hostname.clone(),
            version: self.version.to_owned(),
            files: Arc::clone(&view.program.files),
            events: self.events,
            by_type: self.by_type.to_vec(),
            by_cpu: self.by_cpu.clone(),
            lost: view.probe.map(Probe::lost).unwrap_or_default(),
            lost_by_cpu: probe_if(self.config.per_cpu).map(Probe::lost_by_cpu).unwrap_or_default(),
            iterated: self.iterated,
            programs: probe_if(self.config.programs).map(Probe::programs).unwrap_or_default(),
            machine: view.machine.stats(),
            sheds: view.sheds,
            rules: rules(view.program, view.tally),
            outputs: (view.outputs)(),
            waiting: view.waiting,
            counted: self.counts.as_ref().map(|counts| counts()).unwrap_or_default(),
        }
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.place.end();
    }
}

/// The rules in force with their counts, and those no longer in force that matched.
fn rules(program: &Program, tally: &Tally) -> Vec<RuleCount> {
    let loaded = program.engine.rules();
    let count = |(at, (name, priority, matches, time)): (usize, (&str, Priority, u64, u64))| {
        let rule = loaded.get(at).map(|compiled| &compiled.rule);
        RuleCount {
            name: name.to_owned(),
            source: rule.map_or_else(String::new, |rule| rule.source.clone()),
            priority,
            tags: rule.map_or_else(Vec::new, |rule| rule.tags.iter().cloned().collect()),
            matches,
            time,
        }
    };
    tally.rows().enumerate().map(count).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use lanner_event::types;
    use lanner_machine::MachineStats;
    use lanner_probe::{Lost, LostReason};

    use super::super::observation::{LoadedFile, LoadedKind};
    use super::*;

    /// Three of 103 events are lost; of two rules one matched.
    pub fn observation() -> Observation {
        let mut lost = Lost::default();
        lost.by_type.insert((types::SYSCALL_OPENAT_2_X, LostReason::RingFull), 3);
        let rule = |name: &str, matches| RuleCount {
            name: name.to_owned(),
            source: "syscall".to_owned(),
            priority: Priority::Warning,
            tags: vec!["host".to_owned(), "T1555.001".to_owned()],
            matches,
            time: matches * 1000,
        };
        Observation {
            source: "syscall".to_owned(),
            engine: "modern_bpf",
            ts: 1_795_549_121_898_299_224,
            started: 1_795_549_100_000_000_000,
            loaded: 1_795_549_100_000_000_000,
            boot: 1_795_540_000_000_000_000,
            hostname: "stage".to_owned(),
            version: "0.45.0".to_owned(),
            files: Arc::new([LoadedFile::new(LoadedKind::Rules, "/etc/my rules.yaml", b"- rule: x")]),
            events: 100,
            by_type: vec![1; EVENTS.len()],
            by_cpu: vec![60, 40],
            lost,
            lost_by_cpu: vec![0, 3],
            iterated: true,
            programs: Vec::new(),
            machine: MachineStats { threads: 7, fds: 9, ..MachineStats::default() },
            sheds: 0,
            rules: vec![rule("Read \"a\" file", 4), rule("Never", 0)],
            outputs: vec![ChannelStats {
                sink: "http",
                written: 3,
                lost: 1,
                waiting: 0,
                waiting_bytes: 0,
                retries: 2,
                last_error: None,
            }],
            waiting: Waiting::default(),
            counted: Vec::new(),
        }
    }
}
