//! What lanner's own tables tell: the names and types that Falco's libraries have for threads and fds.

use std::ffi::CStr;
use std::net::IpAddr;

use lanner_machine::{Container, Endpoint, Ends, Fd, FdKind, L4Proto, Machine, Role, Thread};

use super::super::abi::state_type::{BOOL, INT64, STRING, TABLE, UINT8, UINT16, UINT32, UINT64};
use super::cell::Cell;

/// What a table has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Threads,
    Containers,
    /// The fds of a thread.
    Fds,
    /// The arguments of a thread.
    Args,
    /// The environment of a thread.
    Env,
    /// The cgroups of a thread: subsystems and paths.
    Cgroups,
}

/// Where a field's value comes from.
#[derive(Clone, Copy)]
pub(super) enum Read {
    Thread(fn(&Machine, &Thread) -> Cell),
    Container(fn(&Container) -> Cell),
    Fd(fn(&Fd) -> Cell),
    /// An item of a list: a text, or what is before and behind its `=`.
    Item(fn(&[u8]) -> Cell),
    Inner(Kind),
}

/// A field of a table.
pub(super) struct Column {
    pub(super) name: &'static CStr,
    pub(super) ty: u32,
    pub(super) read: Read,
}

impl Kind {
    pub(super) fn name(self) -> &'static CStr {
        match self {
            Kind::Threads => c"threads",
            Kind::Containers => c"containers",
            Kind::Fds => c"file_descriptors",
            Kind::Args => c"args",
            Kind::Env => c"env",
            Kind::Cgroups => c"cgroups",
        }
    }

    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Kind::Threads => &THREAD,
            Kind::Containers => &CONTAINER,
            Kind::Fds => &FD,
            Kind::Args | Kind::Env => &TEXT,
            Kind::Cgroups => &PAIR,
        }
    }
}

const fn thread(name: &'static CStr, ty: u32, read: fn(&Machine, &Thread) -> Cell) -> Column {
    Column { name, ty, read: Read::Thread(read) }
}

const fn inner(kind: Kind, name: &'static CStr) -> Column {
    Column { name, ty: TABLE, read: Read::Inner(kind) }
}

const fn container(name: &'static CStr, ty: u32, read: fn(&Container) -> Cell) -> Column {
    Column { name, ty, read: Read::Container(read) }
}

const fn fd(name: &'static CStr, ty: u32, read: fn(&Fd) -> Cell) -> Column {
    Column { name, ty, read: Read::Fd(read) }
}

static THREAD: [Column; 34] = [
    thread(c"tid", INT64, |_, t| t.tid.into()),
    thread(c"pid", INT64, |_, t| t.pid.into()),
    thread(c"ptid", INT64, |_, t| t.ptid.into()),
    thread(c"reaper_tid", INT64, |_, t| t.reaper.into()),
    thread(c"sid", INT64, |_, t| t.sid.into()),
    thread(c"vtid", INT64, |_, t| t.vtid.into()),
    thread(c"vpid", INT64, |_, t| t.vpid.into()),
    thread(c"vpgid", INT64, |_, t| t.vpgid.into()),
    thread(c"pgid", INT64, |_, t| t.pgid.into()),
    thread(c"comm", STRING, |_, t| t.comm[..].into()),
    thread(c"exe", STRING, |_, t| t.exe[..].into()),
    thread(c"exe_path", STRING, |_, t| t.executable.path[..].into()),
    thread(c"exe_writable", BOOL, |_, t| t.executable.writable.into()),
    thread(c"exe_upper_layer", BOOL, |_, t| t.executable.upper_layer.into()),
    thread(c"exe_lower_layer", BOOL, |_, t| t.executable.lower_layer.into()),
    thread(c"exe_from_memfd", BOOL, |_, t| t.executable.from_memfd.into()),
    thread(c"exe_ino", UINT64, |_, t| t.executable.ino.into()),
    thread(c"exe_ino_ctime", UINT64, |_, t| t.executable.ctime.into()),
    thread(c"exe_ino_mtime", UINT64, |_, t| t.executable.mtime.into()),
    thread(c"cwd", STRING, |m, t| m.cwd(t)[..].into()),
    thread(c"root", STRING, |_, t| t.root[..].into()),
    thread(c"container_id", STRING, |_, t| t.container[..].into()),
    thread(c"flags", UINT32, |_, t| t.flags.into()),
    thread(c"uid", UINT32, |_, t| t.uid.into()),
    thread(c"gid", UINT32, |_, t| t.gid.into()),
    thread(c"loginuid", UINT32, |_, t| t.loginuid.into()),
    thread(c"tty", UINT32, |_, t| t.tty.into()),
    thread(c"fd_limit", INT64, |_, t| t.fdlimit.into()),
    thread(c"clone_ts", UINT64, |_, t| t.clone_ts.into()),
    thread(c"pidns_init_start_ts", UINT64, |_, t| t.pidns_init_start_ts.into()),
    inner(Kind::Fds, c"file_descriptors"),
    inner(Kind::Args, c"args"),
    inner(Kind::Env, c"env"),
    inner(Kind::Cgroups, c"cgroups"),
];

