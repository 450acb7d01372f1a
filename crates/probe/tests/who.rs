//! Who a process is, whatever it says of itself: ids as the host counts them, names that it gives itself, ids that
//! were another's. docs/coverage.md has a row for each.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use lanner_event::{Event, EventBuf, EventType, types as t};
use support::call::{Arg::N, Arg::P, call, gettid};
use support::{Watch, flag, number, text, watch};

const BEGINNINGS: [EventType; 2] = [t::SYSCALL_CLONE_20_X, t::SYSCALL_CLONE3_X];
/// Nobody's, and root's in no namespace but its own.
const STRANGER: u32 = 54_321;

/// The event, by whatever process, that fits.
fn wait_for(watch: &mut Watch, what: &str, fits: impl Fn(&Event<'_>) -> bool) -> EventBuf {
    let fits = |e: &EventBuf| fits(&e.event().unwrap());
    let events = watch.events_until(|events| events.iter().any(fits));
    events.into_iter().find(fits).unwrap_or_else(|| panic!("no {what}"))
}

/// Makes a child by the call itself, with flags; it does one thing and exits with what came of it. `None`, with the
/// reason told, where the kernel refuses.
fn child(flags: i64, act: impl FnOnce() -> i64) -> Option<i64> {
    let pid = call(libc::SYS_clone, &[N(flags | i64::from(libc::SIGCHLD))]);
    if pid == 0 {
        let result = act();
        call(libc::SYS_exit_group, &[N(result & 0xff)]);
    }
    if pid < 0 {
        eprintln!("skipped: clone with {flags:#x} is refused: {pid}");
        return None;
    }
    Some(pid)
}

/// The exit code of a child.
fn code_of(pid: i64) -> i32 {
    let mut status = [0u8; 4];
    call(libc::SYS_wait4, &[N(pid), N(status.as_mut_ptr() as i64)]);
    i32::from_ne_bytes(status) >> 8 & 0xff
}

#[test]
fn a_new_user_namespace_is_told_and_gives_nobody_another_id() {
    let types = [&BEGINNINGS[..], &[t::SYSCALL_UNSHARE_X, t::SYSCALL_EXECVE_19_X]].concat();
    let Some(mut watch) = watch(&types) else { return };
    let new_user = i64::from(libc::CLONE_NEWUSER);
    let Some(pid) = child(new_user, || 0) else { return };
    assert_eq!(code_of(pid), 0);
    let begun = wait_for(&mut watch, "beginning", |e| e.tid == pid && BEGINNINGS.contains(&e.ty()));
    let told = flag(t::SYSCALL_CLONE_20_X, "flags", "CLONE_NEWUSER");
    assert_eq!(number(&begun.event().unwrap(), "flags").unwrap() & told, told);

    // one who is root there, and does as such
    let mut command = Command::new("unshare");
    command.args(["-U", "-r", "sh", "-c", "test $(id -u) = 0 && exec env true"]).uid(STRANGER);
    if !command.status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: nobody but root may make user namespaces here");
        return;
    }
    // what env runs, for busybox is env without running it
    let ends = |e: &Event<'_>| text(e, "exe").is_some_and(|name| name == "true");
    let ran = |e: &Event<'_>| e.ty() == t::SYSCALL_EXECVE_19_X && number(e, "res") == Some(0) && ends(e);
    let events = watch.events_until(|events| events.iter().any(|e| ran(&e.event().unwrap())));
    let events: Vec<Event<'_>> = events.iter().map(|e| e.event().unwrap()).collect();
    let unshared = events.iter().find(|e| e.ty() == t::SYSCALL_UNSHARE_X).expect("the unshare");
    assert_eq!(number(unshared, "flags").unwrap() & told, told);
    let run = events.iter().find(|e| ran(e)).expect("the run");
    assert_eq!(number(run, "uid"), Some(STRANGER.into()));
    // what it may do it may do there alone; that it holds capabilities is told
    assert_ne!(number(run, "cap_effective"), Some(0));
}

