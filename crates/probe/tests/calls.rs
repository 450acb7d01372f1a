//! The ends of calls, wherever they are seen: at their functions or at the end of every call.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lanner_event::types as t;
use lanner_probe::{CallPoint, EventSet, Probe, ProbeOptions};
use support::call::{Arg::N, Arg::P, call};
use support::{Watch, number, watch};

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

/// A probe that is still on its way from `sys_exit` to the functions, if it may go there.
fn under_way(events: EventSet) -> Option<Watch> {
    let calls = CallPoint::Fexit;
    let options = ProbeOptions { events, calls, include_self: true, ..ProbeOptions::default() };
    match Probe::open(options) {
        Ok(probe) => Some(Watch { probe }),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

#[test]
fn each_call_is_told_once_while_attachments_change() {
    let one: EventSet = [t::SYSCALL_MUNLOCKALL_X].into_iter().collect();
    let two: EventSet = [t::SYSCALL_MUNLOCKALL_X, t::SYSCALL_MLOCKALL_X].into_iter().collect();
    let many: EventSet = [t::SYSCALL_MUNLOCKALL_X, t::GENERIC_X].into_iter().collect();
    let Some(mut watch) = under_way(one.clone()) else { return };
    let done = Arc::new(AtomicBool::new(false));
    let caller = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let mut calls = 0;
            while !done.load(Ordering::Relaxed) {
                call(libc::SYS_munlockall, &[]);
                calls += 1;
                // so that no ring overflows; a clock may be a call itself
                (0..20_000).for_each(|_| std::hint::spin_loop());
            }
            (support::call::gettid(), calls)
        }
    });
    let mut tids = Vec::new();
    let mut poll = |watch: &mut Watch, rounds: usize| {
        for _ in 0..rounds {
            let sink = &mut |event: &lanner_event::Event<'_>| {
                if event.ty() == t::SYSCALL_MUNLOCKALL_X {
                    tids.push(event.tid);
                }
            };
            watch.probe.poll(Duration::from_millis(10), sink).unwrap();
        }
    };
    let settled = |watch: &Watch| !watch.at_sys_exit() || watch.probe.attachment().no_fexit.is_some();
    for events in [&two, &one, &many, &two] {
        let end = Instant::now() + Duration::from_secs(60);
        while !settled(&watch) && Instant::now() < end {
            poll(&mut watch, 5);
        }
        assert!(settled(&watch), "{:?}", watch.probe.attachment().points);
        poll(&mut watch, 20);
        watch.probe.update_events(events).unwrap();
        poll(&mut watch, 20);
    }
    done.store(true, Ordering::Relaxed);
    let (tid, calls) = caller.join().unwrap();
    poll(&mut watch, 20);
    let told = tids.iter().filter(|of| **of == tid).count();
    let lost = watch.probe.lost();
    assert!(lost.by_type.keys().all(|(ty, _)| *ty != t::SYSCALL_MUNLOCKALL_X), "{lost:?}");
    assert_eq!(told, calls);
}

/// Ids of programs that are loaded for functions.
fn programs_at_functions() -> BTreeSet<u32> {
    let programs = libbpf_rs::query::ProgInfoIter::default();
    programs
        .filter(|program| program.name.to_string_lossy() == "on_return")
        .map(|program| program.id)
        .collect()
}

/// Detaching takes the kernel long: it is left to it, and it does it.
#[test]
fn the_programs_at_functions_go_when_the_probe_has_ended() {
    let before = programs_at_functions();
    let events = [t::SYSCALL_OPENAT_2_X, t::SYSCALL_CLOSE_X, t::SYSCALL_CHDIR_X, t::SYSCALL_UNLINKAT_2_X];
    let options = |ahead| ProbeOptions {
        events: events.into_iter().collect(),
        calls: CallPoint::Fexit,
        ahead,
        ..ProbeOptions::default()
    };
    for ahead in [false, true] {
        let Ok(probe) = Probe::open(options(ahead)) else { return println!("skipped: no probe here") };
        let mut watch = Watch { probe };
        if !watch.go_to_functions() {
            let why = watch.probe.attachment().no_fexit.clone().unwrap_or_default();
            return println!("skipped: {why}");
        }
        let own: BTreeSet<u32> = programs_at_functions().difference(&before).copied().collect();
        assert_eq!(own.len() > 100, ahead, "{}", own.len());
        let begin = Instant::now();
        drop(watch);
        let ended = begin.elapsed();
        let end = Instant::now() + Duration::from_secs(300);
        while !programs_at_functions().is_disjoint(&own) {
            assert!(Instant::now() < end, "{:?} are still there", programs_at_functions());
            std::thread::sleep(Duration::from_millis(20));
        }
        println!("{} programs: ended in {ended:?}, gone after {:?}", own.len(), begin.elapsed());
    }
}

#[test]
fn a_call_under_way_when_it_is_attached_is_told() {
    let (name, other) = (format!("/tmp/lanner-calls-{}", std::process::id()), libc::SYS_openat);
    let path = [name.as_bytes(), b"\0"].concat();
    assert_eq!(call(libc::SYS_mknodat, &[N(-100), P(&path), N(0o010_600), N(0)]), 0);
    let waiting = std::thread::spawn({
        let path = path.clone();
        // until somebody opens the other end
        move || (support::call::gettid(), call(other, &[N(-100), P(&path), N(0)]))
    });
    std::thread::sleep(Duration::from_millis(300));
    let Some(mut watch) = under_way([t::SYSCALL_OPENAT_2_X].into_iter().collect()) else { return };
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        watch.probe.poll(Duration::from_millis(50), &mut |_| {}).unwrap();
    }
    assert!(watch.at_sys_exit(), "the older call would not be seen");
    let fd = call(other, &[N(-100), P(&path), N(1)]);
    let (tid, opened) = waiting.join().unwrap();
    let events = watch.events_until(|events| events.iter().any(|e| e.event().unwrap().tid == tid));
    let told: Vec<_> = events
        .iter()
        .map(|event| event.event().unwrap())
        .filter(|event| event.tid == tid)
        .map(|event| (event.ty(), number(&event, "fd")))
        .collect();
    assert_eq!(told, [(t::SYSCALL_OPENAT_2_X, Some(opened))]);
    for fd in [fd, opened] {
        call(libc::SYS_close, &[N(fd)]);
    }
    std::fs::remove_file(&name).unwrap();
    // now nothing is in the way
    assert!(watch.go_to_functions() || watch.probe.attachment().no_fexit.is_some());
}
