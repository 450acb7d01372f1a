//! Medians, CPU times and memory, as the kernel accounts them.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// The middle value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Figures of all rounds, bare and watched.
#[derive(Default)]
pub struct Pair {
    /// Without lanner.
    pub bare: Vec<f64>,
    /// With it.
    pub watched: Vec<f64>,
}

impl Pair {
    /// What the median is more with it.
    pub fn added(&self) -> f64 {
        median(self.watched.clone()) - median(self.bare.clone())
    }

    /// Prints a row of the table.
    pub fn row(&self, what: &str, unit: &str, bound: &str) {
        let (bare, with) = (median(self.bare.clone()), median(self.watched.clone()));
        println!(
            "{what:<44} {bare:>9.1} {with:>9.1} {unit:<3} {:>+9.1}  x {:.2}  {bound}",
            with - bare,
            with / bare
        );
    }
}

/// How long something takes.
pub fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    let start = Instant::now();
    let value = work()?;
    Ok((start.elapsed(), value))
}

/// CPU seconds that a process has used, all its threads together.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("reading a process' CPU time")?;
    let after_name = stat.rsplit_once(')').context("no name in /proc/PID/stat")?.1;
    let words: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = words[11].parse::<f64>()? + words[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

/// CPU seconds of the children that this process has waited for.
pub fn children_cpu_seconds() -> f64 {
    // SAFETY: getrusage fills the structure it is given; all-zero bytes are a valid value of it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// What a command took, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// From its start to its end.
    pub wall: f64,
    /// Of all its threads on all CPUs.
    pub cpu: f64,
}

/// The cost of a command that has to succeed.
pub fn cost(command: &mut Command) -> Result<Cost> {
    let before = children_cpu_seconds();
    let (wall, status) =
        timed(|| Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Cost { wall: wall.as_secs_f64(), cpu: children_cpu_seconds() - before })
}

/// The most memory, in MB, that a command had resident, as the kernel tells it while the command runs.
pub fn peak_mb(command: &mut Command) -> Result<f64> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut peak = 0.0_f64;
    while child.try_wait()?.is_none() {
        if let Ok(status) = fs::read_to_string(format!("/proc/{}/status", child.id())) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
            peak = peak.max(kilobytes.unwrap_or(0.0));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(peak / 1024.0)
}

/// Resident memory in MB, without the mappings of BPF maps (ring buffers).
pub fn resident_mb(pid: u32) -> Result<f64> {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).context("reading a process' memory")?;
    let (mut kilobytes, mut counted) = (0.0, true);
    for line in smaps.lines() {
        if let Some(rest) = line.strip_prefix("Rss:") {
            if counted {
                kilobytes += rest.trim().trim_end_matches(" kB").parse::<f64>()?;
            }
        } else if line.split_whitespace().next().is_some_and(|word| word.contains('-')) {
            counted = !line.contains("bpf");
        }
    }
    Ok(kilobytes / 1024.0)
}
