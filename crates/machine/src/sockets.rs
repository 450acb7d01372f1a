//! Sockets: made, bound, connected, accepted, and what an exchange over them tells of their ends.

use lanner_event::{Event, NoNames, print_raw, types};

use crate::address::{Address, Socket, Tuple};
use crate::apply::Frame;
use crate::machine::Machine;
use crate::wire::{i64_of, params, u32_of, u64_of};
use crate::{Endpoint, Ends, Fd, FdKind, L4Proto, Role, Text, abi};

/// A new socket's fd.
fn socket_fd(domain: u32, ty: u32, protocol: u32, open_flags: u32) -> Fd {
    let none = |v6| Ends::Ip { source: Endpoint::none(v6), dest: Some(Endpoint::none(v6)) };
    let (kind, ends) = match u8::try_from(domain) {
        Ok(abi::AF_UNIX) => (FdKind::Unix, Ends::Unix { source: 0, dest: 0 }),
        Ok(abi::AF_INET) => (FdKind::Ipv4, none(false)),
        Ok(abi::AF_INET6) => (FdKind::Ipv6, none(true)),
        Ok(abi::AF_NETLINK) => (FdKind::Netlink, Ends::None),
        _ => (FdKind::Unknown, Ends::None),
    };
    let l4 = if matches!(kind, FdKind::Ipv4 | FdKind::Ipv6) { l4_of(ty, protocol) } else { L4Proto::Unknown };
    Fd { kind, ends, l4, open_flags, ..Fd::default() }
}

/// The protocol of an IP socket by its type (with or without flags in the upper bits) and protocol number.
pub(crate) fn l4_of(ty: u32, protocol: u32) -> L4Proto {
    let ty = ty & 0xff;
    match protocol {
        abi::IPPROTO_TCP | abi::IPPROTO_UDP | abi::IPPROTO_ICMP if ty == abi::SOCK_RAW => L4Proto::Raw,
        abi::IPPROTO_TCP => L4Proto::Tcp,
        abi::IPPROTO_UDP => L4Proto::Udp,
        abi::IPPROTO_ICMP => L4Proto::Icmp,
        abi::IPPROTO_RAW => L4Proto::Raw,
        abi::IPPROTO_IP if ty == abi::SOCK_STREAM => L4Proto::Tcp,
        abi::IPPROTO_IP if ty == abi::SOCK_DGRAM => L4Proto::Udp,
        _ => L4Proto::Unknown,
    }
}

impl Machine {
    pub(crate) fn socket_made(&mut self, frame: &mut Frame<'_, '_>) {
        let Some(num @ 0..) = frame.result() else { return };
        let [_, domain, ty, protocol, flags] = params::<5>(frame.event).map(|p| u32_of(p).unwrap_or(0));
        self.add_frame_fd(frame, num, socket_fd(domain, ty, protocol, flags));
    }

    pub(crate) fn socket_pair_made(&mut self, frame: &mut Frame<'_, '_>) {
        let [_, one, two, source, peer] = params::<5>(frame.event);
        let (Some(one), Some(two), true) = (i64_of(one), i64_of(two), frame.succeeded()) else { return };
        if one == two {
            return;
        }
        let ends = Ends::Unix { source: u64_of(source).unwrap_or(0), dest: u64_of(peer).unwrap_or(0) };
        for num in [one, two] {
            self.add_frame_fd(frame, num, Fd { kind: FdKind::Unix, ends, ..Fd::default() });
        }
    }

    pub(crate) fn bound(&mut self, frame: &mut Frame<'_, '_>) {
        let (Some(fd), true) = (self.frame_fd(frame), frame.succeeded()) else { return };
        let Some(address) = frame.event.param(1).and_then(Address::read) else { return };
        let mut socket = Socket::of(fd);
        if let Address::Ip(end @ Endpoint { port: 1.., .. }) = address {
            // A bound port is taken for one that is listened on.
            let end = end.unmapped();
            socket.kind = if end.ip.is_ipv4() { FdKind::Ipv4Server } else { FdKind::Ipv6Server };
            socket.ends = Ends::Ip { source: end, dest: None };
            socket.role = Role::Server;
        }
        self.set_socket_printed(frame, socket, 1);
    }

    pub(crate) fn connected(&mut self, frame: &mut Frame<'_, '_>) {
        // A connect that goes on in the background will most likely succeed.
        if !frame.result().is_some_and(|r| r >= 0 || r == -abi::EINPROGRESS) {
            return;
        }
        let Some(fd) = self.frame_fd(frame) else { return };
        let mut socket = Socket { connected: true, ..Socket::of(fd) };
        let begun = std::mem::take(&mut self.begun);
        let asked =
            Machine::beginning(frame, &begun).as_ref().and_then(|e| e.param(1)).and_then(Address::read);
        let [_, tuple, _, told] = params::<4>(frame.event);
        if tuple.is_empty() {
            self.connected_without_tuple(frame, socket, asked);
        } else if let Some(tuple) = Tuple::read(tuple) {
            let told = Address::read(told);
            self.connected_to(frame, &mut socket, tuple, asked.filter(|_| told.is_some()), told);
        } else {
            self.set_socket(frame, socket);
        }
        self.begun = begun;
    }

