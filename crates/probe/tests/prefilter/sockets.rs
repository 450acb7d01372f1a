//! What is dropped by the socket that a call is about.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lanner_event::prefilter::{
    AskedEnds, Home, Interest, Keep, Network, Prefilter, SUCCESS, Sieves, SocketClass, States,
};
use lanner_event::{EventBuf, EventType, types as t};

use crate::support::call::{Arg::N, Arg::P, call};
use crate::support::number;
use crate::{told, types_of, watch};

const CALLS: [EventType; 4] =
    [t::SOCKET_CONNECT_X, t::SOCKET_SENDTO_X, t::SOCKET_RECVFROM_X, t::SOCKET_LISTEN_X];
const IPPROTO_MPTCP: i32 = 262;

fn prefilter(interest: &Interest, keep: Keep) -> Prefilter {
    let types = CALLS.into_iter().map(|ty| (ty, (interest.clone(), keep)));
    Prefilter { types: types.collect(), ..Prefilter::default() }
}

/// Fds of all classes, as far as the kernel has them.
fn sockets() -> Vec<(i64, SocketClass)> {
    use libc::{
        AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM,
    };
    let made = [
        (AF_INET, SOCK_STREAM, 0, SocketClass::Tcp4),
        (AF_INET6, SOCK_STREAM, 0, SocketClass::Tcp6),
        (AF_INET, SOCK_DGRAM, 0, SocketClass::Udp4),
        (AF_INET6, SOCK_DGRAM, libc::IPPROTO_UDP, SocketClass::Udp6),
        (AF_INET, SOCK_STREAM, IPPROTO_MPTCP, SocketClass::Other4),
        (AF_INET, SOCK_RAW, libc::IPPROTO_TCP, SocketClass::Other4),
        (AF_INET6, SOCK_RAW, libc::IPPROTO_ICMPV6, SocketClass::Other6),
        (AF_UNIX, SOCK_STREAM, 0, SocketClass::Unix),
        (AF_UNIX, SOCK_DGRAM, 0, SocketClass::Unix),
        (AF_UNIX, SOCK_SEQPACKET, 0, SocketClass::Unix),
        (AF_NETLINK, SOCK_RAW, 0, SocketClass::Netlink),
        (AF_PACKET, SOCK_DGRAM, 0, SocketClass::Other),
    ];
    let all = made.into_iter().filter_map(|(family, kind, protocol, class)| {
        let kind = kind | libc::SOCK_NONBLOCK;
        let fd = call(libc::SYS_socket, &[N(family.into()), N(kind.into()), N(protocol.into())]);
        (fd >= 0).then_some((fd, class))
    });
    let file = call(libc::SYS_openat, &[N(libc::AT_FDCWD.into()), P(b"/dev/null\0"), N(0), N(0)]);
    all.chain([(file, SocketClass::Unknown), (-1, SocketClass::Unknown)]).collect()
}

/// A call over an fd: its type and its result.
fn does(what: usize, fd: i64, to: &[u8]) -> (EventType, i64) {
    let buffer = [0u8; 16];
    match what {
        0 => {
            // nobody listens there
            let len = N(to.len() as i64);
            (t::SOCKET_CONNECT_X, call(libc::SYS_connect, &[N(fd), P(to), len]))
        }
        1 => {
            let args = [N(fd), P(b"data"), N(4), N(libc::MSG_NOSIGNAL.into()), N(0), N(0)];
            (t::SOCKET_SENDTO_X, call(libc::SYS_sendto, &args))
        }
        2 => {
            let args = [N(fd), P(&buffer), N(16), N(libc::MSG_DONTWAIT.into()), N(0), N(0)];
            (t::SOCKET_RECVFROM_X, call(libc::SYS_recvfrom, &args))
        }
        _ => (t::SOCKET_LISTEN_X, call(libc::SYS_listen, &[N(fd), N(1)])),
    }
}

