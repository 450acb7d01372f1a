//! Hosts on which sockets are made and used by chance.

use std::collections::BTreeMap;

use lanner_engine::Engine;
use lanner_event::{EventBuf, EventType, types as t};
use lanner_machine::Thread;
use lanner_rules::SourceText;

use super::random::Dice;
use super::{Comparison, engine};

/// Rules that look at IP sockets after data went over them: it matters to them what the state has learned from that.
pub fn later_uses() -> SourceText {
    let output =
        "%evt.type %fd.num %fd.name %fd.type %fd.l4proto %fd.connected %fd.is_server %fd.lport %fd.sip";
    SourceText::new(
        "later.yaml",
        format!(
            "- rule: Later use of an IP socket\n  desc: d\n  condition: evt.type in (close, dup, dup2, dup3, shutdown, \
             setsockopt) and fd.type in (ipv4, ipv6)\n  output: \"{output}\"\n  priority: INFO\n\
             - rule: UDP\n  desc: d\n  condition: evt.type in (connect, sendto, sendmsg, recvfrom, accept4) and \
             fd.typechar in (4, 6) and fd.l4proto = udp\n  output: \"{output} %fd.name_changed\"\n  priority: INFO\n\
             - rule: Named anew\n  desc: d\n  condition: evt.type in (sendto, sendmsg) and fd.l4proto != tcp and \
             fd.connected = false and fd.name_changed = true and fd.sockfamily = ip\n  output: \"{output}\"\n  priority: INFO\n"
        ),
    )
}

/// Conditions by ends of streams: by addresses, networks, ports, and several of these.
pub const BY_ENDS: [&str; 6] = [
    "(fd.sip in (10.9.0.9, 10.0.0.77) or fd.rip = fe80:0:0:9::9)",
    "(fd.snet = 10.9.0.0/16 or fd.rnet in (\"192.168.0.0/16\", \"fe80:0:0:9::/64\"))",
    "(fd.sport in (443, 3333) or fd.cport = 53)",
    "fd.port = 443 and fd.net = 10.8.0.0/15",
    "(fd.rport = 443 or fd.lip = fe80:0:0:9::9)",
    "fd.net != 127.0.0.0/8 and not fd.snet in (\"192.168.0.0/16\") and (fd.sport in (80, 3333) or fd.sport = 14444)",
];

/// Rules with such conditions.
pub fn by_ends(conditions: &[&str]) -> SourceText {
    const CALLS: &str = "evt.type in (connect, sendto, sendmsg, recvfrom, recvmsg, accept4)";
    let rule = |(number, condition): (usize, &&str)| {
        format!(
            "- rule: By ends {number}\n  desc: d\n  condition: {CALLS} and {condition}\n  \
             output: \"%evt.type %fd.num %fd.name\"\n  priority: INFO\n"
        )
    };
    SourceText::new("ends.yaml", conditions.iter().enumerate().map(rule).collect::<String>())
}

const AF_UNIX: u8 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const AF_NETLINK: u8 = 16;

/// What the kernel knows of an open socket.
#[derive(Clone, Copy, Debug)]
struct Socket {
    family: u8,
    stream: bool,
    /// The port of its own end; of a unix socket, its address.
    port: u16,
    /// The other end's.
    peer: Option<u16>,
}

type Open = BTreeMap<i64, Socket>;

fn end(family: u8, port: u16) -> Vec<u8> {
    let last = if port % 3 == 0 { 9 } else { 1 };
    let ip = if family == AF_INET {
        vec![10, last, 0, last]
    } else {
        [&[0xfe, 0x80][..], &[0; 5], &[last], &[0; 7], &[last]].concat()
    };
    [&ip[..], &port.to_ne_bytes()].concat()
}

/// Both ends, the one that sends first.
fn tuple(socket: Socket, peer: Option<u16>, out: bool) -> Vec<u8> {
    let (from, to) = if out { (socket.port, peer.unwrap_or(0)) } else { (peer.unwrap_or(0), socket.port) };
    match socket.family {
        AF_UNIX => {
            let path = format!("/run/{to}\0");
            [&[AF_UNIX][..], &u64::from(from).to_ne_bytes(), &u64::from(to).to_ne_bytes(), path.as_bytes()]
                .concat()
        }
        AF_INET | AF_INET6 => {
            [&[socket.family][..], &end(socket.family, from), &end(socket.family, to)].concat()
        }
        _ => Vec::new(),
    }
}

fn built(ts: u64, tid: i64, ty: EventType, params: &[&[u8]]) -> EventBuf {
    EventBuf::new(ts, tid, 0, ty, params).unwrap()
}

