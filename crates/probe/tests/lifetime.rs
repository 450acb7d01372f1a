//! What the probe loses, what it leaves behind, and what can be changed while it runs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lanner_event::types as t;
use lanner_probe::{EventSet, LostReason, ProbeOptions};
use support::call::{Arg::N, Arg::P, call};
use support::{number, watch};

#[test]
fn every_event_that_finds_no_room_is_counted() {
    // a call that the other tests, which run beside this one, don't make
    let events: EventSet = [t::SYSCALL_MUNLOCK_X].into_iter().collect();
    let options = ProbeOptions { events, ring_bytes: 4096, include_self: true, ..ProbeOptions::default() };
    let Some(mut watch) = support::open(options) else { return };
    const CALLS: u64 = 5000;
    for _ in 0..CALLS {
        call(libc::SYS_munlock, &[N(0), N(0)]);
    }
    let delivered = watch.events_until(|events| !events.is_empty()).len() as u64;
    let lost = watch.probe.lost();
    assert!(delivered > 0 && lost.total() > 0);
    assert_eq!(delivered + lost.by_reason(LostReason::RingFull), CALLS);
    assert_eq!(lost.by_type.keys().map(|(ty, _)| *ty).collect::<Vec<_>>(), [t::SYSCALL_MUNLOCK_X]);
}

#[test]
fn events_come_in_the_order_of_time() {
    let Some(mut watch) = watch(&[t::SYSCALL_MUNLOCKALL_X]) else { return };
    let online = std::thread::available_parallelism().map_or(1, usize::from);
    let work = move |thread: usize| {
        let cpu = 1u64 << (thread % online);
        call(libc::SYS_sched_setaffinity, &[N(0), N(8), P(&cpu.to_ne_bytes())]);
        for _ in 0..20_000 {
            call(libc::SYS_munlockall, &[]);
        }
    };
    let threads: Vec<_> = (0..4).map(|i| std::thread::spawn(move || work(i))).collect();
    let mut seen = 0;
    let mut last = 0;
    let mut late = 0;
    let mut cpus = BTreeSet::new();
    // an emulated machine is slow
    let end = Instant::now() + Duration::from_secs(60);
    while seen < 80_000 && Instant::now() < end {
        let sink = &mut |event: &lanner_event::Event<'_>| {
            late += usize::from(event.ts < last);
            last = event.ts.max(last);
            cpus.insert(event.cpu);
            seen += 1;
        };
        watch.probe.poll(Duration::from_millis(10), sink).unwrap();
        // to ask for losses loses nothing
        let losses: u64 = (0..20).map(|_| watch.probe.lost().total()).sum();
        assert_eq!(losses, 0, "{:?}", watch.probe.lost());
    }
    threads.into_iter().for_each(|t| t.join().unwrap());
    // others on this machine may make the same call
    assert!(seen >= 80_000, "{seen}");
    assert_eq!(watch.probe.lost().total(), 0);
    // the CPU of a virtual machine may be stopped in the middle of writing an event
    assert!(late < 80, "{late} events out of order");
    assert!(online == 1 || cpus.len() > 1, "{cpus:?}");
}

/// Where programs are as they were before Linux 7.0, a later kernel leaves out some of their runs.
#[test]
fn calls_at_which_a_program_was_left_out_are_counted() {
    let events: EventSet = [t::SYSCALL_MLOCK_X].into_iter().collect();
    let options = ProbeOptions { events, no_records: true, include_self: true, ..ProbeOptions::default() };
    let Some(mut watch) = support::open(options) else { return };
    const CALLS: u64 = 80_000;
    let work = || {
        for _ in 0..CALLS / 4 {
            call(libc::SYS_mlock, &[N(0), N(0)]);
        }
    };
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(work)).collect();
    let (mut told, mut heard) = (0, Instant::now());
    while !threads.iter().all(std::thread::JoinHandle::is_finished)
        || heard.elapsed() < Duration::from_secs(1)
    {
        let more = watch.probe.poll(Duration::from_millis(10), &mut |_| {}).unwrap() as u64;
        if more > 0 {
            (told, heard) = (told + more, Instant::now());
        }
    }
    threads.into_iter().for_each(|t| t.join().unwrap());
    let lost = watch.probe.lost();
    println!("{told} of {CALLS} told, {} left out", lost.left_out);
    assert!(told + lost.total() >= CALLS, "{told}, {lost:?}");
    assert!(lost.left_out == 0 || watch.probe.attachment().leaves_out.is_some(), "{lost:?}");
}

#[test]
fn what_is_wanted_can_be_changed() {
    let Some(mut watch) = watch(&[t::SYSCALL_MUNLOCKALL_X]) else { return };
    watch.probe.update_events(&[t::SYSCALL_MLOCKALL_X].into_iter().collect()).unwrap();
    assert_eq!(watch.probe.attachment().syscalls, ["mlockall"]);
    call(libc::SYS_munlockall, &[]);
    call(libc::SYS_mlockall, &[N(0x80)]);
    let events = watch.own(1);
    let types: Vec<_> = events.iter().map(|e| e.event().unwrap().ty()).collect();
    assert_eq!(types, [t::SYSCALL_MLOCKALL_X]);
    assert_eq!(number(&events[0].event().unwrap(), "res"), Some(-22));
}

