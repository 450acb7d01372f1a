//! Processes that begin, execute and end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};

use lanner_event::{Event, EventBuf, types as t};
use support::call::{Arg::N, Arg::P, call};
use support::{bytes, flag, number, text, texts, watch};

const TYPES: [lanner_event::EventType; 7] = [
    t::SYSCALL_CLONE_20_X,
    t::SYSCALL_CLONE3_X,
    t::SYSCALL_VFORK_20_X,
    t::SYSCALL_FORK_20_X,
    t::SYSCALL_EXECVE_19_X,
    t::SYSCALL_EXECVEAT_X,
    t::PROCEXIT_1_E,
];

/// The first event of a type and a thread.
fn find<'a>(events: &'a [EventBuf], ty: lanner_event::EventType, tid: i64) -> Event<'a> {
    let found = events.iter().map(|e| e.event().unwrap()).find(|e| e.ty() == ty && e.tid == tid);
    found.unwrap_or_else(|| panic!("no {} of {tid}", ty.info().unwrap().symbol))
}

/// The child's side of a thread's beginning.
fn beginning(events: &[EventBuf], tid: i64) -> Event<'_> {
    let mut all = events.iter().map(|e| e.event().unwrap());
    let found = all.find(|e| TYPES[..4].contains(&e.ty()) && e.tid == tid && number(e, "res") == Some(0));
    found.unwrap_or_else(|| panic!("no beginning of {tid}"))
}

/// Everything until a process has ended.
fn until_end(watch: &mut support::Watch, pid: i64) -> Vec<EventBuf> {
    watch.events_until(|events| {
        events.iter().map(|e| e.event().unwrap()).any(|e| e.ty() == t::PROCEXIT_1_E && e.tid == pid)
    })
}

#[test]
fn a_program_is_run() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let mut command = Command::new("/bin/true");
    command
        .args(["one", "two words", ""])
        .env_clear()
        .env("LANNER", "probe")
        .env("OTHER", "1")
        .current_dir("/usr/lib");
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    let pid = i64::from(child.id());
    child.wait().unwrap();
    let own = support::call::gettid();
    // The parent's call may end on another CPU after the child has.
    let parents_side = |e: &Event<'_>| e.tid == own && number(e, "res") == Some(pid);
    let events = watch.events_until(|events| {
        let seen = |wanted: &dyn Fn(&Event<'_>) -> bool| events.iter().any(|e| wanted(&e.event().unwrap()));
        seen(&|e| e.ty() == t::PROCEXIT_1_E && e.tid == pid) && seen(&parents_side)
    });

    let begun = beginning(&events, pid);
    assert_eq!(number(&begun, "res"), Some(0));
    assert_eq!(number(&begun, "tid"), Some(pid));
    assert_eq!(number(&begun, "pid"), Some(pid));
    assert_eq!(number(&begun, "ptid"), Some(own));
    assert_eq!(number(&begun, "vpid"), Some(pid));
    let parent = events.iter().map(|e| e.event().unwrap()).find(parents_side).expect("the parent's side");
    assert!(parent.ts > begun.ts);
    // before 5.15 the child's side can't tell by which call it was made
    if watch.kernel_is(5, 15) {
        assert_eq!(parent.ty(), begun.ty());
    }

    let run = find(&events, t::SYSCALL_EXECVE_19_X, pid);
    assert!(run.ts > begun.ts);
    assert_eq!(number(&run, "res"), Some(0));
    assert_eq!(text(&run, "exe").as_deref(), Some("/bin/true"));
    assert_eq!(texts(&run, "args"), ["one", "two words", ""]);
    assert_eq!(texts(&run, "env"), ["LANNER=probe", "OTHER=1"]);
    assert_eq!(text(&run, "cwd").as_deref(), Some("/usr/lib"));
    assert_eq!(text(&run, "comm").as_deref(), Some("true"));
    assert_eq!(text(&run, "filename").as_deref(), Some("/bin/true"));
    let real = std::fs::canonicalize("/bin/true").unwrap();
    assert_eq!(text(&run, "trusted_exepath"), Some(real.to_string_lossy().into_owned()));
    let meta = std::fs::metadata(&real).unwrap();
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(number(&run, "exe_ino"), Some(meta.ino() as i64));
    assert_eq!(number(&run, "exe_ino_mtime"), Some(meta.mtime() * 1_000_000_000 + meta.mtime_nsec()));
    assert_eq!(number(&run, "exe_ino_ctime"), Some(meta.ctime() * 1_000_000_000 + meta.ctime_nsec()));
    assert_eq!(number(&run, "uid"), Some(0));
    assert_ne!(number(&run, "cap_effective"), Some(0));
    assert_eq!(number(&run, "vpgid"), number(&run, "pgid"));
    // kilobytes of one small program; since 6.2 the kernel's counters lag behind by some pages per CPU
    assert!((100..100_000).contains(&number(&run, "vm_size").unwrap()), "{:?}", number(&run, "vm_size"));
    assert!((0..100_000).contains(&number(&run, "vm_rss").unwrap()), "{:?}", number(&run, "vm_rss"));
    let groups = texts(&run, "cgroups");
    assert!(groups.iter().any(|g| g.starts_with("memory=/")), "{groups:?}");

    let ended = find(&events, t::PROCEXIT_1_E, pid);
    assert_eq!((number(&ended, "ret"), number(&ended, "sig")), (Some(0), Some(0)));
}