static CONTAINER: [Column; 8] = [
    container(c"id", STRING, |c| c.id.as_bytes().into()),
    container(c"full_id", STRING, |c| c.full_id.as_bytes().into()),
    container(c"name", STRING, |c| c.name.as_bytes().into()),
    container(c"image", STRING, |c| c.image.as_bytes().into()),
    container(c"image_repository", STRING, |c| c.image_repository.as_bytes().into()),
    container(c"image_tag", STRING, |c| c.image_tag.as_bytes().into()),
    container(c"image_id", STRING, |c| c.image_id.as_bytes().into()),
    container(c"privileged", BOOL, |c| c.privileged.unwrap_or(false).into()),
];

/// Falco's sockets are a union, so that each of these has something in every socket; here an address is 0 where the fd
/// has none of that kind.
static FD: [Column; 33] = [
    fd(c"type", UINT8, |f| number_of(f.kind).into()),
    fd(c"open_flags", UINT32, |f| f.open_flags.into()),
    fd(c"name", STRING, |f| f.name[..].into()),
    fd(c"name_raw", STRING, |f| f.name_raw().into()),
    fd(c"old_name", STRING, |_| b""[..].into()),
    fd(c"flags", UINT32, |f| flags(f).into()),
    fd(c"dev", UINT32, |f| f.dev.into()),
    fd(c"mount_id", UINT32, |f| f.mount_id.into()),
    fd(c"ino", UINT64, |f| f.ino.into()),
    fd(c"pid", INT64, |f| f.pid.into()),
    fd(c"fd", INT64, |f| f.num.into()),
    fd(c"socket_ipv4_src_ip", UINT32, |f| v4(source(f, FdKind::Ipv4)).into()),
    fd(c"socket_ipv4_dest_dip", UINT32, |f| v4(dest(f, FdKind::Ipv4)).into()),
    fd(c"socket_ipv4_src_port", UINT16, |f| source(f, FdKind::Ipv4).port.into()),
    fd(c"socket_ipv4_dst_port", UINT16, |f| dest(f, FdKind::Ipv4).port.into()),
    fd(c"socket_ipv4_l4_proto", UINT8, |f| proto(f, FdKind::Ipv4).into()),
    fd(c"socket_ipv6_src_ip_low", UINT64, |f| v6(source(f, FdKind::Ipv6)).0.into()),
    fd(c"socket_ipv6_src_ip_high", UINT64, |f| v6(source(f, FdKind::Ipv6)).1.into()),
    fd(c"socket_ipv6_dest_ip_low", UINT64, |f| v6(dest(f, FdKind::Ipv6)).0.into()),
    fd(c"socket_ipv6_dest_ip_high", UINT64, |f| v6(dest(f, FdKind::Ipv6)).1.into()),
    fd(c"socket_ipv6_src_port", UINT16, |f| source(f, FdKind::Ipv6).port.into()),
    fd(c"socket_ipv6_dst_port", UINT16, |f| dest(f, FdKind::Ipv6).port.into()),
    fd(c"socket_ipv6_l4_proto", UINT8, |f| proto(f, FdKind::Ipv6).into()),
    fd(c"socket_ipv4_server_ip", UINT32, |f| v4(source(f, FdKind::Ipv4Server)).into()),
    fd(c"socket_ipv4_server_port", UINT16, |f| source(f, FdKind::Ipv4Server).port.into()),
    fd(c"socket_ipv4_server_l4_proto", UINT8, |f| proto(f, FdKind::Ipv4Server).into()),
    fd(c"socket_ipv6_server_ip_low", UINT64, |f| v6(source(f, FdKind::Ipv6Server)).0.into()),
    fd(c"socket_ipv6_server_ip_high", UINT64, |f| v6(source(f, FdKind::Ipv6Server)).1.into()),
    fd(c"socket_ipv6_server_port", UINT16, |f| source(f, FdKind::Ipv6Server).port.into()),
    fd(c"socket_ipv6_server_l4_proto", UINT8, |f| proto(f, FdKind::Ipv6Server).into()),
    fd(c"socket_unix_src", UINT64, |f| unix(f).0.into()),
    fd(c"socket_unix_dest", UINT64, |f| unix(f).1.into()),
    fd(c"resolved", STRING, |f| f.resolved().into()),
];

