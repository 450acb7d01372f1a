//! What is done with each event of a recording.

use std::io;
use std::time::{Duration, Instant};

use lanner_container::ResolverError;
use lanner_engine::{Engine, Memory, RuleId};
use lanner_event::{Event, EventBuf, EventFlag, params, types};
use lanner_fields::{Context, EventMeta, Progress, Scratch};
use lanner_machine::{Container, ContainerId, Machine};
use lanner_probe::{Probe, ProbeError};
use rustc_hash::FxHashMap;

use crate::accounts::Accounts;
use crate::announce::local_offset;
use crate::config::StateConfig;
use crate::enrich::Enrichment;
use crate::host::{host_root, machine};
use crate::inventory::{Surroundings, records};
use crate::log::now;
use crate::pending::Pending;
use crate::recording::{Readers, Recording};
use crate::signals::Signals;
use crate::terms::{LONGEST_WAIT, SWEEP};
use crate::{learnt, sinks};

/// Why a recording was not begun, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The probe can't be opened or read.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The system refuses a signal handler.
    #[error("can't start: {0}")]
    System(io::Error),
    /// The system refuses the threads that ask about containers.
    #[error("can't start: {0}")]
    Resolver(ResolverError),
    /// The capture can't be written.
    #[error("{path}: can't write the capture: {cause}")]
    Write {
        /// The file.
        path: String,
        /// What the system says.
        cause: io::Error,
    },
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

/// How long the end may wait for what is still in the rings.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// After so long without an event nothing is in the rings.
const QUIET: Duration = Duration::from_millis(50);
/// Longest wait for events while some wait for their container.
const PENDING_WAIT: Duration = Duration::from_millis(10);

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

/// Writes what happens, and knows enough to say what ran before.
pub(crate) struct Recorder {
    filter: Option<Engine>,
    pub(crate) machine: Machine,
    around: Surroundings,
    progress: Progress,
    scratch: Scratch,
    memory: Memory,
    hits: Vec<RuleId>,
    files: Recording,
    enrichment: Enrichment,
    pending: Pending,
    /// Accounts of containers.
    accounts: FxHashMap<ContainerId, Accounts>,
    /// What happened before, ns since 1970, the snapshot tells of.
    pub(crate) from: u64,
    /// When the last event happened, ns since 1970.
    seen: u64,
    events: u64,
    /// The only file is full, or writing failed: nothing more is written.
    over: Option<io::Result<()>>,
}

