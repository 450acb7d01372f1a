//! What is dropped before it is written.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "prefilter/again.rs"]
mod again;
#[path = "prefilter/arguments.rs"]
mod arguments;
#[path = "prefilter/caller.rs"]
mod caller;
#[path = "prefilter/hosts.rs"]
mod hosts;
#[path = "prefilter/names.rs"]
mod names;
#[path = "prefilter/sockets.rs"]
mod sockets;
mod support;

use std::ffi::CString;
use std::process::Command;

use lanner_event::prefilter::{
    Home, Interest, Keep, PathTest, Prefilter, READS, SUCCESS, Sieves, SocketClass, States, WRITES,
};
use lanner_event::{EventBuf, EventType, types as t};
use support::call::{Arg::N, Arg::P, call};
use support::{Watch, text};

const TYPES: [EventType; 4] =
    [t::SYSCALL_OPENAT_2_X, t::SYSCALL_CLOSE_X, t::SYSCALL_FCNTL_X, t::SYSCALL_MUNLOCKALL_X];

/// A probe that can leave opened files untold; says why and gives `None` where the machine has none.
fn watch(types: &[EventType]) -> Option<Watch> {
    let watch = support::watch(types)?;
    if watch.probe.attachment().no_notes.is_some() && !watch.kernel_is(5, 13) {
        eprintln!("skipped: before 5.13 every opened file is told");
        return None;
    }
    assert_eq!(watch.probe.attachment().no_notes, None);
    Some(watch)
}

fn exact(path: &str) -> PathTest {
    PathTest::Exact(path.as_bytes().into())
}

/// A prefilter for opens that matter so, and for what else the state needs of these types.
fn prefilter(opens: Interest) -> Prefilter {
    let mut prefilter = Prefilter::default();
    prefilter.types.insert(t::SYSCALL_OPENAT_2_X, (opens, Keep::Opens));
    prefilter.types.insert(t::SYSCALL_CLOSE_X, (Interest::default(), Keep::Closes));
    prefilter.types.insert(t::SYSCALL_FCNTL_X, (Interest::default(), Keep::FdCommands));
    prefilter
}

fn open(path: &str, flags: i32) -> i64 {
    let path = CString::new(path).unwrap();
    call(libc::SYS_openat, &[N(libc::AT_FDCWD.into()), P(path.as_bytes_with_nul()), N(flags.into()), N(0)])
}

fn close(fd: i64) {
    assert_eq!(call(libc::SYS_close, &[N(fd)]), 0);
}

/// This thread's events up to a call that stands for the end.
fn told(watch: &mut Watch) -> Vec<EventBuf> {
    let tid = support::call::gettid();
    let mut events = told_of_all(watch);
    events.retain(|e| e.event().unwrap().tid == tid);
    events
}

/// All events up to a call of this thread that stands for the end.
fn told_of_all(watch: &mut Watch) -> Vec<EventBuf> {
    call(libc::SYS_munlockall, &[]);
    let tid = support::call::gettid();
    let is_end = |e: &EventBuf| {
        let event = e.event().unwrap();
        event.tid == tid && event.ty() == t::SYSCALL_MUNLOCKALL_X
    };
    let mut events = watch.events_until(|events| events.iter().any(is_end));
    assert!(events.iter().any(is_end), "what was done is told within two seconds");
    events.retain(|e| !is_end(e));
    events
}

fn types_of(events: &[EventBuf]) -> Vec<EventType> {
    events.iter().map(|e| e.event().unwrap().ty()).collect()
}

#[test]
fn files_that_matter_are_told_and_others_are_not() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let readings =
        Interest { whatever: States::NONE, paths: [(exact("/etc/passwd"), States::with(READS))].into() };
    watch.probe.update_prefilter(&prefilter(readings));
    told(&mut watch);
    let opened = t::SYSCALL_OPENAT_2_X;

    // nobody asks for the close: what is told of next under its number says that it is another
    close(open("/etc/passwd", libc::O_RDONLY));
    assert_eq!(types_of(&told(&mut watch)), [opened]);
    close(open("/etc/hostname", libc::O_RDONLY));
    close(open("/dev/null", libc::O_RDWR));
    assert!(open("/etc/passwd/x", libc::O_RDONLY) < 0 && open("/nowhere", libc::O_RDONLY) < 0);
    assert_eq!(call(libc::SYS_close, &[N(-1)]), -9);
    assert_eq!(types_of(&told(&mut watch)), []);

    // what means another file than it says at first sight
    for path in ["/etc/../etc/passwd", "//etc/passwd", "/etc/./passwd", "/proc/self/root/etc//passwd"] {
        close(open(path, libc::O_RDONLY));
        assert_eq!(types_of(&told(&mut watch)), [opened], "{path}");
    }
    // directories are always told, for paths that count from them
    close(open("/etc", libc::O_RDONLY));
    assert_eq!(types_of(&told(&mut watch)), [opened]);
}

