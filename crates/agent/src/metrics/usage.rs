//! CPU and memory of this process and of the host, out of `/proc`.

use std::fs;
use std::path::Path;

use crate::host::host_root;
use crate::log::now;

/// Names the file that holds the memory of lanner's own cgroup.
const CGROUP_MEMORY: &str = "FALCO_CGROUP_MEM_PATH";
/// Where it is else: cgroups of version 1, and of version 2.
const CGROUP_FILES: [&str; 2] =
    ["/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory.current"];

/// What is used now. Sizes are in KiB where nothing else is said; what can't be read is zero.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Usage {
    /// CPU time of this process since it began, as percents of one CPU.
    pub cpu: f64,
    pub rss: u64,
    pub vsz: u64,
    pub pss: u64,
    /// Memory of the cgroup, bytes.
    pub cgroup: u64,
    /// CPU time of the host since it began, as percents of all CPUs.
    pub host_cpu: f64,
    pub host_memory: u64,
    pub host_procs: u64,
    pub host_fds: u64,
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The number behind a line's name.
fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

impl Usage {
    /// Reads it; `started`: when this process began its work, ns since 1970.
    pub fn read(started: u64) -> Usage {
        let proc = host_root().join("proc");
        let status = read(Path::new("/proc/self/status"));
        let meminfo = read(&proc.join("meminfo"));
        let stat = read(&proc.join("stat"));
        let of = |name| number(&meminfo, name);
        Usage {
            cpu: own_cpu(&read(Path::new("/proc/self/stat")), now().saturating_sub(started)),
            rss: number(&status, "VmRSS:"),
            vsz: number(&status, "VmSize:"),
            pss: number(&read(Path::new("/proc/self/smaps_rollup")), "Pss:"),
            cgroup: cgroup(),
            host_cpu: host_cpu(&stat),
            host_memory: of("MemTotal:").saturating_sub(of("MemFree:") + of("Buffers:") + of("Cached:")),
            host_procs: number(&stat, "procs_running "),
            host_fds: number(&read(&proc.join("sys/fs/file-nr")), ""),
        }
    }
}

/// CPU time out of `/proc/self/stat`, against the time that passed.
fn own_cpu(stat: &str, passed: u64) -> f64 {
    // The program's name, in parentheses, may hold anything.
    let Some((_, rest)) = stat.rsplit_once(") ") else { return 0.0 };
    let field = |n: usize| rest.split(' ').nth(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    let ticks = (field(11) + field(12)) as f64;
    let seconds = ticks / rustix::param::clock_ticks_per_second() as f64;
    if passed == 0 { 0.0 } else { tenth(100.0 * seconds / (passed as f64 / 1e9)) }
}

/// The share of time that all CPUs were not idle.
fn host_cpu(stat: &str) -> f64 {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let times: Vec<u64> = line.split_whitespace().take(7).filter_map(|t| t.parse().ok()).collect();
    let sum: u64 = times.iter().sum();
    let idle = times.get(3).copied().unwrap_or(0);
    if sum == 0 { 0.0 } else { tenth(100.0 - idle as f64 * 100.0 / sum as f64) }
}

fn cgroup() -> u64 {
    let named = std::env::var(CGROUP_MEMORY).ok().filter(|path| !path.is_empty() && !path.contains(".."));
    let files: Vec<&str> = named.as_deref().map_or(CGROUP_FILES.to_vec(), |file| vec![file]);
    files.iter().find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_on_a_host_that_does_too() {
        let usage = Usage::read(now() - 1_000_000_000);
        assert!(usage.rss > 1000 && usage.vsz >= usage.rss && usage.pss > 0, "{usage:?}");
        assert!(usage.host_memory > usage.rss && usage.host_procs > 0 && usage.host_fds > 0, "{usage:?}");
    }

    #[test]
    fn cpu_time_is_a_share_of_the_time_that_passed() {
        let ticks = rustix::param::clock_ticks_per_second();
        let stat = format!("1 (a) b) S 0 0 0 0 0 0 0 0 0 0 {ticks} {ticks} 0");
        assert_eq!(own_cpu(&stat, 8_000_000_000), 25.0);
        assert_eq!(own_cpu("", 5), 0.0);
        assert_eq!(host_cpu("cpu  10 0 10 60 10 5 5 99\ncpu0 1"), 40.0);
    }
}
