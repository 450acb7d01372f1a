//! What the machine makes of live events is what `/proc` says of the same processes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod like_proc;
mod reused;
mod storm;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lanner_event::{EVENTS, Event, EventFlag};
use lanner_machine::{Machine, Thread};
use lanner_probe::{EventSet, Probe, ProbeOptions, SnapshotSource};

/// Longer than whatever is waited for takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long programs that were seen to begin have to load their libraries and to sleep.
const SETTLING: Duration = Duration::from_secs(1);

/// A probe of all that changes state, and the machine that it feeds.
struct Host {
    probe: Probe,
    machine: Machine,
    /// One test at a time: each counts what the whole host runs.
    _turn: MutexGuard<'static, ()>,
}

impl Host {
    /// Attaches; nothing, with the reason told, where this machine doesn't allow it.
    fn attach(source: SnapshotSource) -> Option<Host> {
        Host::attach_with(source, ProbeOptions::default().ring_bytes)
    }

    /// The same, with buffers of a size.
    fn attach_with(source: SnapshotSource, ring_bytes: usize) -> Option<Host> {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let current =
            |e: &&lanner_event::EventInfo| !e.has(EventFlag::OldVersion) && !e.has(EventFlag::Unused);
        let events: EventSet = EVENTS
            .iter()
            .filter(current)
            .filter(|e| e.has(EventFlag::ModifiesState))
            .map(|e| e.code)
            .collect();
        match Probe::open(ProbeOptions {
            events,
            include_self: true,
            snapshot_from: Some(source),
            ring_bytes,
            ..ProbeOptions::default()
        }) {
            Ok(probe) => Some(Host { probe, machine: Machine::default(), _turn: turn }),
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }

    /// Takes in what ran before.
    fn snapshot(&mut self) {
        let machine = &mut self.machine;
        self.probe
            .snapshot(&mut |event| {
                machine.apply(event);
            })
            .unwrap();
    }

    /// Takes in events, but for those that are to be taken for lost, until `seen` and everything has settled, or its
    /// patience is over.
    fn follow(&mut self, lost: impl Fn(&Event<'_>) -> bool, seen: impl Fn(&Machine) -> bool) {
        self.follow_for(PATIENCE, lost, seen);
    }

    /// The same, with more patience.
    fn follow_for(
        &mut self,
        patience: Duration,
        lost: impl Fn(&Event<'_>) -> bool,
        seen: impl Fn(&Machine) -> bool,
    ) {
        let patience = Instant::now() + patience;
        let mut settled = None;
        while settled.is_none_or(|since: Instant| since.elapsed() < SETTLING) && Instant::now() < patience {
            if settled.is_none() && seen(&self.machine) {
                settled = Some(Instant::now());
            }
            let machine = &mut self.machine;
            self.probe
                .poll(Duration::from_millis(100), &mut |event| {
                    if !lost(event) {
                        machine.apply(event);
                    }
                })
                .unwrap();
        }
        // The last event may have closed an fd, which goes only with the next event: one of this test's own.
        fs::read("/etc/hostname").unwrap();
        let mut own = false;
        while !own && Instant::now() < patience {
            let machine = &mut self.machine;
            self.probe
                .poll(Duration::from_millis(100), &mut |event| {
                    own |= event.tid == nix::unistd::gettid().as_raw().into();
                    machine.apply(event);
                })
                .unwrap();
        }
    }
}

fn shell(script: &str) -> Child {
    let mut sh = Command::new("/bin/sh");
    // Of a long environment only the first pages are told.
    sh.args(["-c", script]).env_clear().env("PATH", "/usr/bin:/bin");
    sh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Whether a process sleeps for a time.
fn sleeps(machine: &Machine, pid: i64, time: &str) -> bool {
    machine.thread(pid).is_some_and(|t| &*t.comm == b"sleep" && t.args.get(0) == Some(time.as_bytes()))
}

fn link(path: String) -> String {
    fs::read_link(path).unwrap().to_str().unwrap().to_owned()
}

/// What `/proc` says of a process.
fn by_proc(pid: i64) -> BTreeMap<String, String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let rest: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let mut all = BTreeMap::from([
        ("comm".to_owned(), fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim_end().to_owned()),
        ("parent".to_owned(), rest[1].to_owned()),
        ("session".to_owned(), rest[3].to_owned()),
        ("cwd".to_owned(), link(format!("/proc/{pid}/cwd"))),
        ("exe".to_owned(), link(format!("/proc/{pid}/exe"))),
        ("arguments".to_owned(), fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap()),
        ("environment".to_owned(), fs::read_to_string(format!("/proc/{pid}/environ")).unwrap()),
        ("threads".to_owned(), rest[17].to_owned()),
    ]);
    for fd in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
        let target = fs::read_link(fd.path()).unwrap().to_str().unwrap().to_owned();
        // Others have no path, and names of their own.
        if target.starts_with('/') {
            all.insert(format!("fd {}", fd.file_name().to_str().unwrap()), target);
        }
    }
    all
}

/// What the machine says of it.
fn by_machine(machine: &Machine, thread: &Thread) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let arguments = [&thread.exe, &b"\0"[..], thread.args.as_joined()].concat();
    let cwd = machine.cwd(thread).to_string();
    let mut all = BTreeMap::from([
        ("comm".to_owned(), thread.comm.to_string()),
        ("parent".to_owned(), machine.parent(thread).map_or(0, |p| p.pid).to_string()),
        ("session".to_owned(), thread.sid.to_string()),
        ("cwd".to_owned(), cwd.strip_suffix('/').filter(|c| !c.is_empty()).unwrap_or(&cwd).to_owned()),
        ("exe".to_owned(), thread.executable.path.to_string()),
        ("arguments".to_owned(), text(&arguments)),
        ("environment".to_owned(), text(machine.env(thread).as_joined())),
        ("threads".to_owned(), machine.thread_count(thread).to_string()),
    ]);
    for fd in machine.fds(thread.tid).filter(|fd| fd.name.starts_with(b"/")) {
        all.insert(format!("fd {}", fd.num), fd.name.to_string());
    }
    all
}

/// Numbers of a process' fds: by the machine, and by `/proc`.
fn fds(machine: &Machine, pid: i64) -> (BTreeSet<i64>, BTreeSet<i64>) {
    let theirs = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let theirs = theirs.map(|fd| fd.file_name().to_str().unwrap().parse().unwrap());
    (machine.fds(pid).map(|fd| fd.num).collect(), theirs.collect())
}

/// Where the two differ.
fn differences(machine: &Machine, thread: &Thread) -> Vec<String> {
    let (ours, theirs) = (by_machine(machine, thread), by_proc(thread.pid));
    let mut keys: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter(|key| ours.get(*key) != theirs.get(*key))
        .map(|key| format!("{key} of {}: {:?}, by /proc {:?}", thread.comm, ours.get(key), theirs.get(key)))
        .collect()
}