#[test]
fn a_child_is_told_once() {
    const BIRTHS: [EventType; 3] = [t::SYSCALL_CLONE_20_X, t::SYSCALL_CLONE3_X, t::SYSCALL_VFORK_20_X];
    let Some(mut watch) = support::watch(&[&BIRTHS[..], &[t::SYSCALL_MUNLOCKALL_X]].concat()) else { return };
    let own = support::call::gettid();
    // of a process that is made, and of one that can't be
    let sides = |watch: &mut Watch| {
        told_of_all(watch);
        let child = i64::from(
            Command::new("true").spawn().and_then(|mut child| child.wait().map(|_| child.id())).unwrap(),
        );
        assert!(call(libc::SYS_clone, &[N(libc::CLONE_SIGHAND.into()), N(0), N(0), N(0), N(0)]) < 0);
        let events = told_of_all(watch);
        let births =
            events.iter().map(|event| event.event().unwrap()).filter(|event| BIRTHS.contains(&event.ty()));
        let births: Vec<_> = births.filter(|event| [own, child].contains(&event.tid)).collect();
        let count = |tid, fits: &dyn Fn(i64) -> bool| {
            births.iter().filter(|event| event.tid == tid && event.i64(0).is_some_and(fits)).count()
        };
        (
            count(child, &|result| result == 0),
            count(own, &|result| result == child),
            count(own, &|result| result < 0),
        )
    };
    assert_eq!(sides(&mut watch), (1, 1, 1));
    watch.probe.update_prefilter(&Prefilter { births_once: true, ..Prefilter::default() });
    assert_eq!(sides(&mut watch), (1, 0, 0));
}

#[test]
fn a_file_is_told_when_it_is_used() {
    let Some(mut watch) = watch(&TYPES) else { return };
    watch.probe.update_prefilter(&prefilter(Interest::default()));
    let hidden = open("/etc/hostname", libc::O_RDONLY | libc::O_CLOEXEC);
    call(libc::SYS_fcntl, &[N(hidden), N(libc::F_GETFD.into())]);
    call(libc::SYS_fcntl, &[N(hidden), N(libc::F_SETFD.into()), N(libc::FD_CLOEXEC.into())]);
    assert_eq!(types_of(&told(&mut watch)), []);

    let copy = call(libc::SYS_fcntl, &[N(hidden), N(libc::F_DUPFD.into()), N(0)]);
    let events = told(&mut watch);
    assert_eq!(types_of(&events), [t::ITER_TASK_FILE_REGULAR_E, t::SYSCALL_FCNTL_X]);
    let file = events[0].event().unwrap();
    assert_eq!(file.u32(0).map(i64::from), Some(hidden));
    assert_eq!(file.text(1), Some(b"/etc/hostname".as_slice()));
    assert!(file.ts <= events[1].event().unwrap().ts);
    // both are known to be a file now, so that neither's close need be told
    close(hidden);
    close(copy);
    assert_eq!(types_of(&told(&mut watch)), []);
}

#[test]
fn what_has_the_number_of_a_closed_directory_is_told_when_it_is_used() {
    let Some(mut watch) = watch(&[&TYPES[..], &[t::SYSCALL_FLOCK_X]].concat()) else { return };
    watch.probe.update_prefilter(&prefilter(Interest::default()));
    let directory = open("/etc", libc::O_RDONLY);
    let copy = call(libc::SYS_fcntl, &[N(directory), N(libc::F_DUPFD.into()), N(700)]);
    assert_eq!(types_of(&told(&mut watch)), [t::SYSCALL_OPENAT_2_X, t::SYSCALL_FCNTL_X]);
    close(copy);
    call(libc::SYS_flock, &[N(copy), N(libc::LOCK_UN.into())]);
    let events = told(&mut watch);
    assert_eq!(types_of(&events), [t::ITER_TASK_FILE_REGULAR_E, t::SYSCALL_FLOCK_X]);
    let nothing = events[0].event().unwrap();
    assert_eq!((nothing.u32(0).map(i64::from), nothing.text(1)), (Some(copy), None));
    close(directory);
}

