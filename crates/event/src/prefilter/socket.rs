//! What a socket is, as far as calls over it are told apart by it.

use super::States;
use crate::{EventType, types};

/// A socket's family and protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum SocketClass {
    /// Not known, or no socket at all.
    Unknown,
    /// A stream of TCP over IPv4, by a handshake that was over before data went with it.
    Tcp4,
    /// The same over IPv6, which may have IPv4 in it.
    Tcp6,
    /// Datagrams of UDP over IPv4.
    Udp4,
    /// The same over IPv6, which may have IPv4 in it.
    Udp6,
    /// Another socket of IPv4.
    Other4,
    /// Another socket of IPv6.
    Other6,
    /// A unix socket.
    Unix,
    /// A netlink socket.
    Netlink,
    /// A socket of another family.
    Other,
    /// A stream of TCP over IPv4 with two ends, neither of which has an address that a rule asks for.
    Tcp4Elsewhere,
    /// The same over IPv6.
    Tcp6Elsewhere,
    /// A stream of TCP over IPv4 with two ends, neither of which has a port that a rule asks for.
    Tcp4OtherPorts,
    /// The same over IPv6.
    Tcp6OtherPorts,
    /// A stream of TCP over IPv4 with two ends, neither of which has an address or a port that a rule asks for.
    Tcp4Unasked,
    /// The same over IPv6.
    Tcp6Unasked,
}

impl SocketClass {
    /// All of them, in the order of their numbers.
    pub const ALL: [SocketClass; 16] = [
        SocketClass::Unknown,
        SocketClass::Tcp4,
        SocketClass::Tcp6,
        SocketClass::Udp4,
        SocketClass::Udp6,
        SocketClass::Other4,
        SocketClass::Other6,
        SocketClass::Unix,
        SocketClass::Netlink,
        SocketClass::Other,
        SocketClass::Tcp4Elsewhere,
        SocketClass::Tcp6Elsewhere,
        SocketClass::Tcp4OtherPorts,
        SocketClass::Tcp6OtherPorts,
        SocketClass::Tcp4Unasked,
        SocketClass::Tcp6Unasked,
    ];

    /// Streams of TCP: over IPv4 and IPv6; by whether rules ask for no address of theirs (1) and for no port (2).
    const STREAMS: [[SocketClass; 2]; 4] = [
        [SocketClass::Tcp4, SocketClass::Tcp6],
        [SocketClass::Tcp4Elsewhere, SocketClass::Tcp6Elsewhere],
        [SocketClass::Tcp4OtherPorts, SocketClass::Tcp6OtherPorts],
        [SocketClass::Tcp4Unasked, SocketClass::Tcp6Unasked],
    ];

    /// A stream of TCP with two ends.
    pub const fn stream(ipv6: bool, elsewhere: bool, other_ports: bool) -> SocketClass {
        SocketClass::STREAMS[elsewhere as usize | (other_ports as usize) << 1][ipv6 as usize]
    }

    /// What a state of a call over such a socket has set.
    pub const fn bits(self) -> u8 {
        (self as u8) << 1
    }

    /// The states of calls over such sockets.
    pub const fn states(self) -> States {
        States(3 << self.bits())
    }

    /// Its class, whatever its ends.
    pub fn anywhere(self) -> SocketClass {
        let same = SocketClass::STREAMS.iter().find_map(|row| row.iter().position(|class| *class == self));
        same.map_or(self, |family| SocketClass::STREAMS[0][family])
    }

    /// Whether it is a stream of TCP.
    pub fn is_tcp(self) -> bool {
        SocketClass::STREAMS.as_flattened().contains(&self)
    }

    /// Whether it is one whose addresses no rule asks for.
    pub fn is_elsewhere(self) -> bool {
        [SocketClass::STREAMS[1], SocketClass::STREAMS[3]].as_flattened().contains(&self)
    }

    /// Whether it is one whose ports no rule asks for.
    pub fn has_other_ports(self) -> bool {
        [SocketClass::STREAMS[2], SocketClass::STREAMS[3]].as_flattened().contains(&self)
    }
}

/// Calls over sockets, with the parameter that is the socket's fd.
const PLACES: [(EventType, usize); 13] = [
    (types::SOCKET_CONNECT_X, 2),
    (types::SOCKET_ACCEPT_5_X, 0),
    (types::SOCKET_ACCEPT4_6_X, 0),
    (types::SOCKET_LISTEN_X, 1),
    (types::SOCKET_BIND_X, 2),
    (types::SOCKET_SEND_X, 2),
    (types::SOCKET_SENDTO_X, 2),
    (types::SOCKET_SENDMSG_X, 2),
    (types::SOCKET_SENDMMSG_X, 1),
    (types::SOCKET_RECV_X, 2),
    (types::SOCKET_RECVFROM_X, 3),
    (types::SOCKET_RECVMSG_X, 5),
    (types::SOCKET_RECVMMSG_X, 1),
];

/// The parameter of a type's events that is the fd of the socket that they are about.
pub(super) fn place(ty: EventType) -> Option<usize> {
    PLACES.iter().find(|(of, _)| *of == ty).map(|(_, at)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParamType;
    use crate::prefilter::SUCCESS;

    #[test]
    fn places_are_fds() {
        for (ty, at) in PLACES {
            let info = ty.info().unwrap();
            assert_eq!((info.params[at].name, info.params[at].ty), ("fd", ParamType::Fd), "{}", info.symbol);
        }
    }

    #[test]
    fn a_class_has_the_states_of_success_and_of_failure() {
        for (number, class) in SocketClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, number);
            assert!(class.states().has(class.bits()) && class.states().has(class.bits() | SUCCESS));
            let others = SocketClass::ALL.into_iter().filter(|other| *other != class);
            assert!(others.into_iter().all(|other| class.states().and(other.states()).is_empty()));
        }
    }

    #[test]
    fn streams_are_told_apart_by_their_ends() {
        for (ipv6, tcp) in [(false, SocketClass::Tcp4), (true, SocketClass::Tcp6)] {
            for (elsewhere, other_ports) in [(false, false), (true, false), (false, true), (true, true)] {
                let class = SocketClass::stream(ipv6, elsewhere, other_ports);
                assert_eq!((class.is_elsewhere(), class.has_other_ports()), (elsewhere, other_ports));
                assert!(class.is_tcp() && class.anywhere() == tcp);
            }
        }
        assert_eq!(SocketClass::ALL.into_iter().filter(|class| class.is_tcp()).count(), 8);
        assert_eq!(SocketClass::Udp6.anywhere(), SocketClass::Udp6);
    }
}