#[test]
fn the_kernel_decides_by_sockets_as_the_tables_say() {
    let _alone = alone();
    let types = [&CALLS[..], &[t::SYSCALL_MUNLOCKALL_X]].concat();
    let Some(mut watch) = watch(&types) else { return };
    let sockets = sockets();
    assert!(sockets.iter().any(|(_, class)| class.is_tcp()));
    // 127.0.0.1, port 1
    let to = [2u8, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut seed = 11u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed >> 33
    };
    let (mut let_through, mut dropped) = (0, 0);
    for round in 0..60 {
        // some rounds ask for one class, others for any states
        let class = SocketClass::ALL[round % SocketClass::ALL.len()];
        let states = match round / SocketClass::ALL.len() {
            0 => class.states(),
            1 => class.states().and(States::with(SUCCESS)),
            _ => States(next() & 0xffff_ffff),
        };
        let prefilter = prefilter(&Interest::states(states), Keep::Nothing);
        watch.probe.update_prefilter(&prefilter);
        told(&mut watch);
        let sieves = Sieves::new(&prefilter);
        for (fd, class) in &sockets {
            let what = next() as usize % 4;
            let (ty, result) = does(what, *fd, &to);
            let events = told(&mut watch);
            let expected =
                sieves.may_matter(&finished(ty, result).event().unwrap(), *class, b"cat", Home::Unknown);
            assert_eq!(!events.is_empty(), expected, "{class:?} {} {result}", ty.info().unwrap().name);
            for event in &events {
                assert_eq!(
                    (event.event().unwrap().ty(), number(&event.event().unwrap(), "fd")),
                    (ty, Some(*fd))
                );
            }
            if expected { let_through += 1 } else { dropped += 1 }
        }
    }
    assert!(let_through > 100 && dropped > 100, "{let_through} {dropped}");
    for (fd, _) in sockets {
        call(libc::SYS_close, &[N(fd)]);
    }
}

/// An event of which nothing but the result is looked at.
fn finished(ty: EventType, result: i64) -> EventBuf {
    let result = result.to_ne_bytes();
    let count = ty.info().unwrap().params.len();
    let params: Vec<&[u8]> = (0..count).map(|at| if at == 0 { &result[..] } else { &[] }).collect();
    EventBuf::new(1, 1, 0, ty, &params).unwrap()
}

fn send(fd: i64) {
    assert_eq!(call(libc::SYS_sendto, &[N(fd), P(b"data"), N(4), N(0), N(0), N(0)]), 4);
}

fn receive(fd: i64) {
    let buffer = [0u8; 16];
    assert!(call(libc::SYS_recvfrom, &[N(fd), P(&buffer), N(16), N(0), N(0), N(0)]) > 0);
}

const EXCHANGES: [EventType; 6] = [
    t::SOCKET_SENDTO_X,
    t::SOCKET_RECVFROM_X,
    t::SOCKET_ACCEPT4_6_X,
    t::SYSCALL_CLOSE_X,
    t::SYSCALL_FCNTL_X,
    t::SYSCALL_MUNLOCKALL_X,
];

/// A prefilter for a machine that rules ask nothing of.
fn for_the_state() -> Prefilter {
    let nothing = |keep| (Interest::default(), keep);
    Prefilter {
        types: [
            (t::SOCKET_SENDTO_X, nothing(Keep::ExchangesButUnix)),
            (t::SOCKET_RECVFROM_X, nothing(Keep::ExchangesButUnix)),
            (t::SOCKET_ACCEPT4_6_X, nothing(Keep::AcceptsButUnix)),
            (t::SYSCALL_CLOSE_X, nothing(Keep::Closes)),
            (t::SYSCALL_FCNTL_X, nothing(Keep::FdCommands)),
        ]
        .into(),
        ..Prefilter::default()
    }
}

/// Sockets of one process whose numbers differ by 64 take turns in being noted: one test after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number_of(socket: &impl AsRawFd) -> i64 {
    socket.as_raw_fd().into()
}