    /// TCP fast open with a cookie: the kernel tells no address, only the caller did.
    fn connected_without_tuple(
        &mut self,
        frame: &mut Frame<'_, '_>,
        mut socket: Socket,
        asked: Option<Address<'_>>,
    ) {
        match asked {
            Some(Address::Ip(dest)) => {
                let dest = dest.unmapped();
                let v4 = dest.ip.is_ipv4();
                let source = match socket.ends {
                    Ends::Ip { source, .. } if source.ip.is_ipv4() == v4 => source,
                    _ => Endpoint::none(!v4),
                };
                socket.kind = if v4 { FdKind::Ipv4 } else { FdKind::Ipv6 };
                socket.ends = Ends::Ip { source, dest: Some(dest) };
                self.set_socket(frame, socket);
            }
            Some(Address::Unix(path)) => {
                let path = path.to_vec();
                self.set_socket_named(frame, socket, &path);
            }
            _ => self.set_socket(frame, socket),
        }
    }

    /// `asked`: the address as it stood when the call began, which no other thread can have changed; `told`:
    /// as it stood at its end. Where the tuple has what was told, it came from user memory, and what was
    /// asked is the safer answer.
    fn connected_to(
        &mut self,
        frame: &mut Frame<'_, '_>,
        socket: &mut Socket,
        tuple: Tuple<'_>,
        asked: Option<Address<'_>>,
        told: Option<Address<'_>>,
    ) {
        let mut out = std::mem::take(&mut self.scratch);
        match tuple {
            Tuple::Ip { source, dest } => {
                let same = matches!(told, Some(Address::Ip(told)) if told.unmapped() == dest.unmapped());
                let dest = match asked {
                    Some(Address::Ip(asked))
                        if same && asked.unmapped().ip.is_ipv4() == source.ip.is_ipv4() =>
                    {
                        asked.unmapped()
                    }
                    _ => dest,
                };
                let changed = socket.set_ends(source, dest, true);
                if changed
                    && socket.role == Role::Server
                    && socket.kind == FdKind::Ipv4
                    && socket.l4 == L4Proto::Udp
                {
                    socket.swap();
                }
                socket.print_name(&mut out);
            }
            Tuple::Unix { source, dest, path } if socket.kind == FdKind::Unix => {
                let path = match (asked, told) {
                    (Some(Address::Unix(asked)), Some(Address::Unix(told))) if told == path => asked,
                    _ => path,
                };
                socket.ends = Ends::Unix { source, dest };
                out.clear();
                out.extend_from_slice(format!("{source:x}->{dest:x} ").as_bytes());
                out.extend_from_slice(path);
            }
            _ => {
                self.scratch = out;
                return self.set_socket(frame, *socket);
            }
        }
        if socket.role == Role::Unknown {
            socket.role = Role::Client;
        }
        self.set_socket_named(frame, *socket, &out);
        self.scratch = out;
    }

    pub(crate) fn accepted(&mut self, frame: &mut Frame<'_, '_>) {
        let Some(num @ 0..) = frame.result() else { return };
        frame.num = num;
        let Some(tuple) = frame.event.param(1).and_then(Tuple::read) else {
            return self.forget_frame_fd(frame, num);
        };
        let mut fd = Fd { role: Role::Server, connected: true, ..Fd::default() };
        match tuple {
            Tuple::Ip { source, dest } => {
                fd.kind = if source.ip.is_ipv4() { FdKind::Ipv4 } else { FdKind::Ipv6 };
                fd.ends = Ends::Ip { source, dest: Some(dest) };
                fd.l4 = L4Proto::Tcp;
            }
            Tuple::Unix { source, dest, .. } => {
                fd.kind = FdKind::Unix;
                fd.ends = Ends::Unix { source, dest };
            }
            Tuple::Other => return self.forget_frame_fd(frame, num),
        }
        if frame.event.ty() == types::SOCKET_ACCEPT4_6_X {
            fd.open_flags = frame.event.u32(5).unwrap_or(0) & abi::O_CLOEXEC;
        }
        let mut out = std::mem::take(&mut self.scratch);
        print_fresh(frame.event, 1, &mut out);
        fd.name = Text::from(&out[..]);
        self.scratch = out;
        frame.renamed = !fd.name.is_empty();
        self.add_frame_fd(frame, num, fd);
    }

