//! Sockets: the calls whose events `network.rs` does not compare, or not whole.
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

use lanner_event::types as t;

use crate::Want::{Bytes, Nothing, Num, Result, Text};
use crate::parts::{array, parts_of};
use crate::support::bytes;
use crate::support::call::{Arg::N, Arg::P, call};
use crate::watch;
use crate::{EBADF, Seen, case, check, compare};

/// All of this group.
pub fn all(seen: &mut Seen) {
    refused(seen);
    messages(seen);
    #[cfg(target_arch = "x86_64")]
    behind_socketcall(seen);
}

fn refused(seen: &mut Seen) {
    let address = [2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let as_shown = vec![2, 127, 0, 0, 1, 80, 0];
    let message = [0u8; 56];
    check(
        seen,
        &[
            case(
                libc::SYS_socket,
                vec![N(99), N(3), N(4)],
                t::SOCKET_SOCKET_X,
                vec![
                    ("fd", Result),
                    ("domain", Num(99)),
                    ("type", Num(3)),
                    ("proto", Num(4)),
                    ("flags", Num(0)),
                ],
            ),
            case(
                libc::SYS_bind,
                vec![N(9999), P(&address), N(16)],
                t::SOCKET_BIND_X,
                vec![("res", Num(EBADF)), ("addr", Bytes(as_shown.clone())), ("fd", Num(9999))],
            ),
            case(
                libc::SYS_connect,
                vec![N(9999), P(&address), N(16)],
                t::SOCKET_CONNECT_X,
                vec![("res", Num(EBADF)), ("tuple", Nothing), ("fd", Num(9999)), ("addr", Bytes(as_shown))],
            ),
            case(
                libc::SYS_listen,
                vec![N(9999), N(5)],
                t::SOCKET_LISTEN_X,
                vec![("res", Num(EBADF)), ("fd", Num(9999)), ("backlog", Num(5))],
            ),
            case(
                libc::SYS_accept,
                vec![N(9999), N(0), N(0)],
                t::SOCKET_ACCEPT_5_X,
                vec![
                    ("fd", Num(EBADF)),
                    ("tuple", Nothing),
                    ("queuepct", Num(0)),
                    ("queuelen", Num(0)),
                    ("queuemax", Num(0)),
                ],
            ),
            case(
                libc::SYS_accept4,
                vec![N(9999), N(0), N(0), N(0)],
                t::SOCKET_ACCEPT4_6_X,
                vec![
                    ("fd", Num(EBADF)),
                    ("tuple", Nothing),
                    ("queuepct", Num(0)),
                    ("queuelen", Num(0)),
                    ("queuemax", Num(0)),
                    ("flags", Num(0)),
                ],
            ),
            case(
                libc::SYS_shutdown,
                vec![N(9999), N(2)],
                t::SOCKET_SHUTDOWN_X,
                vec![("res", Num(EBADF)), ("fd", Num(9999)), ("how", Num(2))],
            ),
            case(
                libc::SYS_sendto,
                vec![N(9999), P(b"hello\0"), N(6)],
                t::SOCKET_SENDTO_X,
                vec![
                    ("res", Num(EBADF)),
                    ("data", Text("hello")),
                    ("fd", Num(9999)),
                    ("size", Num(6)),
                    ("tuple", Nothing),
                ],
            ),
            case(
                libc::SYS_recvfrom,
                vec![N(9999), N(8), N(6)],
                t::SOCKET_RECVFROM_X,
                vec![
                    ("res", Num(EBADF)),
                    ("data", Nothing),
                    ("tuple", Nothing),
                    ("fd", Num(9999)),
                    ("size", Num(6)),
                ],
            ),
            case(
                libc::SYS_sendmsg,
                vec![N(9999), P(&message), N(0)],
                t::SOCKET_SENDMSG_X,
                vec![
                    ("res", Num(EBADF)),
                    ("data", Nothing),
                    ("fd", Num(9999)),
                    ("size", Num(0)),
                    ("tuple", Nothing),
                ],
            ),
            case(
                libc::SYS_recvmsg,
                vec![N(9999), P(&message), N(0)],
                t::SOCKET_RECVMSG_X,
                vec![
                    ("res", Num(EBADF)),
                    ("size", Num(0)),
                    ("data", Nothing),
                    ("tuple", Nothing),
                    ("msgcontrol", Nothing),
                    ("fd", Num(9999)),
                ],
            ),
            case(
                libc::SYS_socketpair,
                vec![N(99), N(3), N(4), N(8)],
                t::SOCKET_SOCKETPAIR_X,
                vec![
                    ("res", Result),
                    ("fd1", Num(-1)),
                    ("fd2", Num(-1)),
                    ("source", Num(0)),
                    ("peer", Num(0)),
                    ("domain", Num(99)),
                    ("type", Num(3)),
                    ("proto", Num(4)),
                ],
            ),
            case(
                libc::SYS_setsockopt,
                vec![N(9999), N(6), N(1), P(&[7, 0, 0, 0]), N(4)],
                t::SOCKET_SETSOCKOPT_X,
                vec![
                    ("res", Num(EBADF)),
                    ("fd", Num(9999)),
                    ("level", Num(crate::support::flag(t::SOCKET_SETSOCKOPT_X, "level", "SOL_TCP"))),
                    ("optname", Num(0)),
                    ("val", Bytes(vec![0, 7, 0, 0, 0])),
                    ("optlen", Num(4)),
                ],
            ),
            case(
                libc::SYS_getsockopt,
                vec![N(9999), N(1), N(3), P(&[7, 0, 0, 0]), P(&[4, 0, 0, 0])],
                t::SOCKET_GETSOCKOPT_X,
                vec![
                    ("res", Num(EBADF)),
                    ("fd", Num(9999)),
                    ("level", Num(crate::support::flag(t::SOCKET_GETSOCKOPT_X, "level", "SOL_SOCKET"))),
                    ("optname", Num(crate::support::flag(t::SOCKET_GETSOCKOPT_X, "optname", "SO_TYPE"))),
                    ("val", Bytes(vec![2, 7, 0, 0, 0])),
                    ("optlen", Num(4)),
                ],
            ),
            case(libc::SYS_getsockname, vec![N(9999), N(0), N(0)], t::SOCKET_GETSOCKNAME_X, vec![]),
            case(libc::SYS_getpeername, vec![N(9999), N(0), N(0)], t::SOCKET_GETPEERNAME_X, vec![]),
        ],
    );
}

/// The headers of several messages, of one array of parts each.
fn headers(arrays: &[Vec<u8>]) -> Vec<u8> {
    let words = |parts: &Vec<u8>| [0, 0, parts.as_ptr() as u64, parts.len() as u64 / 16, 0, 0, 0, 0];
    arrays.iter().flat_map(words).flat_map(u64::to_ne_bytes).collect()
}

/// One event for each message that moved.
fn messages(seen: &mut Seen) {
    let Some(mut watch) = watch(&[t::SOCKET_SENDMMSG_X, t::SOCKET_RECVMMSG_X]) else { return };
    let (a, b) = UnixDatagram::pair().unwrap();
    let (from, to) = (i64::from(a.as_raw_fd()), i64::from(b.as_raw_fd()));
    let texts = [parts_of(&[b"first ", b"one"]), parts_of(&[b"second"])];
    let mut out = headers(&texts);
    let mut room = [[0u8; 9]; 2];
    let rooms = [array(&[(room[0].as_mut_ptr() as i64, 9)]), array(&[(room[1].as_mut_ptr() as i64, 9)])];
    let mut into = headers(&rooms);
    let (out, into) = (out.as_mut_ptr() as i64, into.as_mut_ptr() as i64);
    assert_eq!(call(libc::SYS_sendmmsg, &[N(from), N(out), N(2), N(0)]), 2);
    assert_eq!(call(libc::SYS_recvmmsg, &[N(to), N(into), N(2), N(0x40), N(0)]), 2);
    assert_eq!(call(libc::SYS_sendmmsg, &[N(9999), N(out), N(2), N(0)]), EBADF);
    assert_eq!(call(libc::SYS_recvmmsg, &[N(9999), N(into), N(2), N(0), N(0)]), EBADF);
    let events = watch.own(6);
    let events: Vec<_> = events.iter().map(|e| e.event().unwrap()).collect();
    let [first, second, third, fourth, none_sent, none_received] = &events[..] else {
        panic!("{} events", events.len())
    };
    let sent =
        |text, len| vec![("res", Num(len)), ("fd", Num(from)), ("size", Num(len)), ("data", Text(text))];
    compare(seen, first, 2, &sent("first one", 9));
    compare(seen, second, 2, &sent("second", 6));
    let received = |text, len| {
        let none = ("msgcontrol", Nothing);
        vec![("res", Num(len)), ("fd", Num(to)), ("size", Num(len)), ("data", Text(text)), none]
    };
    compare(seen, third, 2, &received("first one", 9));
    compare(seen, fourth, 2, &received("second", 6));
    // family, then the kernel's addresses of both ends
    let ends = |event| (bytes(event, "tuple")[0], bytes(event, "tuple").len());
    assert_eq!((ends(first), ends(third)), ((1, 18), (1, 18)));
    let refused = || vec![("res", Num(EBADF)), ("size", Num(0)), ("data", Nothing), ("tuple", Nothing)];
    compare(seen, none_sent, EBADF, &refused());
    compare(seen, none_received, EBADF, &refused());
}

/// `send` and `recv` are calls of 32-bit programs alone.
#[cfg(target_arch = "x86_64")]
fn behind_socketcall(seen: &mut Seen) {
    use crate::support::call::{Low, call32};
    let Some(mut watch) = watch(&[t::SOCKET_SEND_X, t::SOCKET_RECV_X]) else { return };
    let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    a.connect(b.local_addr().unwrap()).unwrap();
    b.connect(a.local_addr().unwrap()).unwrap();
    let data = Low::new(b"datagram");
    let args = |fd: i32, len: u32| Low::new(&[fd as u32, data.at(), len, 0].map(u32::to_ne_bytes).concat());
    assert_eq!(call32(102, [9, args(a.as_raw_fd(), 8).at(), 0, 0]), 8);
    assert_eq!(call32(102, [10, args(b.as_raw_fd(), 20).at(), 0, 0]), 8);
    let events = watch.own(2);
    let events: Vec<_> = events.iter().map(|e| e.event().unwrap()).collect();
    let ports = [a.local_addr().unwrap().port(), b.local_addr().unwrap().port()];
    let end = |port: u16| [&[127, 0, 0, 1][..], &port.to_ne_bytes()].concat();
    let tuple = [vec![2], end(ports[0]), end(ports[1])].concat();
    for (event, fd, size) in [(&events[0], a.as_raw_fd(), 8), (&events[1], b.as_raw_fd(), 20)] {
        let want = vec![
            ("res", Num(8)),
            ("data", Text("datagram")),
            ("fd", Num(fd.into())),
            ("size", Num(size)),
            ("tuple", Bytes(tuple.clone())),
        ];
        compare(seen, event, 8, &want);
    }
}