#[test]
fn data_over_a_stream_is_told_once() {
    let _alone = alone();
    let Some(mut watch) = watch(&EXCHANGES) else { return };
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address) else { continue };
        watch.probe.update_prefilter(&Prefilter::default());
        let (client, server) = pair(&listener);
        watch.probe.update_prefilter(&for_the_state());
        told(&mut watch);
        // what came alone tells nothing of an fd that isn't known
        send(number_of(&client));
        assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_SENDTO_X], "{address}");
        for _ in 0..3 {
            send(number_of(&client));
        }
        assert_eq!(types_of(&told(&mut watch)), [], "{address}");
        receive(number_of(&server));
        assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_RECVFROM_X], "{address}");
        send(number_of(&server));
        assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_SENDTO_X], "{address}");
        receive(number_of(&client));
        assert_eq!(types_of(&told(&mut watch)), [], "{address}");
        // another socket of the same number
        let (next, accepted) = pair(&listener);
        assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_ACCEPT4_6_X]);
        let flags = N(libc::O_CLOEXEC.into());
        call(libc::SYS_dup3, &[N(number_of(&next)), N(number_of(&client)), flags]);
        send(number_of(&client));
        assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_SENDTO_X], "{address}");
        // of one that was accepted both ends are known
        receive(number_of(&accepted));
        send(number_of(&accepted));
        assert_eq!(types_of(&told(&mut watch)), [], "{address}");
        // a copy is another fd
        let copy = call(libc::SYS_fcntl, &[N(number_of(&accepted)), N(libc::F_DUPFD_CLOEXEC.into()), N(0)]);
        assert_eq!(types_of(&told(&mut watch)), [t::SYSCALL_FCNTL_X]);
        send(copy);
        assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_SENDTO_X], "{address}");
        call(libc::SYS_close, &[N(copy)]);
        told(&mut watch);
    }
}

#[test]
fn a_stream_that_is_connected_anew_is_told_anew() {
    let _alone = alone();
    let Some(mut watch) = watch(&EXCHANGES) else { return };
    let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let fd = call(libc::SYS_socket, &[N(libc::AF_INET.into()), N(libc::SOCK_STREAM.into()), N(0)]);
    watch.probe.update_prefilter(&for_the_state());
    for listener in &listeners {
        let port = listener.local_addr().unwrap().port().to_be_bytes();
        let to = [2u8, 0, port[0], port[1], 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(call(libc::SYS_connect, &[N(fd), P(&to), N(16)]), 0);
        told(&mut watch);
        send(fd);
        assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_SENDTO_X]);
        send(fd);
        assert_eq!(types_of(&told(&mut watch)), []);
        // AF_UNSPEC: no longer connected
        assert_eq!(call(libc::SYS_connect, &[N(fd), P(&[0; 16]), N(16)]), 0);
    }
    call(libc::SYS_close, &[N(fd)]);
}

/// An address of the internet, as calls want it.
fn as_given(address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address.ip() {
        IpAddr::V4(ip) => [&[2, 0, port[0], port[1]], &ip.octets()[..], &[0; 8]].concat(),
        IpAddr::V6(ip) => [&[10, 0, port[0], port[1], 0, 0, 0, 0], &ip.octets()[..], &[0; 4]].concat(),
    }
}

fn send_to(fd: i64, to: &[u8]) {
    assert_eq!(call(libc::SYS_sendto, &[N(fd), P(b"data"), N(4), N(0), P(to), N(to.len() as i64)]), 4);
}

/// Sends a message that names an address, or none.
fn send_message(fd: i64, to: &[u8]) {
    let data = *b"data";
    let part = [data.as_ptr() as u64, 4];
    let header = [to.as_ptr() as u64, to.len() as u64, part.as_ptr() as u64, 1, 0, 0, 0];
    let header: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
    assert_eq!(call(libc::SYS_sendmsg, &[N(fd), P(&header), N(0)]), 4);
}

/// Has all that is sent to a socket come.
fn drain(socket: &UdpSocket) {
    let (fd, buffer) = (number_of(socket), [0u8; 16]);
    while call(libc::SYS_recvfrom, &[N(fd), P(&buffer), N(16), N(libc::MSG_DONTWAIT.into()), N(0), N(0)]) >= 0
    {
    }
}

