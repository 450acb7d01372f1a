//! Fields of the file descriptor that an event is about.

use std::net::IpAddr;

use lanner_event::{Direction, EventFlag, EventInfo, print_param, types};
use lanner_machine::{Endpoint, Ends, Fd as Known, FdKind, L4Proto, Role, Thread};

use super::names::{ThreadNames, type_name};
use super::syscall::access;
use super::{param, path};
use crate::field::Arg;
use crate::table::Fd;
use crate::{Context, Value};

/// Whether events of the type have to do with an fd.
pub(crate) fn has_fd(info: &EventInfo) -> bool {
    let fd_flags = EventFlag::CreatesFd.bit() | EventFlag::UsesFd.bit() | EventFlag::DestroysFd.bit();
    info.flags & fd_flags != 0
}

/// The thread, for events that have to do with an fd.
fn thread<'a>(cx: &Context<'a>) -> Option<&'a Thread> {
    if has_fd(cx.event.info) { cx.thread() } else { None }
}

pub(crate) fn extract<'a>(id: Fd, arg: &Arg, cx: &Context<'a>) -> Option<Value<'a>> {
    let thread = thread(cx)?;
    let num = cx.subject.fd.unwrap_or(-1);
    let container = &thread.container;
    let text = |text: &'a [u8]| Some(Value::Text(text));
    match id {
        Fd::FdNum => return Some(Value::Signed(num)),
        Fd::FdUid => return text(cx.scratch.format(format_args!("{}{num}", thread.tid))),
        Fd::FdName => return text(known_name(cx)?),
        Fd::FdNameraw => return text(without_double_slashes(cx, raw_name(cx)?)),
        Fd::FdContainername => return text(cx.scratch.concat(&[container, b":", name(cx)?])),
        Fd::FdDirectory => return text(directory(cx)?),
        Fd::FdContainerdirectory => return text(cx.scratch.concat(&[container, b":", directory(cx)?])),
        Fd::FdTypechar => return text(cx.scratch.format(format_args!("{}", kind_char(cx)))),
        Fd::FdTypes => return types_of(arg, cx, thread),
        _ => {}
    }
    let fd = cx.fd()?;
    match id {
        Fd::FdType => text(type_name(fd).as_bytes()),
        Fd::FdFilename => text(file_name(fd)?),
        Fd::FdL4proto => text(protocol_name(fd)),
        Fd::FdSockfamily if fd.is_ip() => text(b"ip"),
        Fd::FdSockfamily if fd.kind == FdKind::Unix => text(b"unix"),
        Fd::FdSockfamily => None,
        Fd::FdIsServer => Some(Value::Bool(is_server(cx, thread, fd))),
        Fd::FdConnected => Some(Value::Bool(fd.connected)),
        Fd::FdNameChanged => Some(Value::Bool(cx.subject.fd_name_changed)),
        Fd::FdDev => Some(Value::Signed((fd.dev as i32).into())),
        // Linux packs 12 bits of major number between the low and the high bits of the minor one.
        Fd::FdDevMajor => Some(Value::Signed((fd.dev >> 8 & 0xfff).into())),
        Fd::FdDevMinor => Some(Value::Signed((fd.dev & 0xff | fd.dev >> 12 & 0xf_ff00).into())),
        Fd::FdIno => Some(Value::Signed(fd.ino as i64)),
        Fd::FdIsUpperLayer => Some(Value::Bool(fd.upper_layer)),
        Fd::FdPathResolved => text(Some(fd.resolved()).filter(|path| !path.is_empty())?),
        Fd::FdIsLowerLayer => Some(Value::Bool(fd.lower_layer)),
        Fd::FdCipName | Fd::FdSipName | Fd::FdLipName | Fd::FdRipName => {
            text(cx.machine.domains_of(named_address(id, cx, thread, fd)?).first()?)
        }
        _ => end_value(id, cx, thread, fd),
    }
}

/// The address whose domain name a field tells: that of an end of a connection.
fn named_address(id: Fd, cx: &Context<'_>, thread: &Thread, fd: &Known) -> Option<IpAddr> {
    let Ends::Ip { source, dest: Some(dest) } = &fd.ends else { return None };
    if !matches!(fd.kind, FdKind::Ipv4 | FdKind::Ipv6) || fd.role == Role::Unknown {
        return None;
    }
    let of_source = match id {
        Fd::FdCipName => true,
        Fd::FdSipName => false,
        _ => is_local(cx, thread, source.ip) == (id == Fd::FdLipName),
    };
    Some(if of_source { source.ip } else { dest.ip })
}

