//! Events that change nothing allocate nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use lanner_event::{EventBuf, EventType, types};
use lanner_machine::{Machine, Thread};

const TID: i64 = 7;

fn event(ty: EventType, params: &[&[u8]]) -> EventBuf {
    EventBuf::new(1_000, TID, 0, ty, params).unwrap()
}

fn n(value: i64) -> [u8; 8] {
    value.to_ne_bytes()
}

fn tuple(source: [u8; 4], dest: [u8; 4]) -> Vec<u8> {
    let port = 53u16.to_ne_bytes();
    [&[2][..], &source, &port, &dest, &port].concat()
}

#[test]
fn events_that_change_nothing_allocate_nothing() {
    let (u4, at_cwd) = (0u32.to_ne_bytes(), n(-100));
    let (inet, stream, datagram) = (2u32.to_ne_bytes(), 1u32.to_ne_bytes(), 2u32.to_ne_bytes());
    let ends = tuple([10, 0, 0, 1], [10, 0, 0, 2]);
    let mut machine = Machine::default();
    machine.add_thread(Thread { pid: TID, ptid: 1, cwd: "/".into(), ..Thread::unknown(TID) });
    for buf in [
        event(types::SYSCALL_OPENAT_2_X, &[&n(3), &at_cwd, b"/etc/hosts\0", &u4, &u4, &u4, &n(1)]),
        event(types::SOCKET_SOCKET_X, &[&n(4), &inet, &stream, &u4, &u4]),
        event(types::SOCKET_CONNECT_X, &[&n(0), &ends, &n(4)]),
        event(types::SOCKET_SOCKET_X, &[&n(5), &inet, &datagram, &u4, &u4]),
        event(types::SOCKET_SENDTO_X, &[&n(1), b"x", &n(5), &u4, &ends]),
    ] {
        machine.apply(&buf.event().unwrap());
    }
    let quiet = [
        event(types::SYSCALL_READ_X, &[&n(1), b"x", &n(3), &u4]),
        event(types::SYSCALL_WRITE_X, &[&n(1), b"x", &n(4), &u4]),
        event(types::SYSCALL_READ_X, &[&n(-9), b"", &n(30), &u4]),
        event(types::SOCKET_SENDTO_X, &[&n(1), b"x", &n(4), &u4, &ends]),
        event(types::SOCKET_RECVFROM_X, &[&n(1), b"x", &ends, &n(4), &u4]),
        event(types::SOCKET_SENDTO_X, &[&n(1), b"x", &n(5), &u4, &ends]),
        event(types::SOCKET_RECVFROM_X, &[&n(1), b"x", &ends, &n(5), &u4]),
        event(types::SYSCALL_OPENAT_2_X, &[&n(-2), &at_cwd, b"/nothing\0", &u4, &u4, &u4, &n(0)]),
        event(types::SYSCALL_FCNTL_X, &[&n(0), &n(3), &[2], &n(0)]),
        event(types::SYSCALL_CLOSE_X, &[&n(-9), &n(30)]),
        event(types::SYSCALL_FSTAT_X, &[&n(0), &n(3)]),
        event(types::SYSCALL_CHDIR_X, &[&n(0), b"/\0"]),
        event(types::SYSCALL_SETUID_X, &[&n(0), &u4]),
        event(types::SYSCALL_MMAP_X, &[&n(4096), &u4, &u4, &u4]),
    ];
    let decoded: Vec<_> = quiet.iter().map(|buf| buf.event().unwrap()).collect();
    for event in &decoded {
        machine.apply(event);
        let made = allocation_counter::measure(|| {
            let _ = machine.apply(event);
        });
        assert_eq!(made.count_total, 0, "{}", event.info.symbol);
    }
}