#[test]
fn datagrams_between_two_ends_are_told_once() {
    let _alone = alone();
    let types = [&EXCHANGES[..], &[t::SOCKET_SENDMSG_X, t::SOCKET_CONNECT_X]].concat();
    let Some(mut watch) = watch(&types) else { return };
    let mut state = for_the_state();
    state.types.insert(t::SOCKET_SENDMSG_X, (Interest::default(), Keep::ExchangesButUnix));
    state.types.insert(t::SOCKET_CONNECT_X, (Interest::default(), Keep::ConnectsButUnix));
    for address in ["127.0.0.1:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        let (Ok(from), Ok(to)) = (UdpSocket::bind(address), UdpSocket::bind(address)) else { continue };
        let (fd, given) = (number_of(&from), as_given(to.local_addr().unwrap()));
        watch.probe.update_prefilter(&state);
        from.connect(to.local_addr().unwrap()).unwrap();
        let mut told_of = |what: &dyn Fn()| {
            told(&mut watch);
            what();
            types_of(&told(&mut watch))
        };
        assert_eq!(told_of(&|| send(fd)), [t::SOCKET_SENDTO_X], "{address}");
        assert_eq!(told_of(&|| (0..3).for_each(|_| send(fd))), [], "{address}");
        assert_eq!(told_of(&|| send_message(fd, &[])), [], "{address}");
        to.send_to(b"data", from.local_addr().unwrap()).unwrap();
        assert_eq!(told_of(&|| receive(fd)), [], "{address}");
        // a copy of the fd, which the state may have other ends of
        let copy = call(libc::SYS_fcntl, &[N(fd), N(libc::F_DUPFD_CLOEXEC.into()), N(0)]);
        from.connect(to.local_addr().unwrap()).unwrap();
        for _ in 0..2 {
            assert_eq!(told_of(&|| send(copy)), [t::SOCKET_SENDTO_X], "{address}");
        }
        call(libc::SYS_close, &[N(copy)]);
        // a call that says itself where to, even if that is where it would go anyway
        for _ in 0..2 {
            assert_eq!(told_of(&|| send_to(fd, &given)), [t::SOCKET_SENDTO_X], "{address}");
            assert_eq!(told_of(&|| send_message(fd, &given)), [t::SOCKET_SENDMSG_X], "{address}");
        }
        // after which it isn't known what the state has, until it is connected anew
        for _ in 0..2 {
            assert_eq!(told_of(&|| send(fd)), [t::SOCKET_SENDTO_X], "{address}");
        }
        from.connect(to.local_addr().unwrap()).unwrap();
        assert_eq!(told_of(&|| send(fd)), [t::SOCKET_SENDTO_X], "{address}");
        assert_eq!(told_of(&|| send(fd)), [], "{address}");
        // one that is not connected; it has no address either
        drain(&to);
        let other = number_of(&to);
        for _ in 0..2 {
            send(fd);
            assert_eq!(told_of(&|| receive(other)), [t::SOCKET_RECVFROM_X], "{address}");
        }
        // connected to another, and to the first once more
        let third = UdpSocket::bind(address).unwrap();
        from.connect(third.local_addr().unwrap()).unwrap();
        assert_eq!(told_of(&|| send(fd)), [t::SOCKET_SENDTO_X], "{address}");
        assert_eq!(told_of(&|| send(fd)), [], "{address}");
        // no rule may have asked for what came in between
        watch.probe.update_prefilter(&state);
        told(&mut watch);
        send(fd);
        assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_SENDTO_X], "{address}");
    }
}

#[test]
fn of_datagrams_those_to_nowhere_in_particular_are_told() {
    let _alone = alone();
    let Some(mut watch) = watch(&EXCHANGES) else { return };
    let [one, other] = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    watch.probe.update_prefilter(&for_the_state());
    told(&mut watch);
    let (from, given) = (number_of(&one), as_given(other.local_addr().unwrap()));
    for _ in 0..3 {
        send_to(from, &given);
        receive(number_of(&other));
        assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_SENDTO_X, t::SOCKET_RECVFROM_X]);
    }
}

