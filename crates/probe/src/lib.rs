//! The live event source: eBPF programs in the kernel, the ring buffers that carry their events, and the
//! snapshot of what was running before.
//!
//! This crate delivers events in lanner's wire format and may know nothing of rules beyond the set of event
//! types that it is asked to deliver.

mod btf;
mod calls;
mod cgroups;
mod code;
mod copies;
mod direct;
mod error;
mod homes;
mod load;
mod log;
mod lost;
mod merge;
mod missing;
mod object;
mod options;
mod plans;
mod points;
mod proc;
mod programs;
mod require;
mod rings;
mod skeleton;
mod snapshot;
mod sys;
mod threads;
mod tracepoints;
pub mod trial;
mod types;
mod variables;
mod verify;

pub use cgroups::NewCgroups;
pub use error::ProbeError;
pub use homes::{KnownCgroup, KnownCgroups};
pub use options::{
    Attachment, CallPoint, EventSet, Lost, LostReason, Missing, ProbeOptions, SnapshotSource, SnapshotStats,
};
pub use proc::open_files;
pub use programs::ProgramStats;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lanner_event::Event;
use lanner_event::prefilter::{Prefilter, Sieves};
use libbpf_rs::MapHandle;

use load::{Loaded, Snapshot};
use snapshot::Iterators;
use sys::{Ring, Waiting};
use types::KernelTypes;

/// How long the probe sleeps at most before it looks at the rings, which wake it only when they fill up.
const PERIOD: Duration = Duration::from_millis(10);

/// How long it waits for an event that is there but may yet be overtaken by an older one.
const SETTLING: Duration = Duration::from_micros(50);

/// Between two looks at rings that events keep coming into. One as soon as the last is over would find a few, and take the
/// CPU from a caller for each few.
const PACE: Duration = Duration::from_millis(1);

/// How often the probe looks whether the wall clock was set.
const CLOCK_PERIOD: Duration = Duration::from_secs(10);

/// A probe that is attached to the running kernel; dropping it detaches everything.
pub struct Probe {
    loaded: Loaded,
    iterators: Option<Iterators>,
    damaged: u64,
    clock_seen: Instant,
    /// When events were last delivered.
    delivered: Option<Instant>,
    proc: PathBuf,
}

impl Probe {
    /// Loads the programs and attaches them; nothing stays attached when that fails half-way.
    ///
    /// # Errors
    /// Says what the machine or the caller lacks, and what to do about it.
    pub fn open(options: ProbeOptions) -> Result<Probe, ProbeError> {
        require::check()?;
        let types = KernelTypes::read();
        let types = types.as_ref();
        let homes = &homes::create()?;
        // both are checked by the kernel for long, so they are loaded side by side
        std::thread::scope(|scope| {
            // Iterators show what is in this process's own pid namespace; the host's is in its `/proc`.
            let elsewhere = pid_in(&options.proc).is_some_and(|pid| pid != std::process::id());
            let from = if elsewhere { Some(SnapshotSource::Proc) } else { options.snapshot_from };
            let snapshot = scope.spawn(move || iterators(from, types, homes));
            let mut found = None;
            let loaded = load::load(&options, types, homes, || {
                // a panic there is one of ours
                let joined = snapshot.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                let (iterators, why_not) = joined?;
                let own_pid = iterators.as_ref().and_then(Iterators::own_pid);
                let own_pid = own_pid.or_else(|| pid_in(&options.proc)).unwrap_or_else(std::process::id);
                found = iterators;
                Ok(Snapshot { own_pid, iterators: found.is_some(), why_not })
            })?;
            let proc = options.proc.clone();
            let clock_seen = Instant::now();
            Ok(Probe { loaded, iterators: found, damaged: 0, clock_seen, delivered: None, proc })
        })
    }