/// The fd of a file that nobody was told of.
fn hidden_file(watch: &mut Watch) -> i64 {
    told(watch);
    // while another test begins a thread, the fd table is taken for one that processes share
    let opened = std::iter::repeat_with(|| (open("/etc/hostname", libc::O_RDONLY), told(watch)));
    opened.take(100).find(|(_, events)| events.is_empty()).unwrap().0
}

/// What is told of a file that an fd is copied of.
fn file_told(events: &[EventBuf]) -> Option<(i64, String)> {
    let file = events.iter().map(|e| e.event().unwrap()).find(|e| e.ty() == t::ITER_TASK_FILE_REGULAR_E)?;
    Some((file.u32(0)?.into(), String::from_utf8_lossy(file.text(1)?).into_owned()))
}

#[test]
fn pipes_between_change_nothing() {
    let Some(mut watch) = watch(
        &[&TYPES[..], &[t::SYSCALL_PIPE2_X, t::SOCKET_SOCKETPAIR_X, t::SYSCALL_CLOSE_RANGE_X]].concat(),
    ) else {
        return;
    };
    watch.probe.update_prefilter(&prefilter(Interest::default()));
    let hidden = hidden_file(&mut watch);
    let mut pair = [0; 8];
    call(libc::SYS_pipe2, &[P(&pair), N(0)]);
    call(libc::SYS_socketpair, &[N(libc::AF_UNIX.into()), N(libc::SOCK_STREAM.into()), N(0), P(&pair)]);
    call(libc::SYS_close_range, &[N(i64::from(u32::MAX) - 1), N(u32::MAX.into()), N(0)]);
    pair.fill(0);
    told(&mut watch);
    call(libc::SYS_fcntl, &[N(hidden), N(libc::F_DUPFD.into()), N(0)]);
    assert_eq!(file_told(&told(&mut watch)), Some((hidden, "/etc/hostname".into())));
}

#[test]
fn a_thread_that_leaves_the_fd_table_takes_what_is_hidden_along() {
    let Some(mut watch) = watch(&TYPES) else { return };
    watch.probe.update_prefilter(&prefilter(Interest::default()));
    let hidden = hidden_file(&mut watch);
    let alone = move || {
        assert_eq!(call(libc::SYS_unshare, &[N(libc::CLONE_FILES.into())]), 0);
        told(&mut watch);
        call(libc::SYS_fcntl, &[N(hidden), N(libc::F_DUPFD.into()), N(0)]);
        let first = file_told(&told(&mut watch));
        // it is told once
        call(libc::SYS_fcntl, &[N(hidden), N(libc::F_DUPFD.into()), N(0)]);
        (first, file_told(&told(&mut watch)))
    };
    let expected = Some((hidden, "/etc/hostname".to_string()));
    assert_eq!(std::thread::spawn(alone).join().unwrap(), (expected, None));
}

#[test]
fn another_thread_of_the_process_may_close_it() {
    let Some(mut watch) = watch(&TYPES) else { return };
    watch.probe.update_prefilter(&prefilter(Interest::default()));
    let hidden = open("/etc/hostname", libc::O_RDONLY);
    let closing = move || {
        close(hidden);
        support::call::gettid()
    };
    let closer = std::thread::spawn(closing).join().unwrap();
    call(libc::SYS_munlockall, &[]);
    let own = support::call::gettid();
    let is_end = |e: &EventBuf| {
        let event = e.event().unwrap();
        event.tid == own && event.ty() == t::SYSCALL_MUNLOCKALL_X
    };
    let events = watch.events_until(|events| events.iter().any(is_end));
    let told = events.iter().filter(|e| [own, closer].contains(&e.event().unwrap().tid) && !is_end(e));
    assert_eq!(types_of(&told.cloned().collect::<Vec<_>>()), []);
    assert_eq!(watch.probe.lost().total(), 0);
}

