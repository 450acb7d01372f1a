//! `lanner run` under test: started, read, asked for alerts, stopped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const START_LIMIT: Duration = Duration::from_secs(20);
const ALERT_LIMIT: Duration = Duration::from_secs(10);

/// One live test at a time, on this machine: they share its kernel.
pub struct Turn {
    _file: Flock<File>,
    _within: MutexGuard<'static, ()>,
}

impl Turn {
    /// Waits for the turn. Nothing, with the reason told, where lanner can't watch at all.
    pub fn take() -> Option<Turn> {
        if !nix::unistd::geteuid().is_root() {
            lanner_testbed::skipped(&"watching needs root");
            return None;
        }
        if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            lanner_testbed::skipped(&"this kernel has no BTF");
            return None;
        }
        static TURN: Mutex<()> = Mutex::new(());
        let within = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let file = File::create(std::env::temp_dir().join("lanner-live-tests.lock")).unwrap();
        let file = Flock::lock(file, FlockArg::LockExclusive).unwrap();
        Some(Turn { _file: file, _within: within })
    }
}

/// What the last line of a run says.
#[derive(Debug, PartialEq, Eq)]
pub struct Summary {
    pub events: u64,
    pub alerts: u64,
    pub lost: u64,
}

/// A running `lanner run`.
pub struct Watch {
    process: Child,
    lines: Receiver<String>,
    /// Every line so far.
    pub seen: Vec<String>,
    folder: tempfile::TempDir,
}

impl Watch {
    /// Starts it with our default rules and these settings, in `falco.yaml`'s words, and waits until it
    /// watches.
    pub fn start(settings: &str) -> Watch {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("falco.yaml");
        fs::write(&config, format!("stdout_output: {{enabled: true}}\n{settings}\n")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lanner"));
        command.arg("run").arg("--config").arg(&config);
        Watch::start_by(command, folder)
    }

    /// Starts it by a command that runs it, directly or in the end.
    pub fn start_by(mut command: Command, folder: tempfile::TempDir) -> Watch {
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let errors = sender.clone();
        let stdout = process.stdout.take().unwrap();
        let stderr = process.stderr.take().unwrap();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
        });
        thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|l| errors.send(l))
        });
        let mut watch = Watch { process, lines, seen: Vec::new(), folder };
        watch.wait_for(START_LIMIT, "it watches", |line| line.to_lowercase().contains("watching"));
        watch
    }

    /// Settings that make it ask the containerd of a bed.
    pub fn with_bed(bed: &lanner_testbed::Bed, settings: &str) -> Watch {
        let socket = bed.place().socket();
        Watch::start(&format!(
            "plugins:\n- name: container\n  library_path: libcontainer.so\n  init_config:\n    engines:\n      \
             cri: {{enabled: true, sockets: [{}]}}\nload_plugins: [container]\n{settings}",
            socket.display()
        ))
    }

    /// Settings that make it ask these Docker and Podman daemons, and rules of our own instead of the default.
    pub fn with_engines(engines: &[&lanner_testbed::Engine], rules: &str) -> Watch {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules.yaml");
        fs::write(&file, rules).unwrap();
        let sockets: Vec<String> =
            engines.iter().map(|engine| engine.socket().display().to_string()).collect();
        let watch = Watch::start(&format!(
            "plugins:\n- name: container\n  library_path: libcontainer.so\n  init_config:\n    engines:\n      \
             docker: {{enabled: true, sockets: [{}]}}\nload_plugins: [container]\nrules_files: [{}]\n",
            sockets.join(", "),
            file.display()
        ));
        drop(folder);
        watch
    }

    /// A folder that is gone when the watch ends.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// The first line, from the beginning, that has all parts; waits for it.
    pub fn alert(&mut self, parts: &[&str]) -> String {
        let has = |line: &str| parts.iter().all(|part| line.contains(part));
        if let Some(line) = self.seen.iter().find(|line| has(line)) {
            return line.clone();
        }
        self.wait_for(ALERT_LIMIT, &format!("an alert with {parts:?}"), has)
    }

    /// The lines so far that have all parts; reads what has come without waiting.
    pub fn alerts_with(&mut self, parts: &[&str]) -> Vec<String> {
        self.seen.extend(self.lines.try_iter());
        self.seen.iter().filter(|line| parts.iter().all(|part| line.contains(part))).cloned().collect()
    }

    /// Alerts of the length of time given, whatever they are about.
    pub fn alerts_within(&mut self, length: Duration) -> Vec<String> {
        let end = Instant::now() + length;
        let from = self.seen.len();
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.seen.push(line);
        }
        self.seen[from..].iter().filter(|line| is_alert(line)).cloned().collect()
    }

    fn wait_for(&mut self, limit: Duration, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if fits(&line) {
                        return line;
                    }
                }
                Err(why) => panic!("waited for {what} ({why}); seen:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id() as i32), signal).unwrap();
    }

    /// Waits until it has ended, in whatever way.
    pub fn wait(&mut self) {
        self.process.wait().unwrap();
    }

    /// Ends it as Ctrl-C does and reads its last words.
    pub fn stop(self) -> Summary {
        self.signal(Signal::SIGINT);
        self.ended()
    }

    /// Reads the last words of one that is asked to end.
    pub fn ended(mut self) -> Summary {
        let end = Instant::now() + ALERT_LIMIT;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.seen.push(line);
        }
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}; seen:\n{}", self.seen.join("\n"));
        let last = self.seen.iter().rev().find_map(|line| summary(line));
        last.unwrap_or_else(|| panic!("no summary; seen:\n{}", self.seen.join("\n")))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `HH:MM:SS.nnnnnnnnn: Priority text`
fn is_alert(line: &str) -> bool {
    let mut parts = line.splitn(3, ": ");
    let time = parts.next().unwrap_or_default();
    parts.next().is_some()
        && time.len() == 18
        && time.bytes().all(|b| b.is_ascii_digit() || b":.".contains(&b))
}

/// `events N, alerts N, lost N`
fn summary(line: &str) -> Option<Summary> {
    let mut numbers = ["events ", "alerts ", "lost "]
        .into_iter()
        .zip(line.split(", "))
        .map(|(word, part)| part.strip_prefix(word).and_then(|number| number.parse().ok()));
    Some(Summary { events: numbers.next()??, alerts: numbers.next()??, lost: numbers.next()?? })
}
