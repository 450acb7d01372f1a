//! Calls whose names and addresses another thread rewrites while they run. However forged the name, each call is told
//! once, with its true result, and what the kernel has objects for is told by these. `ways` does the same to `open`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;

use lanner_event::{Event, EventBuf, EventType, types as t};
use support::call::{Arg::N, Arg::P, call};
use support::{bytes, number, text, watch};

const ROUNDS: usize = 500;

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
            move || {
                while !done.load(Ordering::Relaxed) {
                    values.iter().for_each(|value| bytes[place].store(*value, Ordering::Relaxed));
                }
            }
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

/// Runs all rounds; of each, the event and what really happened.
fn rounds(ty: EventType, mut act: impl FnMut() -> char) -> Option<Vec<(EventBuf, char)>> {
    let mut watch = watch(&[ty])?;
    let happened: Vec<char> = (0..ROUNDS).map(|_| act()).collect();
    let events = watch.own(ROUNDS);
    assert_eq!(events.len(), ROUNDS);
    Some(events.into_iter().zip(happened).collect())
}

/// Counts names that were not what happened; each is one of the two that were there.
fn forged(told: &[(EventBuf, char)], name: impl Fn(&Event<'_>) -> String) {
    let forged = told.iter().filter(|(event, happened)| {
        let name = name(&event.event().unwrap());
        assert!(name.ends_with(['a', 'b']), "{name}");
        !name.ends_with(*happened)
    });
    println!("{} of {ROUNDS} names were not what happened", forged.count());
}

#[test]
fn what_is_removed() {
    let place = Place::new("unlink");
    let path = format!("{}/", place.0);
    let both = [format!("{path}a"), format!("{path}b")];
    let name = Rewritten::path(&path);
    let told = rounds(t::SYSCALL_UNLINK_2_X, || {
        both.iter().for_each(|path| std::fs::write(path, "").unwrap());
        assert_eq!(call(libc::SYS_unlink, &[N(name.at())]), 0);
        if Path::new(&both[0]).exists() { 'b' } else { 'a' }
    });
    let Some(told) = told else { return };
    assert!(told.iter().all(|(event, _)| number(&event.event().unwrap(), "res") == Some(0)));
    forged(&told, |event| text(event, "path").unwrap());
}

#[test]
fn what_is_renamed() {
    let place = Place::new("rename");
    let path = format!("{}/", place.0);
    let both = [format!("{path}a"), format!("{path}b")];
    let (name, other) = (Rewritten::path(&path), format!("{path}other\0"));
    let told = rounds(t::SYSCALL_RENAME_X, || {
        both.iter().for_each(|path| std::fs::write(path, "").unwrap());
        assert_eq!(call(libc::SYS_rename, &[N(name.at()), P(other.as_bytes())]), 0);
        if Path::new(&both[0]).exists() { 'b' } else { 'a' }
    });
    let Some(told) = told else { return };
    for (event, _) in &told {
        let event = event.event().unwrap();
        assert_eq!(number(&event, "res"), Some(0));
        assert_eq!(text(&event, "newpath").as_deref(), Some(other.trim_end_matches('\0')));
    }
    forged(&told, |event| text(event, "oldpath").unwrap());
}

#[test]
fn a_program_that_is_not_there() {
    let name = Rewritten::path("/nonexistent-lanner/");
    let Some(mut watch) = watch(&[t::SYSCALL_EXECVE_19_X]) else { return };
    for _ in 0..ROUNDS {
        assert_eq!(call(libc::SYS_execve, &[N(name.at()), N(0), N(0)]), -2);
    }
    let events = watch.own(ROUNDS);
    assert_eq!(events.len(), ROUNDS);
    for event in &events {
        let event = event.event().unwrap();
        assert_eq!(number(&event, "res"), Some(-2));
        // which of the two it was nobody knows
        assert!(text(&event, "filename").unwrap().ends_with(['a', 'b']));
    }
}

/// A program that runs is told by the kernel's own copy of its name.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_program_that_runs() {
    let place = Place::new("exec");
    let path = format!("{}/", place.0);
    for (name, program) in [("a", "/bin/true"), ("b", "/bin/false")] {
        std::fs::copy(program, format!("{path}{name}")).unwrap();
    }
    let name = Rewritten::path(&path);
    let args = [name.at() as u64, 0].map(u64::to_ne_bytes).concat();
    let Some(mut watch) = watch(&[t::SYSCALL_EXECVE_19_X]) else { return };
    let mut ran = std::collections::BTreeMap::new();
    for _ in 0..ROUNDS / 5 {
        let child = support::call::vfork_and_run(name.at(), &args);
        let mut status = [0u8; 4];
        assert_eq!(call(libc::SYS_wait4, &[N(child), N(status.as_mut_ptr() as i64)]), child);
        ran.insert(child, ["a", "b"][usize::from(status[1] != 0)]);
    }
    let of_them = |e: &EventBuf| ran.contains_key(&e.event().unwrap().tid);
    let events = watch.events_until(|events| events.iter().filter(|e| of_them(e)).count() == ran.len());
    let events: Vec<_> = events.iter().filter(|e| of_them(e)).map(|e| e.event().unwrap()).collect();
    assert_eq!(events.len(), ran.len());
    for event in events {
        let really = Some(format!("{path}{}", ran[&event.tid]));
        assert_eq!(
            (number(&event, "res"), text(&event, "filename"), text(&event, "trusted_exepath")),
            (Some(0), really.clone(), really)
        );
    }
}

/// Two ports that differ in their lower byte alone.
fn listeners() -> [TcpListener; 2] {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if let Ok(second) = TcpListener::bind(("127.0.0.1", port ^ 1)) {
            return [first, second];
        }
    }
}

#[test]
fn whom_a_connection_is_made_to() {
    let listeners = listeners();
    let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    let lower = ports.map(|port| port.to_be_bytes()[1]);
    let address = [&[2u8, 0][..], &ports[0].to_be_bytes(), &[127, 0, 0, 1], &[0; 8]].concat();
    let address = Rewritten::new(&address, 3, lower);
    let mut forged = 0;
    let told = rounds(t::SOCKET_CONNECT_X, || {
        let fd = call(libc::SYS_socket, &[N(2), N(1), N(0)]);
        assert_eq!(call(libc::SYS_connect, &[N(fd), N(address.at()), N(16)]), 0);
        let (mut peer, mut len) = ([0u8; 16], 16u32.to_ne_bytes());
        let asked = [N(fd), N(peer.as_mut_ptr() as i64), N(len.as_mut_ptr() as i64)];
        assert_eq!(call(libc::SYS_getpeername, &asked), 0);
        call(libc::SYS_close, &[N(fd)]);
        let reached = usize::from(peer[3] == lower[1]);
        drop(listeners[reached].accept().unwrap());
        ['a', 'b'][reached]
    });
    let Some(told) = told else { return };
    for (event, reached) in &told {
        let event = event.event().unwrap();
        let port = ports[usize::from(*reached == 'b')].to_ne_bytes();
        // by the kernel's socket: family, local address and port, then the remote ones
        assert_eq!(bytes(&event, "tuple")[11..13], port);
        forged += usize::from(bytes(&event, "addr")[5..7] != port);
    }
    println!("{forged} of {ROUNDS} addresses as asked for were not what was reached");
}
