//! What the machine makes of live events is what `/proc` says of the same processes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lanner_event::{EVENTS, EventFlag};
use lanner_machine::{Machine, Thread};
use lanner_probe::{EventSet, Probe, ProbeOptions, SnapshotSource};

/// A probe of all that changes state; none where this machine doesn't allow one.
fn probe(source: SnapshotSource) -> Option<Probe> {
    let current = |e: &&lanner_event::EventInfo| !e.has(EventFlag::OldVersion) && !e.has(EventFlag::Unused);
    let events: EventSet =
        EVENTS.iter().filter(current).filter(|e| e.has(EventFlag::ModifiesState)).map(|e| e.code).collect();
    match Probe::open(ProbeOptions {
        events,
        include_self: true,
        snapshot_from: Some(source),
        ..ProbeOptions::default()
    }) {
        Ok(probe) => Some(probe),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn shell(script: &str) -> Child {
    let mut sh = Command::new("/bin/sh");
    // Of a long environment only the first pages are told.
    sh.args(["-c", script]).env_clear().env("PATH", "/usr/bin:/bin");
    sh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
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

#[test]
fn the_state_of_processes_is_what_proc_says() {
    // One after the other: each counts the sleeping programs of the whole host.
    compare(SnapshotSource::Iterators);
    compare(SnapshotSource::Proc);
}

const SETTLING: Duration = Duration::from_secs(1);

fn compare(source: SnapshotSource) {
    let Some(mut probe) = probe(source) else { return };
    let early = shell("cd /usr; exec 5</etc/hostname; A=early exec sleep 60.731");
    std::thread::sleep(Duration::from_millis(300));
    let mut machine = Machine::default();
    probe
        .snapshot(&mut |event| {
            machine.apply(event);
        })
        .unwrap();
    let plain = shell("cd /usr/./lib; exec 6<../../etc/hostname 7<&6; B=plain exec sleep 61.731");
    let nested = shell("cd /; (cd /tmp && exec sleep 62.731) & exec 8>>/dev/null; wait");
    let mut children = [early, plain, nested];
    let sleeps = |machine: &Machine| {
        machine
            .threads()
            .filter(|t| t.args.get(0).is_some_and(|a| a.ends_with(b".731")) && &*t.comm == b"sleep")
            .count()
    };
    let patience = Instant::now() + Duration::from_secs(20);
    let mut settled = None;
    // Three programs run as `sleep`, and then have a second to load their libraries and to sleep: what is still
    // to come of that comes within it, however busy the host is.
    while settled.is_none_or(|since: Instant| since.elapsed() < SETTLING) && Instant::now() < patience {
        if settled.is_none() && sleeps(&machine) == 3 {
            settled = Some(Instant::now());
        }
        probe
            .poll(Duration::from_millis(100), &mut |event| {
                machine.apply(event);
            })
            .unwrap();
    }
    // The last event may have closed an fd, which goes only with the next event: one of this test's own.
    fs::read("/etc/hostname").unwrap();
    let mut own = false;
    while !own && Instant::now() < patience {
        probe
            .poll(Duration::from_millis(100), &mut |event| {
                own |= event.tid == nix::unistd::gettid().as_raw().into();
                machine.apply(event);
            })
            .unwrap();
    }
    let ours = |thread: &&Thread| {
        let of = |pid: i64| children.iter().any(|c| i64::from(c.id()) == pid);
        thread.is_main() && (of(thread.pid) || of(thread.ptid))
    };
    let threads: Vec<_> = machine.threads().filter(ours).collect();
    let mut differences = Vec::new();
    for thread in &threads {
        let (ours, theirs) = (by_machine(&machine, thread), by_proc(thread.pid));
        for key in ours.keys().chain(theirs.keys()).filter(|key| ours.get(*key) != theirs.get(*key)) {
            differences.push(format!(
                "{key} of {}: {:?}, by /proc {:?}",
                thread.comm,
                ours.get(key),
                theirs.get(key)
            ));
        }
    }
    let nested = threads.iter().find(|t| i64::from(children[2].id()) == t.ptid).map(|t| t.pid);
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    if let Some(pid) = nested {
        Command::new("/bin/kill").arg(pid.to_string()).status().unwrap();
    }
    assert_eq!(threads.len(), 4, "three shells' programs and one's child");
    assert!(differences.is_empty(), "{source:?}: {differences:#?}");
}
