//! The loads that are put on the host.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::measure::{median, timed};

/// How often the sensitive file is read.
const READING: Duration = Duration::from_millis(100);

/// A file whose reading lanner's own rules report.
pub const SENSITIVE: &str = "/etc/shadow";

/// Nanoseconds of one call, by the fastest of many short rounds: what else the machine does makes rounds slower,
/// never faster.
fn fastest(rounds: u32, calls: u32, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let (time, ()) = timed(|| (0..calls).try_for_each(|_| call()))?;
        best = best.min(time.as_nanos() as f64 / f64::from(calls));
    }
    Ok(best)
}

/// Processes that a loop of one call is run in, one after the other.
const PROCESSES: usize = 5;

/// The median of a loop in several processes: one steadily measures 20 ns more for a call than another, presumably by where
/// its code lies and what that shares the CPU's tables with.
fn in_processes(file: Option<&Path>) -> Result<f64> {
    let one = |_| {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--in-a-loop").args(file);
        let output = command.output()?;
        let error = || String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "a loop failed: {}", error());
        Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
    };
    Ok(median((0..PROCESSES).map(one).collect::<Result<_>>()?))
}

/// One of these processes: prints what a call takes.
pub fn loop_process(file: Option<&Path>) -> Result<()> {
    println!("{}", file.map_or_else(getppid_here, open_close_here)?);
    Ok(())
}

/// Nanoseconds of one `getppid()`, a call that no rule asks for.
pub fn getppid() -> Result<f64> {
    in_processes(None)
}

fn getppid_here() -> Result<f64> {
    fastest(150, 3000, || {
        // SAFETY: getppid takes nothing and cannot fail.
        std::hint::black_box(unsafe { libc::getppid() });
        Ok(())
    })
}

/// Opens and closes a file by the two system calls alone.
fn pair(path: &CStr) -> bool {
    // SAFETY: the path ends with its NUL, and the fd is closed by nobody else.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        fd >= 0 && libc::close(fd) == 0
    }
}

fn c_path(path: &Path) -> Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Nanoseconds of opening and closing a file once.
pub fn open_close(path: &Path) -> Result<f64> {
    in_processes(Some(path))
}

fn open_close_here(path: &Path) -> Result<f64> {
    let path = c_path(path)?;
    fastest(150, 600, || {
        ensure!(pair(&path), "{} can't be opened", path.to_string_lossy());
        Ok(())
    })
}

/// Nanoseconds of sending a byte over a connection of TCP and receiving it.
pub fn send_receive() -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let from = TcpStream::connect(listener.local_addr()?)?;
    let (to, _) = listener.accept()?;
    from.set_nodelay(true)?;
    fastest(200, 200, || {
        let mut byte = [7u8];
        // SAFETY: both fds are open, and the buffer holds the one byte.
        let moved = unsafe {
            (
                libc::send(from.as_raw_fd(), byte.as_ptr().cast(), 1, 0),
                libc::recv(to.as_raw_fd(), byte.as_mut_ptr().cast(), 1, 0),
            )
        };
        ensure!(moved == (1, 1), "{}", std::io::Error::last_os_error());
        Ok(())
    })
}

/// Seconds that a shell needs for 400 short processes. All on the first CPU, since their time depends more on where they
/// are put than on who watches.
pub fn short_processes() -> Result<f64> {
    let script = "i=0; while [ $i -lt 400 ]; do /bin/true; i=$((i+1)); done";
    let shell = ["-c", "0", "sh", "-c", script];
    let (time, status) = timed(|| Ok(Command::new("taskset").args(shell).stdin(Stdio::null()).status()?))?;
    ensure!(status.success(), "the shell loop failed: {status}");
    Ok(time.as_secs_f64())
}

/// One process of a storm: opens and closes a file for a time, and prints how often.
pub fn storm_process(path: &Path, seconds: f64) -> Result<()> {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let path = c_path(path)?;
    let mut pairs = 0u64;
    while Instant::now() < end {
        for _ in 0..100 {
            pairs += u64::from(pair(&path));
        }
    }
    println!("{pairs}");
    Ok(())
}

/// Open+close pairs a second that four processes manage on all cores.
pub fn open_storm(path: &Path, time: Duration) -> Result<f64> {
    let own = std::env::current_exe()?;
    let start = || {
        let mut command = Command::new(&own);
        command.arg("--storm").arg(path).arg("--seconds").arg(time.as_secs_f64().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
    };
    let children = (0..4).map(|_| start()).collect::<std::io::Result<Vec<_>>>()?;
    let mut pairs = 0.0;
    for child in children {
        let output = child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        pairs += text.trim().parse::<f64>().with_context(|| format!("a storm's process said {text:?}"))?;
    }
    Ok(pairs / time.as_secs_f64())
}

/// Reads a sensitive file every now and then, in a thread of its own.
pub struct SensitiveReads {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl SensitiveReads {
    /// Begins.
    pub fn start() -> SensitiveReads {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut reads = 0;
            while !stopped.load(Ordering::Relaxed) {
                reads += u64::from(File::open(SENSITIVE).is_ok());
                std::thread::sleep(READING);
            }
            reads
        });
        SensitiveReads { stop, thread }
    }

    /// Ends; how often it read.
    pub fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or(0)
    }
}
