//! Memory, and bounds on it.

use std::io;
use std::path::{Path, PathBuf};

use lanner_machine::MachineOptions;

use super::facts::{self, Facts};
use super::privileges::MEMORY_BY_CGROUP;
use super::{Finding, Mark, Section};
use crate::config::Config;

const MIB: u64 = 1 << 20;
/// What lanner itself needs beside the rings, in a generous estimate.
const AGENT: u64 = 128 * MIB;
/// Version 1 of cgroups says "no limit" by a number like this or higher.
const ENDLESS: u64 = 1 << 60;

fn finding(name: &str, mark: Mark, text: impl Into<String>) -> Finding {
    Finding::new(Section::Limits, name, mark, text)
}

/// What is found. `ring`: whether one ring could be made.
pub fn findings(facts: &Facts, config: &Config, ring: &Result<(), io::Error>) -> Vec<Finding> {
    let bytes = config.ring_bytes.max(4096).next_power_of_two() as u64;
    let count = facts.cpus().map_or(1, |cpus| cpus.div_ceil(config.cpus_per_ring.max(1))) as u64;
    let total = bytes * count;
    vec![
        rings(facts, count, bytes, ring),
        cgroup(limit_of_cgroup(facts), total),
        locked_memory(facts),
        threads(facts),
    ]
}

fn rings(facts: &Facts, count: u64, bytes: u64, made: &Result<(), io::Error>) -> Finding {
    let total = bytes * count;
    let cpus = facts.cpus().map_or_else(|| "?".to_owned(), |cpus| cpus.to_string());
    let text =
        format!("{count} x {} KiB for {cpus} possible CPUs: {} KiB of memory", bytes / 1024, total / 1024);
    let smaller = "in falco.yaml, lower buf_size_preset or raise cpus_for_each_buffer";
    let available = facts.memory("MemAvailable");
    match made {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !facts.permitted() => {
            finding("ring buffers", Mark::Bad, format!("{text}; not permitted (see privileges)"))
        }
        Err(error) => finding("ring buffers", Mark::Bad, format!("{text}; one can't be made: {error}"))
            .cost("nothing can be watched")
            .advice(smaller),
        Ok(()) if available.is_some_and(|available| total > available / 4) => {
            finding("ring buffers", Mark::Warn, text)
                .cost("more than a quarter of the memory that is available")
                .advice(smaller)
        }
        Ok(()) => finding("ring buffers", Mark::Ok, text),
    }
}

fn cgroup(limit: Option<u64>, rings: u64) -> Finding {
    let name = "memory cgroup";
    let Some(limit) = limit else { return finding(name, Mark::Ok, "no limit") };
    let text = format!("at most {} MiB", limit / MIB);
    let advice = format!("allow at least {} MiB, or make the rings smaller", (rings + AGENT).div_ceil(MIB));
    match limit {
        _ if limit < rings => finding(name, Mark::Bad, text).cost("the rings don't fit").advice(advice),
        _ if limit < rings + AGENT => {
            finding(name, Mark::Warn, text).cost("the kernel may end lanner under load").advice(advice)
        }
        _ => finding(name, Mark::Ok, text),
    }
}

/// The least limit on the way from this process's cgroup to the root.
fn limit_of_cgroup(facts: &Facts) -> Option<u64> {
    let path = |wanted: &dyn Fn(&str) -> bool| {
        let line = facts.cgroups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        line.into_iter().find(|(controllers, _)| wanted(controllers)).map(|(_, path)| path.to_owned())
    };
    let by_name = path(&|controllers| controllers.split(',').any(|name| name == "memory"));
    let (mount, path, file) = match by_name {
        Some(path) => (facts.mount("cgroup", "memory")?, path, "memory.limit_in_bytes"),
        None => (facts.mount("cgroup2", "")?, path(&str::is_empty)?, "memory.max"),
    };
    least(&mount, Path::new(path.trim_start_matches('/')), file)
}

fn least(mount: &Path, path: &Path, file: &str) -> Option<u64> {
    let folders: Vec<PathBuf> = path.ancestors().map(|part| mount.join(part)).collect();
    let limits = folders.iter().filter_map(|folder| facts::text(folder.join(file))?.parse::<u64>().ok());
    limits.filter(|&limit| limit < ENDLESS).min()
}

fn locked_memory(facts: &Facts) -> Finding {
    let name = "locked memory";
    let line = facts.limits.lines().find_map(|line| line.strip_prefix("Max locked memory"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    let bytes = soft.and_then(|text| text.parse::<u64>().ok());
    let said = match (soft, bytes) {
        (None, _) => return finding(name, Mark::Note, "not known: /proc does not say"),
        (Some(word), None) => word.to_owned(),
        (_, Some(bytes)) => format!("{} KiB", bytes / 1024),
    };
    let counts = facts.version().is_some_and(|version| version < MEMORY_BY_CGROUP);
    match bytes {
        Some(_) if counts && !facts.capable(facts::SYS_RESOURCE) => finding(name, Mark::Warn, said)
            .cost("this kernel counts BPF memory against it, so rings may be refused")
            .advice("LimitMEMLOCK=infinity in the systemd unit, or CAP_SYS_RESOURCE"),
        Some(_) if !counts => {
            finding(name, Mark::Ok, format!("{said}; this kernel doesn't count BPF memory"))
        }
        _ => finding(name, Mark::Ok, said),
    }
}

fn threads(facts: &Facts) -> Finding {
    let most = MachineOptions::default().max_threads;
    let now =
        facts.load.split_whitespace().nth(3).and_then(|part| part.split_once('/')?.1.parse::<usize>().ok());
    let now_text = now.map_or_else(|| "?".to_owned(), |now| now.to_string());
    let text = format!("{now_text} now, pid_max {}; lanner keeps {most}", facts.pid_max);
    match now {
        Some(now) if now > most / 10 * 8 => {
            finding("threads", Mark::Warn, text).cost("alerts from threads beyond that lack their process")
        }
        _ => finding("threads", Mark::Ok, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_must_hold_rings_and_agent() {
        let rings = 16 * MIB;
        let marks =
            [None, Some(8 * MIB), Some(64 * MIB), Some(512 * MIB)].map(|limit| cgroup(limit, rings).mark);
        assert_eq!(marks, [Mark::Ok, Mark::Bad, Mark::Warn, Mark::Ok]);
    }

    #[test]
    fn the_least_limit_counts() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("pod/container");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("memory.max"), "max\n").unwrap();
        std::fs::write(root.path().join("pod/memory.max"), "1048576\n").unwrap();
        assert_eq!(least(root.path(), Path::new("pod/container"), "memory.max"), Some(MIB));
        assert_eq!(least(root.path(), Path::new(""), "memory.max"), None);
        let facts = Facts {
            cgroups: "3:cpu,memory:/pod\n0::/other\n".into(),
            mounts: format!("cgroup {} cgroup rw,memory 0 0\n", root.path().display()),
            ..Facts::default()
        };
        std::fs::write(root.path().join("pod/memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
        assert_eq!(limit_of_cgroup(&facts), None);
        std::fs::write(root.path().join("memory.limit_in_bytes"), "4096\n").unwrap();
        assert_eq!(limit_of_cgroup(&facts), Some(4096));
    }

    #[test]
    fn locked_memory_matters_to_old_kernels_only() {
        let limits = "Max locked memory         65536                65536                bytes\n";
        let mark = |release: &str| {
            locked_memory(&Facts { release: release.into(), limits: limits.into(), ..Facts::default() }).mark
        };
        assert_eq!((mark("5.10.0"), mark("6.1.0")), (Mark::Warn, Mark::Ok));
    }
}
