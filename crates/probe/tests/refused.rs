//! A program that the kernel refuses costs what it alone tells; the others run, and the loss is named.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::process::Command;

use lanner_event::{EventBuf, EventType, types as t};
use lanner_probe::{Probe, ProbeError, ProbeOptions};
use support::number;

const BEGINNINGS: [EventType; 3] = [t::SYSCALL_CLONE_20_X, t::SYSCALL_CLONE3_X, t::SYSCALL_VFORK_20_X];

fn options(spoilt: &[&'static str]) -> ProbeOptions {
    let others = [
        t::SYSCALL_EXECVE_19_X,
        t::PROCEXIT_1_E,
        t::SYSCALL_OPENAT_2_X,
        t::SIGNALDELIVER_E,
        t::SCHEDSWITCH_6_E,
    ];
    ProbeOptions {
        events: BEGINNINGS.into_iter().chain(others).collect(),
        include_self: true,
        spoilt: spoilt.to_vec(),
        ..ProbeOptions::default()
    }
}

/// What a short process is told by, of its beginning by the child, by its parent, its program, an open and its end.
fn told(events: &[EventBuf], pid: i64) -> [bool; 5] {
    let any = |fits: &dyn Fn(EventType, i64, Option<i64>) -> bool| {
        events.iter().map(|e| e.event().unwrap()).any(|e| {
            let result = (e.ty() != t::PROCEXIT_1_E && e.ty() != t::SYSCALL_OPENAT_2_X)
                .then(|| number(&e, if BEGINNINGS.contains(&e.ty()) { "res" } else { first(&e) }));
            fits(e.ty(), e.tid, result.flatten())
        })
    };
    [
        any(&|ty, tid, result| BEGINNINGS.contains(&ty) && tid == pid && result == Some(0)),
        any(&|ty, _, result| BEGINNINGS.contains(&ty) && result == Some(pid)),
        any(&|ty, tid, result| ty == t::SYSCALL_EXECVE_19_X && tid == pid && result == Some(0)),
        any(&|ty, tid, _| ty == t::SYSCALL_OPENAT_2_X && tid == pid),
        any(&|ty, tid, _| ty == t::PROCEXIT_1_E && tid == pid),
    ]
}

/// The name of an event's first parameter.
fn first(event: &lanner_event::Event<'_>) -> &'static str {
    event.info.params[0].name
}

/// Opens a probe, runs a short process, and compares what is told of it.
fn check(spoilt: &[&'static str], expected: [bool; 5]) {
    let Some(mut watch) = support::open(options(spoilt)) else { return };
    let attachment = watch.probe.attachment();
    let mut missing: Vec<&str> = attachment.missing.iter().map(|missing| &*missing.program).collect();
    missing.sort_unstable();
    assert_eq!(missing, spoilt);
    for missing in &attachment.missing {
        assert!(!missing.unseen.is_empty() && !missing.why.is_empty(), "{missing:?}");
        println!("{missing}");
    }
    let mut child = Command::new("cat").arg("/etc/hostname").spawn().unwrap();
    let pid = i64::from(child.id());
    assert!(child.wait().unwrap().success());
    let events = watch.events_until(|events| told(events, pid) == expected);
    assert_eq!(told(&events, pid), expected, "without {spoilt:?}");
}

#[test]
fn each_program_costs_only_what_it_tells() {
    check(&[], [true; 5]);
    check(&["on_exec"], [true, true, false, true, true]);
    check(&["on_exit"], [true, true, true, true, false]);
    // the parent's call tells of the child
    check(&["on_fork"], [false, true, true, true, true]);
    check(&["on_signal", "on_switch"], [true; 5]);
}

/// Kernels before 5.13 refuse programs that keep notes of a thread. That costs time, but nothing that is told.
#[test]
fn programs_that_may_keep_no_notes_tell_all_the_same_and_say_why() {
    let Some(mut watch) = support::open(ProbeOptions { spoil_notes: true, ..options(&[]) }) else { return };
    let attachment = watch.probe.attachment().clone();
    assert_eq!(attachment.missing, []);
    let why = attachment.no_notes.unwrap();
    // those kernels don't even make the maps
    let named = why.contains("the program on_syscall") || why.contains("_fds'");
    assert!(why.starts_with("the kernel refused") && named, "{why}");
    assert!(attachment.no_copies.is_some());
    let mut child = Command::new("cat").arg("/etc/hostname").spawn().unwrap();
    let pid = i64::from(child.id());
    assert!(child.wait().unwrap().success());
    let events = watch.events_until(|events| told(events, pid) == [true; 5]);
    assert_eq!(told(&events, pid), [true; 5]);
}

#[test]
fn names_are_read_without_page_tables_too() {
    let Some(watch) = support::open(options(&[])) else { return };
    if !watch.probe.attachment().reads_by_page_tables {
        eprintln!("skipped: here they always are");
        return;
    }
    check(&["find_direct_map"], [true; 5]);
}

#[test]
fn without_the_program_at_the_end_of_calls_there_is_no_probe() {
    match Probe::open(options(&["on_syscall"])) {
        Err(ProbeError::Refused { program, .. }) => assert_eq!(program, "on_syscall"),
        Err(error @ (ProbeError::NoPermission { .. } | ProbeError::NoBtf { .. })) => {
            eprintln!("skipped: {error}");
        }
        other => panic!("{:?}", other.map(|probe| probe.attachment().clone())),
    }
}
