//! What an open and a close cost, at functions and at `sys_exit`, with the kernel's copies of names and without, counted
//! in instructions as in `cost`: the functions are no bargain if they make dearer what is watched.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![cfg(target_arch = "x86_64")]

mod support;

use std::time::Duration;

use lanner_event::prefilter::{Interest, Keep, PathTest, Prefilter, READS, States};
use lanner_event::types as t;
use lanner_probe::{CallPoint, Probe, ProbeOptions};
use support::Watch;
use support::call::{Arg::N, Arg::P, call};

const MATTERS: &[u8] = b"/etc/passwd\0";
const DOES_NOT: &[u8] = b"/etc/hostname\0";
/// In this order.
const WHAT: [&str; 2] = ["that matters", "that does not"];

/// Instructions of a loop of opens and closes that no interrupt came into. Events are read meanwhile.
fn instructions(path: &[u8], probe: &mut Option<Probe>) -> u64 {
    const CALLS: usize = 20;
    // SAFETY: reading the time stamp counter has no effect.
    let now = || unsafe { std::arch::x86_64::_rdtsc() };
    let mut least = u64::MAX;
    for round in 0..1000 {
        let begin = now();
        for _ in 0..CALLS {
            let fd = call(libc::SYS_openat, &[N(libc::AT_FDCWD.into()), P(path), N(0), N(0)]);
            call(libc::SYS_close, &[N(fd)]);
        }
        least = least.min(now() - begin);
        if let (0, Some(probe)) = (round % 50, probe.as_mut()) {
            probe.poll(Duration::ZERO, &mut |_| {}).unwrap();
        }
    }
    least / CALLS as u64
}

fn with(calls: CallPoint, copies: bool) -> Option<Probe> {
    let events = [t::SYSCALL_OPENAT_2_X, t::SYSCALL_CLOSE_X].into_iter().collect();
    let options =
        ProbeOptions { events, calls, copies, include_self: true, resolved: true, ..ProbeOptions::default() };
    let mut watch = Watch { probe: Probe::open(options).unwrap() };
    if calls == CallPoint::Fexit && !watch.go_to_functions() {
        return None;
    }
    let reads = (PathTest::Exact(b"/etc/passwd".as_slice().into()), States::with(READS));
    let opens = Interest { whatever: States::NONE, paths: [reads].into() };
    let mut prefilter = Prefilter::default();
    prefilter.types.insert(t::SYSCALL_OPENAT_2_X, (opens, Keep::Opens));
    prefilter.types.insert(t::SYSCALL_CLOSE_X, (Interest::default(), Keep::Closes));
    watch.probe.update_prefilter(&prefilter);
    Some(watch.probe)
}

#[test]
fn opens_are_hardly_dearer_at_functions() {
    if std::env::var("LANNER_COUNTS").is_err() {
        println!("skipped: this machine does not count instructions");
        return;
    }
    let mut none = None;
    let bare = [MATTERS, DOES_NOT].map(|path| instructions(path, &mut none));
    let mut probe = with(CallPoint::SysExit, false);
    let without = [MATTERS, DOES_NOT].map(|path| instructions(path, &mut probe));
    drop(probe);
    let mut probe = with(CallPoint::SysExit, true);
    let everywhere = [MATTERS, DOES_NOT].map(|path| instructions(path, &mut probe));
    drop(probe);
    for (place, what) in WHAT.into_iter().enumerate() {
        println!(
            "open and close of a file {what}: {} instructions, at sys_exit {}, there without copies {}",
            bare[place], everywhere[place], without[place]
        );
    }
    let mut probe = with(CallPoint::Fexit, true);
    if probe.is_none() {
        println!("skipped: this kernel does not let the ends of calls be seen at their functions");
        return;
    }
    let at_functions = [MATTERS, DOES_NOT].map(|path| instructions(path, &mut probe));
    for (place, what) in WHAT.into_iter().enumerate() {
        println!("open and close of a file {what}: at functions {} instructions", at_functions[place]);
    }
    for place in 0..2 {
        assert!(bare[place] < at_functions[place]);
        assert!(at_functions[place] <= everywhere[place] + everywhere[place] / 20);
    }
}
