//! After a storm of processes, opens and connections the state is what `/proc` says, and what was lost is counted.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lanner_event::{Event, EventInfo, EventType, types};
use lanner_machine::Machine;
use lanner_probe::{Lost, SnapshotSource};

use crate::{Host, differences, fds};

const SHORT_PROCESSES: u64 = 20_000;
/// One in so many of them runs a program.
const RUNS: u64 = 40;
/// Of a tree in which each process has two children: 511 at once.
const GENERATIONS: u32 = 8;
const OPENS: u64 = 150_000;
const CONNECTIONS: u64 = 5_000;

/// Set for the process of this test that is the storm: the file that it opens.
const ACT: &str = "LANNER_TEST_STORM";

const TEST: &str = "storm::after_a_storm_the_state_is_right_and_what_was_lost_is_counted";

/// A child that does something and exits; its id. Every process here has one thread that matters, and its children
/// do without what others may have held.
fn child(act: impl FnOnce()) -> i32 {
    // SAFETY: the child makes system calls only, and exits without unwinding.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            act();
            libc::_exit(0);
        }
        assert!(pid > 0, "fork: {}", std::io::Error::last_os_error());
        pid
    }
}

fn wait_for(pid: i32) {
    let mut status = 0;
    // SAFETY: the status is a valid place for the answer.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0);
}

fn tree(generations: u32) {
    let children = [(); 2].map(|()| {
        child(|| {
            if generations > 1 {
                tree(generations - 1)
            }
        })
    });
    children.into_iter().for_each(wait_for);
}

fn short_processes() {
    for n in 0..SHORT_PROCESSES {
        wait_for(child(|| {
            if n % RUNS == 0 {
                let args = [c"/bin/true".as_ptr(), std::ptr::null()];
                // SAFETY: the lists end with a null pointer; a program that can't be run is an exit code below.
                unsafe {
                    libc::execve(args[0], args.as_ptr(), args[1..].as_ptr());
                    libc::_exit(1);
                }
            }
        }));
    }
}

fn opens(path: &str) {
    let path = std::ffi::CString::new(path).unwrap();
    for _ in 0..OPENS {
        // SAFETY: the path ends with its NUL, and the fd is closed by nobody else.
        unsafe {
            let fd = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            assert!(fd >= 0 && libc::close(fd) == 0);
        }
    }
}

fn connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..CONNECTIONS {
        let _client = TcpStream::connect(address).unwrap();
        listener.accept().unwrap();
    }
}

/// The storm: says who does what, and in the end keeps some files, sockets, a thread and a child, and waits.
fn storm(path: &str) -> ! {
    let workers = [
        child(|| opens(path)),
        child(|| opens(path)),
        child(connections),
        child(|| {
            short_processes();
            tree(GENERATIONS);
        }),
    ];
    println!("connecting {}", workers[2]);
    println!("parent {}", workers[3]);
    workers.into_iter().for_each(wait_for);
    let _files: Vec<File> = (0..40).map(|_| File::open(path).unwrap()).collect();
    let closed: Vec<File> = (0..40).map(|_| File::open("/etc/hostname").unwrap()).collect();
    drop(closed);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _ends = (TcpStream::connect(listener.local_addr().unwrap()).unwrap(), listener.accept().unwrap());
    std::thread::spawn(|| std::thread::sleep(Duration::MAX));
    // SAFETY: pause only waits.
    let kept = child(|| unsafe {
        libc::pause();
    });
    println!("kept {kept}");
    loop {
        std::thread::sleep(Duration::MAX);
    }
}

/// What was told of the storm.
#[derive(Default)]
struct Told {
    opens: u64,
    connections: u64,
    begun: u64,
}

impl Told {
    fn count(&mut self, event: &Event<'_>, file: &str, connecting: i64, parent: i64) {
        match event.ty() {
            types::SYSCALL_OPENAT_2_X => self.opens += u64::from(event.text(2) == Some(file.as_bytes())),
            types::SOCKET_CONNECT_X => self.connections += u64::from(event.tid == connecting),
            // the child's side, which names its parent
            types::SYSCALL_CLONE_20_X | types::SYSCALL_CLONE3_X | types::SYSCALL_FORK_20_X => {
                let child = event.i64(0) == Some(0) && event.i64(5) == Some(parent);
                self.begun += u64::from(child);
            }
            _ => {}
        }
    }
}

fn lost_of(lost: &Lost, ty: EventType) -> u64 {
    lost.by_type.iter().filter(|((of, _), _)| *of == ty).map(|(_, n)| n).sum()
}

