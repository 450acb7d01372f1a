//! Sockets: real connections over loopback and unix sockets, and what their events say of both ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};

use lanner_event::{Event, EventType, types as t};
use support::call::{Arg::N, call};
use support::{bytes, number, watch};

/// A socket address as the event has it.
fn address(address: SocketAddr) -> Vec<u8> {
    let (family, ip) = match address {
        SocketAddr::V4(a) => (2u8, a.ip().octets().to_vec()),
        SocketAddr::V6(a) => (10, a.ip().octets().to_vec()),
    };
    [vec![family], ip, address.port().to_ne_bytes().to_vec()].concat()
}

/// Both ends of a connection as the event has them.
fn tuple(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let (from, to) = (address(from), address(to));
    [&from[..], &to[1..]].concat()
}

fn find<'a>(events: &'a [lanner_event::EventBuf], ty: EventType) -> Event<'a> {
    let found = events.iter().map(|e| e.event().unwrap()).find(|e| e.ty() == ty);
    found.unwrap_or_else(|| panic!("no {}", ty.info().unwrap().symbol))
}

const TYPES: [EventType; 9] = [
    t::SOCKET_SOCKET_X,
    t::SOCKET_BIND_X,
    t::SOCKET_LISTEN_X,
    t::SOCKET_CONNECT_X,
    t::SOCKET_ACCEPT4_6_X,
    t::SOCKET_SENDTO_X,
    t::SOCKET_RECVFROM_X,
    t::SOCKET_SENDMSG_X,
    t::SOCKET_SHUTDOWN_X,
];

fn connection(local: &str, family: i64) {
    let Some(mut watch) = watch(&TYPES) else { return };
    let listener = TcpListener::bind(local).unwrap();
    let server = listener.local_addr().unwrap();
    let client = TcpStream::connect(server).unwrap();
    let (accepted, peer) = listener.accept().unwrap();
    (&client).write_all(b"greetings").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let events = watch.own(8);

    let socket = find(&events, t::SOCKET_SOCKET_X);
    assert_eq!(number(&socket, "domain"), Some(family));
    assert_eq!(number(&socket, "type"), Some(i64::from(libc::SOCK_STREAM | libc::SOCK_CLOEXEC)));
    let cloexec = support::flag(t::SOCKET_SOCKET_X, "flags", "O_CLOEXEC");
    assert_eq!(number(&socket, "flags"), Some(cloexec));

    let bind = find(&events, t::SOCKET_BIND_X);
    let asked = SocketAddr::new(server.ip(), 0);
    assert_eq!((bytes(&bind, "addr"), number(&bind, "res")), (&address(asked)[..], Some(0)));

    let listen = find(&events, t::SOCKET_LISTEN_X);
    assert_eq!(number(&listen, "fd"), Some(i64::from(listener.as_raw_fd())));

    let connect = find(&events, t::SOCKET_CONNECT_X);
    assert_eq!(number(&connect, "fd"), Some(i64::from(client.as_raw_fd())));
    assert_eq!(bytes(&connect, "tuple"), tuple(peer, server));
    assert_eq!(bytes(&connect, "addr"), address(server));

    let accept = find(&events, t::SOCKET_ACCEPT4_6_X);
    assert_eq!(number(&accept, "fd"), Some(i64::from(accepted.as_raw_fd())));
    assert_eq!(bytes(&accept, "tuple"), tuple(peer, server));
    assert_ne!(number(&accept, "queuemax"), Some(0));
    assert_eq!(number(&accept, "flags"), Some(cloexec));

    let send = find(&events, t::SOCKET_SENDTO_X);
    assert_eq!((bytes(&send, "data"), number(&send, "size")), (&b"greetings"[..], Some(9)));
    assert_eq!(bytes(&send, "tuple"), tuple(peer, server));

    let shutdown = find(&events, t::SOCKET_SHUTDOWN_X);
    assert_eq!(number(&shutdown, "how"), Some(1));
}