impl Recorder {
    pub(crate) fn new(
        filter: Option<Engine>,
        files: Recording,
        enrichment: Enrichment,
        patience: Duration,
    ) -> Recorder {
        let root = host_root();
        let machine = machine(&root, &StateConfig::default());
        let around = Surroundings::read(&machine, &root);
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
            enrichment,
            pending: Pending::new(patience),
            accounts: FxHashMap::default(),
            from: 0,
            seen: 0,
            events: 0,
            over: None,
        }
    }

    pub(crate) fn watch(
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
            let wait = if self.pending.is_waiting() { PENDING_WAIT } else { LONGEST_WAIT };
            probe.poll(left.min(wait), &mut |event| self.event(event))?;
            self.unless_over(Recorder::between_polls);
            if before >= sweep {
                sweep = before + SWEEP;
                self.machine.sweep(now(), |tid| proc.join(tid.to_string()).exists());
            }
        }
    }

    /// Takes what happened before the end and still waits in the rings.
    pub(crate) fn drain(&mut self, probe: &mut Probe) -> Result<(), RecordError> {
        let (end, limit) = (now(), Instant::now() + LAST_WAIT);
        while self.over.is_none() && self.seen < end && Instant::now() < limit {
            let came = probe.poll(QUIET, &mut |event| self.event(event))?;
            self.unless_over(Recorder::between_polls);
            if came == 0 {
                break;
            }
        }
        while self.over.is_none() && self.pending.is_waiting() {
            std::thread::sleep(PENDING_WAIT);
            self.unless_over(Recorder::between_polls);
        }
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) {
        self.seen = event.ts;
        self.unless_over(|recorder| recorder.record(event));
    }

    /// Goes on, unless nothing more is to be written. `step` says false when that is so from now on.
    fn unless_over(&mut self, step: impl FnOnce(&mut Recorder) -> io::Result<bool>) {
        if self.over.is_some() {
            return;
        }
        match step(self) {
            Ok(true) => {}
            Ok(false) => self.over = Some(Ok(())),
            Err(error) => self.over = Some(Err(error)),
        }
    }

    /// One event: what it does to the machine, and whether it is written. False when nothing more is to be.
    fn record(&mut self, event: &Event<'_>) -> io::Result<bool> {
        if event.ts >= self.from && self.files.awaits_snapshot() {
            self.begin(event.ts)?;
        }
        let matches = self.apply(event) && (self.files.readers() == Readers::Today || !is_young_call(event));
        // What is older than the beginning and comes after it is not in the file's list of threads.
        if self.files.awaits_snapshot() {
            return Ok(true);
        }
        if self.machine.has_new_containers() {
            self.ask_about_containers();
        }
        let state_only = !matches;
        if state_only && !event.info.has(EventFlag::ModifiesState) {
            return Ok(true);
        }
        if self.pending.is_waiting() {
            self.pending.push(event, state_only);
            return self.end_waiting_if_over();
        }
        self.write(event, state_only)?;
        if self.files.is_full() && !leaves_an_end_open(event) {
            return self.files.rotate();
        }
        Ok(true)
    }

    /// Begins a file with what runs now, and who the containers are.
    fn begin(&mut self, ts: u64) -> io::Result<()> {
        self.files.begin(&records(&self.machine, &self.around, self.files.readers()))?;
        let machine = &self.machine;
        self.accounts.retain(|id, _| machine.container(id).is_some());
        let mut events: Vec<EventBuf> = Vec::new();
        for container in machine.containers().filter(|container| container.complete) {
            events.extend(learnt::container_event(ts, container).ok());
        }
        for accounts in self.accounts.values() {
            events.extend(learnt::account_events(ts, accounts));
        }
        self.write_learnt(&events)
    }

    /// Asks about the containers that are new; what happens from now on waits for the answers.
    pub(crate) fn ask_about_containers(&mut self) {
        let now = Instant::now();
        for id in self.enrichment.ask(&mut self.machine) {
            self.pending.ask(id, now);
        }
    }

    /// Takes answers about containers, and writes what they say and what has waited for them.
    fn between_polls(&mut self) -> io::Result<bool> {
        self.ask_about_containers();
        let (mut containers, mut accounts) = (Vec::new(), Vec::new());
        self.enrichment.drain(&mut |known| containers.push(known), &mut |known| accounts.push(known));
        for container in containers {
            // A runtime also tells by itself of containers in which nothing has happened yet.
            if self.machine.container(container.id.as_bytes()).is_some() {
                self.learn_container(container)?;
            }
        }
        for accounts in accounts {
            self.learn_accounts(accounts)?;
        }
        self.end_waiting_if_over()
    }

    fn learn_container(&mut self, container: Container) -> io::Result<()> {
        let event = learnt::container_event(self.ts_of_answers(), &container);
        self.pending.named(container.id.as_bytes());
        self.machine.set_container(container);
        event.map_or(Ok(()), |event| self.write_learnt(&[event]))
    }

    fn learn_accounts(&mut self, accounts: Accounts) -> io::Result<()> {
        self.pending.has_accounts(&accounts.container);
        let events = learnt::account_events(self.ts_of_answers(), &accounts);
        self.accounts.insert(accounts.container.clone(), accounts);
        self.write_learnt(&events)
    }

    /// Answers stand before what waits for them, and behind what does not.
    fn ts_of_answers(&self) -> u64 {
        self.pending.first_ts().unwrap_or(self.seen)
    }

    fn write_learnt(&mut self, events: &[EventBuf]) -> io::Result<()> {
        for event in events.iter().filter_map(|event| event.event().ok()) {
            self.files.write_learnt(&event)?;
        }
        Ok(())
    }

    fn end_waiting_if_over(&mut self) -> io::Result<bool> {
        if self.pending.is_over(Instant::now()) {
            self.end_waiting()?;
        }
        // A full file is changed at the next event: what has waited is older than what a new one would begin with.
        // One that no other follows takes no more.
        Ok(self.pending.is_waiting() || !self.files.is_complete())
    }

    fn end_waiting(&mut self) -> io::Result<()> {
        for (event, state_only) in self.pending.take() {
            if let Ok(event) = event.event() {
                self.write(&event, state_only)?;
            }
            if self.files.is_complete() {
                break;
            }
        }
        Ok(())
    }

    fn write(&mut self, event: &Event<'_>, state_only: bool) -> io::Result<()> {
        self.events += u64::from(!state_only);
        self.files.write(event, state_only)
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

    pub(crate) fn close(mut self, lost: u64) -> io::Result<Recorded> {
        let over = self.over.take().unwrap_or(Ok(()));
        // A recording in which nothing happened, or whose last file has just been moved on, says what runs.
        if over.is_ok() && self.files.awaits_snapshot() {
            self.begin(self.seen.max(self.from))?;
        }
        self.end_waiting()?;
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