#[test]
fn unix_sockets_are_not_told() {
    let _alone = alone();
    let Some(mut watch) = watch(&EXCHANGES) else { return };
    let place = format!("/tmp/lanner-unix-{}", std::process::id());
    let listener = UnixListener::bind(&place).unwrap();
    watch.probe.update_prefilter(&for_the_state());
    told(&mut watch);
    // while another test begins a thread, the fd table is taken for one that processes share
    let accepted = (0..100).find_map(|_| {
        let client = UnixStream::connect(&place).unwrap();
        let (server, _) = listener.accept().unwrap();
        told(&mut watch).is_empty().then_some((client, server))
    });
    let (client, server) = accepted.unwrap();
    send(number_of(&server));
    receive(number_of(&client));
    send(number_of(&client));
    assert_eq!(types_of(&told(&mut watch)), []);
    // a copy is of something that nobody was told of
    let copy = call(libc::SYS_fcntl, &[N(number_of(&server)), N(libc::F_DUPFD.into()), N(0)]);
    let events = told(&mut watch);
    assert_eq!(types_of(&events), [t::ITER_TASK_FILE_REGULAR_E, t::SYSCALL_FCNTL_X]);
    assert_eq!(events[0].event().unwrap().text(1).unwrap_or_default(), b"");
    call(libc::SYS_close, &[N(copy)]);
    std::fs::remove_file(&place).unwrap();
}

/// Networks, as ADDRESS/BITS, and ports that are asked for.
fn asked_for(networks: &[&str], ports: &[u16]) -> AskedEnds {
    let network = |text: &&str| {
        let (base, bits) = text.split_once('/').unwrap();
        Network::new(base.parse().unwrap(), bits.parse().unwrap()).unwrap()
    };
    AskedEnds { networks: networks.iter().map(network).collect(), ports: ports.iter().copied().collect() }
}

/// Asks for what goes over sockets in some states, and nothing for the state.
fn by_ends(states: States, ends: AskedEnds) -> Prefilter {
    Prefilter { ends, ..prefilter(&Interest::states(states), Keep::Nothing) }
}

/// The states of calls over sockets of TCP and UDP of some classes.
fn states_of(asked: impl Fn(SocketClass) -> bool) -> States {
    let with_ends = SocketClass::ALL.into_iter().filter(|class| class.is_tcp() || class.is_udp());
    with_ends.filter(|class| asked(*class)).fold(States::NONE, |all, class| all.or(class.states()))
}

/// What calls that move data matter to rules by ports alone.
fn with_asked_ports() -> States {
    states_of(|class| !class.has_other_ports())
}

/// The same by addresses alone.
fn with_asked_addresses() -> States {
    states_of(|class| !class.is_elsewhere())
}

fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn the_kernel_tells_ends_apart_as_the_tables_say() {
    let _alone = alone();
    let Some(mut watch) = watch(&EXCHANGES) else { return };
    let mut classes = BTreeSet::new();
    for (address, own) in [
        ("127.0.0.1:0", ["127.0.0.1/32", "127.0.0.0/8"]),
        ("[::1]:0", ["::1/128", "::/32"]),
        ("[::ffff:127.0.0.1]:0", ["127.0.0.1/32", "127.0.0.0/24"]),
    ] {
        let Ok(listener) = TcpListener::bind(address) else { continue };
        let (client, accepted) = pair(&listener);
        let tcp = [number_of(&client), number_of(&accepted)];
        let tcp = (tcp, [client.local_addr().unwrap(), client.peer_addr().unwrap()]);
        let datagrams = [0, 1].map(|_| UdpSocket::bind(address).unwrap());
        let ends = [0, 1].map(|at: usize| datagrams[at].local_addr().unwrap());
        (0..2).for_each(|at: usize| datagrams[at].connect(ends[1 - at]).unwrap());
        let udp = ([number_of(&datagrams[0]), number_of(&datagrams[1])], ends);
        for ((sockets, ends), families) in
            [(tcp, [SocketClass::Tcp4, SocketClass::Tcp6]), (udp, [SocketClass::Udp4, SocketClass::Udp6])]
        {
            let far = "169.254.169.254/32";
            let networks =
                [&[][..], &[far], &[far, own[0]], &["172.16.0.0/12", own[1]], &["10.0.0.0/8", "fe80::/10"]];
            let ports = [&[][..], &[1], &[1, ends[0].port()], &[ends[1].port()]];
            for (networks, ports) in networks.iter().flat_map(|networks| ports.map(|ports| (networks, ports)))
            {
                let sieves = Sieves::new(&by_ends(States::ALL, asked_for(networks, ports)));
                let class = sieves.between(families[usize::from(ends[0].is_ipv6())], ends);
                classes.insert(class as u8);
                for (states, told_of) in
                    [(class.states(), true), (States(States::ALL.0 & !class.states().0), false)]
                {
                    watch.probe.update_prefilter(&by_ends(states, asked_for(networks, ports)));
                    told(&mut watch);
                    for socket in sockets {
                        send(socket);
                        let expected = if told_of { &[t::SOCKET_SENDTO_X][..] } else { &[] };
                        assert_eq!(
                            types_of(&told(&mut watch)),
                            expected,
                            "{address} {networks:?} {ports:?} {class:?}"
                        );
                    }
                }
            }
            datagrams.iter().for_each(drain);
        }
    }
    assert!(classes.len() >= 8, "{classes:?}");
}