static TEXT: [Column; 1] = [Column { name: c"value", ty: STRING, read: Read::Item(|text| text.into()) }];

static PAIR: [Column; 2] = [
    Column { name: c"first", ty: STRING, read: Read::Item(|text| halves(text).0.into()) },
    Column { name: c"second", ty: STRING, read: Read::Item(|text| halves(text).1.into()) },
];

/// What is before the first `=`, and what is behind.
fn halves(text: &[u8]) -> (&[u8], &[u8]) {
    let at = text.iter().position(|&byte| byte == b'=').unwrap_or(text.len());
    (&text[..at], text.get(at + 1..).unwrap_or_default())
}

/// The number that captures have for a kind of fd.
fn number_of(kind: FdKind) -> u8 {
    match kind {
        FdKind::Unknown => 0,
        FdKind::File => 16,
        FdKind::Directory => 2,
        FdKind::Ipv4 => 3,
        FdKind::Ipv6 => 4,
        FdKind::Ipv4Server => 5,
        FdKind::Ipv6Server => 6,
        FdKind::Fifo => 7,
        FdKind::Unix => 8,
        FdKind::Event => 9,
        FdKind::Unsupported => 10,
        FdKind::Signal => 11,
        FdKind::Eventpoll => 12,
        FdKind::Inotify => 13,
        FdKind::Timerfd => 14,
        FdKind::Netlink => 15,
        FdKind::Bpf => 17,
        FdKind::Userfault => 18,
        FdKind::IoUring => 19,
        FdKind::Memfd => 20,
        FdKind::Pidfd => 21,
    }
}

/// The bits that Falco's libraries have for what is known of an fd.
fn flags(fd: &Fd) -> u32 {
    let bits = [
        (fd.from_snapshot, 0),
        (fd.role == Role::Client, 2),
        (fd.role == Role::Server, 3),
        (fd.connected, 13),
        (fd.upper_layer, 17),
        (fd.lower_layer, 18),
    ];
    bits.into_iter().map(|(is, bit)| u32::from(is) << bit).sum()
}

fn source(fd: &Fd, kind: FdKind) -> Endpoint {
    match fd.ends {
        Ends::Ip { source, .. } if fd.kind == kind => source,
        _ => Endpoint::none(false),
    }
}

fn dest(fd: &Fd, kind: FdKind) -> Endpoint {
    match fd.ends {
        Ends::Ip { dest: Some(dest), .. } if fd.kind == kind => dest,
        _ => Endpoint::none(false),
    }
}

fn proto(fd: &Fd, kind: FdKind) -> u8 {
    match fd.l4 {
        _ if fd.kind != kind => 0,
        L4Proto::Unknown => 0,
        L4Proto::Tcp => 2,
        L4Proto::Udp => 3,
        L4Proto::Icmp => 4,
        L4Proto::Raw => 5,
    }
}

/// The address as the network has it, read as a number of this machine.
fn v4(end: Endpoint) -> u32 {
    match end.ip {
        IpAddr::V4(ip) => u32::from_ne_bytes(ip.octets()),
        IpAddr::V6(_) => 0,
    }
}

/// The first and the last eight bytes of an address, which Falco's libraries call low and high.
fn v6(end: Endpoint) -> (u64, u64) {
    let ip = match end.ip {
        IpAddr::V6(ip) => u128::from(ip),
        IpAddr::V4(_) => 0,
    };
    (((ip >> 64) as u64).to_be(), (ip as u64).to_be())
}

fn unix(fd: &Fd) -> (u64, u64) {
    match fd.ends {
        Ends::Unix { source, dest } => (source, dest),
        _ => (0, 0),
    }
}
