//! Recording: what happens on this host, written to a capture.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanner_capture::HostRecord;
use lanner_engine::{BuildError, Engine, EngineOptions, EventTypes, Memory, RuleId};
use lanner_event::{Event, EventFlag, params, types};
use lanner_fields::{Context, EventMeta, Progress, Scratch};
use lanner_filter::ParseError;
use lanner_machine::{ContainerId, Machine};
use lanner_probe::{Attachment, EventSet, Probe, ProbeError, ProbeOptions};
use lanner_rules::{Place, Priority, Rule, RuleSet};

use crate::accounts::Accounts;
use crate::announce::local_offset;
use crate::config::{BaseSyscalls, Config};
use crate::inventory::{Surroundings, records};
use crate::live::{LONGEST_WAIT, SWEEP, host_root, machine};
use crate::log::now;
use crate::recording::{Readers, Recording, RecordingOptions};
use crate::signals::Signals;
use crate::wanted::wanted;
use crate::{host, sinks};

/// Why a recording was not begun, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The probe can't be opened or read.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The system refuses a signal handler.
    #[error("can't start: {0}")]
    System(std::io::Error),
    /// The capture can't be written.
    #[error("{path}: can't write the capture: {cause}")]
    Write {
        /// The file.
        path: String,
        /// What the system says.
        cause: std::io::Error,
    },
}

/// Why a condition can't choose events.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It is not spelled as a condition.
    #[error("{error} (line {}, column {}): {}", error.position.line, error.position.column, error.advice())]
    Spelling {
        /// What is wrong.
        error: ParseError,
    },
    /// It names what there is not, or compares what can't be compared.
    #[error("{}{}", .0.problem.message, advice(.0))]
    Meaning(BuildError),
}

fn advice(error: &BuildError) -> String {
    error.problem.advice.as_ref().map_or_else(String::new, |advice| format!(": {advice}"))
}

/// A condition that chooses events.
///
/// # Errors
/// Says what is wrong with the condition.
pub fn filter(condition: &str) -> Result<Engine, FilterError> {
    let parsed = lanner_filter::parse(condition).map_err(|error| FilterError::Spelling { error })?;
    let rule = Rule {
        name: "filter".to_owned(),
        description: String::new(),
        source: "syscall".to_owned(),
        condition: Arc::new(parsed),
        output: "%evt.type".to_owned(),
        priority: Priority::Debug,
        tags: Default::default(),
        enabled: true,
        capture: false,
        capture_duration: 0,
        exception_fields: Default::default(),
        extra_fields: Vec::new(),
        place: Place::file("--filter".into()),
    };
    let rules = RuleSet { rules: vec![rule], ..RuleSet::default() };
    Engine::build(&rules, EngineOptions::default()).map_err(FilterError::Meaning)
}

/// What to record.
#[derive(Default)]
pub struct RecordOptions {
    /// End after so long.
    pub duration: Option<Duration>,
    /// Which events; all without one.
    pub filter: Option<Engine>,
    /// Where to.
    pub files: RecordingOptions,
}

/// Calls without an event type of their own from this number on (io_uring_setup, statx, rseq, …) are not in the
/// table of sysdig 0.29.3, which looks them up without asking how long its table is: one such event ends it with
/// a segmentation fault. Measured with one capture for each number.
const FIRST_UNKNOWN_CALL: u16 = 330;

/// Whether an event carries a call that sysdig 0.29 does not survive.
fn is_young_call(event: &Event<'_>) -> bool {
    let id = (event.ty() == types::GENERIC_X).then(|| event.param(params::generic_x::ID)).flatten();
    let number = id.and_then(|id| id.first_chunk()).map(|bytes| u16::from_ne_bytes(*bytes));
    number.is_some_and(|number| number >= FIRST_UNKNOWN_CALL)
}

/// What a recording came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// Events written.
    pub events: u64,
    /// Events lost.
    pub lost: u64,
    /// Bytes written, before compression.
    pub bytes: u64,
}

