//! Addresses of sockets.

use std::net::{TcpListener, UdpSocket};

use lanner_event::{EventType, types as t};

use crate::support::call::{Arg::N, Arg::P, call};
use crate::support::{bytes, number};
use crate::{ROUNDS, Rewritten, either, rounds, rounds_of};

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

/// An IPv4 address of which the port is the one or the other.
fn rewritten(ports: [u16; 2]) -> Rewritten {
    let address = [&[2u8, 0][..], &ports[0].to_be_bytes(), &[127, 0, 0, 1], &[0; 8]].concat();
    Rewritten::new(&address, 3, ports.map(|port| port.to_be_bytes()[1]))
}

/// Which of the two ports it is.
fn letter(ports: [u16; 2], told: &[u8]) -> String {
    let found = ports.iter().position(|port| port.to_ne_bytes() == *told);
    ["a", "b"][found.unwrap_or_else(|| panic!("{told:?}"))].into()
}

fn socket(kind: i64) -> i64 {
    call(libc::SYS_socket, &[N(2), N(kind), N(0)])
}

/// The end of a socket that a call says.
fn end_of(fd: i64, number: libc::c_long) -> [u8; 16] {
    let (mut end, mut len) = ([0u8; 16], 16u32.to_ne_bytes());
    let asked = [N(fd), N(end.as_mut_ptr() as i64), N(len.as_mut_ptr() as i64)];
    assert_eq!(call(number, &asked), 0);
    end
}

#[test]
fn whom_a_connection_is_made_to() {
    let listeners = listeners();
    let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    let lower = ports.map(|port| port.to_be_bytes()[1]);
    let address = rewritten(ports);
    let told = rounds(t::SOCKET_CONNECT_X, || {
        let fd = socket(1);
        assert_eq!(call(libc::SYS_connect, &[N(fd), N(address.at()), N(16)]), 0);
        let peer = end_of(fd, libc::SYS_getpeername);
        call(libc::SYS_close, &[N(fd)]);
        let reached = usize::from(peer[3] == lower[1]);
        drop(listeners[reached].accept().unwrap());
        ['a', 'b'][reached]
    });
    let Some(told) = told else { return };
    for (event, reached) in &told.rounds {
        // by the kernel's socket: family, local address and port, then the remote ones
        let port = ports[usize::from(*reached == 'b')].to_ne_bytes();
        assert_eq!(bytes(&event.event().unwrap(), "tuple")[11..13], port);
    }
    told.check(|event| letter(ports, &bytes(event, "addr")[5..7]));
}

/// One of the two ports is not listened at.
#[test]
fn whom_a_connection_is_refused_by() {
    let [open, closed] = listeners();
    let ports = [&open, &closed].map(|listener| listener.local_addr().unwrap().port());
    // no longer listened at, but taken: or a socket that connects could get that port, and connect to itself
    let closed_fd = std::os::fd::AsRawFd::as_raw_fd(&closed).into();
    assert_eq!(call(libc::SYS_shutdown, &[N(closed_fd), N(libc::SHUT_RD.into())]), 0);
    let address = rewritten(ports);
    let told = rounds(t::SOCKET_CONNECT_X, || {
        let fd = socket(1);
        let reached = call(libc::SYS_connect, &[N(fd), N(address.at()), N(16)]);
        call(libc::SYS_close, &[N(fd)]);
        match reached {
            0 => drop(open.accept().unwrap()),
            refused => assert_eq!(refused, -111),
        }
        either(reached == 0)
    });
    let Some(told) = told else { return };
    told.check(|event| letter(ports, &bytes(event, "addr")[5..7]));
}

#[test]
fn what_a_socket_is_bound_to() {
    let ports = listeners().map(|listener| listener.local_addr().unwrap().port());
    let address = rewritten(ports);
    let told = rounds(t::SOCKET_BIND_X, || {
        let fd = socket(2);
        assert_eq!(call(libc::SYS_bind, &[N(fd), N(address.at()), N(16)]), 0);
        let own = end_of(fd, libc::SYS_getsockname);
        call(libc::SYS_close, &[N(fd)]);
        either(own[2..4] == ports[0].to_be_bytes())
    });
    let Some(told) = told else { return };
    told.succeeded();
    told.check(|event| letter(ports, &bytes(event, "addr")[5..7]));
}

/// Two sockets that wait for messages at the two ports.
fn receivers() -> ([UdpSocket; 2], [u16; 2]) {
    loop {
        let first = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if let Ok(second) = UdpSocket::bind(("127.0.0.1", port ^ 1)) {
            let both = [first, second];
            both.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
            return (both, [port, port ^ 1]);
        }
    }
}