/// What a thread with these fds does next.
fn event(dice: &mut Dice, ts: u64, tid: i64, open: &mut Open) -> EventBuf {
    let free = (3..).find(|fd| !open.contains_key(fd)).unwrap();
    let fd = dice.of(&[3i64, 4, 5, 6, 7]);
    let number = |n: i64| n.to_ne_bytes();
    let Some(socket) = open.get(&fd).copied() else {
        let family = dice.of(&[AF_UNIX, AF_INET, AF_INET, AF_INET6, AF_NETLINK]);
        let stream = dice.roll(3) > 0;
        open.insert(free, Socket { family, stream, port: 0, peer: None });
        let kind = if stream { 1u32 } else { 2 }.to_ne_bytes();
        let none = 0u32.to_ne_bytes();
        let params: [&[u8]; 5] = [&number(free), &u32::from(family).to_ne_bytes(), &kind, &none, &none];
        return built(ts, tid, t::SOCKET_SOCKET_X, &params);
    };
    let port = || 1000 + (ts % 60_000) as u16;
    match dice.roll(12) {
        0 | 1 => {
            let result = dice.of(&[0i64, -115, -111]);
            let peer = dice.of(&[53u16, 80, 443]);
            let made = Socket { port: port(), peer: Some(peer), ..socket };
            if result != -111 && socket.peer.is_none() {
                open.insert(fd, made);
            }
            let result = if socket.peer.is_some() && socket.stream { -106 } else { result };
            let told = if result == -106 { socket } else { made };
            let params: [&[u8]; 4] = [&number(result), &tuple(told, told.peer, true), &number(fd), &[]];
            built(ts, tid, t::SOCKET_CONNECT_X, &params)
        }
        2 if free < 8 && socket.family != AF_NETLINK => {
            let made = Socket { stream: true, port: 80, peer: Some(port()), ..socket };
            open.insert(free, made);
            let zero = 0u32.to_ne_bytes();
            let params: [&[u8]; 6] =
                [&number(free), &tuple(made, made.peer, false), &[0], &zero, &zero, &zero];
            built(ts, tid, t::SOCKET_ACCEPT4_6_X, &params)
        }
        3 => {
            open.remove(&fd);
            built(ts, tid, t::SYSCALL_CLOSE_X, &[&number(0), &number(fd)])
        }
        4 => {
            let to = dice.of(&[3i64, 4, 5, 6, 7]);
            open.insert(to, socket);
            built(ts, tid, t::SYSCALL_DUP2_X, &[&number(to), &number(fd), &number(to)])
        }
        5 => built(ts, tid, t::SOCKET_SHUTDOWN_X, &[&number(0), &number(fd), &[1]]),
        what => {
            // a datagram may go to anybody, and come from anybody
            let named = !socket.stream && dice.roll(2) == 0;
            let peer = if named { Some(dice.of(&[53u16, 123])) } else { socket.peer };
            if socket.port == 0 && !socket.stream {
                open.insert(fd, Socket { port: port(), ..socket });
            }
            let socket = open[&fd];
            let result = if peer.is_none() || dice.roll(4) == 0 { -11 } else { 5 };
            let size = 5u32.to_ne_bytes();
            let out = what % 2 == 0;
            let ends = if peer.is_some() || socket.family == AF_UNIX {
                tuple(socket, peer, out)
            } else {
                Vec::new()
            };
            match (out, what > 8) {
                (true, false) => {
                    built(ts, tid, t::SOCKET_SENDTO_X, &[&number(result), b"data", &number(fd), &size, &ends])
                }
                (true, true) => built(
                    ts,
                    tid,
                    t::SOCKET_SENDMSG_X,
                    &[&number(result), b"data", &number(fd), &size, &ends],
                ),
                (false, false) => built(
                    ts,
                    tid,
                    t::SOCKET_RECVFROM_X,
                    &[&number(result), b"data", &ends, &number(fd), &size],
                ),
                (false, true) => built(
                    ts,
                    tid,
                    t::SOCKET_RECVMSG_X,
                    &[&number(result), &size, b"data", &ends, &[], &number(fd)],
                ),
            }
        }
    }
}

/// How many alerts there were on hosts by chance, and how many events were spared.
fn on_random_hosts(engine: &Engine, seeds: u64) -> (usize, u64) {
    let (mut alerts, mut spared) = (0, 0);
    for seed in 0..seeds {
        let mut comparison = Comparison::new(engine);
        for watcher in [&mut comparison.whole, &mut comparison.spared] {
            for tid in [10, 20] {
                watcher.machine.add_thread(Thread { pid: tid, comm: "nc".into(), ..Thread::unknown(tid) });
            }
        }
        let mut dice = Dice(seed);
        let mut open = [Open::new(), Open::new()];
        for ts in 1..1500 {
            let which = dice.roll(2);
            let tid = [10, 20][which];
            comparison.see(&event(&mut dice, ts, tid, &mut open[which]).event().unwrap());
        }
        let (a, s, _) = comparison.close(&format!("seed {seed}"));
        (alerts, spared) = (alerts + a, spared + s);
    }
    (alerts, spared)
}

#[test]
fn random_sockets_give_the_same_alerts() {
    let engine = engine(&[later_uses(), by_ends(&BY_ENDS[..1])]);
    assert_eq!(engine.needs().unix_sockets, None);
    let (alerts, spared) = on_random_hosts(&engine, 60);
    assert!(alerts > 5000 && spared > 10_000, "{alerts} alerts, {spared} spared");
}

#[test]
fn random_sockets_give_the_same_alerts_by_their_ends() {
    let (_, by_family) = on_random_hosts(&engine(&[by_ends(&["fd.type in (ipv4, ipv6)"])]), 10);
    let alone = BY_ENDS.iter().map(std::slice::from_ref);
    for conditions in alone.chain([&BY_ENDS[..2], &BY_ENDS[1..3], &BY_ENDS[3..5]]) {
        let (alerts, spared) = on_random_hosts(&engine(&[by_ends(conditions)]), 10);
        assert!(
            alerts > 100 && spared > by_family + 300,
            "{conditions:?}: {alerts} alerts, {spared} spared, {by_family} by family"
        );
    }
}