#[test]
fn a_connection_over_ipv4() {
    connection("127.0.0.1:0", 2);
}

#[test]
fn a_connection_over_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: no IPv6 here");
        return;
    }
    connection("[::1]:0", 10);
}

#[test]
fn a_refused_connection_has_the_address_but_no_ends() {
    let Some(mut watch) = watch(&[t::SOCKET_CONNECT_X]) else { return };
    let nobody: SocketAddr = (Ipv4Addr::LOCALHOST, 1).into();
    let error = TcpStream::connect(nobody).unwrap_err();
    let events = watch.own(1);
    let connect = find(&events, t::SOCKET_CONNECT_X);
    assert_eq!(number(&connect, "res"), Some(-i64::from(error.raw_os_error().unwrap())));
    assert_eq!((bytes(&connect, "tuple"), bytes(&connect, "addr")), (&b""[..], &address(nobody)[..]));
}

#[test]
fn a_datagram_has_the_address_that_it_was_sent_to() {
    let Some(mut watch) = watch(&[t::SOCKET_SENDTO_X, t::SOCKET_RECVFROM_X]) else { return };
    let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let ends = tuple(from.local_addr().unwrap(), to.local_addr().unwrap());
    from.send_to(b"datagram", to.local_addr().unwrap()).unwrap();
    to.recv_from(&mut [0; 20]).unwrap();
    let events = watch.own(2);
    assert_eq!(bytes(&find(&events, t::SOCKET_SENDTO_X), "tuple"), ends);
    let received = find(&events, t::SOCKET_RECVFROM_X);
    assert_eq!((bytes(&received, "tuple"), bytes(&received, "data")), (&ends[..], &b"datagram"[..]));
}

/// Sockets for datagrams may send to another address than that which they are connected to.
#[test]
fn a_datagram_to_another_address_than_the_sockets_own() {
    let Some(mut watch) = watch(&TYPES) else { return };
    for (local, any) in [("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:0", "[::]:0"), ("[::1]:0", "[::1]:0")] {
        let [own, other] = [(); 2].map(|()| UdpSocket::bind(local).unwrap());
        let [to_own, to_other] = [&own, &other].map(|socket| socket.local_addr().unwrap());
        let Ok(socket) = UdpSocket::bind(any) else {
            eprintln!("skipped: no address of IPv6");
            return;
        };
        let is_mapped = to_own.is_ipv4() && socket.local_addr().unwrap().is_ipv6();
        let as_told = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) if is_mapped => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
            _ => address,
        };
        socket.connect(as_told(to_own)).unwrap();
        watch.forget();
        socket.send_to(b"x", to_other).unwrap();
        socket.send(b"y").unwrap();
        let events = watch.own(2);
        let [sent, plain] = &events[..] else { panic!("{} events", events.len()) };
        let from = socket.local_addr().unwrap();
        for (event, to) in [(sent, to_other), (plain, to_own)] {
            assert_eq!(bytes(&event.event().unwrap(), "tuple"), tuple(from, as_told(to)), "{local} {any}");
        }
    }
}

#[test]
fn a_message_in_parts_is_put_together() {
    let Some(mut watch) = watch(&[t::SOCKET_SENDMSG_X]) else { return };
    let (a, _b) = UnixStream::pair().unwrap();
    let parts = [(b"hello ".as_ptr() as u64, 6u64), (b"world".as_ptr() as u64, 5)];
    let iov: Vec<u8> =
        parts.iter().flat_map(|(at, len)| [at.to_ne_bytes(), len.to_ne_bytes()].concat()).collect();
    let header: Vec<u8> =
        [0, 0, iov.as_ptr() as u64, 2, 0, 0, 0].into_iter().flat_map(u64::to_ne_bytes).collect();
    let sent = call(libc::SYS_sendmsg, &[N(a.as_raw_fd().into()), support::call::Arg::P(&header), N(0)]);
    assert_eq!(sent, 11);
    let events = watch.own(1);
    let event = find(&events, t::SOCKET_SENDMSG_X);
    assert_eq!((bytes(&event, "data"), number(&event, "size")), (&b"hello world"[..], Some(11)));
}