    /// Data went in or out. `tuple`: the parameter that tells the ends, for sockets.
    pub(crate) fn exchange(&mut self, frame: &mut Frame<'_, '_>, tuple: Option<usize>, incoming: bool) {
        if !frame.succeeded() {
            return;
        }
        if self.frame_fd(frame).is_none() && tuple.is_some() && !incoming {
            self.guess_socket(frame);
        }
        let Some(fd) = self.frame_fd(frame) else {
            self.stats.unknown_fds += u64::from(frame.fd().is_some());
            return;
        };
        let tcp = fd.kind == FdKind::Ipv4 && fd.l4 == L4Proto::Tcp;
        let wanted = tuple.filter(|_| fd.name.is_empty() || !tcp);
        let ip_pair = matches!(fd.kind, FdKind::Ipv4 | FdKind::Ipv6);
        if wanted.is_none() && (fd.connected || !ip_pair) {
            let told = tcp && !fd.name.is_empty();
            if let (Some(table), Some(fd)) = (frame.table, frame.fd()) {
                self.quiet.note(table, fd, self.tables.changed(table).unwrap_or(0), told);
            }
            return;
        }
        let mut socket = Socket { connected: fd.connected || ip_pair, ..Socket::of(fd) };
        let Some((index, told)) = wanted.and_then(|i| Some((i, Tuple::read(frame.event.param(i)?)?))) else {
            return self.set_socket(frame, socket);
        };
        if !learn(&mut socket, told) {
            return self.set_socket(frame, socket);
        }
        socket.complete(&self.interfaces);
        if !socket.is_ip_pair() {
            return self.set_socket_printed(frame, socket, index);
        }
        if socket.role == Role::Unknown {
            // A server usually starts with a read, a client with a write.
            socket.role = if incoming && socket.kind == FdKind::Ipv4 { Role::Server } else { Role::Client };
        }
        if socket.role == (if incoming { Role::Client } else { Role::Server }) {
            socket.swap();
        }
        let mut out = std::mem::take(&mut self.scratch);
        socket.print_name(&mut out);
        self.set_socket_named(frame, socket, &out);
        self.scratch = out;
    }

    /// Something was sent over an fd that is not known: its making was missed. UDP is the best guess.
    fn guess_socket(&mut self, frame: &mut Frame<'_, '_>) {
        let single = matches!(
            frame.event.ty(),
            types::SOCKET_SEND_X | types::SOCKET_SENDTO_X | types::SOCKET_SENDMSG_X
        );
        let family = frame.event.param(4).and_then(|p| p.first().copied());
        let (Some(num @ 0..), Some(family @ (abi::AF_INET | abi::AF_INET6)), true) =
            (frame.fd(), family, single)
        else {
            return;
        };
        self.add_frame_fd(frame, num, socket_fd(family.into(), abi::SOCK_DGRAM, abi::IPPROTO_UDP, 0));
    }

    fn set_socket(&mut self, frame: &Frame<'_, '_>, socket: Socket) {
        if self.frame_fd(frame).is_some_and(|fd| Socket::of(fd) != socket) {
            if let Some(fd) = self.frame_fd_mut(frame) {
                socket.put(fd);
            }
        }
    }

    fn set_socket_named(&mut self, frame: &mut Frame<'_, '_>, socket: Socket, name: &[u8]) {
        self.set_socket(frame, socket);
        if self.frame_fd(frame).is_some_and(|fd| *fd.name != *name) {
            if let Some(fd) = self.frame_fd_mut(frame) {
                fd.rename(Text::from(name));
                frame.renamed = true;
            }
        }
    }

    /// The same with the text of a parameter as the name.
    fn set_socket_printed(&mut self, frame: &mut Frame<'_, '_>, socket: Socket, param: usize) {
        let mut out = std::mem::take(&mut self.scratch);
        print_fresh(frame.event, param, &mut out);
        self.set_socket_named(frame, socket, &out);
        self.scratch = out;
    }
}

fn print_fresh(event: &Event<'_>, param: usize, out: &mut Vec<u8>) {
    out.clear();
    print_raw(event, param, &NoNames, out);
}

/// Takes over what an exchange tells of a socket's ends. Says whether it was something new.
fn learn(socket: &mut Socket, tuple: Tuple<'_>) -> bool {
    match tuple {
        Tuple::Ip { source, dest } => {
            if !socket.set_ends(source, dest, false) {
                return false;
            }
        }
        Tuple::Unix { source, dest, .. } => {
            socket.kind = FdKind::Unix;
            socket.ends = Ends::Unix { source, dest };
            return true;
        }
        Tuple::Other => {}
    }
    if socket.is_ip_pair() && socket.l4 == L4Proto::Unknown {
        // TCP would not change its address in the middle of a connection.
        socket.l4 = L4Proto::Udp;
    }
    true
}