/// In a condition an end has each of its names. Without any it has an empty one, so that it is different from all.
fn names_of_end<'a>(id: Fd, cx: &Context<'a>) -> Value<'a> {
    let Some((thread, fd)) = thread(cx).zip(cx.fd()) else { return Value::Absent };
    let mut names = cx.scratch.value_buffer();
    if let Some(address) = named_address(id, cx, thread, fd) {
        names.extend(cx.machine.domains_of(address).iter().map(|name| Value::Text(name)));
        if names.is_empty() {
            names.push(Value::Text(b""));
        }
    }
    Value::Ends(names.into_bump_slice())
}

/// Whether a field has another value in a condition than in an output.
pub(crate) fn has_operand(id: Fd) -> bool {
    is_name_of_end(id) || matches!(id, Fd::FdIp | Fd::FdNet | Fd::FdPort | Fd::FdProto)
}

fn is_name_of_end(id: Fd) -> bool {
    matches!(id, Fd::FdCipName | Fd::FdSipName | Fd::FdLipName | Fd::FdRipName)
}

/// The value in a condition, for those fields that have another one there.
pub(crate) fn operand<'a>(id: Fd, cx: &Context<'a>) -> Option<Value<'a>> {
    if is_name_of_end(id) {
        return Some(names_of_end(id, cx));
    }
    if !has_operand(id) {
        return None;
    }
    let Some(fd) = thread(cx).and_then(|_| cx.fd()) else { return Some(Value::Absent) };
    let value = |end: &Endpoint| match id {
        Fd::FdIp | Fd::FdNet => Value::Ip(end.ip),
        _ => Value::Unsigned(end.port.into()),
    };
    let mut ends = cx.scratch.value_buffer();
    if let (true, Ends::Ip { source, dest }) = (fd.is_ip(), &fd.ends) {
        ends.push(value(source));
        ends.extend(dest.as_ref().map(value));
    }
    Some(Value::Ends(ends.into_bump_slice()))
}

/// Which end of a connection a field is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
    Local,
    Remote,
}

/// What a field tells of an end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Address,
    Port,
    Service,
}

fn side_and_part(id: Fd) -> Option<(Side, Part)> {
    Some(match id {
        Fd::FdCip | Fd::FdCnet => (Side::Client, Part::Address),
        Fd::FdSip | Fd::FdSnet => (Side::Server, Part::Address),
        Fd::FdLip | Fd::FdLnet => (Side::Local, Part::Address),
        Fd::FdRip | Fd::FdRnet => (Side::Remote, Part::Address),
        Fd::FdCport => (Side::Client, Part::Port),
        Fd::FdSport => (Side::Server, Part::Port),
        Fd::FdLport => (Side::Local, Part::Port),
        Fd::FdRport => (Side::Remote, Part::Port),
        Fd::FdCproto => (Side::Client, Part::Service),
        Fd::FdSproto => (Side::Server, Part::Service),
        Fd::FdLproto => (Side::Local, Part::Service),
        Fd::FdRproto => (Side::Remote, Part::Service),
        _ => return None,
    })
}

fn end_value<'a>(id: Fd, cx: &Context<'a>, thread: &Thread, fd: &'a Known) -> Option<Value<'a>> {
    let (side, part) = side_and_part(id)?;
    let server = matches!(fd.kind, FdKind::Ipv4Server | FdKind::Ipv6Server);
    let connection = matches!(fd.kind, FdKind::Ipv4 | FdKind::Ipv6);
    if fd.role == Role::Unknown && !(server && side == Side::Server && part != Part::Address) {
        return None;
    }
    let end = match (side, &fd.ends) {
        // A client's service of what is no connection, and a listening server's, are known to be nothing.
        (Side::Client, _) if part == Part::Service && !connection => return Some(Value::Text(b"")),
        (Side::Server, _) if part == Part::Service && server => return Some(Value::Text(b"")),
        (Side::Server, Ends::Ip { source, .. }) if server => source,
        (Side::Client, Ends::Ip { source, .. }) if connection => source,
        (Side::Server, Ends::Ip { dest: Some(dest), .. }) if connection => dest,
        (Side::Local | Side::Remote, Ends::Ip { source, dest: Some(dest) }) if connection => {
            let source_is_wanted = is_local(cx, thread, source.ip) == (side == Side::Local);
            if source_is_wanted { source } else { dest }
        }
        _ => return None,
    };
    Some(match part {
        Part::Address => Value::Ip(end.ip),
        Part::Port => Value::Unsigned(end.port.into()),
        Part::Service => Value::Text(cx.scratch.format(format_args!("{}", end.port))),
    })
}

