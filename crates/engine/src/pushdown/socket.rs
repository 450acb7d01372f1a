//! What one comparison says of the socket that a call is about.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lanner_event::prefilter::{AskedEnds, Network, SUCCESS, SocketClass, States};
use lanner_event::{EventFlag, EventInfo, EventType};
use lanner_fields::{Field, Value};

use crate::matcher::{Matcher, Number};
use crate::predicate::{Predicate, Test};

/// Letters and names that `fd.typechar` and `fd.type` have for a class, and the names of `fd.l4proto`. `None`: any.
///
/// The state has a protocol only of a socket whose role it knows. An IPv6 socket with IPv4 in it counts as IPv4.
type Row = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);

/// Fields that are the address of either end, or of both, or tell whether a network holds it.
const ADDRESSES: [&str; 10] =
    ["fd.ip", "fd.cip", "fd.sip", "fd.lip", "fd.rip", "fd.net", "fd.cnet", "fd.snet", "fd.lnet", "fd.rnet"];

/// Fields that are the port of either end, or of both.
const PORTS: [&str; 6] = ["fd.port", "fd.cport", "fd.sport", "fd.lport", "fd.rport", "fd.proto"];

/// What the state has of an end whose address it doesn't know.
const NO_ADDRESSES: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// The addresses with one of which at an end a comparison holds, or the ports, if it holds with no other. `None` too if one
/// of them is what the state has of an end that it doesn't know.
fn asked(field: &Field, matcher: &Matcher) -> Option<AskedEnds> {
    let name = field.info().name;
    let mut asked = AskedEnds::default();
    match matcher {
        Matcher::Ip(number) if ADDRESSES.contains(&name) => {
            let address = |ip: &IpAddr| (!ip.is_unspecified()).then(|| Network::from(*ip));
            asked.networks = listed(number)?.iter().map(address).collect::<Option<_>>()?;
        }
        Matcher::Net { negated: false, networks } if ADDRESSES.contains(&name) => {
            if NO_ADDRESSES.iter().any(|none| networks.hold(*none)) {
                return None;
            }
            asked.networks =
                networks.iter().map(|(base, bits)| Network::new(base, bits)).collect::<Option<_>>()?;
        }
        Matcher::Unsigned(number) if PORTS.contains(&name) => asked.ports = ports(number)?,
        _ => return None,
    }
    Some(asked)
}

/// The ports of which a comparison holds. `None`: among them is 0, which the state has of an end that it doesn't know.
fn ports(number: &Number<u64>) -> Option<BTreeSet<u16>> {
    let last = u64::from(u16::MAX);
    let (from, to) = match number {
        Number::Greater(bound) => (bound.saturating_add(1), last),
        Number::GreaterEqual(bound) => (*bound, last),
        _ => {
            let port = |port: &u64| u16::try_from(*port).ok().filter(|port| *port != 0);
            return listed(number)?.iter().map(port).collect();
        }
    };
    (from > 0).then(|| (from..=to).filter_map(|port| u16::try_from(port).ok()).collect())
}

/// The ends that a comparison asks for, at a call that moves data.
pub(super) fn asked_ends(predicate: &Predicate, negated: bool, ty: EventType) -> Option<AskedEnds> {
    let field = predicate.term.as_field()?;
    let (Test::Fits(matcher) | Test::Shares(matcher)) = &predicate.test else { return None };
    asked(field, matcher).filter(|_| !negated && ty.info().is_some_and(moves))
}

/// The values with one of which a comparison holds, if it holds with no other.
fn listed<T>(number: &Number<T>) -> Option<&[T]> {
    match number {
        Number::Equal(one) => Some(std::slice::from_ref(one)),
        Number::In(all) => Some(all),
        _ => None,
    }
}

