//! Ids that were another's, threads that take their process' place, and names that a process gives itself.

use std::ffi::CString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use lanner_event::{Event, types};
use lanner_probe::SnapshotSource;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::{Host, differences, shell, sleeps};

/// A child that has an id of our choice (Linux 5.5 and later) and runs a program. `None`, with the reason told, where
/// the kernel refuses.
fn child_with(pid: Pid, program: &[&str], environment: &[&str]) -> Option<Pid> {
    let texts = |all: &[&str]| all.iter().map(|text| CString::new(*text).unwrap()).collect::<Vec<_>>();
    let (program, environment) = (texts(program), texts(environment));
    let ends = |all: &[CString]| all.iter().map(|t| t.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (args, env) = (ends(&program), ends(&environment));
    let id = pid.as_raw();
    // of struct clone_args: exit_signal, and behind stack and tls the ids, one for this namespace
    let clone: [u64; 10] = [0, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0, (&raw const id).addr() as u64, 1];
    // SAFETY: the arguments live until the call ends; the child makes no use of what other threads of this process
    // may have held, and runs a program at once or exits.
    let made = unsafe {
        let made = libc::syscall(libc::SYS_clone3, clone.as_ptr(), size_of_val(&clone));
        if made == 0 {
            libc::execve(args[0], args.as_ptr(), env.as_ptr());
            libc::_exit(1);
        }
        made
    };
    if made != i64::from(id) {
        eprintln!("skipped: no child with an id of our choice: {}", std::io::Error::last_os_error());
        return None;
    }
    Some(pid)
}

fn end(pid: Pid) {
    kill(pid, Signal::SIGKILL).unwrap();
    waitpid(pid, None).unwrap();
}

/// The new process has none of the old one's files, folder, names and arguments, whether or not the old one's end was
/// seen.
#[test]
fn a_process_id_that_is_used_again() {
    for end_is_lost in [false, true] {
        let Some(mut host) = Host::attach(SnapshotSource::Iterators) else { return };
        host.snapshot();
        let mut first = shell("cd /usr; exec 5</etc/hostname; A=first exec sleep 63.731");
        let pid = i64::from(first.id());
        host.follow(|_| false, |machine| sleeps(machine, pid, "63.731"));
        assert!(sleeps(&host.machine, pid, "63.731"));
        let pid = Pid::from_raw(first.id() as i32);
        first.kill().unwrap();
        first.wait().unwrap();
        let script = "cd /usr/lib; exec 7</etc/hostname; exec sleep 64.731";
        let program = ["/bin/sh", "-c", script];
        let Some(again) = child_with(pid, &program, &["B=second", "PATH=/usr/bin:/bin"]) else { return };
        let tid = i64::from(again.as_raw());
        let lost = |e: &Event<'_>| end_is_lost && e.ty() == types::PROCEXIT_1_E && e.tid == tid;
        host.follow(lost, |machine| sleeps(machine, tid, "64.731"));
        let thread = host.machine.thread(tid).unwrap();
        let different = differences(&host.machine, thread);
        let old = host.machine.fd(tid, 5).is_some();
        end(again);
        assert!(different.is_empty() && !old, "end lost: {end_is_lost}: {different:#?}");
    }
}

/// Set for a process of this test that is to run a program from a thread.
const ACT: &str = "LANNER_TEST_RUNS_BY_THREAD";

#[test]
fn a_thread_that_takes_its_process_place() {
    if std::env::var_os(ACT).is_some() {
        std::thread::spawn(|| Command::new("/bin/sleep").arg("65.731").exec()).join().unwrap();
        return;
    }
    let Some(mut host) = Host::attach(SnapshotSource::Iterators) else { return };
    host.snapshot();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "reused::a_thread_that_takes_its_process_place"]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env(ACT, "1").stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let pid = i64::from(child.id());
    host.follow(|_| false, |machine| sleeps(machine, pid, "65.731"));
    let different = differences(&host.machine, host.machine.thread(pid).unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(different.is_empty(), "{different:#?}");
}

/// `proc.name` is what was run, whatever it calls itself later; where it lies is the kernel's own word.
#[test]
fn a_name_that_a_process_gives_itself() {
    let Some(mut host) = Host::attach(SnapshotSource::Iterators) else { return };
    host.snapshot();
    // SAFETY: the child makes two calls that need nothing of what other threads may have held, and then sleeps.
    let child = unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::prctl(libc::PR_SET_NAME, c"kworker/0:1".as_ptr());
            libc::pause();
            libc::_exit(1);
        }
        child
    };
    assert!(child > 0);
    let pid = i64::from(child);
    host.follow(|_| false, |machine| machine.thread(pid).is_some());
    let thread = host.machine.thread(pid).unwrap();
    let (name, executable) = (thread.comm.to_string(), thread.executable.path.to_string());
    let called = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    let real = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    end(Pid::from_raw(child));
    let own = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
    assert_eq!(called.trim_end(), "kworker/0:1");
    assert_eq!((name.as_str(), executable.as_str()), (own.trim_end(), real.to_str().unwrap()));
}