#[test]
fn the_kernel_decides_as_the_tables_say() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let name = names::own();
    let another = b"another".as_slice();
    for (asked, excepted) in [(another, another), (&name, another), (&name, &name), (another, &name)] {
        the_kernel_decides(&mut watch, asked, excepted, &name);
    }
}

/// Compares what is told of calls by this thread, which has a name, with what the tables say if rules ask for one name and
/// except one.
fn the_kernel_decides(watch: &mut Watch, asked: &[u8], excepted: &[u8], name: &[u8]) {
    let bytes = |text: &str| Box::<[u8]>::from(text.as_bytes());
    let failed = States::without(SUCCESS);
    let mut tests: Vec<(PathTest, States)> = vec![
        (exact("/no/such/file"), States::with(READS)),
        (exact("/no/such/longer/name/of/a/file/that/fills/words"), failed),
        (PathTest::Suffix(bytes(".pem")), States::with(WRITES)),
        (PathTest::Suffix(bytes("_history")), failed),
        (PathTest::Suffix(bytes("x")), States::with(WRITES)),
        (PathTest::Holds(*b"key_"), failed),
        (PathTest::TopLevel, States::with(WRITES).and(States::with(READS))),
    ];
    for start in ["/non", "/nowhere", "/nowhere/sub", "/nowhere/sub/dir/", "/nowhere/sub/dir/and/one"] {
        tests.push((PathTest::prefix(start.as_bytes()).unwrap(), States::with(WRITES)));
    }
    // of others some of it, and something that is asked of no one else
    let every = |step: usize| Interest {
        whatever: States::NONE,
        paths: tests.iter().step_by(step).cloned().chain([(exact("/no/such"), States::ALL)]).collect(),
    };
    let [others, of_excepted] = [every(2), every(3)];
    let mut prefilter = prefilter(Interest { whatever: States::NONE, paths: tests.into_iter().collect() });
    prefilter.names.insert(asked.into());
    prefilter.excepted.insert(t::SYSCALL_OPENAT_2_X, [excepted.into()].into());
    let whoever = prefilter.types[&t::SYSCALL_OPENAT_2_X].0.clone();
    let less = [&others, &of_excepted, &whoever, &others, &of_excepted].map(Interest::clone);
    prefilter.callers.insert(t::SYSCALL_OPENAT_2_X, less);
    watch.probe.update_prefilter(&prefilter);
    told(watch);
    let sieves = Sieves::new(&prefilter);
    let parts = [
        "/no", "/such", "/file", "/nowhere", "/sub", "/dir", "/and", "/one", "/a.pem", "/key_1", "/.x",
        "/..y",
    ];
    let odd =
        ["/.", "/..", "/", "//", "/_history", "", "relative", "/longer/name/of/a/file/that/fills/words"];
    let mut seed = 7u64;
    let mut next = |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % n
    };
    let mut let_through = 0;
    for round in 0..1000 {
        let mut path = String::new();
        for _ in 0..=next(if round % 50 == 0 { 40 } else { 5 }) {
            path.push_str(if next(6) == 0 { odd[next(odd.len())] } else { parts[next(parts.len())] });
        }
        if round % 5 == 0 {
            path = format!("/no/such{}", &path);
        }
        let flags = [libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR][next(3)];
        let result = open(&path, flags);
        if result >= 0 {
            close(result);
            told(watch);
            continue;
        }
        let events = told(watch);
        let terminated = [path.as_bytes(), b"\0"].concat();
        let raw = u32::from(flags != libc::O_WRONLY) | u32::from(flags != libc::O_RDONLY) << 1;
        let params: [&[u8]; 7] = [
            &result.to_ne_bytes(),
            &(-100i64).to_ne_bytes(),
            &terminated,
            &raw.to_ne_bytes(),
            &0u32.to_ne_bytes(),
            &0u32.to_ne_bytes(),
            &0u64.to_ne_bytes(),
        ];
        let event = EventBuf::new(1, 1, 0, t::SYSCALL_OPENAT_2_X, &params).unwrap();
        let expected = sieves.may_matter(&event.event().unwrap(), SocketClass::Unknown, name, Home::Unknown);
        assert_eq!(!events.is_empty(), expected, "{path:?} {flags}");
        if let Some(event) = events.first() {
            // older kernels read nothing from an empty text
            assert_eq!(text(&event.event().unwrap(), "name").unwrap_or_default(), path);
            let_through += 1;
        }
    }
    assert!((50..900).contains(&let_through), "{let_through}");
}