    /// Delivers what runs already: for each thread an `ITER_TASK_E`, for each of a process's files an
    /// `ITER_TASK_FILE_*_E`. As in captures, their thread id holds process and thread: `pid << 32 | tid`.
    ///
    /// # Errors
    /// When neither the kernel's iterators nor `/proc` can be read.
    pub fn snapshot(&mut self, sink: &mut dyn FnMut(&Event<'_>)) -> Result<SnapshotStats, ProbeError> {
        let read = match &self.iterators {
            Some(iterators) => iterators.read(sink),
            None => proc::snapshot(&self.proc, self.loaded.boot_time, sink),
        };
        self.loaded.settle();
        read.map_err(|source| ProbeError::Snapshot { source })
    }

    /// Delivers the events that are there in the order of time, waiting up to `timeout` for the first.
    /// Returns how many it delivered. An event comes late only if its CPU was stopped in the middle of writing
    /// it, as a virtual machine's may be, or if several CPUs share a ring, then by microseconds.
    ///
    /// # Errors
    /// When waiting fails.
    pub fn poll(&mut self, timeout: Duration, sink: &mut dyn FnMut(&Event<'_>)) -> Result<usize, ProbeError> {
        let start = Instant::now();
        let end = start + timeout;
        self.loaded.advance();
        if start - self.clock_seen >= CLOCK_PERIOD {
            self.clock_seen = start;
            self.loaded.follow_clock();
        }
        self.keep_pace(timeout);
        loop {
            let now = self.loaded.boot_time + sys::clock(libc::CLOCK_BOOTTIME);
            let drained = merge::drain(&mut self.loaded.rings, now, sink);
            self.damaged += drained.damaged;
            let after = Instant::now();
            let left = end.saturating_duration_since(after);
            if drained.events > 0 {
                self.delivered = Some(after);
            }
            if drained.events > 0 || left.is_zero() {
                return Ok(drained.events);
            }
            if drained.young {
                std::thread::sleep(SETTLING);
                continue;
            }
            let fds: Vec<_> = self.loaded.ring_maps.iter().map(AsFd::as_fd).collect();
            sys::wait(&fds, left.min(PERIOD)).map_err(|source| ProbeError::Wait { source })?;
        }
    }

    /// Lets events that come one upon the other come together, while there is room for them.
    fn keep_pace(&self, longest: Duration) {
        let rest = self.delivered.and_then(|at| PACE.checked_sub(at.elapsed()));
        let Some(rest) = rest else { return };
        if self.loaded.rings.iter().map(Ring::waiting).max() == Some(Waiting::Some) {
            std::thread::sleep(rest.min(longest));
        }
    }

    /// Word of new cgroups; nothing where the kernel refused the program, or when it was handed out before.
    pub fn new_cgroups(&mut self) -> Option<NewCgroups> {
        self.loaded.new_cgroups.take()
    }

    /// Which cgroups are taken for the host's: at first none is.
    pub fn known_cgroups(&self) -> &KnownCgroups {
        &self.loaded.known_cgroups
    }

    /// Says of what is opened from now on where the kernel found it, or not.
    pub fn tell_resolved(&mut self, tell: bool) {
        self.loaded.tell_resolved(tell);
    }

    /// What has been lost since the probe was opened.
    pub fn lost(&self) -> Lost {
        self.loaded.losses.read(self.damaged, self.loaded.telling())
    }

    /// Events lost since the probe was opened, by CPU.
    pub fn lost_by_cpu(&self) -> Vec<u64> {
        self.loaded.losses.by_cpu()
    }

    /// How often each attached program ran and how long that took; nothing unless the kernel counts it
    /// (`kernel.bpf_stats_enabled`).
    pub fn programs(&self) -> Vec<ProgramStats> {
        programs::read(self.loaded.programs())
    }

    /// How the probe is attached, for people.
    pub fn attachment(&self) -> &Attachment {
        &self.loaded.attachment
    }

    /// Changes what is dropped before it is written, from now on; at first nothing is. The snapshot must have been
    /// read before: of what is dropped, only what no snapshot lists is told later.
    pub fn update_prefilter(&mut self, prefilter: &Prefilter) {
        self.loaded.update_prefilter(&Sieves::new(prefilter));
    }

    /// Changes which event types are delivered, from now on. The beginning of calls is among them only if it was
    /// when the probe was opened.
    ///
    /// # Errors
    /// When the kernel refuses a point that is needed now; all else is changed.
    pub fn update_events(&mut self, events: &EventSet) -> Result<(), ProbeError> {
        self.loaded.update(events)
    }
}

/// This process's id in the pid namespace that a `/proc` shows.
fn pid_in(proc: &Path) -> Option<u32> {
    std::fs::read_link(proc.join("self")).ok()?.to_str()?.parse().ok()
}

/// The iterators, if the snapshot is to come from them and the kernel lets them; or why it doesn't.
fn iterators(
    from: Option<SnapshotSource>,
    types: Option<&KernelTypes>,
    homes: &MapHandle,
) -> Result<(Option<Iterators>, Option<String>), ProbeError> {
    if from == Some(SnapshotSource::Proc) {
        return Ok((None, None));
    }
    match Iterators::load(load::boot_time(), types, homes) {
        Ok(iterators) => Ok((Some(iterators), None)),
        Err(error) if from.is_some() => Err(error),
        Err(error) => Ok((None, Some(error.reason().map_or_else(|| error.to_string(), |(_, why)| why)))),
    }
}
