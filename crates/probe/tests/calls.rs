//! The ends of calls, wherever they are seen: at their functions or at the end of every call.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use lanner_event::types as t;
use support::call::{Arg::N, Arg::P, call};
use support::{number, watch};

const EPERM: u16 = 1;
const ERRNO: u32 = 0x0005_0000;
const ALLOW: u32 = 0x7fff_0000;

/// Has a filter refuse a call to this thread from now on.
fn refuse(number: libc::c_long) -> i64 {
    let step = |code: u16, yes: u8, no: u8, value: u32| {
        [&code.to_ne_bytes()[..], &[yes, no], &value.to_ne_bytes()].concat()
    };
    // the number of the call; if it is this one, an error
    let filter = [
        step(0x20, 0, 0, 0),
        step(0x15, 0, 1, u32::try_from(number).unwrap()),
        step(0x06, 0, 0, ERRNO | u32::from(EPERM)),
        step(0x06, 0, 0, ALLOW),
    ]
    .concat();
    let program = [&4u64.to_ne_bytes()[..], &(filter.as_ptr() as u64).to_ne_bytes()].concat();
    assert_eq!(call(libc::SYS_prctl, &[N(38), N(1), N(0), N(0), N(0)]), 0);
    call(libc::SYS_seccomp, &[N(1), N(0), P(&program)])
}

#[test]
fn a_call_that_a_filter_refuses_is_told_once() {
    let Some(mut watch) = watch(&[t::SYSCALL_MUNLOCKALL_X, t::SYSCALL_MLOCKALL_X]) else { return };
    let tid = std::thread::spawn(|| {
        let refused = refuse(libc::SYS_munlockall);
        assert_eq!(refused, 0, "seccomp");
        assert_eq!(call(libc::SYS_munlockall, &[]), -i64::from(EPERM));
        // one that goes through, and is the last
        assert_eq!(call(libc::SYS_mlockall, &[N(0x80)]), -22);
        support::call::gettid()
    })
    .join()
    .unwrap();
    let last = |events: &[lanner_event::EventBuf]| {
        events.iter().any(|e| e.event().is_ok_and(|e| e.tid == tid && e.ty() == t::SYSCALL_MLOCKALL_X))
    };
    let mut events = watch.events_until(last);
    events.retain(|e| e.event().unwrap().tid == tid);
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let event = event.event().unwrap();
            (event.ty(), number(&event, "res"))
        })
        .collect();
    assert_eq!(told, [(t::SYSCALL_MUNLOCKALL_X, Some(-1)), (t::SYSCALL_MLOCKALL_X, Some(-22))]);
}

/// Calls without arguments have one function for both ABIs, others one for each.
#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_both_abis_are_told_once() {
    use support::call::call32;
    let Some(mut watch) = watch(&[t::SYSCALL_MUNLOCKALL_X, t::SYSCALL_MLOCKALL_X, t::SYSCALL_CHDIR_X]) else {
        return;
    };
    let nowhere = support::call::Low::new(b"/nowhere\0");
    call(libc::SYS_munlockall, &[]);
    let compat = call32(153, [0; 4]);
    call(libc::SYS_mlockall, &[N(0x80)]);
    call32(152, [0x80, 0, 0, 0]);
    call(libc::SYS_chdir, &[N(i64::from(nowhere.at()))]);
    call32(12, [nowhere.at(), 0, 0, 0]);
    if compat < 0 {
        println!("skipped: this kernel has no 32-bit calls ({compat})");
        return;
    }
    let events = watch.own(6);
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let event = event.event().unwrap();
            (event.ty(), number(&event, "res"))
        })
        .collect();
    let both = |ty, res| [(ty, Some(res)), (ty, Some(res))];
    let expected =
        [both(t::SYSCALL_MUNLOCKALL_X, 0), both(t::SYSCALL_MLOCKALL_X, -22), both(t::SYSCALL_CHDIR_X, -2)];
    assert_eq!(told, expected.concat());
    assert!(
        watch
            .events_until(|events| !events.is_empty())
            .iter()
            .all(|e| { e.event().unwrap().tid != support::call::gettid() })
    );
}
