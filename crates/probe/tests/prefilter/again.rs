//! Paths and fds of which something is remembered from the time before.

use std::fs;

use lanner_event::prefilter::{Interest, States};
use lanner_event::types as t;

use super::support::call::{Arg::N, call};
use super::{TYPES, close, exact, open, prefilter, told, told_of_all, types_of, watch};

#[test]
fn a_path_that_was_seen_before_is_looked_at_anew_when_something_has_changed() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let path = std::env::temp_dir().join(format!("lanner-seen-{}", std::process::id()));
    let name = path.to_str().unwrap();
    fs::write(&path, "").unwrap();
    watch.probe.update_prefilter(&prefilter(Interest::default()));
    told(&mut watch);
    let open_and_close = |flags| close(open(name, flags));
    for _ in 0..3 {
        open_and_close(libc::O_RDONLY);
    }
    assert_eq!(types_of(&told(&mut watch)), []);

    // directories are always told
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    told(&mut watch);
    for _ in 0..3 {
        open_and_close(libc::O_RDONLY);
    }
    assert_eq!(types_of(&told(&mut watch)), [t::SYSCALL_OPENAT_2_X; 3]);

    // a file again, that is asked for if it is written
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "").unwrap();
    let writings =
        Interest { whatever: States::NONE, paths: [(exact(name), States::with(super::WRITES))].into() };
    watch.probe.update_prefilter(&prefilter(writings));
    told(&mut watch);
    open_and_close(libc::O_RDONLY);
    assert_eq!(types_of(&told(&mut watch)), []);
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_WRONLY] {
        open_and_close(flags);
        assert_eq!(types_of(&told(&mut watch)), [t::SYSCALL_OPENAT_2_X], "{flags}");
    }
    open_and_close(libc::O_RDONLY);
    assert_eq!(types_of(&told(&mut watch)), []);
    fs::remove_file(&path).unwrap();
}

/// A process that shares with this one what the flags say; 0 in it.
fn clone(flags: i32) -> i64 {
    call(libc::SYS_clone, &[N((flags | libc::SIGCHLD).into()), N(0), N(0), N(0), N(0)])
}

/// Runs something in a process beside this one, whose other tests share its table of fds among threads. Nothing there
/// may allocate.
fn beside(work: impl FnOnce()) -> i64 {
    let child = clone(0);
    if child == 0 {
        work();
        call(libc::SYS_exit_group, &[N(0)]);
    }
    assert!(child > 0);
    assert_eq!(call(libc::SYS_wait4, &[N(child), N(0), N(0), N(0)]), child);
    child
}

/// Opens a file that nobody asks for.
fn open_plain() -> i64 {
    let name = c"/etc/hostname".to_bytes_with_nul();
    call(libc::SYS_openat, &[N(libc::AT_FDCWD.into()), super::P(name), N(libc::O_RDONLY.into()), N(0)])
}

#[test]
fn in_a_table_that_processes_share_each_open_is_told() {
    let Some(mut watch) = watch(&TYPES) else { return };
    watch.probe.update_prefilter(&prefilter(Interest::default()));
    told(&mut watch);
    let opens = || {
        call(libc::SYS_close, &[N(open_plain())]);
    };
    let child = beside(|| {
        opens();
        let other = clone(libc::CLONE_FILES);
        if other == 0 {
            loop {
                call(libc::SYS_ppoll, &[N(0), N(0), N(0), N(0), N(0)]);
            }
        }
        opens();
        call(libc::SYS_kill, &[N(other), N(libc::SIGKILL.into())]);
    });
    let events = told_of_all(&mut watch);
    let of_child = events.iter().filter(|e| e.event().unwrap().tid == child);
    let opened = of_child.filter(|e| e.event().unwrap().ty() == t::SYSCALL_OPENAT_2_X);
    assert_eq!(opened.count(), 1, "the second alone");
}

/// A new thread gets the memory of one that has ended, and on one CPU it often comes right after it.
#[test]
fn a_thread_is_not_taken_for_one_that_has_ended() {
    let types = [TYPES.as_slice(), &[t::SYSCALL_PIPE2_X]].concat();
    let Some(mut watch) = watch(&types) else { return };
    watch.probe.update_prefilter(&prefilter(Interest::default()));
    told(&mut watch);
    let first_cpu = 1u64.to_ne_bytes();
    let on_one_cpu = || call(libc::SYS_sched_setaffinity, &[N(0), N(8), super::P(&first_cpu)]);
    for _ in 0..50 {
        beside(|| {
            on_one_cpu();
            open_plain();
            open_plain();
        });
        // what nobody knows of the first one's fds is not so of these
        let child = beside(|| {
            on_one_cpu();
            let mut ends = [0i32; 2];
            call(libc::SYS_pipe2, &[N(ends.as_mut_ptr().addr() as i64), N(0)]);
            for fd in ends {
                call(libc::SYS_close, &[N(fd.into())]);
            }
        });
        let events = told_of_all(&mut watch);
        let of_child = events.iter().filter(|e| e.event().unwrap().tid == child);
        let closed = of_child.filter(|e| e.event().unwrap().ty() == t::SYSCALL_CLOSE_X);
        assert_eq!(closed.count(), 2);
    }
}
