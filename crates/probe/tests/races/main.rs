//! Calls whose names and addresses another thread rewrites while they run. However forged the name, each call is told
//! once, with its true result, and what the kernel has objects for is told by these. Where the probe keeps the kernel's
//! copies of names and addresses, none is forged.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod addresses;
mod calls;
mod changes;
mod names;
mod programs;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;

use lanner_event::{Event, EventBuf, EventType};
use support::call::{Arg::N, Arg::P, call};
use support::lent::Lent;
use support::{number, text};

const ROUNDS: usize = 500;

/// Writes the one and the other value until it is done. Each stays for a while, or the other CPU would never see the
/// first; the whiles differ, lest they keep time with the calls.
fn rewrite(byte: &AtomicU8, values: [u8; 2], done: &AtomicBool) {
    stay_on_cpu(1);
    for pause in (0..100).cycle().take_while(|_| !done.load(Ordering::Relaxed)) {
        for value in values {
            byte.store(value, Ordering::Relaxed);
            (0..pause).for_each(|_| std::hint::spin_loop());
        }
    }
}

/// Has this thread run on that CPU alone, if there is one.
fn stay_on_cpu(cpu: u32) {
    let set = (1u64 << cpu).to_ne_bytes();
    call(libc::SYS_sched_setaffinity, &[N(0), N(8), P(&set)]);
}

/// Says that it is done, when it is dropped.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Bytes of which a thread rewrites one, again and again, until the value is dropped.
struct Rewritten {
    bytes: Arc<Vec<AtomicU8>>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Rewritten {
    fn new(bytes: &[u8], place: usize, values: [u8; 2]) -> Rewritten {
        let bytes: Arc<Vec<AtomicU8>> = Arc::new(bytes.iter().copied().map(AtomicU8::new).collect());
        let done = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (bytes, done) = (Arc::clone(&bytes), Arc::clone(&done));
            move || rewrite(&bytes[place], values, &done)
        });
        Rewritten { bytes, done, thread: Some(thread) }
    }

    /// A path of which the last letter is `a` or `b`.
    fn path(path: &str) -> Rewritten {
        let bytes = format!("{path}a\0").into_bytes();
        Rewritten::new(&bytes, bytes.len() - 2, *b"ab")
    }

    fn at(&self) -> i64 {
        self.bytes.as_ptr() as i64
    }
}

impl Drop for Rewritten {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A directory of this test's own, gone with the value.
struct Place(String);

impl Place {
    fn new(name: &str) -> Place {
        let path = format!("/tmp/lanner-races-{name}-{}", std::process::id());
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Place(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A probe for a type; says why and gives `None` where the machine does not let it.
fn watch(ty: EventType) -> Option<Lent> {
    support::lent::watch(&[ty], &[ty])
}

/// What came of all rounds.
struct Told {
    /// Of each event, what really happened.
    rounds: Vec<(EventBuf, char)>,
    /// Whether names and addresses are the kernel's copies.
    safe: bool,
}

/// Runs all rounds.
fn rounds(ty: EventType, act: impl FnMut() -> char) -> Option<Told> {
    some_rounds(ROUNDS, ty, act)
}

/// Runs some rounds.
fn some_rounds(count: usize, ty: EventType, mut act: impl FnMut() -> char) -> Option<Told> {
    rounds_of(count, ty, || [act()])
}

/// Runs some rounds, of which each has several events.
fn rounds_of<const N: usize>(count: usize, ty: EventType, act: impl FnMut() -> [char; N]) -> Option<Told> {
    stay_on_cpu(0);
    let mut watch = watch(ty)?;
    let happened: Vec<char> = std::iter::repeat_with(act).take(count).flatten().collect();
    let events = watch.own(happened.len());
    assert_eq!(events.len(), happened.len());
    let attachment = watch.probe.attachment();
    let why = attachment.no_copies.clone();
    let kept =
        if attachment.kprobes { "by the kernel's copies, at kprobes" } else { "by the kernel's copies" };
    println!("{}", why.as_deref().unwrap_or(kept));
    Some(Told { rounds: events.into_iter().zip(happened).collect(), safe: why.is_none() })
}

impl Told {
    /// Names that were not what happened: none by the kernel's copies, else each one of the two that were there.
    fn check(&self, name: impl Fn(&Event<'_>) -> String) {
        let forged = self.rounds.iter().filter(|(event, happened)| {
            let name = name(&event.event().unwrap());
            assert!(name.ends_with(['a', 'b']), "{name}");
            !name.ends_with(*happened)
        });
        let forged = forged.count();
        println!("{forged} of {} names were not what happened", self.rounds.len());
        assert!(!self.safe || forged == 0);
    }

    /// The same for a parameter.
    fn check_text(&self, param: &str) {
        self.check(|event| text(event, param).unwrap());
    }

    fn succeeded(&self) {
        assert!(self.rounds.iter().all(|(event, _)| number(&event.event().unwrap(), "res") == Some(0)));
    }
}

fn either(is_a: bool) -> char {
    if is_a { 'a' } else { 'b' }
}
