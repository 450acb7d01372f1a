//! What the kernel counts of the programs that are attached.

use std::os::fd::{AsFd, OwnedFd};

use crate::sys::program::{Counts, counts};

/// How often a program ran and how long that took in all. Programs that it calls by tail calls are part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramStats {
    /// Its name.
    pub name: String,
    /// How often it ran.
    pub runs: u64,
    /// How long that took, ns.
    pub time: u64,
}

/// Asks the kernel about programs; several of one name are counted together.
pub fn read<'a>(programs: impl Iterator<Item = &'a OwnedFd>) -> Vec<ProgramStats> {
    let enabled = std::fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled");
    if enabled.map_or(true, |text| text.trim() == "0") {
        return Vec::new();
    }
    let mut all: Vec<ProgramStats> = Vec::new();
    for Counts { name, runs, time, .. } in programs.filter_map(|program| counts(program.as_fd()).ok()) {
        match all.iter_mut().find(|stats| stats.name == name) {
            Some(stats) => {
                stats.runs += runs;
                stats.time += time;
            }
            None => all.push(ProgramStats { name, runs, time }),
        }
    }
    all
}