/// Records this host until a signal comes, the time is up or the file is full. `started` is told once
/// everything that happens is recorded.
///
/// # Errors
/// When the kernel or the system refuses what is needed, or the capture can't be written.
pub fn run(
    config: &Config,
    options: RecordOptions,
    started: &mut dyn FnMut(&Attachment),
) -> Result<Recorded, RecordError> {
    let path = options.files.path.display().to_string();
    let written = |cause| RecordError::Write { path: path.clone(), cause };
    let files = Recording::create(options.files).map_err(written)?;
    let signals = Signals::install().map_err(RecordError::System)?;
    let mut probe = Probe::open(ProbeOptions {
        events: asked_for(options.filter.as_ref()),
        ring_bytes: config.ring_bytes,
        cpus_per_ring: config.cpus_per_ring,
        snaplen: config.snaplen,
        ..ProbeOptions::default()
    })?;
    let mut recorder = Recorder::new(options.filter, files);
    probe.snapshot(&mut |event| {
        recorder.machine.apply(event);
    })?;
    recorder.from = now();
    started(probe.attachment());
    let end = options.duration.map(|d| Instant::now() + d);
    let watched = recorder.watch(&mut probe, &signals, end);
    let watched = watched.and_then(|()| recorder.drain(&mut probe));
    // What was recorded until then is kept whole, however it ended.
    let closed = recorder.close(probe.lost().total()).map_err(written);
    watched?;
    closed
}

/// The types that a recording needs: those that the filter can match and those that change the machine's
/// state; without a filter all.
fn asked_for(filter: Option<&Engine>) -> EventSet {
    let matched = filter.map_or_else(EventTypes::all, Engine::event_types);
    wanted(&matched, &BaseSyscalls { all: true, ..BaseSyscalls::default() })
}

/// How long the end may wait for what is still in the rings.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// After so long without an event nothing is in the rings.
const QUIET: Duration = Duration::from_millis(50);

struct Recorder {
    filter: Option<Engine>,
    machine: Machine,
    around: Surroundings,
    progress: Progress,
    scratch: Scratch,
    memory: Memory,
    hits: Vec<RuleId>,
    files: Recording,
    /// What happened before, ns since 1970, the snapshot tells of.
    from: u64,
    /// When the last event happened, ns since 1970.
    seen: u64,
    events: u64,
    /// The only file is full, or writing failed: nothing more is written.
    over: Option<std::io::Result<()>>,
}

impl Recorder {
    fn new(filter: Option<Engine>, files: Recording) -> Recorder {
        let root = host_root();
        let machine = machine(&root);
        let around = Surroundings {
            host: host_record(machine.boot_ts()),
            interfaces: host::interfaces(),
            accounts: Accounts::read(ContainerId::default(), &root),
        };
        let meta = EventMeta {
            hostname: sinks::hostname().into(),
            utc_offset: local_offset,
            ..EventMeta::default()
        };
        Recorder {
            filter,
            machine,
            around,
            progress: Progress::new(meta),
            scratch: Scratch::new(),
            memory: Memory::default(),
            hits: Vec::new(),
            files,
            from: 0,
            seen: 0,
            events: 0,
            over: None,
        }
    }

    fn watch(
        &mut self,
        probe: &mut Probe,
        signals: &Signals,
        end: Option<Instant>,
    ) -> Result<(), RecordError> {
        let proc = host_root().join("proc");
        let mut sweep = Instant::now() + SWEEP;
        loop {
            let before = Instant::now();
            if signals.end() || self.over.is_some() || end.is_some_and(|end| before >= end) {
                return Ok(());
            }
            let left = end.map_or(LONGEST_WAIT, |end| end.saturating_duration_since(before));
            probe.poll(left.min(LONGEST_WAIT), &mut |event| self.event(event))?;
            // Nobody is asked about containers: their ids stand in the cgroups of their threads.
            self.machine.new_containers();
            if before >= sweep {
                sweep = before + SWEEP;
                self.machine.sweep(now(), |tid| proc.join(tid.to_string()).exists());
            }
        }
    }

    /// Takes what happened before the end and still waits in the rings.
    fn drain(&mut self, probe: &mut Probe) -> Result<(), RecordError> {
        let (end, limit) = (now(), Instant::now() + LAST_WAIT);
        while self.over.is_none() && self.seen < end && Instant::now() < limit {
            if probe.poll(QUIET, &mut |event| self.event(event))? == 0 {
                break;
            }
        }
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) {
        self.seen = event.ts;
        if self.over.is_some() {
            return;
        }
        match self.record(event) {
            Ok(true) => {}
            Ok(false) => self.over = Some(Ok(())),
            Err(error) => self.over = Some(Err(error)),
        }
    }

