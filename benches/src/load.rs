//! The loads that are put on the host.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::measure::timed;

/// Nanoseconds of one `getppid()`, a call that no rule asks for.
pub fn getppid() -> Result<f64> {
    const CALLS: u32 = 2_000_000;
    let (time, ()) = timed(|| {
        for _ in 0..CALLS {
            // SAFETY: getppid takes nothing and cannot fail.
            std::hint::black_box(unsafe { libc::getppid() });
        }
        Ok(())
    })?;
    Ok(time.as_nanos() as f64 / f64::from(CALLS))
}

/// Nanoseconds of opening and closing a file once.
pub fn open_close(path: &Path) -> Result<f64> {
    const PAIRS: u32 = 300_000;
    let (time, ()) = timed(|| {
        for _ in 0..PAIRS {
            drop(File::open(path)?);
        }
        Ok(())
    })?;
    Ok(time.as_nanos() as f64 / f64::from(PAIRS))
}

/// Seconds that a shell needs for 400 short processes.
pub fn short_processes() -> Result<f64> {
    let script = "i=0; while [ $i -lt 400 ]; do /bin/true; i=$((i+1)); done";
    let (time, status) =
        timed(|| Ok(Command::new("sh").arg("-c").arg(script).stdin(Stdio::null()).status()?))?;
    ensure!(status.success(), "the shell loop failed: {status}");
    Ok(time.as_secs_f64())
}

/// Millions of open+close pairs that four threads on all cores manage in a time.
pub fn open_storm(path: &Path, time: Duration) -> f64 {
    let (stop, pairs) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut mine = 0;
                while !stop.load(Ordering::Relaxed) {
                    mine += u64::from(File::open(path).is_ok());
                }
                pairs.fetch_add(mine, Ordering::Relaxed);
            });
        }
        let end = Instant::now() + time;
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        stop.store(true, Ordering::Relaxed);
    });
    pairs.load(Ordering::Relaxed) as f64 / 1e6
}