#[test]
fn of_two_streams_only_that_with_an_asked_port_is_told() {
    let _alone = alone();
    let Some(mut watch) = watch(&EXCHANGES) else { return };
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(asked) = TcpListener::bind(address) else { continue };
        let other = TcpListener::bind(address).unwrap();
        let port = asked.local_addr().unwrap().port();
        let (streams, others) = (pair(&asked), pair(&other));
        watch.probe.update_prefilter(&by_ends(with_asked_ports(), asked_for(&["10.0.0.9/32"], &[port])));
        told(&mut watch);
        for socket in [&streams.0, &streams.1] {
            send(number_of(socket));
            assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_SENDTO_X], "{address}");
        }
        for socket in [&others.0, &others.1] {
            send(number_of(socket));
            receive(number_of(if std::ptr::eq(socket, &others.0) { &others.1 } else { &others.0 }));
            assert_eq!(types_of(&told(&mut watch)), [], "{address}");
        }
    }
}

#[test]
fn of_datagrams_those_with_an_asked_port_or_an_address_of_their_own_are_told() {
    let _alone = alone();
    let Some(mut watch) = watch(&EXCHANGES) else { return };
    let [asked, other, from, unconnected] = [0; 4].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let ports = [asked.local_addr().unwrap().port()];
    watch.probe.update_prefilter(&by_ends(with_asked_ports(), asked_for(&["10.0.0.9/32"], &ports)));
    told(&mut watch);
    for (to, expected) in [(&asked, &[t::SOCKET_SENDTO_X][..]), (&other, &[])] {
        from.connect(to.local_addr().unwrap()).unwrap();
        for _ in 0..2 {
            send(number_of(&from));
            assert_eq!(types_of(&told(&mut watch)), expected);
        }
        // the kernel has the port only where the socket has it
        send_to(number_of(&from), &as_given(asked.local_addr().unwrap()));
        send_to(number_of(&unconnected), &as_given(other.local_addr().unwrap()));
        assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_SENDTO_X; 2]);
    }
}

#[test]
fn of_streams_only_those_in_an_asked_network_are_told() {
    let _alone = alone();
    let Some(mut watch) = watch(&EXCHANGES) else { return };
    let states = with_asked_addresses();
    for (networks, address, told_of) in [
        (&["127.5.0.0/16"][..], "127.5.0.1:0", true),
        (&["127.5.0.0/16"], "127.6.0.1:0", false),
        (&["127.0.0.0/8"], "127.6.0.1:0", true),
        (&["127.0.0.0/8"], "[::1]:0", false),
        (&["10.0.0.0/8", "::1/128"], "[::1]:0", true),
        (&["10.0.0.0/8", "::1/128"], "127.5.0.1:0", false),
    ] {
        let Ok(listener) = TcpListener::bind(address) else { continue };
        let (client, accepted) = pair(&listener);
        watch.probe.update_prefilter(&by_ends(states, asked_for(networks, &[1])));
        told(&mut watch);
        for socket in [&client, &accepted] {
            send(number_of(socket));
            let expected = if told_of { &[t::SOCKET_SENDTO_X][..] } else { &[] };
            assert_eq!(types_of(&told(&mut watch)), expected, "{networks:?} {address}");
        }
    }
}

