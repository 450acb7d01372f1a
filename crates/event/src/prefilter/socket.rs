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
    /// A stream of TCP with two ends, neither of which has an address that a rule asks for.
    TcpElsewhere,
    /// A stream of TCP with two ends, neither of which has a port that a rule asks for.
    TcpOtherPorts,
    /// A stream of TCP with two ends, neither of which has an address or a port that a rule asks for.
    TcpUnasked,
    /// Datagrams of UDP from one end of a connected socket to the other, neither of which has an address that a rule asks for.
    UdpElsewhere,
    /// The same where neither has a port that a rule asks for.
    UdpOtherPorts,
    /// The same where neither has an address or a port that a rule asks for.
    UdpUnasked,
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
        SocketClass::TcpElsewhere,
        SocketClass::TcpOtherPorts,
        SocketClass::TcpUnasked,
        SocketClass::UdpElsewhere,
        SocketClass::UdpOtherPorts,
        SocketClass::UdpUnasked,
    ];

    /// By whether rules ask for no address of theirs (1) and for no port (2), less one: streams of TCP, and datagrams.
    const UNASKED: [[SocketClass; 2]; 3] = [
        [SocketClass::TcpElsewhere, SocketClass::UdpElsewhere],
        [SocketClass::TcpOtherPorts, SocketClass::UdpOtherPorts],
        [SocketClass::TcpUnasked, SocketClass::UdpUnasked],
    ];

    /// What a socket of this class is whose two ends are known: one of TCP, or of UDP that is connected.
    pub fn with_ends(self, elsewhere: bool, other_ports: bool) -> SocketClass {
        let unasked = usize::from(elsewhere) | usize::from(other_ports) << 1;
        match unasked.checked_sub(1) {
            Some(row) => SocketClass::UNASKED[row][usize::from(self.is_udp())],
            None => self,
        }
    }

    /// What a state of a call over such a socket has set.
    pub const fn bits(self) -> u8 {
        (self as u8) << 1
    }

    /// The states of calls over such sockets.
    pub const fn states(self) -> States {
        States(3 << self.bits())
    }

    /// Whether it is a stream of TCP.
    pub fn is_tcp(self) -> bool {
        use SocketClass::{Tcp4, Tcp6, TcpElsewhere, TcpOtherPorts, TcpUnasked};
        [Tcp4, Tcp6, TcpElsewhere, TcpOtherPorts, TcpUnasked].contains(&self)
    }

    /// Whether it is one of UDP.
    pub fn is_udp(self) -> bool {
        use SocketClass::{Udp4, Udp6, UdpElsewhere, UdpOtherPorts, UdpUnasked};
        [Udp4, Udp6, UdpElsewhere, UdpOtherPorts, UdpUnasked].contains(&self)
    }

    /// Whether it is one whose addresses no rule asks for.
    pub fn is_elsewhere(self) -> bool {
        [SocketClass::UNASKED[0], SocketClass::UNASKED[2]].as_flattened().contains(&self)
    }

    /// Whether it is one whose ports no rule asks for.
    pub fn has_other_ports(self) -> bool {
        SocketClass::UNASKED[1..].as_flattened().contains(&self)
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
    fn what_has_ends_is_told_apart_by_them() {
        use SocketClass::{Tcp4, Tcp6, Udp4, Udp6};
        for class in [Tcp4, Tcp6, Udp4, Udp6] {
            assert_eq!(class.with_ends(false, false), class);
            for (elsewhere, other_ports) in [(true, false), (false, true), (true, true)] {
                let of = class.with_ends(elsewhere, other_ports);
                assert_eq!((of.is_elsewhere(), of.has_other_ports()), (elsewhere, other_ports));
                assert_eq!((of.is_tcp(), of.is_udp()), (class.is_tcp(), class.is_udp()));
            }
        }
        let all = SocketClass::ALL.into_iter();
        assert_eq!(all.map(|class| (class.is_tcp(), class.is_udp())).filter(|is| is.0 != is.1).count(), 10);
    }
}