#[test]
fn the_own_process_is_left_out() {
    let events: EventSet = [t::SYSCALL_MUNLOCKALL_X].into_iter().collect();
    let Some(mut watch) = support::open(ProbeOptions { events, ..ProbeOptions::default() }) else { return };
    call(libc::SYS_munlockall, &[]);
    let events = watch.events_until(|_| false);
    assert!(events.iter().all(|e| e.event().unwrap().tid != support::call::gettid()));
}

/// Ids of loaded programs of the probe's name.
fn programs() -> BTreeSet<u32> {
    libbpf_rs::query::ProgInfoIter::default()
        .filter(|p| p.name.to_string_lossy() == "on_syscall")
        .map(|p| p.id)
        .collect()
}

#[test]
fn a_closed_probe_leaves_no_program() {
    let before = programs();
    let Some(watch) = watch(&[t::SYSCALL_MUNLOCKALL_X]) else { return };
    let opened: BTreeSet<u32> = programs().difference(&before).copied().collect();
    assert!(!opened.is_empty());
    drop(watch);
    // other tests have probes of their own, but they end; the kernel frees programs a little later
    let end = Instant::now() + Duration::from_secs(30);
    while !programs().is_disjoint(&opened) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(programs().is_disjoint(&opened));
}

#[test]
fn without_capabilities_it_says_which_one_is_missing() {
    // capabilities are a thread's own, so only this one loses them
    let refused = std::thread::spawn(|| {
        let header = [0x2008_0522u32, 0].map(u32::to_ne_bytes).concat();
        assert_eq!(call(libc::SYS_capset, &[P(&header), P(&[0; 24])]), 0);
        lanner_probe::Probe::open(ProbeOptions::default()).err()
    });
    let error = refused.join().unwrap().expect("an error");
    assert!(matches!(error, lanner_probe::ProbeError::NoPermission { missing: "CAP_BPF" }), "{error}");
    assert!(error.to_string().contains("run as root"), "{error}");
}

#[test]
fn calls_that_failed_can_be_left_out() {
    for (drop_failed, seen) in [(false, 2), (true, 1)] {
        let events: EventSet = [t::SYSCALL_MUNLOCKALL_X, t::SYSCALL_DUP_1_X].into_iter().collect();
        let options = ProbeOptions { events, drop_failed, include_self: true, ..ProbeOptions::default() };
        let Some(mut watch) = support::open(options) else { return };
        call(libc::SYS_dup, &[N(-1)]);
        call(libc::SYS_munlockall, &[]);
        // other tests run beside this one
        let tid = support::call::gettid();
        let own = |events: &[lanner_event::EventBuf], ty| {
            events.iter().filter(|e| e.event().is_ok_and(|e| e.tid == tid && e.ty() == ty)).count()
        };
        let events = watch.events_until(|events| own(events, t::SYSCALL_MUNLOCKALL_X) > 0);
        assert_eq!(own(&events, t::SYSCALL_DUP_1_X) + own(&events, t::SYSCALL_MUNLOCKALL_X), seen);
    }
}

#[test]
fn programs_are_counted_if_the_kernel_counts() {
    let Some(watch) = watch(&[t::SYSCALL_MUNLOCKALL_X]) else { return };
    call(libc::SYS_munlockall, &[]);
    let counting = std::fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").unwrap().trim() != "0";
    let programs = watch.probe.programs();
    assert_eq!(counting, programs.iter().any(|p| p.name == "on_syscall" && p.runs > 0 && p.time > 0));
}

/// Calls whose functions are not attached yet, then one for which none will do, and back.
#[test]
fn what_is_wanted_is_seen_wherever_it_takes_the_probe() {
    let Some(mut watch) = watch(&[t::SYSCALL_MUNLOCKALL_X]) else { return };
    let generic = [t::SYSCALL_MLOCKALL_X, t::GENERIC_X];
    for wanted in [&[t::SYSCALL_MLOCKALL_X][..], &generic, &[t::SYSCALL_MLOCKALL_X, t::SYSCALL_MUNLOCKALL_X]]
    {
        watch.probe.update_events(&wanted.iter().copied().collect()).unwrap();
        watch.forget();
        call(libc::SYS_mlockall, &[N(0x80)]);
        let tid = support::call::gettid();
        let told = |events: &[lanner_event::EventBuf]| {
            let own = events.iter().filter_map(|e| e.event().ok()).filter(|e| e.tid == tid);
            own.filter(|e| e.ty() == t::SYSCALL_MLOCKALL_X).count()
        };
        let seen = watch.events_until(|events| told(events) > 0);
        assert_eq!(told(&seen), 1, "{wanted:?}");
    }
}
