//! Processes that ran before, that begin, and that have children.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use lanner_machine::{Machine, Thread};
use lanner_probe::SnapshotSource;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};

use crate::{Host, differences, fds, shell, sleeps};

#[test]
fn the_state_of_processes_is_what_proc_says() {
    compare(SnapshotSource::Iterators);
    compare(SnapshotSource::Proc);
}

fn compare(source: SnapshotSource) {
    let Some(mut host) = Host::attach(source) else { return };
    let early = shell("cd /usr; exec 5</etc/hostname; A=early exec sleep 60.731");
    std::thread::sleep(Duration::from_millis(300));
    host.snapshot();
    let plain = shell("cd /usr/./lib; exec 6<../../etc/hostname 7<&6; B=plain exec sleep 61.731");
    let nested = shell("cd /; (cd /tmp && exec sleep 62.731) & exec 8>>/dev/null; wait");
    let mut children = [early, plain, nested];
    let sleep = |t: &&Thread| t.args.get(0).is_some_and(|a| a.ends_with(b".731")) && &*t.comm == b"sleep";
    // Three programs run as `sleep`.
    host.follow(|_| false, |machine: &Machine| machine.threads().filter(sleep).count() == 3);
    let ours = |thread: &&Thread| {
        let of = |pid: i64| children.iter().any(|c| i64::from(c.id()) == pid);
        thread.is_main() && (of(thread.pid) || of(thread.ptid))
    };
    let threads: Vec<_> = host.machine.threads().filter(ours).collect();
    let different: Vec<_> = threads.iter().flat_map(|thread| differences(&host.machine, thread)).collect();
    let nested = threads.iter().find(|t| i64::from(children[2].id()) == t.ptid).map(|t| t.pid);
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    if let Some(pid) = nested {
        Command::new("/bin/kill").arg(pid.to_string()).status().unwrap();
    }
    assert_eq!(threads.len(), 4, "three shells' programs and one's child");
    assert!(different.is_empty(), "{source:?}: {different:#?}");
}

/// An open fd of each kind, all of which a new program closes.
fn one_of_each() -> Vec<OwnedFd> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let (one, other) = UnixStream::pair().unwrap();
    // SAFETY: both calls take numbers alone, and nobody else has the fds that they return.
    let (event, poll) = unsafe {
        let made = [libc::eventfd(0, libc::EFD_CLOEXEC), libc::epoll_create1(libc::EPOLL_CLOEXEC)];
        assert!(made.iter().all(|&fd| fd >= 0), "{}", std::io::Error::last_os_error());
        (OwnedFd::from_raw_fd(made[0]), OwnedFd::from_raw_fd(made[1]))
    };
    vec![
        File::open("/etc/hostname").unwrap().into(),
        File::open("/usr").unwrap().into(),
        read,
        write,
        one.into(),
        other.into(),
        TcpListener::bind("127.0.0.1:0").unwrap().into(),
        event,
        poll,
    ]
}

/// What was open before, of whatever kind, is closed by a new program if it is to be, by the fd and not by what the file
/// was opened with.
#[test]
fn a_new_program_has_the_fds_that_it_is_left() {
    for source in [SnapshotSource::Iterators, SnapshotSource::Proc] {
        let Some(mut host) = Host::attach(source) else { return };
        let (_closed, left) = (one_of_each(), one_of_each());
        for fd in &left {
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        }
        host.snapshot();
        let mut sleep = Command::new("/bin/sleep");
        sleep.arg("67.731").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = sleep.spawn().unwrap();
        let pid = i64::from(child.id());
        host.follow(|_| false, |machine| sleeps(machine, pid, "67.731"));
        let (ours, theirs) = fds(&host.machine, pid);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(left.iter().all(|fd| theirs.contains(&fd.as_raw_fd().into())), "{theirs:?}");
        assert_eq!(ours, theirs, "{source:?}");
    }
}

extern "C" fn waits(_: *mut libc::c_void) -> libc::c_int {
    // SAFETY: pause only waits.
    unsafe { libc::pause() }
}

/// A process whose first thread has ended, and which has another.
fn without_its_first_thread() -> Pid {
    let mut stack = vec![0u8; 64 << 10];
    let flags =
        libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
    // SAFETY: the child makes system calls only; its other thread has a stack that the child's copy of this memory
    // keeps for as long as it runs.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            // the C library aligns it
            let top = stack.as_mut_ptr_range().end;
            libc::clone(waits, top.cast(), flags, std::ptr::null_mut());
            libc::syscall(libc::SYS_exit, 0);
        }
        assert!(pid > 0, "fork: {}", std::io::Error::last_os_error());
        Pid::from_raw(pid)
    }
}

/// What has ended and was not waited for yet is no process to the state, but a process whose first thread has ended is
/// one until the last of its threads ends.
#[test]
fn what_has_ended_before_is_left_out() {
    for source in [SnapshotSource::Iterators, SnapshotSource::Proc] {
        let Some(mut host) = Host::attach(source) else { return };
        let mut ended = shell("exit 0");
        let first = without_its_first_thread();
        let (pid, gone) = (i64::from(first.as_raw()), i64::from(ended.id()));
        while (state_by_proc(pid), state_by_proc(gone)) != ('Z', 'Z') {
            std::thread::sleep(Duration::from_millis(10));
        }
        host.snapshot();
        host.follow(|_| false, |_| true);
        let seen = (host.machine.thread(gone).is_some(), host.machine.thread(pid).map(|t| t.dead));
        ended.wait().unwrap();
        kill(first, Signal::SIGKILL).unwrap();
        waitpid(first, None).unwrap();
        // the dead go with the next event, which is this test's own
        let all_ended = |machine: &Machine| machine.threads().filter(|t| t.pid == pid).all(|t| t.dead);
        host.follow(|_| false, all_ended);
        assert_eq!(seen, (false, Some(true)), "{source:?}");
        let left: Vec<_> = host.machine.threads().filter(|t| t.pid == pid).map(|t| (t.tid, t.dead)).collect();
        assert!(left.is_empty(), "{source:?}: of {pid}: {left:?}");
    }
}

/// The letter by which `/proc` says what a process does.
fn state_by_proc(pid: i64) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}
