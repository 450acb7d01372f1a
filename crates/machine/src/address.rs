//! Socket addresses and tuples as events carry them, and the names that sockets have from them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::interface::{Interface, address_towards};
use crate::{Endpoint, Ends, Fd, FdKind, L4Proto, Role, abi};

/// Both ends of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tuple<'a> {
    Ip {
        source: Endpoint,
        dest: Endpoint,
    },
    Unix {
        source: u64,
        dest: u64,
        path: &'a [u8],
    },
    /// Of a family that has no ends that we know.
    Other,
}

fn v4(bytes: &[u8], at: usize) -> Option<Endpoint> {
    let octets: [u8; 4] = *bytes.get(at..)?.first_chunk()?;
    Some(Endpoint { ip: Ipv4Addr::from(octets).into(), port: port(bytes, at + 4)? })
}

fn v6(bytes: &[u8], at: usize) -> Option<Endpoint> {
    let octets: [u8; 16] = *bytes.get(at..)?.first_chunk()?;
    Some(Endpoint { ip: Ipv6Addr::from(octets).into(), port: port(bytes, at + 16)? })
}

fn port(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_ne_bytes)
}

/// A text that a NUL closes at the very end of the parameter.
fn closed_text(bytes: &[u8]) -> Option<&[u8]> {
    let text = bytes.strip_suffix(&[0])?;
    Some(&text[..memchr::memchr(0, text).unwrap_or(text.len())])
}

/// The IPv4 address inside an IPv6 one; all zeros count as one.
fn mapped(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(ip) => ip.to_ipv4_mapped(),
    }
}

impl Endpoint {
    /// The same end with an IPv4 address where it has one inside an IPv6 address.
    pub(crate) fn unmapped(self) -> Endpoint {
        mapped(self.ip).map_or(self, |ip| Endpoint { ip: ip.into(), ..self })
    }

    fn is_v4(self) -> bool {
        self.ip.is_ipv4()
    }
}

impl<'a> Tuple<'a> {
    /// Reads a tuple parameter; IPv6 ends that are both IPv4-mapped become IPv4.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Tuple<'a>> {
        let (&family, rest) = bytes.split_first()?;
        Some(match family {
            abi::AF_INET => Tuple::Ip { source: v4(rest, 0)?, dest: v4(rest, 6)? },
            abi::AF_INET6 => {
                let (source, dest) = (v6(rest, 0)?, v6(rest, 18)?);
                let (short, tall) = ((source.unmapped(), dest.unmapped()), (source, dest));
                let (source, dest) = if short.0.is_v4() && short.1.is_v4() { short } else { tall };
                Tuple::Ip { source, dest }
            }
            abi::AF_UNIX => {
                let path = closed_text(rest.get(16..)?)?;
                Tuple::Unix { source: word(rest, 0)?, dest: word(rest, 8)?, path }
            }
            _ => Tuple::Other,
        })
    }
}

/// One end, as bind and connect name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Address<'a> {
    Ip(Endpoint),
    Unix(&'a [u8]),
    Other,
}

impl<'a> Address<'a> {
    /// Reads an address parameter.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Address<'a>> {
        let (&family, rest) = bytes.split_first()?;
        Some(match family {
            abi::AF_INET => Address::Ip(v4(rest, 0)?),
            abi::AF_INET6 => Address::Ip(v6(rest, 0)?),
            abi::AF_UNIX => Address::Unix(closed_text(rest)?),
            _ => Address::Other,
        })
    }
}

/// What an fd says of its socket, small enough to be tried out on a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Socket {
    pub(crate) kind: FdKind,
    pub(crate) ends: Ends,
    pub(crate) l4: L4Proto,
    pub(crate) role: Role,
    pub(crate) connected: bool,
}

impl Socket {
    pub(crate) fn of(fd: &Fd) -> Socket {
        Socket { kind: fd.kind, ends: fd.ends, l4: fd.l4, role: fd.role, connected: fd.connected }
    }

    pub(crate) fn put(self, fd: &mut Fd) {
        (fd.kind, fd.ends, fd.l4, fd.role, fd.connected) =
            (self.kind, self.ends, self.l4, self.role, self.connected);
    }

    /// Whether it is an IP socket with two ends.
    pub(crate) fn is_ip_pair(&self) -> bool {
        matches!(self.kind, FdKind::Ipv4 | FdKind::Ipv6)
    }

    /// Takes over both ends. A destination that is known stays unless `overwrite`. Says whether anything
    /// changed; the same ends the other way round are no change.
    pub(crate) fn set_ends(&mut self, source: Endpoint, dest: Endpoint, overwrite: bool) -> bool {
        let kind = if source.is_v4() { FdKind::Ipv4 } else { FdKind::Ipv6 };
        let none = Endpoint::none(!source.is_v4());
        let same_kind = std::mem::replace(&mut self.kind, kind) == kind;
        let (from, to) = match self.ends {
            Ends::Ip { source, dest: Some(dest) } if same_kind => (source, dest),
            _ => (none, none),
        };
        if same_kind && ((from, to) == (source, dest) || (from, to) == (dest, source)) {
            return false;
        }
        let ip = if overwrite || to.ip.is_unspecified() { dest.ip } else { to.ip };
        let port = if overwrite || to.port == 0 { dest.port } else { to.port };
        let new = Ends::Ip { source, dest: Some(Endpoint { ip, port }) };
        std::mem::replace(&mut self.ends, new) != new || !same_kind
    }