/// The values for a class, if what the state has of such a socket is known from what it is.
fn row(class: SocketClass) -> Option<Row> {
    const NONE: &str = "<NA>";
    Some(match class {
        SocketClass::TcpElsewhere | SocketClass::TcpOtherPorts | SocketClass::TcpUnasked => {
            (&["4", "6"], &["ipv4", "ipv6"], &["tcp", NONE])
        }
        SocketClass::UdpElsewhere | SocketClass::UdpOtherPorts | SocketClass::UdpUnasked => {
            (&["4", "6"], &["ipv4", "ipv6"], &["udp", NONE])
        }
        SocketClass::Tcp4 => (&["4"], &["ipv4"], &["tcp", NONE]),
        SocketClass::Tcp6 => (&["4", "6"], &["ipv4", "ipv6"], &["tcp", NONE]),
        SocketClass::Udp4 => (&["4"], &["ipv4"], &["udp", NONE]),
        SocketClass::Udp6 => (&["4", "6"], &["ipv4", "ipv6"], &["udp", NONE]),
        SocketClass::Other4 => (&["4"], &["ipv4"], &["tcp", "udp", "icmp", "raw", NONE]),
        SocketClass::Other6 => (&["4", "6"], &["ipv4", "ipv6"], &["tcp", "udp", "icmp", "raw", NONE]),
        SocketClass::Unix => (&["u"], &["unix"], &[NONE]),
        SocketClass::Netlink => (&["n"], &["netlink"], &[NONE]),
        _ => return None,
    })
}

/// Whether calls of the type move data.
fn moves(info: &EventInfo) -> bool {
    info.has(EventFlag::ReadsFromFd) || info.has(EventFlag::WritesToFd)
}

/// The states of calls over sockets of which something may be true, and of those of which nothing is known.
fn by_class(may: &dyn Fn(Row, SocketClass) -> bool) -> States {
    let classes = SocketClass::ALL.into_iter();
    let wanted = classes.filter(|class| row(*class).is_none_or(|row| may(row, *class)));
    wanted.fold(States::NONE, |all, class| all.or(class.states()))
}

/// The states in which a comparison of an end may hold: it does for no socket that isn't IP's.
///
/// `moves`: the call moves data. Others are not decided by the ends, since the state needs all that give a stream some.
fn by_ends(field: &Field, matcher: &Matcher, moves: bool) -> Option<States> {
    if !matches!(matcher, Matcher::Ip(_) | Matcher::Net { .. } | Matcher::Unsigned(_)) {
        return None;
    }
    let asked = asked(field, matcher).filter(|_| moves).unwrap_or_default();
    Some(by_class(&|(letters, _, _), class| {
        letters.iter().any(|letter| "46".contains(letter))
            && (asked.networks.is_empty() || !class.is_elsewhere())
            && (asked.ports.is_empty() || !class.has_other_ports())
    }))
}

/// The states in which a comparison may hold (or fail). `None`: can't be decided by the socket.
pub(super) fn by_socket(field: &Field, matcher: &Matcher, info: &EventInfo, negated: bool) -> Option<States> {
    let fits = |value: &Value<'_>| matcher.matches(value) != negated;
    let any_text = |values: &[&'static str]| values.iter().any(|value| fits(&Value::Text(value.as_bytes())));
    match field.info().name {
        "fd.typechar" => Some(by_class(&|(letters, _, _), _| any_text(letters))),
        "fd.type" => Some(by_class(&|(_, names, _), _| any_text(names))),
        "fd.l4proto" => Some(by_class(&|(_, _, protocols), _| any_text(protocols))),
        "fd.sockfamily" => Some(by_class(&|_, class| match class {
            SocketClass::Unix => any_text(&["unix"]),
            SocketClass::Netlink => fits(&Value::Absent),
            _ => any_text(&["ip"]),
        })),
        name if !negated && (ADDRESSES.contains(&name) || PORTS.contains(&name)) => {
            by_ends(field, matcher, moves(info))
        }
        // Once data went over it, a stream is connected; whatever else, as the state has it.
        "fd.connected" if moves(info) => {
            let unlike_streams = fits(&Value::Bool(true));
            let streams = SocketClass::ALL.into_iter().filter(|class| class.is_tcp());
            let streams = streams.fold(States::NONE, |all, class| all.or(class.states()));
            let connected = if unlike_streams { States::NONE } else { streams.and(States::with(SUCCESS)) };
            Some(States(States::ALL.0 & !connected.0))
        }
        // What moved no data gives nothing another name.
        "fd.name_changed" if moves(info) => {
            let failures = if fits(&Value::Bool(false)) { States::without(SUCCESS) } else { States::NONE };
            Some(failures.or(States::with(SUCCESS)))
        }
        _ => None,
    }
}