/// Threads that are in one list and not in the other, of those that are neither new nor about to end: those that are
/// still missing when all is looked at again.
fn astray(host: &mut Host) -> (BTreeSet<i64>, BTreeSet<i64>) {
    let mut found: Option<(BTreeSet<i64>, BTreeSet<i64>)> = None;
    for _ in 0..3 {
        host.follow(|_| false, |_| true);
        let ours = threads_of_machine(&host.machine);
        let theirs = threads_of_proc();
        let (more, less) = (&ours - &theirs, &theirs - &ours);
        found = Some(match found {
            None => (more, less),
            Some(before) => (&before.0 & &more, &before.1 & &less),
        });
    }
    found.unwrap()
}

/// What the machine says of a thread, for people.
fn described(machine: &Machine, tid: i64) -> String {
    let thread = machine.thread(tid);
    thread.map_or_else(
        || tid.to_string(),
        |t| format!("{tid} of {} ({}), child of {}, from {}", t.pid, t.comm, t.ptid, t.clone_ts),
    )
}

fn threads_of_machine(machine: &Machine) -> BTreeSet<i64> {
    machine.threads().filter(|t| !t.is_unknown()).map(|t| t.tid).collect()
}

fn threads_of_proc() -> BTreeSet<i64> {
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<i64>().ok();
    let entries = |path: String| fs::read_dir(path).into_iter().flatten().flatten();
    let processes = entries("/proc".to_owned()).filter_map(number);
    // kernel threads have no program
    let programs = processes.filter(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok());
    programs.flat_map(|pid| entries(format!("/proc/{pid}/task")).filter_map(number)).collect()
}

#[test]
fn after_a_storm_the_state_is_right_and_what_was_lost_is_counted() {
    if let Some(path) = std::env::var_os(ACT) {
        storm(path.to_str().unwrap());
    }
    let Some(mut host) = Host::attach_with(SnapshotSource::Iterators, 64 << 20) else { return };
    host.snapshot();
    let file = format!("/tmp/lanner-storm-{}", std::process::id());
    fs::write(&file, "").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", TEST, "--nocapture"]).env_clear().env("PATH", "/usr/bin:/bin").env(ACT, &file);
    let begun = Instant::now();
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut said = move |what: &str| -> i64 {
        lines.find_map(|line| line.split_once(what)?.1.trim().parse().ok()).expect(what)
    };
    let (connecting, parent) = (said("connecting"), said("parent"));
    let ready = Arc::new(AtomicBool::new(false));
    let waiting = std::thread::spawn({
        let ready = Arc::clone(&ready);
        move || {
            let kept = said("kept");
            ready.store(true, Ordering::Relaxed);
            kept
        }
    });
    let told = RefCell::new(Told::default());
    let count = |event: &Event<'_>| {
        told.borrow_mut().count(event, &file, connecting, parent);
        false
    };
    host.follow_for(Duration::from_secs(300), count, |_| ready.load(Ordering::Relaxed));
    let kept = waiting.join().unwrap();
    let pids = [i64::from(process.id()), kept];
    let (more, less) = astray(&mut host);
    let more: Vec<String> = more.iter().map(|&tid| described(&host.machine, tid)).collect();
    let mut wrong = Vec::new();
    for pid in pids {
        let thread = host.machine.thread(pid).unwrap();
        wrong.extend(differences(&host.machine, thread));
        let (ours, theirs) = fds(&host.machine, pid);
        if ours != theirs {
            wrong.push(format!("fds of {pid}: {ours:?}, by /proc {theirs:?}"));
        }
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(kept as i32), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    fs::remove_file(&file).unwrap();
    let (told, lost) = (told.into_inner(), host.probe.lost());
    println!("a storm of {:?}; lost: {lost:?}", begun.elapsed());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(more.is_empty() && less.is_empty(), "ended: {more:?}, unknown: {less:?}");
    // nothing is missing that isn't counted as lost; of processes nothing is missing
    let connections = told.connections + lost_of(&lost, types::SOCKET_CONNECT_X);
    let opens = told.opens + lost_of(&lost, types::SYSCALL_OPENAT_2_X);
    assert!(connections >= CONNECTIONS, "{} connections told", told.connections);
    assert!(opens >= 2 * OPENS, "{} opens told", told.opens);
    let vital = |ty: EventType| ty.info().is_some_and(EventInfo::is_vital);
    assert!(lost.by_type.keys().all(|(ty, _)| !vital(*ty)), "{lost:?}");
    assert_eq!(told.begun, SHORT_PROCESSES + 2);
}
