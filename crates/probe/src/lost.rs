//! Counters of what was lost, read from memory that is shared with the kernel side.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use lanner_event::EVENTS;
use libbpf_rs::{MapCore, MapHandle};

use crate::sys::Counters;
use crate::sys::program::counts;
use crate::{Lost, LostReason, ProbeError};

const REASONS: usize = LostReason::ALL.len();

/// The counters of the kernel side.
pub struct Losses {
    /// By CPU, type and reason.
    lost: Counters,
    unreadable: Counters,
}

impl Losses {
    /// Those in these maps.
    ///
    /// # Errors
    /// When their memory can't be shared.
    pub fn new(lost: &MapHandle, unreadable: &MapHandle) -> Result<Losses, ProbeError> {
        let shared = |map: &MapHandle, name: &str, words: usize| {
            let words = map.max_entries() as usize * words;
            Counters::new(map.as_fd(), words).map_err(|source| ProbeError::Map { map: name.into(), source })
        };
        Ok(Losses {
            lost: shared(lost, "lost_map", REASONS)?,
            unreadable: shared(unreadable, "unreadable", 1)?,
        })
    }

    /// Adds up the counters of all CPUs, and what the kernel counts of these programs; what it doesn't say counts nothing.
    pub fn read<'a>(&self, damaged: u64, programs: impl Iterator<Item = &'a OwnedFd>) -> Lost {
        let mut by_type = BTreeMap::new();
        for (at, count) in self.lost.all().enumerate().filter(|(_, count)| *count > 0) {
            let (entry, reason) = (at / REASONS, LostReason::ALL[at % REASONS]);
            *by_type.entry((EVENTS[entry % EVENTS.len()].code, reason)).or_default() += count;
        }
        let left_out =
            programs.filter_map(|program| counts(program.as_fd()).ok()).map(|counts| counts.left_out).sum();
        Lost { by_type, damaged, left_out, unreadable: self.unreadable.all().sum() }
    }

    /// Events lost on each CPU.
    pub fn by_cpu(&self) -> Vec<u64> {
        let counts: Vec<u64> = self.lost.all().collect();
        counts.chunks(REASONS * EVENTS.len()).map(|of_cpu| of_cpu.iter().sum()).collect()
    }
}