/// Whether an address is one of the thread's own host or container.
fn is_local(cx: &Context<'_>, thread: &Thread, ip: IpAddr) -> bool {
    cx.machine.is_own_address(thread, ip)
}

fn is_server(cx: &Context<'_>, thread: &Thread, fd: &Known) -> bool {
    match (fd.kind, &fd.ends) {
        (FdKind::Ipv4Server | FdKind::Ipv6Server, _) => true,
        (FdKind::Ipv4 | FdKind::Ipv6, Ends::Ip { dest: Some(dest), .. }) => is_local(cx, thread, dest.ip),
        _ => false,
    }
}

fn protocol_name(fd: &Known) -> &'static [u8] {
    let connection = matches!(fd.kind, FdKind::Ipv4 | FdKind::Ipv6);
    match fd.l4 {
        _ if !fd.is_ip() => b"<NA>",
        L4Proto::Raw => b"raw",
        _ if connection && fd.role == Role::Unknown => b"<NA>",
        L4Proto::Tcp => b"tcp",
        L4Proto::Udp => b"udp",
        L4Proto::Icmp => b"icmp",
        L4Proto::Unknown => b"<NA>",
    }
}

/// `fd.types`: the kinds of all fds, each once, or that of one fd.
fn types_of<'a>(arg: &Arg, cx: &Context<'a>, thread: &'a Thread) -> Option<Value<'a>> {
    let mut kinds = cx.scratch.value_buffer();
    if let Arg::Index(num) = arg {
        let fd = cx.machine.fd(thread.tid, i64::try_from(*num).ok()?)?;
        kinds.push(Value::Text(type_name(fd).as_bytes()));
    } else {
        for fd in cx.machine.fds(thread.tid) {
            let kind = Value::Text(type_name(fd).as_bytes());
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    Some(Value::List(kinds.into_bump_slice()))
}

/// The file that an event is about, or what a failed call asked for. Fields that are stable until the name changes
/// depend on nothing else but the event's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NamedFile<'a> {
    /// `None`: the fd isn't known.
    pub kind: Option<FdKind>,
    /// Its name.
    pub name: &'a [u8],
    /// The name by which it was asked for, if that is another one.
    pub asked: Option<&'a [u8]>,
    /// For what the event opens it, in the bits of the event's own flags; 0 if it doesn't.
    pub access: u32,
}

/// The file that an event is about, if it has a name.
pub fn named_file<'a>(cx: &Context<'a>) -> Option<NamedFile<'a>> {
    thread(cx)?;
    let (kind, name, raw): (_, &[u8], &[u8]) = match cx.fd() {
        Some(fd) => (Some(fd.kind), &fd.name, fd.name_raw()),
        None => {
            let (name, raw) = asked_names(cx)?;
            (None, name, raw)
        }
    };
    // Nearly always one is the other itself, which spares comparing them byte by byte.
    let same = std::ptr::eq(name, raw) || name == raw;
    Some(NamedFile { kind, name, asked: (!same).then_some(raw), access: access(cx.event) })
}

/// The fd's name, or the one that a failed call asked for.
pub(crate) fn name<'a>(cx: &Context<'a>) -> Option<&'a [u8]> {
    thread(cx)?;
    known_name(cx)
}

/// The same for a thread that is known.
fn known_name<'a>(cx: &Context<'a>) -> Option<&'a [u8]> {
    match cx.fd() {
        Some(fd) => Some(&fd.name),
        None => asked_name(cx, false),
    }
}

fn raw_name<'a>(cx: &Context<'a>) -> Option<&'a [u8]> {
    match cx.fd() {
        Some(fd) => Some(fd.name_raw()),
        None => asked_name(cx, true),
    }
}

/// The name that a failed call asked for, and the one by which it did.
fn asked_names<'a>(cx: &Context<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let raw = asked_name(cx, true);
    match cx.event.ty() {
        types::SYSCALL_OPENAT_2_X | types::SYSCALL_OPENAT2_X => Some((absolute(cx, raw?)?, raw?)),
        _ => Some((asked_name(cx, false)?, raw.unwrap_or_default())),
    }
}

/// What a call that counts from a directory asked for by a name.
fn absolute<'a>(cx: &Context<'a>, name: &'a [u8]) -> Option<&'a [u8]> {
    let fd = cx.event.i64(1)?;
    let directory = if name.starts_with(b"/") { b"." } else { path::directory(cx, cx.thread()?, fd) };
    Some(path::join(cx, directory, name))
}

