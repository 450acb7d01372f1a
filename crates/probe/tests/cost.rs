//! What calls cost that nobody needs, counted in instructions: for that the machine must be one that counts them, QEMU
//! with `-icount shift=0`, whose time is the number of its instructions (`LANNER_COUNTS=1` in the environment says so).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![cfg(target_arch = "x86_64")]

mod support;

use std::time::{Duration, Instant};

use lanner_event::types as t;
use lanner_probe::{CallPoint, Probe, ProbeOptions};
use support::call::call;

const CALLS: u64 = 100;

/// Instructions of a loop of calls that no interrupt came into.
fn instructions() -> u64 {
    // SAFETY: reading the time stamp counter has no effect.
    let now = || unsafe { std::arch::x86_64::_rdtsc() };
    let rounds = (0..2000).map(|_| {
        let begin = now();
        for _ in 0..CALLS {
            call(libc::SYS_getppid, &[]);
        }
        now() - begin
    });
    rounds.min().unwrap()
}

fn with(calls: CallPoint) -> Probe {
    let events = [t::SYSCALL_SETSID_X, t::SYSCALL_OPENAT_2_X].into_iter().collect();
    let mut probe = Probe::open(ProbeOptions { events, calls, ..ProbeOptions::default() }).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while calls == CallPoint::Fexit && is_on_its_way(&probe) && Instant::now() < end {
        probe.poll(Duration::from_millis(50), &mut |_| {}).unwrap();
    }
    probe
}

fn is_on_its_way(probe: &Probe) -> bool {
    let attachment = probe.attachment();
    attachment.no_fexit.is_none() && attachment.points.iter().any(|point| point.contains("sys_exit"))
}

#[test]
fn at_functions_other_calls_cost_not_one_instruction() {
    if std::env::var("LANNER_COUNTS").is_err() {
        println!("skipped: this machine does not count instructions");
        return;
    }
    let bare = instructions();
    // less than one a call
    let as_bare = |counted: u64| bare.abs_diff(counted) < CALLS;
    assert!(as_bare(instructions()), "instructions are not counted here");
    let probe = with(CallPoint::SysExit);
    let everywhere = instructions();
    drop(probe);
    let probe = with(CallPoint::Fexit);
    if let Some(why) = &probe.attachment().no_fexit {
        println!("skipped: {why}");
        return;
    }
    let at_functions = instructions();
    println!("100 calls: {bare} instructions, at functions {at_functions}, at sys_exit {everywhere}");
    assert!(as_bare(at_functions));
    assert!(everywhere > bare + CALLS);
}