#[test]
fn a_stream_that_is_connected_anew_is_another() {
    let _alone = alone();
    let Some(mut watch) = watch(&EXCHANGES) else { return };
    let [asked, other] = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let fd = call(libc::SYS_socket, &[N(libc::AF_INET.into()), N(libc::SOCK_STREAM.into()), N(0)]);
    let port = asked.local_addr().unwrap().port();
    let own = [2u8, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(call(libc::SYS_bind, &[N(fd), P(&own), N(16)]), 0);
    watch.probe.update_prefilter(&by_ends(with_asked_ports(), asked_for(&[], &[port])));
    let fails = || {
        assert!(call(libc::SYS_sendto, &[N(fd), P(b"x"), N(1), N(libc::MSG_NOSIGNAL.into()), N(0), N(0)]) < 0)
    };
    told(&mut watch);
    for (listener, told_of) in [(&asked, true), (&other, false), (&asked, true)] {
        // without another end it is told
        fails();
        assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_SENDTO_X]);
        let port = listener.local_addr().unwrap().port().to_be_bytes();
        let to = [2u8, 0, port[0], port[1], 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(call(libc::SYS_connect, &[N(fd), P(&to), N(16)]), 0);
        send(fd);
        let expected = if told_of { &[t::SOCKET_SENDTO_X][..] } else { &[] };
        assert_eq!(types_of(&told(&mut watch)), expected);
        // AF_UNSPEC: no longer connected
        assert_eq!(call(libc::SYS_connect, &[N(fd), P(&[0; 16]), N(16)]), 0);
    }
    // it has an address of its own, and the kernel keeps that of what was its other end
    watch.probe.update_prefilter(&by_ends(with_asked_addresses(), asked_for(&["10.0.0.9/32"], &[])));
    fails();
    assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_SENDTO_X]);
    call(libc::SYS_close, &[N(fd)]);
}

#[test]
fn a_stream_that_is_over_is_told_though_it_has_lost_its_port() {
    let _alone = alone();
    let Some(mut watch) = watch(&EXCHANGES) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    watch.probe.update_prefilter(&by_ends(with_asked_ports(), asked_for(&[], &[port])));
    let (client, accepted) = pair(&listener);
    // closed with a reset
    let linger = [1i32, 0].map(i32::to_ne_bytes).concat();
    let (level, option) = (N(libc::SOL_SOCKET.into()), N(libc::SO_LINGER.into()));
    assert_eq!(call(libc::SYS_setsockopt, &[N(number_of(&client)), level, option, P(&linger), N(8)]), 0);
    drop(client);
    told(&mut watch);
    let buffer = [0u8; 16];
    assert!(call(libc::SYS_recvfrom, &[N(number_of(&accepted)), P(&buffer), N(16), N(0), N(0), N(0)]) < 0);
    assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_RECVFROM_X]);
}

#[test]
fn what_is_accepted_is_told_by_its_ends() {
    let _alone = alone();
    let Some(mut watch) = watch(&EXCHANGES) else { return };
    let [asked, other] = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let interest = Interest::states(with_asked_ports());
    watch.probe.update_prefilter(&Prefilter {
        types: [(t::SOCKET_ACCEPT4_6_X, (interest, Keep::Nothing))].into(),
        ends: asked_for(&[], &[asked.local_addr().unwrap().port()]),
        ..Prefilter::default()
    });
    told(&mut watch);
    for (listener, expected) in [(&asked, &[t::SOCKET_ACCEPT4_6_X][..]), (&other, &[])] {
        let streams = pair(listener);
        assert_eq!(types_of(&told(&mut watch)), expected);
        drop(streams);
        told(&mut watch);
    }
}

#[test]
fn a_connect_that_fails_is_told_by_what_it_was_given() {
    let _alone = alone();
    let Some(mut watch) = watch(&[t::SOCKET_CONNECT_X, t::SYSCALL_MUNLOCKALL_X]) else { return };
    watch.probe.update_prefilter(&Prefilter {
        types: [(t::SOCKET_CONNECT_X, (Interest::states(SocketClass::Tcp4.states()), Keep::Nothing))].into(),
        ends: asked_for(&["10.0.0.9/32"], &[]),
        ..Prefilter::default()
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_eq!(types_of(&told(&mut watch)), [], "to an address that no rule asks for");
    // it is connected elsewhere already, and 10.0.0.9 is what a rule asks for
    let to = [2u8, 0, 0, 80, 10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(call(libc::SYS_connect, &[N(number_of(&client)), P(&to), N(16)]) < 0);
    assert_eq!(types_of(&told(&mut watch)), [t::SOCKET_CONNECT_X]);
}
