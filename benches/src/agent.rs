//! A running lanner.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// `lanner run`, and the lines it prints.
pub struct Agent {
    child: Child,
    lines: Receiver<String>,
    started: Instant,
}

/// What the last line of a run says.
pub struct Totals {
    /// Events that lanner was given.
    pub events: u64,
    /// Alerts that it raised.
    pub alerts: u64,
    /// Events that were lost.
    pub lost: u64,
}

impl Agent {
    /// Starts it; it isn't watching yet.
    pub fn start(bin: &Path, rules: Option<&Path>) -> Result<Agent> {
        let mut command = Command::new(bin);
        command.arg("run").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(rules) = rules {
            command.arg("-r").arg(rules);
        }
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("starting {}", bin.display()))?;
        let stdout = child.stdout.take().context("lanner's standard output")?;
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Agent { child, lines, started })
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
            if self.lines.recv_timeout(Duration::from_millis(2)).is_ok() {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("lanner ended with {status}: is this root, and a kernel with BTF?");
            }
        }
        bail!("no alert within 20 seconds for a read of /etc/shadow")
    }

    /// Ends it as Ctrl-C does; what its last line says.
    pub fn stop(mut self) -> Result<Totals> {
        // SAFETY: kill only sends a signal; the child has not been waited for, so the id is its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGINT) };
        self.child.wait()?;
        let mut totals = None;
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(1)) {
            totals = parse_totals(&line).or(totals);
        }
        totals.context("lanner ended without its line `events N, alerts N, lost N`")
    }
}

fn parse_totals(line: &str) -> Option<Totals> {
    let mut parts = line.split(", ");
    let mut number = |name: &str| parts.next()?.strip_prefix(name)?.trim().parse().ok();
    Some(Totals { events: number("events")?, alerts: number("alerts")?, lost: number("lost")? })
}