#[test]
fn cgroups_are_those_that_proc_shows() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let mut child = Command::new("/bin/true").spawn().unwrap();
    let pid = i64::from(child.id());
    let shown = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    child.wait().unwrap();
    let events = until_end(&mut watch, pid);
    let groups = texts(&find(&events, t::SYSCALL_EXECVE_19_X, pid), "cgroups");
    for group in groups {
        let (subsystem, path) = group.split_once('=').unwrap();
        let listed = shown.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (names, path) = rest.split_once(':')?;
            names.split(',').any(|n| n == subsystem || (n == "blkio" && subsystem == "io")).then_some(path)
        });
        let unified = shown.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
        assert_eq!(path, listed.unwrap_or(unified), "{subsystem} in {shown}");
    }
}

#[test]
fn a_program_that_is_not_there() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let mut command = Command::new("/nonexistent/lanner");
    command.arg0("zero").args(["one", "two"]).env_clear().env("A", "b");
    command.spawn().unwrap_err();
    let is_own = |e: &Event<'_>| {
        e.ty() == t::SYSCALL_EXECVE_19_X && text(e, "filename").as_deref() == Some("/nonexistent/lanner")
    };
    let events = watch.events_until(|events| events.iter().any(|e| is_own(&e.event().unwrap())));
    let event = events.iter().map(|e| e.event().unwrap()).find(is_own).expect("the failed call");
    assert_eq!(number(&event, "res"), Some(-2));
    assert_eq!(text(&event, "exe").as_deref(), Some("zero"));
    assert_eq!(texts(&event, "args"), ["one", "two"]);
    assert_eq!(texts(&event, "env"), ["A=b"]);
}

#[test]
fn long_arguments_are_cut_but_end_with_a_nul() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let long = "x".repeat(10_000);
    let mut child = Command::new("/bin/true").args([&long, &long]).env("LONG", &long).spawn().unwrap();
    let pid = i64::from(child.id());
    child.wait().unwrap();
    let events = until_end(&mut watch, pid);
    let event = find(&events, t::SYSCALL_EXECVE_19_X, pid);
    let (exe, args, env) = (bytes(&event, "exe"), bytes(&event, "args"), bytes(&event, "env"));
    assert_eq!(exe.len() + args.len(), 4096);
    assert_eq!(env.len(), 4096);
    assert!(args.ends_with(b"x\0") && env.ends_with(b"\0"));
}

#[test]
fn a_killed_process_and_its_signal() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let mut child = Command::new("/bin/sleep").arg("100").spawn().unwrap();
    let pid = i64::from(child.id());
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    let events = until_end(&mut watch, pid);
    let event = find(&events, t::PROCEXIT_1_E, pid);
    assert_eq!((number(&event, "sig"), number(&event, "ret")), (Some(9), Some(0)));
}

#[test]
fn orphans_go_to_a_reaper() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let mut child =
        Command::new("/bin/sh").args(["-c", "sleep 0.2 & exit 3"]).stdout(Stdio::null()).spawn().unwrap();
    let pid = i64::from(child.id());
    child.wait().unwrap();
    let events = until_end(&mut watch, pid);
    let event = find(&events, t::PROCEXIT_1_E, pid);
    assert_eq!(number(&event, "ret"), Some(3));
    assert!(number(&event, "reaper_tid").unwrap() > 0, "{:?}", number(&event, "reaper_tid"));
}

#[test]
fn a_thread_shares_what_threads_share() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let tid = std::thread::spawn(support::call::gettid).join().unwrap();
    let events = until_end(&mut watch, tid);
    let begun = beginning(&events, tid);
    let name = |name| flag(t::SYSCALL_CLONE_20_X, "flags", name);
    let shared = name("CLONE_THREAD")
        | name("CLONE_VM")
        | name("CLONE_FILES")
        | name("CLONE_FS")
        | name("CLONE_SIGHAND");
    assert_eq!(number(&begun, "flags").unwrap() & shared, shared);
    assert_eq!(number(&begun, "pid"), Some(i64::from(std::process::id())));
}

