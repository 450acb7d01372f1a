//! What one comparison says of the socket that a call is about.

use std::net::IpAddr;

use lanner_event::prefilter::{SUCCESS, SocketClass, States};
use lanner_event::{EventFlag, EventInfo};
use lanner_fields::{Field, Value};

use crate::matcher::{Matcher, Number};
use crate::predicate::{Predicate, Test};

/// Letters and names that `fd.typechar` and `fd.type` have for a class, and the names of `fd.l4proto`. `None`: any.
///
/// The state has a protocol only of a socket whose role it knows. An IPv6 socket with IPv4 in it counts as IPv4.
type Row = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);

/// Fields that are the address of either end, or of both.
const ADDRESSES: [&str; 5] = ["fd.ip", "fd.cip", "fd.sip", "fd.lip", "fd.rip"];

/// The addresses with one of which a comparison holds, if it holds with no other.
fn asked(matcher: &Matcher) -> Option<&[IpAddr]> {
    match matcher {
        Matcher::Ip(Number::Equal(one)) => Some(std::slice::from_ref(one)),
        Matcher::Ip(Number::In(all)) => Some(all),
        _ => None,
    }
}

/// The addresses that a comparison asks for.
pub(super) fn addresses(predicate: &Predicate) -> &[IpAddr] {
    let (Some(field), Test::Fits(matcher) | Test::Shares(matcher)) =
        (predicate.term.as_field(), &predicate.test)
    else {
        return &[];
    };
    asked(matcher).filter(|_| ADDRESSES.contains(&field.info().name)).unwrap_or_default()
}

/// The values for a class, if what the state has of such a socket is known from what it is.
fn row(class: SocketClass) -> Option<Row> {
    const NONE: &str = "<NA>";
    Some(match class {
        SocketClass::Tcp4 | SocketClass::Tcp4Elsewhere => (&["4"], &["ipv4"], &["tcp", NONE]),
        SocketClass::Tcp6 | SocketClass::Tcp6Elsewhere => (&["4", "6"], &["ipv4", "ipv6"], &["tcp", NONE]),
        SocketClass::Udp4 => (&["4"], &["ipv4"], &["udp", NONE]),
        SocketClass::Udp6 => (&["4", "6"], &["ipv4", "ipv6"], &["udp", NONE]),
        SocketClass::Other4 => (&["4"], &["ipv4"], &["tcp", "udp", "icmp", "raw", NONE]),
        SocketClass::Other6 => (&["4", "6"], &["ipv4", "ipv6"], &["tcp", "udp", "icmp", "raw", NONE]),
        SocketClass::Unix => (&["u"], &["unix"], &[NONE]),
        SocketClass::Netlink => (&["n"], &["netlink"], &[NONE]),
        SocketClass::Unknown | SocketClass::Other => return None,
    })
}

/// The states in which a comparison may hold (or fail). `None`: can't be decided by the socket.
pub(super) fn by_socket(field: &Field, matcher: &Matcher, info: &EventInfo, negated: bool) -> Option<States> {
    let fits = |value: &Value<'_>| matcher.matches(value) != negated;
    let any_text = |values: &[&'static str]| values.iter().any(|value| fits(&Value::Text(value.as_bytes())));
    let by_class = |may: &dyn Fn(Row, SocketClass) -> bool| {
        let classes = SocketClass::ALL.into_iter();
        let wanted = classes.filter(|class| row(*class).is_none_or(|row| may(row, *class)));
        wanted.fold(States::NONE, |all, class| all.or(class.states()))
    };
    let moves = info.has(EventFlag::ReadsFromFd) || info.has(EventFlag::WritesToFd);
    match field.info().name {
        "fd.typechar" => Some(by_class(&|(letters, _, _), _| any_text(letters))),
        "fd.type" => Some(by_class(&|(_, names, _), _| any_text(names))),
        "fd.l4proto" => Some(by_class(&|(_, _, protocols), _| any_text(protocols))),
        "fd.sockfamily" => Some(by_class(&|_, class| match class {
            SocketClass::Unix => any_text(&["unix"]),
            SocketClass::Netlink => fits(&Value::Absent),
            _ => any_text(&["ip"]),
        })),
        // Sockets that aren't IP's have no such field.
        name if ADDRESSES.contains(&name) && !negated && asked(matcher).is_some() => {
            Some(by_class(&|(letters, _, _), class| {
                !class.is_elsewhere() && letters.iter().any(|letter| "46".contains(letter))
            }))
        }
        // Once data went over it, a stream is connected; whatever else, as the state has it.
        "fd.connected" if moves => {
            let unlike_streams = fits(&Value::Bool(true));
            let streams = SocketClass::ALL.into_iter().filter(|class| class.is_tcp());
            let streams = streams.fold(States::NONE, |all, class| all.or(class.states()));
            let connected = if unlike_streams { States::NONE } else { streams.and(States::with(SUCCESS)) };
            Some(States(States::ALL.0 & !connected.0))
        }
        // What moved no data gives nothing another name.
        "fd.name_changed" if moves => {
            let failures = if fits(&Value::Bool(false)) { States::without(SUCCESS) } else { States::NONE };
            Some(failures.or(States::with(SUCCESS)))
        }
        _ => None,
    }
}