    /// Turns the ends round.
    pub(crate) fn swap(&mut self) {
        if let Ends::Ip { source, dest: Some(dest) } = self.ends {
            self.ends = Ends::Ip { source: dest, dest: Some(source) };
        }
    }

    /// Fills in an end without address from the host's own.
    pub(crate) fn complete(&mut self, interfaces: &[Interface]) {
        let Ends::Ip { source, dest: Some(dest) } = self.ends else { return };
        let (near, far) = if source.ip.is_unspecified() { (source, dest) } else { (dest, source) };
        if !self.is_ip_pair() || !near.ip.is_unspecified() {
            return;
        }
        let own = address_towards(interfaces, far.ip);
        if own == far.ip && source.port == dest.port {
            return;
        }
        let filled = Endpoint { ip: own, ..near };
        let (source, dest) = if source.ip.is_unspecified() { (filled, dest) } else { (source, filled) };
        self.ends = Ends::Ip { source, dest: Some(dest) };
    }

    /// The name that an IP socket has from its ends and protocol.
    pub(crate) fn print_name(&self, out: &mut Vec<u8>) {
        out.clear();
        let (source, dest) = match self.ends {
            Ends::Ip { source, dest: Some(dest) } => (source, dest),
            Ends::Ip { source, dest: None } => return print_end(source, true, out),
            _ => return,
        };
        let ports = match self.l4 {
            L4Proto::Tcp | L4Proto::Udp => true,
            L4Proto::Icmp => false,
            L4Proto::Raw if source.is_v4() => false,
            _ => return out.extend_from_slice(b"<unknown>"),
        };
        print_end(source, ports, out);
        out.extend_from_slice(b"->");
        print_end(dest, ports, out);
    }
}

fn print_end(end: Endpoint, port: bool, out: &mut Vec<u8>) {
    match end.ip {
        IpAddr::V4(ip) => lanner_event::print_ipv4(ip, out),
        IpAddr::V6(ip) => lanner_event::print_ipv6(ip.octets(), out),
    }
    if port {
        lanner_event::print_port(end.port, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> Endpoint {
        let address: std::net::SocketAddr = text.parse().unwrap();
        Endpoint { ip: address.ip(), port: address.port() }
    }

    fn socket(kind: FdKind, l4: L4Proto, source: &str, dest: &str) -> Socket {
        let ends = Ends::Ip { source: end(source), dest: Some(end(dest)) };
        Socket { kind, ends, l4, role: Role::Unknown, connected: false }
    }

    fn name(socket: Socket) -> String {
        let mut out = Vec::new();
        socket.print_name(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_depend_on_the_protocol() {
        let (a, b) = ("127.0.0.1:54321", "10.0.0.1:80");
        assert_eq!(name(socket(FdKind::Ipv4, L4Proto::Tcp, a, b)), "127.0.0.1:54321->10.0.0.1:80");
        assert_eq!(name(socket(FdKind::Ipv4, L4Proto::Icmp, a, b)), "127.0.0.1->10.0.0.1");
        assert_eq!(name(socket(FdKind::Ipv4, L4Proto::Unknown, a, b)), "<unknown>");
        let (a, b) = ("[::1]:1", "[fe80::2]:2");
        assert_eq!(name(socket(FdKind::Ipv6, L4Proto::Udp, a, b)), "::1:1->fe80::2:2");
        assert_eq!(name(socket(FdKind::Ipv6, L4Proto::Raw, a, b)), "<unknown>");
    }

    #[test]
    fn a_known_destination_stays_unless_overwritten() {
        let mut s = socket(FdKind::Ipv4, L4Proto::Udp, "1.1.1.1:1", "2.2.2.2:2");
        assert!(!s.set_ends(end("1.1.1.1:1"), end("2.2.2.2:2"), false));
        assert!(!s.set_ends(end("2.2.2.2:2"), end("1.1.1.1:1"), false), "the other way round");
        assert!(s.set_ends(end("3.3.3.3:3"), end("4.4.4.4:4"), false));
        assert_eq!(name(s), "3.3.3.3:3->2.2.2.2:2");
        assert!(s.set_ends(end("3.3.3.3:3"), end("4.4.4.4:4"), true));
        assert_eq!(name(s), "3.3.3.3:3->4.4.4.4:4");
    }

    #[test]
    fn tuples_are_read_whole_or_not_at_all() {
        let mut v6 = vec![abi::AF_INET6];
        for (ip, port) in [([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4], 5u16), ([0; 16], 6)] {
            v6.extend::<[u8; 16]>(ip);
            v6.extend(port.to_ne_bytes());
        }
        let want = Tuple::Ip { source: end("1.2.3.4:5"), dest: end("0.0.0.0:6") };
        assert_eq!(Tuple::read(&v6), Some(want));
        for len in 0..v6.len() {
            assert_eq!(Tuple::read(&v6[..len]), None, "{len}");
        }
        let unix = [&[abi::AF_UNIX][..], &7u64.to_ne_bytes(), &8u64.to_ne_bytes(), b"/x\0"].concat();
        assert_eq!(Tuple::read(&unix), Some(Tuple::Unix { source: 7, dest: 8, path: b"/x" }));
        assert_eq!(Tuple::read(&unix[..unix.len() - 1]), None, "not closed");
        assert_eq!(Tuple::read(&[16, 1]), Some(Tuple::Other));
    }
}