/// A socket without a remote end sends to an address that is rewritten.
fn sent(ty: EventType, send: impl Fn(i64, i64) -> i64) {
    let (receivers, ports) = receivers();
    let address = rewritten(ports);
    let fd = socket(2);
    let told = rounds(ty, || {
        assert_eq!(send(fd, address.at()), 1);
        let got = receivers.each_ref().map(|socket| socket.recv(&mut [0; 1]).is_ok());
        assert_ne!(got[0], got[1]);
        either(got[0])
    });
    call(libc::SYS_close, &[N(fd)]);
    let Some(told) = told else { return };
    told.check(|event| letter(ports, &bytes(event, "tuple")[11..13]));
}

#[test]
fn whom_a_message_is_sent_to() {
    sent(t::SOCKET_SENDTO_X, |fd, to| call(libc::SYS_sendto, &[N(fd), P(b"x"), N(1), N(0), N(to), N(16)]));
    sent(t::SOCKET_SENDMSG_X, |fd, to| {
        let part = [b"x".as_ptr() as u64, 1];
        let header = [to as u64, 16, part.as_ptr() as u64, 1, 0, 0, 0].map(u64::to_ne_bytes).concat();
        call(libc::SYS_sendmsg, &[N(fd), P(&header), N(0)])
    });
}

/// One call sends two messages, both to the address that is rewritten.
#[test]
fn whom_each_of_several_messages_is_sent_to() {
    let (receivers, ports) = receivers();
    let address = rewritten(ports);
    let fd = socket(2);
    let parts = [b"1", b"2"].map(|byte| [byte.as_ptr() as u64, 1]);
    let header = |part: &[u64; 2]| [address.at() as u64, 16, part.as_ptr() as u64, 1, 0, 0, 0, 0];
    let told = rounds_of(ROUNDS, t::SOCKET_SENDMMSG_X, || {
        let headers = parts.each_ref().map(header).concat();
        let headers: Vec<u8> = headers.into_iter().flat_map(u64::to_ne_bytes).collect();
        assert_eq!(call(libc::SYS_sendmmsg, &[N(fd), P(&headers), N(2), N(0)]), 2);
        let mut reached = ['?'; 2];
        for (receiver, letter) in receivers.iter().zip(['a', 'b']) {
            let mut byte = [0];
            while receiver.recv(&mut byte).is_ok() {
                reached[usize::from(byte[0] - b'1')] = letter;
            }
        }
        reached
    });
    call(libc::SYS_close, &[N(fd)]);
    let Some(told) = told else { return };
    told.check(|event| letter(ports, &bytes(event, "tuple")[11..13]));
}

/// Of two senders, whose address is rewritten where the kernel has put it.
fn received(ty: EventType, receive: impl Fn(i64, i64, i64) -> i64) {
    let (senders, ports) = receivers();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = receiver.local_addr().unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&receiver);
    let address = rewritten(ports);
    let mut turn = 0;
    let told = rounds(ty, || {
        turn = (turn * 5 + 3) % 16;
        let sender = turn / 8;
        senders[sender].send_to(b"x", at).unwrap();
        let mut data = [0u8];
        assert_eq!(receive(fd.into(), data.as_mut_ptr() as i64, address.at()), 1);
        either(sender == 0)
    });
    let Some(told) = told else { return };
    // what comes in has the remote end first
    told.check(|event| letter(ports, &bytes(event, "tuple")[5..7]));
}

#[test]
fn whom_a_message_came_from() {
    received(t::SOCKET_RECVFROM_X, |fd, data, from| {
        let mut size = 16u32.to_ne_bytes();
        let size = size.as_mut_ptr() as i64;
        call(libc::SYS_recvfrom, &[N(fd), N(data), N(1), N(0), N(from), N(size)])
    });
    received(t::SOCKET_RECVMSG_X, |fd, data, from| {
        let part = [data as u64, 1];
        let header = [from as u64, 16, part.as_ptr() as u64, 1, 0, 0, 0].map(u64::to_ne_bytes);
        let mut header = header.concat();
        call(libc::SYS_recvmsg, &[N(fd), N(header.as_mut_ptr() as i64), N(0)])
    });
}

