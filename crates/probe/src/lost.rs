//! Counters of what was lost, read from the kernel side.

use std::collections::BTreeMap;

use lanner_event::EVENTS;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::{Lost, LostReason};

/// Adds up the counters of all CPUs; a counter that cannot be read counts nothing.
pub fn read(lost: &MapHandle, unreadable: &MapHandle, damaged: u64) -> Lost {
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
    Lost { by_type, damaged, unreadable: per_cpu(unreadable, 0).iter().map(|cpu| word(cpu, 0)).sum() }
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
