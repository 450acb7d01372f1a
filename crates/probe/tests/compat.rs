//! 32-bit calls of a 64-bit process: as visible as any other.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![cfg(target_arch = "x86_64")]

mod support;

use lanner_event::types as t;
use support::call::{Low, call32};
use support::{bytes, number, text, watch};

#[test]
fn calls_by_the_32_bit_gate() {
    let types = [
        t::SYSCALL_OPENAT_2_X,
        t::SYSCALL_OPEN_X,
        t::SYSCALL_SETUID_X,
        t::SYSCALL_UNLINK_2_X,
        t::SYSCALL_KILL_X,
        t::SYSCALL_EXECVE_19_X,
    ];
    let Some(mut watch) = watch(&types) else { return };
    let name = Low::new(b"/nonexistent-by-32-bits\0");
    // 32-bit pointers: one to the name, then the end
    let list = Low::new(&[name.at().to_ne_bytes(), [0; 4]].concat());
    assert_eq!(call32(295, [-100i32 as u32, name.at(), 0o2000000, 0]), -2);
    assert_eq!(call32(5, [name.at(), 0, 0, 0]), -2);
    assert_eq!(call32(213, [u32::MAX, 0, 0, 0]), -22);
    assert_eq!(call32(10, [name.at(), 0, 0, 0]), -2);
    assert_eq!(call32(37, [99_999_999, 15, 0, 0]), -3);
    assert_eq!(call32(11, [name.at(), list.at(), list.at(), 0]), -2);
    let events = watch.own(6);
    let events: Vec<_> = events.iter().map(|e| e.event().unwrap()).collect();
    let found: Vec<_> = events.iter().map(lanner_event::Event::ty).collect();
    assert_eq!(found, types);

    assert_eq!((number(&events[0], "fd"), number(&events[0], "dirfd")), (Some(-2), Some(-100)));
    for event in &events[..2] {
        assert_eq!(text(event, "name").as_deref(), Some("/nonexistent-by-32-bits"));
    }
    assert_eq!(
        (number(&events[2], "res"), number(&events[2], "uid")),
        (Some(-22), Some(i64::from(u32::MAX)))
    );
    assert_eq!(text(&events[3], "path").as_deref(), Some("/nonexistent-by-32-bits"));
    assert_eq!((number(&events[4], "pid"), number(&events[4], "sig")), (Some(99_999_999), Some(15)));
    assert_eq!(text(&events[5], "filename").as_deref(), Some("/nonexistent-by-32-bits"));
    assert_eq!(text(&events[5], "exe").as_deref(), Some("/nonexistent-by-32-bits"));
    assert_eq!(bytes(&events[5], "args"), b"");
    assert_eq!(support::texts(&events[5], "env"), ["/nonexistent-by-32-bits"]);
}

#[test]
fn calls_behind_socketcall() {
    let Some(mut watch) = watch(&[t::SOCKET_SOCKET_X, t::SOCKET_CONNECT_X, t::SOCKET_SENDMSG_X]) else {
        return;
    };
    let args = |list: [u32; 3]| Low::new(&list.map(u32::to_ne_bytes).concat());
    // AF_INET, port 1, 127.0.0.1
    let address = Low::new(&[2, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let fd = call32(102, [1, args([2, 1, 0]).at(), 0, 0]);
    assert!(fd >= 0);
    assert_eq!(call32(102, [3, args([fd as u32, address.at(), 16]).at(), 0, 0]), -111);
    let part = Low::new(b"32 bits");
    let parts = Low::new(&[part.at().to_ne_bytes(), 7u32.to_ne_bytes()].concat());
    let header = Low::new(&[0, 0, parts.at(), 1, 0, 0, 0].map(u32::to_ne_bytes).concat());
    call32(102, [16, args([fd as u32, header.at(), 0x4000]).at(), 0, 0]);
    support::call::call(libc::SYS_close, &[support::call::Arg::N(fd.into())]);

    let events = watch.own(3);
    let events: Vec<_> = events.iter().map(|e| e.event().unwrap()).collect();
    assert_eq!(number(&events[0], "fd"), Some(fd.into()));
    assert_eq!(number(&events[1], "fd"), Some(fd.into()));
    assert_eq!(bytes(&events[1], "addr"), [2, 127, 0, 0, 1, 1, 0]);
    assert_eq!((bytes(&events[2], "data"), number(&events[2], "size")), (&b"32 bits"[..], Some(7)));
}