/// One call takes two messages, of which it asks for the address of the second alone.
#[test]
fn whom_the_second_of_two_messages_came_from() {
    let (senders, ports) = receivers();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = receiver.local_addr().unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&receiver);
    let address = rewritten(ports);
    let mut data = [0u8; 2];
    let part = [data.as_mut_ptr() as u64, 2];
    let header = |name: i64, size| [name as u64, size, part.as_ptr() as u64, 1, 0, 0, 0, 0];
    let mut turn = 0;
    let told = rounds_of(ROUNDS, t::SOCKET_RECVMMSG_X, || {
        turn = (turn * 5 + 3) % 16;
        let sender = turn / 8;
        senders[1 - sender].send_to(b"x", at).unwrap();
        senders[sender].send_to(b"x", at).unwrap();
        let headers = [header(0, 0), header(address.at(), 16)].concat();
        let mut headers: Vec<u8> = headers.into_iter().flat_map(u64::to_ne_bytes).collect();
        let headers = headers.as_mut_ptr() as i64;
        assert_eq!(call(libc::SYS_recvmmsg, &[N(fd.into()), N(headers), N(2), N(0), N(0)]), 2);
        ['?', either(sender == 0)]
    });
    let Some(mut told) = told else { return };
    told.rounds.retain(|(_, sender)| *sender != '?');
    assert_eq!(told.rounds.len(), ROUNDS);
    told.check(|event| letter(ports, &bytes(event, "tuple")[5..7]));
}

/// By the call that stands for all of sockets in 32-bit programs, which has its arguments in memory, too.
#[cfg(target_arch = "x86_64")]
#[test]
fn whom_a_32_bit_connection_is_made_to() {
    use crate::support::call::{Low, call32};
    use std::sync::atomic::AtomicBool;

    let listeners = listeners();
    let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    let address = [&[2u8, 0][..], &ports[0].to_be_bytes(), &[127, 0, 0, 1], &[0; 8]].concat();
    // the arguments behind it: an fd, where the address is, and its length
    let low = Low::new(&[&address[..], &[0; 12]].concat());
    let lower = ports.map(|port| port.to_be_bytes()[1]);
    let done = AtomicBool::new(false);
    let told = std::thread::scope(|scope| {
        let byte = low.byte(3);
        // even if an assertion fails
        let _end = crate::OnDrop(&done);
        scope.spawn(|| crate::rewrite(byte, lower, &done));
        rounds(t::SOCKET_CONNECT_X, || {
            let fd = socket(1);
            let arguments = [fd as u32, low.at(), 16].map(u32::to_ne_bytes).concat();
            for (i, value) in arguments.into_iter().enumerate() {
                low.byte(16 + i).store(value, std::sync::atomic::Ordering::Relaxed);
            }
            assert_eq!(call32(102, [3, low.at() + 16, 0, 0]), 0);
            let reached = usize::from(end_of(fd, libc::SYS_getpeername)[3] == lower[1]);
            call(libc::SYS_close, &[N(fd)]);
            drop(listeners[reached].accept().unwrap());
            ['a', 'b'][reached]
        })
    });
    let Some(told) = told else { return };
    told.check(|event| letter(ports, &bytes(event, "addr")[5..7]));
}

/// Which of two sockets it connects, whose fds differ in one byte that is rewritten where the call has its arguments.
#[cfg(target_arch = "x86_64")]
#[test]
fn which_socket_a_32_bit_call_connects() {
    use crate::support::call::{Low, call32};
    use std::sync::atomic::AtomicBool;

    const FDS: [u8; 2] = [200, 201];
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let address = [&[2u8, 0][..], &port.to_be_bytes(), &[127, 0, 0, 1], &[0; 8]].concat();
    let low = Low::new(&[&address[..], &[0; 12]].concat());
    for (i, value) in [u32::from(FDS[0]), low.at(), 16].into_iter().flat_map(u32::to_ne_bytes).enumerate() {
        low.byte(16 + i).store(value, std::sync::atomic::Ordering::Relaxed);
    }
    let done = AtomicBool::new(false);
    let told = std::thread::scope(|scope| {
        let byte = low.byte(16);
        // even if an assertion fails
        let _end = crate::OnDrop(&done);
        scope.spawn(|| crate::rewrite(byte, FDS, &done));
        rounds(t::SOCKET_CONNECT_X, || {
            for fd in FDS {
                let made = socket(2);
                assert_eq!(call(libc::SYS_dup2, &[N(made), N(fd.into())]), i64::from(fd));
                call(libc::SYS_close, &[N(made)]);
            }
            assert_eq!(call32(102, [3, low.at() + 16, 0, 0]), 0);
            let connected = FDS.map(|fd| {
                let (mut end, mut len) = ([0u8; 16], 16u32.to_ne_bytes());
                let asked = [N(fd.into()), N(end.as_mut_ptr() as i64), N(len.as_mut_ptr() as i64)];
                call(libc::SYS_getpeername, &asked) == 0
            });
            assert_ne!(connected[0], connected[1]);
            either(connected[0])
        })
    });
    for fd in FDS {
        call(libc::SYS_close, &[N(fd.into())]);
    }
    let Some(told) = told else { return };
    let fds = FDS.map(|fd| Some(i64::from(fd)));
    told.check(|event| either(fds.iter().position(|fd| *fd == number(event, "fd")) == Some(0)).into());
}