#[test]
fn children_and_new_programs_keep_what_is_hidden() {
    // some architectures have no dup2
    let types = [t::SYSCALL_OPENAT_2_X, t::SYSCALL_DUP2_X, t::SYSCALL_DUP3_X, t::SYSCALL_MUNLOCKALL_X];
    let Some(mut watch) = watch(&types) else { return };
    watch.probe.update_prefilter(&prefilter(Interest::default()));
    let hidden = hidden_file(&mut watch);
    // some shells that are called sh take fds of one digit only, and to copy an fd to itself they have nothing to do
    let to = if hidden == 8 { 9 } else { 8 };
    let copy = |shell| Command::new(shell).arg("-c").arg(format!("exec {to}<&{hidden}")).spawn();
    let child = copy("bash").or_else(|_| copy("sh")).unwrap();
    let pid = i64::from(child.id());
    assert!(child.wait_with_output().unwrap().status.success());
    let is_told = |e: &EventBuf| {
        let event = e.event().unwrap();
        event.tid == pid && event.ty() == t::ITER_TASK_FILE_REGULAR_E
    };
    let events = watch.events_until(|events| events.iter().any(is_told));
    let file = events
        .iter()
        .find(|e| is_told(e))
        .unwrap_or_else(|| panic!("{hidden} is told when a child copies it"));
    assert_eq!(file.event().unwrap().text(1), Some(b"/etc/hostname".as_slice()));
}

#[test]
fn where_a_file_lies_is_told_whether_it_was_asked_for_there_or_not() {
    let options = lanner_probe::ProbeOptions {
        events: TYPES.into_iter().collect(),
        include_self: true,
        resolved: true,
        ..Default::default()
    };
    let Some(mut watch) = support::open(options) else { return };
    let place = std::path::PathBuf::from(format!("/tmp/lanner-lies-{}", std::process::id()));
    let deep = place.join("d/e/e/p/e/r/t/h/a/n/s/i/x/t/e/e/n");
    let long = format!("a_name_of_more_than_{}", "thirty-two_bytes".repeat(2));
    std::fs::create_dir_all(&deep).unwrap();
    for file in ["file", "file-with-a-name-of-32-bytes----", "x", &long, "d/file"] {
        std::fs::write(place.join(file), "").unwrap();
    }
    std::fs::write(deep.join("file"), "").unwrap();
    std::os::unix::fs::symlink("d", place.join("e")).unwrap();
    std::os::unix::fs::symlink("file", place.join("f")).unwrap();
    let paths = [
        "file",
        "file-with-a-name-of-32-bytes----",
        "x",
        &long,
        "d/file",
        "d/e/e/p/e/r/t/h/a/n/s/i/x/t/e/e/n/file",
        // where one and the other have names of one length, or one is the other's end
        "e/file",
        "f",
        "d/../file",
        "./file",
        "d//file",
    ];
    let asked: Vec<String> = paths.iter().map(|path| place.join(path).display().to_string()).collect();
    let asked: Vec<String> = asked.into_iter().chain(["/proc/self/root/etc/passwd".into()]).collect();
    let tests = asked.iter().map(|path| (exact(path), States::ALL)).collect();
    watch.probe.update_prefilter(&prefilter(Interest { whatever: States::NONE, paths: tests }));
    told(&mut watch);
    for path in &asked {
        close(open(path, libc::O_RDONLY));
        let events = told(&mut watch);
        let event = events[0].event().unwrap();
        let resolved = std::fs::canonicalize(path).unwrap();
        let said = event.resolved_path().map(String::from_utf8_lossy);
        assert_eq!(said.as_deref(), resolved.to_str(), "{path}");
        assert_eq!(text(&event, "name").as_ref(), Some(path));
    }
    std::fs::remove_dir_all(place).unwrap();
}