#[test]
fn a_new_pid_namespace_is_told() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let status = Command::new("unshare").args(["--pid", "--fork", "--net", "/bin/true"]).status();
    if !status.is_ok_and(|s| s.success()) {
        eprintln!("skipped: no new namespaces here");
        return;
    }
    let inner = |e: &Event<'_>| TYPES[..4].contains(&e.ty()) && number(e, "vpid") == Some(1);
    let events = watch.events_until(|events| events.iter().any(|e| inner(&e.event().unwrap())));
    let event = events.iter().map(|e| e.event().unwrap()).find(inner).expect("a first process");
    assert_ne!(
        number(&event, "flags").unwrap() & flag(t::SYSCALL_CLONE_20_X, "flags", "CLONE_CHILD_IN_PIDNS"),
        0
    );
    assert_ne!(number(&event, "pidns_init_start_ts"), Some(0));
}

#[test]
fn a_program_that_lives_in_memory_alone() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let memfd = call(libc::SYS_memfd_create, &[P(b"lanner-hidden\0"), N(1)]);
    let path = format!("/proc/{}/fd/{memfd}", std::process::id());
    std::fs::write(&path, std::fs::read("/bin/true").unwrap()).unwrap();
    let mut child = Command::new(&path).spawn().unwrap();
    let pid = i64::from(child.id());
    child.wait().unwrap();
    let events = until_end(&mut watch, pid);
    let run = find(&events, t::SYSCALL_EXECVE_19_X, pid);
    let memory = flag(t::SYSCALL_EXECVE_19_X, "flags", "EXE_FROM_MEMFD");
    assert_eq!(number(&run, "flags").unwrap() & memory, memory);
    assert_eq!(text(&run, "trusted_exepath").as_deref(), Some("memfd:lanner-hidden"));
    assert_eq!(text(&run, "filename"), Some(path));
}

#[test]
fn layers_of_an_overlay() {
    let Some(mut watch) = watch(&[&TYPES[..], &[t::SYSCALL_OPENAT_2_X]].concat()) else { return };
    let home = format!("/tmp/lanner-overlay-{}", std::process::id());
    let script = format!(
        "mkdir -p {home} && mount -t tmpfs none {home} && cd {home} && mkdir lower upper work merged && \
         cp /bin/true lower/old && mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged && \
         cp /bin/true merged/new && merged/old && merged/new && cat merged/old merged/new > /dev/null"
    );
    let status = Command::new("unshare").args(["--mount", "sh", "-c", &script]).status();
    let _ = std::fs::remove_dir(&home);
    if !status.is_ok_and(|s| s.success()) {
        eprintln!("skipped: no overlay file system here");
        return;
    }
    let last =
        |e: &Event<'_>| e.ty() == t::SYSCALL_OPENAT_2_X && text(e, "name").as_deref() == Some("merged/new");
    let events = watch.events_until(|events| events.iter().filter(|e| last(&e.event().unwrap())).count() > 1);
    let events: Vec<Event<'_>> = events.iter().map(|e| e.event().unwrap()).collect();
    let run = |name: &str| {
        let found = events.iter().find(|e| {
            e.ty() == t::SYSCALL_EXECVE_19_X
                && text(e, "filename").as_deref() == Some(name)
                && number(e, "res") == Some(0)
        });
        number(found.expect(name), "flags").unwrap()
    };
    let exe = |name| flag(t::SYSCALL_EXECVE_19_X, "flags", name);
    let layers = exe("EXE_UPPER_LAYER") | exe("EXE_LOWER_LAYER");
    assert_eq!(run("merged/old") & layers, exe("EXE_LOWER_LAYER"));
    assert_eq!(run("merged/new") & layers, exe("EXE_UPPER_LAYER"));
    let opened = |name: &str| {
        let found = events
            .iter()
            .rev()
            .find(|e| e.ty() == t::SYSCALL_OPENAT_2_X && text(e, "name").as_deref() == Some(name));
        number(found.expect(name), "flags").unwrap()
    };
    let fd = |name| flag(t::SYSCALL_OPENAT_2_X, "flags", name);
    let layers = fd("FD_UPPER_LAYER") | fd("FD_LOWER_LAYER");
    assert_eq!(opened("merged/old") & layers, fd("FD_LOWER_LAYER"));
    assert_eq!(opened("merged/new") & layers, fd("FD_UPPER_LAYER"));
}