    /// One event: what it does to the machine, and whether it is written. False when nothing more is to be.
    fn record(&mut self, event: &Event<'_>) -> std::io::Result<bool> {
        if event.ts >= self.from && self.files.awaits_snapshot() {
            self.files.begin(&records(&self.machine, &self.around, self.files.readers()))?;
        }
        let matches = self.apply(event) && (self.files.readers() == Readers::Today || !is_young_call(event));
        // What is older than the beginning and comes after it is not in the file's list of threads.
        if self.files.awaits_snapshot() {
            return Ok(true);
        }
        if matches {
            self.events += 1;
            self.files.write(event, false)?;
        } else if event.info.has(EventFlag::ModifiesState) {
            self.files.write(event, true)?;
        }
        if self.files.is_full() && !leaves_an_end_open(event) {
            return self.files.rotate();
        }
        Ok(true)
    }

    /// What an event does to the machine; whether the filter lets it through.
    fn apply(&mut self, event: &Event<'_>) -> bool {
        let subject = self.machine.apply(event);
        self.progress.advance(event);
        let Some(filter) = &self.filter else { return true };
        self.scratch.reset();
        let cx = Context {
            event,
            machine: &self.machine,
            subject: &subject,
            meta: self.progress.meta(),
            scratch: &self.scratch,
        };
        self.hits.clear();
        filter.process(&mut self.memory, &cx, &mut self.hits);
        !self.hits.is_empty()
    }

    fn close(mut self, lost: u64) -> std::io::Result<Recorded> {
        let over = self.over.take().unwrap_or(Ok(()));
        // A recording in which nothing happened, or whose last file has just been moved on, says what runs.
        if over.is_ok() && self.files.awaits_snapshot() {
            self.files.begin(&records(&self.machine, &self.around, self.files.readers()))?;
        }
        let ended = self.files.end();
        over?;
        Ok(Recorded { events: self.events, lost, bytes: ended? })
    }
}

/// Whether what an event ends, a thread or an fd, is still in the machine, for the rules that look at it: a
/// snapshot taken now would have it live for ever.
fn leaves_an_end_open(event: &Event<'_>) -> bool {
    event.ty() == types::PROCEXIT_1_E || event.info.has(EventFlag::DestroysFd)
}

fn host_record(boot_ts: u64) -> HostRecord {
    let system = host::system();
    let mut hostname = [0; 128];
    // The last byte stays NUL.
    let len = system.node.len().min(hostname.len() - 1);
    hostname[..len].copy_from_slice(&system.node.as_bytes()[..len]);
    HostRecord {
        cpus: host::cpus(Path::new("/sys/devices/system/cpu/present")),
        memory: host::memory(),
        max_pid: host::max_pid(Path::new("/proc/sys/kernel/pid_max")),
        hostname,
        boot_ts,
        ..HostRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_asks_for_what_it_can_match_and_for_state() {
        let all = asked_for(None);
        assert!(all.contains(types::SYSCALL_READ_X) && all.contains(types::SYSCALL_PTRACE_X));
        let some = asked_for(Some(&filter("evt.type = read and fd.name = /etc/shadow").unwrap()));
        assert!(some.contains(types::SYSCALL_READ_X) && some.contains(types::SYSCALL_OPENAT_2_X));
        assert!(!some.contains(types::SYSCALL_PTRACE_X));
    }

    #[test]
    fn a_wrong_filter_says_what_is_wrong() {
        let said = |text: &str| filter(text).unwrap_err().to_string();
        assert!(said("evt.type =").contains("column"), "{}", said("evt.type ="));
        assert!(said("evt.tpye = open").contains("evt.tpye"), "{}", said("evt.tpye = open"));
        assert!(said("open_read").contains("open_read"), "{}", said("open_read"));
    }

    #[test]
    fn the_host_tells_its_size() {
        let host = host_record(5);
        assert!(host.cpus > 0 && host.memory > 1 << 20 && host.max_pid > 0 && !host.name().is_empty());
        assert_eq!(host.boot_ts, 5);
    }
}