/// In a user namespace a number that is set means another one outside.
#[test]
fn ids_that_are_set_in_a_user_namespace_are_told_as_the_host_counts_them() {
    let types = [t::SYSCALL_SETUID_X, t::SYSCALL_SETRESUID_X, t::SYSCALL_SETRESGID_X, t::SYSCALL_SETREUID_X];
    let Some(mut watch) = watch(&types) else { return };
    // its first act waits until its ids are mapped
    let mut go = [0i32; 2];
    assert_eq!(call(libc::SYS_pipe2, &[N(go.as_mut_ptr() as i64), N(0)]), 0);
    let mut byte = [0u8; 1];
    let room = byte.as_mut_ptr() as i64;
    let keep = N(-1);
    let act = || {
        call(libc::SYS_read, &[N(go[0].into()), N(room), N(1)]);
        let results = [
            call(libc::SYS_setresgid, &[N(3), N(4), N(5)]),
            call(libc::SYS_setresuid, &[N(1), N(2), N(0)]),
            call(libc::SYS_setreuid, &[keep, N(0)]),
            call(libc::SYS_setuid, &[N(7)]),
            call(libc::SYS_setuid, &[N(8000)]),
        ];
        i64::from(results != [0, 0, 0, 0, -22])
    };
    let Some(pid) = child(libc::CLONE_NEWUSER.into(), act) else { return };
    for map in ["uid_map", "gid_map"] {
        std::fs::write(format!("/proc/{pid}/{map}"), format!("0 {STRANGER} 10")).unwrap();
    }
    assert_eq!(call(libc::SYS_write, &[N(go[1].into()), P(b"x"), N(1)]), 1);
    assert_eq!(code_of(pid), 0);
    for fd in go {
        call(libc::SYS_close, &[N(fd.into())]);
    }
    let mut events =
        watch.events_until(|all| all.iter().filter(|e| e.event().unwrap().tid == pid).count() == 5);
    events.retain(|e| e.event().unwrap().tid == pid);
    let told: Vec<Vec<i64>> = events
        .iter()
        .map(|e| {
            let event = e.event().unwrap();
            let ids = event.info.params.iter().skip(1);
            ids.map(|param| number(&event, param.name).unwrap()).collect()
        })
        .collect();
    let outside = |ids: &[i64]| ids.iter().map(|id| id + i64::from(STRANGER)).collect::<Vec<_>>();
    assert_eq!(told[0], outside(&[3, 4, 5]));
    assert_eq!(told[1], outside(&[1, 2, 0]));
    // what is left alone, and what is refused, is told as it was asked for
    assert_eq!(told[2], [i64::from(u32::MAX), STRANGER.into()]);
    assert_eq!(told[3], outside(&[7]));
    assert_eq!(told[4], [8000]);
}

#[test]
fn a_name_that_a_process_gives_itself_is_told_and_changes_nothing_else() {
    let types = [t::SYSCALL_PRCTL_X, t::SYSCALL_EXECVE_19_X, t::SYSCALL_UNLINK_2_X];
    let Some(mut watch) = watch(&types) else { return };
    let name = b"kworker/0:1\0";
    let act = || call(libc::SYS_prctl, &[N(libc::PR_SET_NAME.into()), P(name)]);
    let Some(pid) = child(0, act) else { return };
    assert_eq!(code_of(pid), 0);
    let event = wait_for(&mut watch, "prctl", |e| e.ty() == t::SYSCALL_PRCTL_X && e.tid == pid);
    let event = event.event().unwrap();
    assert_eq!(number(&event, "option"), Some(flag(t::SYSCALL_PRCTL_X, "option", "PR_SET_NAME")));
    assert_eq!(text(&event, "arg2_str").as_deref(), Some("kworker/0:1"));

    // by its own arguments it is something else; by the kernel's word it is what it is
    let real = std::env::current_exe().unwrap();
    // this program, told to do nothing: others, like busybox, ask by which name they are called
    let mut command = Command::new(&real);
    let command = command.arg0("[kworker/0:1]").args(["--exact", "nothing"]);
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    let named = |e: &Event<'_>| {
        e.ty() == t::SYSCALL_EXECVE_19_X && text(e, "exe").as_deref() == Some("[kworker/0:1]")
    };
    let event = wait_for(&mut watch, "run", named);
    let event = event.event().unwrap();
    let name = real.file_name().unwrap().to_string_lossy();
    assert_eq!(text(&event, "comm").as_deref(), Some(&name[..name.len().min(15)]));
    assert_eq!(text(&event, "trusted_exepath"), Some(real.to_string_lossy().into_owned()));
}

/// A child with an id of our choice, since Linux 5.5.
fn child_with(pid: i64) -> i64 {
    let ids = (pid as i32).to_ne_bytes();
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size
    let args = [0, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0, ids.as_ptr() as u64, 1];
    let args = args.map(u64::to_ne_bytes).concat();
    let made = call(libc::SYS_clone3, &[P(&args), N(args.len() as i64)]);
    if made == 0 {
        call(libc::SYS_exit_group, &[N(5)]);
    }
    made
}

/// Beginning and end of each process of one id come in their order, so that none is taken for another.
#[test]
fn a_process_id_that_is_used_again() {
    let Some(mut watch) = watch(&[&BEGINNINGS[..], &[t::PROCEXIT_1_E]].concat()) else { return };
    let Some(pid) = child(0, || 4) else { return };
    assert_eq!(code_of(pid), 4);
    let again = child_with(pid);
    if again != pid {
        eprintln!("skipped: no child with an id of our choice: {again}");
        return;
    }
    assert_eq!(code_of(pid), 5);
    let of = |e: &EventBuf| e.event().unwrap().tid == pid;
    let mut events = watch.events_until(|events| events.iter().filter(|e| of(e)).count() == 4);
    events.retain(of);
    let told: Vec<(EventType, Option<i64>)> = events
        .iter()
        .map(|e| {
            let event = e.event().unwrap();
            let ended = event.ty() == t::PROCEXIT_1_E;
            (event.ty(), number(&event, if ended { "ret" } else { "ptid" }))
        })
        .collect();
    let begun = [told[0].0, told[2].0];
    assert!(begun.iter().all(|ty| BEGINNINGS.contains(ty)), "{told:?}");
    assert_eq!([told[0].1, told[2].1], [Some(gettid()); 2]);
    assert_eq!([told[1], told[3]], [(t::PROCEXIT_1_E, Some(4)), (t::PROCEXIT_1_E, Some(5))]);
}
