//! Counters of what was lost, read from the kernel side.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use lanner_event::EVENTS;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::sys::program::counts;
use crate::{Lost, LostReason};

/// Adds up the counters of all CPUs, and what the kernel counts of these programs; a counter that cannot be read counts
/// nothing.
pub fn read<'a>(
    lost: &MapHandle,
    unreadable: &MapHandle,
    damaged: u64,
    programs: impl Iterator<Item = &'a OwnedFd>,
) -> Lost {
    let mut by_type = BTreeMap::new();
    for event in &EVENTS {
        let cpus = per_cpu(lost, u32::from(event.code.0));
        for (i, reason) in LostReason::ALL.into_iter().enumerate() {
            let n: u64 = cpus.iter().map(|cpu| word(cpu, i)).sum();
            if n > 0 {
                by_type.insert((event.code, reason), n);
            }
        }
    }
    let left_out =
        programs.filter_map(|program| counts(program.as_fd()).ok()).map(|counts| counts.left_out).sum();
    let unreadable = per_cpu(unreadable, 0).iter().map(|cpu| word(cpu, 0)).sum();
    Lost { by_type, damaged, left_out, unreadable }
}

/// Events lost on each CPU.
pub fn by_cpu(lost: &MapHandle) -> Vec<u64> {
    let mut sums = Vec::new();
    for event in &EVENTS {
        for (cpu, counts) in per_cpu(lost, u32::from(event.code.0)).iter().enumerate() {
            if sums.len() <= cpu {
                sums.resize(cpu + 1, 0);
            }
            sums[cpu] += (0..LostReason::ALL.len()).map(|i| word(counts, i)).sum::<u64>();
        }
    }
    sums
}

fn per_cpu(map: &MapHandle, key: u32) -> Vec<Vec<u8>> {
    map.lookup_percpu(&key.to_ne_bytes(), MapFlags::ANY).ok().flatten().unwrap_or_default()
}

/// The `i`-th 64-bit number.
fn word(bytes: &[u8], i: usize) -> u64 {
    bytes.get(i * 8..i * 8 + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_ne_bytes)
}