#[test]
fn unix_sockets_are_known_by_path() {
    let Some(mut watch) = watch(&[t::SOCKET_BIND_X, t::SOCKET_CONNECT_X, t::SOCKET_ACCEPT4_6_X]) else {
        return;
    };
    let path = format!("/tmp/lanner-probe-{}.sock", std::process::id());
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    let _accepted = listener.accept().unwrap();
    std::fs::remove_file(&path).unwrap();
    let events = watch.own(3);
    let named = |event: &Event<'_>, param, skip: usize| {
        let bytes = bytes(event, param);
        assert_eq!(bytes[0], 1);
        String::from_utf8_lossy(&bytes[1 + skip..]).trim_end_matches('\0').to_string()
    };
    assert_eq!(named(&find(&events, t::SOCKET_BIND_X), "addr", 0), path);
    assert_eq!(named(&find(&events, t::SOCKET_CONNECT_X), "addr", 0), path);
    assert_eq!(named(&find(&events, t::SOCKET_CONNECT_X), "tuple", 16), path);
    assert_eq!(named(&find(&events, t::SOCKET_ACCEPT4_6_X), "tuple", 16), path);
}

#[test]
fn a_socket_pair_has_two_ends() {
    let Some(mut watch) = watch(&[t::SOCKET_SOCKETPAIR_X]) else { return };
    let (a, b) = UnixStream::pair().unwrap();
    let events = watch.own(1);
    let event = find(&events, t::SOCKET_SOCKETPAIR_X);
    assert_eq!(number(&event, "fd1"), Some(i64::from(a.as_raw_fd())));
    assert_eq!(number(&event, "fd2"), Some(i64::from(b.as_raw_fd())));
    let (source, peer) = (number(&event, "source"), number(&event, "peer"));
    assert!(source != peer && source != Some(0) && peer != Some(0));
}

#[test]
fn socket_options_and_their_values() {
    let Some(mut watch) = watch(&[t::SOCKET_SETSOCKOPT_X, t::SOCKET_GETSOCKOPT_X]) else { return };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_millis(1500))).unwrap();
    socket.set_ttl(7).unwrap();
    assert!(socket.take_error().unwrap().is_none());
    let events = watch.own(4);
    let events: Vec<_> = events.iter().map(|e| e.event().unwrap()).collect();
    let [broadcast, timeout, ttl, error] = &events[..] else { panic!("{} events", events.len()) };
    let name = |name| support::flag(t::SOCKET_SETSOCKOPT_X, "optname", name);
    let level = support::flag(t::SOCKET_SETSOCKOPT_X, "level", "SOL_SOCKET");
    let value = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    assert_eq!(
        (number(broadcast, "level"), number(broadcast, "optname")),
        (Some(level), Some(name("SO_BROADCAST")))
    );
    assert_eq!(bytes(broadcast, "val"), value(2, &1u32.to_ne_bytes()));
    assert_eq!(number(timeout, "optname"), Some(name("SO_RCVTIMEO")));
    assert_eq!(bytes(timeout, "val"), value(4, &1_500_000_000u64.to_ne_bytes()));
    assert_eq!(
        (number(ttl, "level"), number(ttl, "optname"), number(ttl, "optlen")),
        (Some(0), Some(0), Some(4))
    );
    assert_eq!(bytes(ttl, "val"), value(0, &7u32.to_ne_bytes()));
    assert_eq!((error.ty(), number(error, "optname")), (t::SOCKET_GETSOCKOPT_X, Some(name("SO_ERROR"))));
    assert_eq!(bytes(error, "val"), value(1, &0u64.to_ne_bytes()));
}
