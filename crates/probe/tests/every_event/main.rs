//! Every system call that has an event of its own, made once for real with known arguments: the event that comes
//! of it must carry these, parameter by parameter. The last part walks the event table: a type that a live source
//! writes today is compared here, or by the test that is named, or left out with the reason.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod descriptors;
mod files;
mod identity;
mod limits;
mod memory;
mod moments;
mod parts;
mod remaining;
mod sockets;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use lanner_event::{Event, EventType, types as t};
use support::call::{Arg, Arg::N, call};
use support::lent::Lent;
use support::{number, text};

/// A probe for some types; says why and gives `None` where the machine does not let it.
fn watch(types: &[EventType]) -> Option<Lent> {
    // with the beginnings of calls, whose program is loaded only if one of them is wanted at first
    support::lent::watch(&[t::SYSCALL_OPEN_E], types)
}

/// What has been compared: of each type, the parameters.
#[derive(Default)]
struct Seen {
    params: BTreeMap<EventType, BTreeSet<&'static str>>,
}

impl Seen {
    fn add(&mut self, ty: EventType, params: impl IntoIterator<Item = &'static str>) {
        self.params.entry(ty).or_default().extend(params);
    }
}

/// What a parameter must be.
enum Want {
    Num(i64),
    Text(&'static str),
    Bytes(Vec<u8>),
    /// No bytes: the kernel had nothing.
    Nothing,
    /// The call's own result.
    Result,
    /// Any number but zero.
    Something,
}
use Want::{Bytes, Nothing, Num, Result, Something, Text};

/// A call and what must come of it.
struct Case<'a> {
    number: libc::c_long,
    args: Vec<Arg<'a>>,
    event: EventType,
    want: Vec<(&'static str, Want)>,
}

fn case<'a>(
    number: libc::c_long,
    args: Vec<Arg<'a>>,
    event: EventType,
    want: Vec<(&'static str, Want)>,
) -> Case<'a> {
    Case { number, args, event, want }
}

/// Makes the calls and compares.
fn check(seen: &mut Seen, cases: &[Case<'_>]) {
    let types: Vec<EventType> = cases.iter().map(|c| c.event).collect();
    let Some(mut watch) = watch(&types) else { return };
    let results: Vec<i64> = cases.iter().map(|c| call(c.number, &c.args)).collect();
    let events = watch.own(cases.len());
    let found: Vec<&str> = events.iter().map(|e| e.event().unwrap().info.symbol).collect();
    let wanted: Vec<&str> = types.iter().map(|ty| ty.info().unwrap().symbol).collect();
    assert_eq!(found, wanted);
    for ((case, event), result) in cases.iter().zip(&events).zip(results) {
        compare(seen, &event.event().unwrap(), result, &case.want);
    }
}

/// Does something that ends in one event, and then knows what the event must carry.
fn check_one(seen: &mut Seen, ty: EventType, act: impl FnOnce() -> (i64, Vec<(&'static str, Want)>)) {
    let Some(mut watch) = watch(&[ty]) else { return };
    let (result, want) = act();
    let events = watch.own(1);
    assert_eq!(events.len(), 1, "{}", ty.info().unwrap().symbol);
    compare(seen, &events[0].event().unwrap(), result, &want);
}

/// Compares the parameters of an event.
fn compare(seen: &mut Seen, event: &Event<'_>, result: i64, wants: &[(&'static str, Want)]) {
    assert_eq!(event.param_count(), event.info.params.len());
    seen.add(event.ty(), wants.iter().map(|(name, _)| *name));
    for (name, want) in wants {
        let place = format!("{} {name} ({event:?})", event.info.symbol);
        match want {
            Num(n) => assert_eq!(number(event, name), Some(*n), "{place}"),
            Text(s) => assert_eq!(text(event, name).as_deref(), Some(*s), "{place}"),
            Bytes(b) => assert_eq!(support::bytes(event, name), &b[..], "{place}"),
            Nothing => assert_eq!(support::bytes(event, name), b"", "{place}"),
            Result => assert_eq!(number(event, name), Some(result), "{place}"),
            Something => assert_ne!(number(event, name), Some(0), "{place}"),
        }
    }
    assert!(event.ts > 1_600_000_000_000_000_000, "{}", event.ts);
}

const DIR: &[u8] = b"/tmp/lanner-probe-test-none/\0";
const NONE: &[u8] = b"/tmp/lanner-probe-test-none\0";
const OTHER: &[u8] = b"lanner-probe-test-other\0";
const NONE_TEXT: &str = "/tmp/lanner-probe-test-none";
const OTHER_TEXT: &str = "lanner-probe-test-other";
const CWD: i64 = -100;
const ENOENT: i64 = -2;
const EBADF: i64 = -9;

/// A call without an event of its own.
fn generic(seen: &mut Seen) {
    let Some(mut watch) = watch(&[t::GENERIC_X]) else { return };
    call(libc::SYS_getpriority, &[N(0), N(99_999_999)]);
    // the probe's own waiting is generic too
    let is_ours = |event: &Event<'_>| number(event, "nativeID") == Some(libc::SYS_getpriority);
    let events = watch.events_until(|events| {
        events.iter().filter_map(|e| e.event().ok()).any(|e| e.ty() == t::GENERIC_X && is_ours(&e))
    });
    let id = lanner_event::SYSCALL_NAMES.iter().position(|n| *n == "getpriority").unwrap() as i64;
    let events: Vec<_> = events.iter().map(|e| e.event().unwrap()).collect();
    let ours = events.iter().find(|e| e.ty() == t::GENERIC_X && is_ours(e)).unwrap();
    compare(seen, ours, 0, &[("ID", Num(id)), ("nativeID", Num(libc::SYS_getpriority))]);
}

#[test]
fn every_current_event_carries_what_the_call_was_given() {
    let mut seen = Seen::default();
    files::all(&mut seen);
    descriptors::all(&mut seen);
    identity::all(&mut seen);
    memory::all(&mut seen);
    parts::all(&mut seen);
    waiting::all(&mut seen);
    limits::all(&mut seen);
    sockets::all(&mut seen);
    remaining::all(&mut seen);
    moments::all(&mut seen);
    generic(&mut seen);
    if seen.params.is_empty() {
        // this machine lets no probe in, which was said
        return;
    }
    table::walk(&seen);
}
