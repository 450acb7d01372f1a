//! A running lanner.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::load::SENSITIVE;

/// `lanner run`, and what it prints.
pub struct Agent {
    child: Child,
    said: Arc<Said>,
    reader: JoinHandle<()>,
    started: Instant,
}

/// What a run has printed so far.
#[derive(Default)]
struct Said {
    /// Lines.
    lines: AtomicU64,
    /// Alerts that name the sensitive file.
    sensitive: AtomicU64,
    /// What the last line says.
    totals: Mutex<Option<Totals>>,
}

/// Bytes that are read at once, and that the pipe holds. A storm's lines are looked at as one text: what is spent here is
/// lost for the run that is measured.
const CHUNK: usize = 1 << 20;

impl Said {
    /// Counts lines until there are no more.
    fn read(&self, mut from: ChildStdout) {
        // SAFETY: it is an open pipe, and no memory is passed. A refusal leaves the pipe smaller.
        unsafe { libc::fcntl(from.as_raw_fd(), libc::F_SETPIPE_SZ, CHUNK as libc::c_int) };
        let sensitive = memchr::memmem::Finder::new(SENSITIVE);
        let mut text = vec![0; 2 * CHUNK];
        let mut kept = 0;
        while let Ok(count @ 1..) = from.read(&mut text[kept..]) {
            let end = kept + count;
            let whole = memchr::memrchr(b'\n', &text[kept..end]).map_or(0, |at| kept + at + 1);
            let lines = &text[..whole];
            self.lines.fetch_add(memchr::memchr_iter(b'\n', lines).count() as u64, Ordering::Relaxed);
            self.sensitive.fetch_add(lines_with(&sensitive, lines), Ordering::Relaxed);
            let last = lines.strip_suffix(b"\n").and_then(|lines| lines.rsplit(|b| *b == b'\n').next());
            if let Some(totals) = last.and_then(|line| parse_totals(std::str::from_utf8(line).ok()?)) {
                *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = Some(totals);
            }
            text.copy_within(whole..end, 0);
            kept = end - whole;
            if kept > CHUNK {
                return;
            }
        }
    }
}

/// How many lines of a text name something that few of them do.
fn lines_with(what: &memchr::memmem::Finder<'_>, mut text: &[u8]) -> u64 {
    let mut count = 0;
    while let Some(at) = what.find(text) {
        count += 1;
        let line = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end);
        text = &text[line..];
    }
    count
}

/// What the last line of a run says.
#[derive(Clone, Copy)]
pub struct Totals {
    /// Events that lanner was given.
    pub events: u64,
    /// Alerts that it raised.
    pub alerts: u64,
    /// Events that were lost.
    pub lost: u64,
}

/// What is to be started.
#[derive(Clone, Copy)]
pub struct Measured<'a> {
    /// The executable.
    pub bin: &'a Path,
    /// A rule file instead of its own rules.
    pub rules: Option<&'a Path>,
    /// Its settings.
    pub config: Option<&'a Path>,
}

impl Agent {
    /// Starts it; it isn't watching yet. `also`: a rule file beside its rules.
    pub fn start(measured: Measured<'_>, also: &Path) -> Result<Agent> {
        let mut command = Command::new(measured.bin);
        command.arg("run").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        for (option, file) in [("-c", measured.config), ("-r", measured.rules), ("--also", Some(also))] {
            if let Some(file) = file {
                command.arg(option).arg(file);
            }
        }
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("starting {}", measured.bin.display()))?;
        let stdout = child.stdout.take().context("lanner's standard output")?;
        let said = Arc::new(Said::default());
        let heard = Arc::clone(&said);
        let reader = std::thread::spawn(move || heard.read(stdout));
        Ok(Agent { child, said, reader, started })
    }

    /// Alerts so far that name the sensitive file.
    pub fn sensitive(&self) -> u64 {
        self.said.sensitive.load(Ordering::Relaxed)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Provokes an alert until one is printed; the time since the start.
    pub fn first_alert(&mut self) -> Result<Duration> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            Command::new("cat").arg("/etc/shadow").stdout(Stdio::null()).status()?;
            std::thread::sleep(Duration::from_millis(2));
            if self.said.lines.load(Ordering::Relaxed) > 0 {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("lanner ended with {status}: is this root, and a kernel with BTF?");
            }
        }
        bail!("no alert within 20 seconds for a read of /etc/shadow")
    }

    /// Ends it as Ctrl-C does; what its last line says, and how many it printed.
    pub fn stop(mut self) -> Result<(Totals, u64)> {
        // SAFETY: kill only sends a signal; the child has not been waited for, so the id is its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGINT) };
        self.child.wait()?;
        // it ends when the last line is read
        let _ = self.reader.join();
        let totals = *self.said.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = totals.context("lanner ended without its line `events N, alerts N, lost N`")?;
        Ok((totals, self.said.lines.load(Ordering::Relaxed)))
    }
}

fn parse_totals(line: &str) -> Option<Totals> {
    let mut parts = line.split(", ");
    let mut number = |name: &str| parts.next()?.strip_prefix(name)?.trim().parse().ok();
    Some(Totals { events: number("events")?, alerts: number("alerts")?, lost: number("lost")? })
}