/// The name in the event itself, for a call that got no fd.
fn asked_name<'a>(cx: &Context<'a>, raw: bool) -> Option<&'a [u8]> {
    let event = cx.event;
    if event.info.direction == Direction::Enter {
        return None;
    }
    match event.ty() {
        types::SYSCALL_OPEN_X
        | types::SOCKET_ACCEPT_5_X
        | types::SOCKET_ACCEPT4_6_X
        | types::SYSCALL_CREAT_X
        | types::SOCKET_CONNECT_X => Some(cx.scratch.built(|out| {
            print_param(event, 1, &ThreadNames::new(cx), out);
        })),
        types::SYSCALL_OPENAT_2_X | types::SYSCALL_OPENAT2_X => {
            if event.param(2)?.is_empty() {
                return None;
            }
            let name = param::text(event, 2)?;
            if raw { Some(name) } else { absolute(cx, name) }
        }
        types::SYSCALL_OPEN_BY_HANDLE_AT_X => param::text(event, 3),
        _ => Some(b""),
    }
}

/// Whether two slashes stand side by side, of which `fd.nameraw` shows one.
pub fn has_double_slash(text: &[u8]) -> bool {
    let rest = text.get(1..).unwrap_or_default();
    text.iter().zip(rest).fold(false, |found, (a, b)| found | ((*a == b'/') & (*b == b'/')))
}

fn without_double_slashes<'a>(cx: &Context<'a>, text: &'a [u8]) -> &'a [u8] {
    if !has_double_slash(text) {
        return text;
    }
    let mut out = cx.scratch.buffer();
    for &byte in text {
        if byte != b'/' || out.last() != Some(&b'/') {
            out.push(byte);
        }
    }
    out.into_bump_slice()
}

fn directory<'a>(cx: &Context<'a>) -> Option<&'a [u8]> {
    let name = match cx.fd() {
        Some(fd) if fd.kind == FdKind::Directory => return Some(&fd.name),
        Some(fd) if fd.kind == FdKind::File => &fd.name,
        Some(_) => return None,
        None => asked_name(cx, false)?,
    };
    Some(match memchr::memrchr(b'/', name) {
        None | Some(0) => b"/",
        Some(slash) if slash + 1 == name.len() => name,
        Some(slash) => &name[..slash],
    })
}

fn file_name(fd: &Known) -> Option<&[u8]> {
    if fd.kind != FdKind::File {
        return None;
    }
    let name: &[u8] = &fd.name;
    Some(match memchr::memrchr(b'/', name) {
        None => b"/",
        Some(slash) if slash + 1 == name.len() => name,
        Some(slash) => &name[slash + 1..],
    })
}

/// The letter of the fd's kind; for a call that got none, of what it would have been.
fn kind_char(cx: &Context<'_>) -> char {
    if let Some(fd) = cx.fd() {
        return fd.kind.letter();
    }
    match cx.event.ty() {
        types::SYSCALL_OPENAT_2_X
        | types::SYSCALL_OPENAT_2_E
        | types::SYSCALL_OPENAT2_X
        | types::SYSCALL_OPENAT2_E
        | types::SYSCALL_CREAT_X
        | types::SYSCALL_CREAT_E => 'f',
        types::SOCKET_SOCKET_X
        | types::SOCKET_SOCKET_E
        | types::SOCKET_ACCEPT_5_X
        | types::SOCKET_ACCEPT_5_E
        | types::SOCKET_ACCEPT4_6_X
        | types::SOCKET_ACCEPT4_6_E => '4',
        types::SYSCALL_PIPE_X | types::SYSCALL_PIPE_E | types::SYSCALL_PIPE2_X | types::SYSCALL_PIPE2_E => {
            'p'
        }
        types::SYSCALL_EVENTFD_X
        | types::SYSCALL_EVENTFD_E
        | types::SYSCALL_EVENTFD2_X
        | types::SYSCALL_EVENTFD2_E => 'e',
        types::SYSCALL_SIGNALFD_X
        | types::SYSCALL_SIGNALFD_E
        | types::SYSCALL_SIGNALFD4_X
        | types::SYSCALL_SIGNALFD4_E => 's',
        types::SYSCALL_TIMERFD_CREATE_X | types::SYSCALL_TIMERFD_CREATE_E => 't',
        types::SYSCALL_INOTIFY_INIT_X
        | types::SYSCALL_INOTIFY_INIT_E
        | types::SYSCALL_INOTIFY_INIT1_X
        | types::SYSCALL_INOTIFY_INIT1_E => 'i',
        _ => 'o',
    }
}
