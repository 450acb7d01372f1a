//! Reading and writing the blocks that stand before a section's events.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::block::Kind;
use crate::layout::{Decoder, Encoder, Layout, Short};
use crate::records::{
    FdListRecord, FdObject, FdRecord, GroupRecord, HostRecord, InterfaceRecord, NamedKind, Snapshot,
    ThreadRecord, UserRecord,
};

/// The version of thread lists that is written; from it on, entries say their length.
const SIZED_THREADS: u8 = 9;
/// Entries whose appended part is not longer than this were written before the terminal and the start of
/// the pid namespace came into the middle of it.
const WITHOUT_TTY: usize = 29;
/// Whatever is shorter than this at a list's end is padding.
const LEAST_ENTRY: usize = 4;

/// Whether a list's entries begin with their length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sized {
    No,
    /// They do, and it counts itself.
    Whole,
    /// They do, and it counts what follows.
    Rest,
}

/// What is wrong with a block, and where in its body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub at: usize,
    pub what: String,
}

fn short(what: &str, at: usize) -> impl FnOnce(Short) -> Fault + '_ {
    move |short| Fault {
        at,
        what: format!("{what} needs {} bytes where {} are left", short.need, short.have),
    }
}

/// Adds what a block's body says. What stands before a fault is kept.
pub(crate) fn read_block(kind: Kind, body: &[u8], swap: bool, snapshot: &mut Snapshot) -> Result<(), Fault> {
    let mut from = Decoder::new(body, swap);
    match kind {
        Kind::Host => {
            let mut host = HostRecord::default();
            lay_out_host(&mut from, &mut host).map_err(short("the machine", 0))?;
            snapshot.host = Some(host);
        }
        Kind::Threads(version) => entries(from, whole(version >= SIZED_THREADS), "a thread", |entry| {
            let mut thread = ThreadRecord::default();
            lay_out_thread(entry, &mut thread, version)?;
            snapshot.threads.push(thread);
            Ok(())
        })?,
        Kind::Fds { sized } => {
            let mut list = FdListRecord::default();
            from.i64(&mut list.tid).map_err(short("an fd list", 0))?;
            let done = entries(from, whole(sized), "an fd", |entry| {
                list.fds.push(read_fd(entry, sized)?);
                Ok(())
            });
            snapshot.fds.push(list);
            done?;
        }
        Kind::Interfaces { sized } => {
            snapshot.interfaces.clear();
            entries(from, if sized { Sized::Rest } else { Sized::No }, "a network interface", |entry| {
                snapshot.interfaces.extend(read_interface(entry)?);
                Ok(())
            })?;
        }
        Kind::Users { sized } => {
            snapshot.users.clear();
            snapshot.groups.clear();
            entries(from, whole(sized), "a user", |entry| read_owner(entry, snapshot))?;
        }
        Kind::Section | Kind::Event(_) | Kind::Unknown => {}
    }
    Ok(())
}

fn whole(sized: bool) -> Sized {
    if sized { Sized::Whole } else { Sized::No }
}

/// Reads a list's entries. An entry that says its length may be longer than what is known of it.
fn entries(
    mut from: Decoder<'_>,
    sized: Sized,
    what: &str,
    mut read: impl FnMut(&mut Decoder<'_>) -> Result<(), Short>,
) -> Result<(), Fault> {
    while from.left() >= LEAST_ENTRY {
        let at = from.position();
        if sized == Sized::No {
            read(&mut from).map_err(short(what, at))?;
            continue;
        }
        let len = from.number().map_err(short(what, at))? as usize;
        let own = if sized == Sized::Whole { 4 } else { 0 };
        let Some(len) = len.checked_sub(own) else {
            return Err(Fault { at, what: format!("{what} says it has {len} bytes") });
        };
        let mut entry = from.part(len).map_err(short(what, at))?;
        read(&mut entry).map_err(short(what, at))?;
    }
    Ok(())
}

/// Bytes of everything that a snapshot says, block by block: type and body.
pub(crate) fn write_blocks(snapshot: &Snapshot, mut block: impl FnMut(u32, &[u8])) {
    use crate::block::written;
    let mut emit = |ty, to: Encoder| block(ty, &to.out);
    if let Some(host) = &snapshot.host {
        let mut to = Encoder::default();
        done(lay_out_host(&mut to, &mut host.clone()));
        emit(written::HOST, to);
    }
    if !snapshot.interfaces.is_empty() {
        let mut to = Encoder::default();
        snapshot
            .interfaces
            .iter()
            .for_each(|i| write_entry(&mut to, Sized::Rest, |to| write_interface(to, i)));
        emit(written::INTERFACES, to);
    }
    if !snapshot.users.is_empty() || !snapshot.groups.is_empty() {
        let mut to = Encoder::default();
        snapshot.users.iter().for_each(|u| write_entry(&mut to, Sized::Whole, |to| write_user(to, u)));
        snapshot.groups.iter().for_each(|g| write_entry(&mut to, Sized::Whole, |to| write_group(to, g)));
        emit(written::USERS, to);
    }
    if !snapshot.threads.is_empty() {
        let mut to = Encoder::default();
        for thread in &snapshot.threads {
            write_entry(&mut to, Sized::Whole, |to| lay_out_thread(to, &mut thread.clone(), SIZED_THREADS));
        }
        emit(written::THREADS, to);
    }
    for list in &snapshot.fds {
        let mut to = Encoder::default();
        done(to.i64(&mut list.tid.clone()));
        list.fds.iter().for_each(|fd| write_entry(&mut to, Sized::Whole, |to| write_fd(to, fd)));
        emit(written::FDS, to);
    }
}

/// Writing into memory never runs short.
fn done(result: Result<(), Short>) {
    debug_assert!(result.is_ok());
}

fn write_entry(to: &mut Encoder, sized: Sized, write: impl FnOnce(&mut Encoder) -> Result<(), Short>) {
    let start = to.out.len();
    done(to.u32(&mut 0));
    done(write(to));
    let len = (to.out.len() - start - if sized == Sized::Rest { 4 } else { 0 }) as u32;
    to.out[start..start + 4].copy_from_slice(&len.to_ne_bytes());
}

fn lay_out_host(to: &mut impl Layout, host: &mut HostRecord) -> Result<(), Short> {
    to.u32(&mut host.cpus)?;
    to.u64(&mut host.memory)?;
    to.u64(&mut host.max_pid)?;
    to.bytes(&mut host.hostname)?;
    to.u64(&mut host.boot_ts)?;
    to.u64(&mut host.flags)?;
    let [first, second] = &mut host.reserved;
    to.u64(first)?;
    to.u64(second)
}

/// A thread; `version` is that of the list, 1 to 9.
fn lay_out_thread(to: &mut impl Layout, t: &mut ThreadRecord, version: u8) -> Result<(), Short> {
    to.i64(&mut t.tid)?;
    to.i64(&mut t.pid)?;
    to.i64(&mut t.ptid)?;
    if version >= 6 {
        to.i64(&mut t.sid)?;
    }
    if version >= 8 {
        to.i64(&mut t.vpgid)?;
    }
    to.text(&mut t.comm)?;
    to.text(&mut t.exe)?;
    if version >= 7 {
        to.text(&mut t.exe_path)?;
    }
    to.text(&mut t.args)?;
    to.text(&mut t.cwd)?;
    to.i64(&mut t.fd_limit)?;
    to.u32(&mut t.flags)?;
    to.u32(&mut t.uid)?;
    to.u32(&mut t.gid)?;
    if version >= 2 {
        to.u32(&mut t.vm_size)?;
        to.u32(&mut t.vm_rss)?;
        to.u32(&mut t.vm_swap)?;
        to.u64(&mut t.pf_major)?;
        to.u64(&mut t.pf_minor)?;
    }
    if version >= 3 {
        to.text(&mut t.env)?;
    }
    if version >= 4 {
        to.i64(&mut t.vtid)?;
        to.i64(&mut t.vpid)?;
        to.text(&mut t.cgroups)?;
    }
    if version >= 5 {
        to.text(&mut t.root)?;
    }
    if version >= SIZED_THREADS { lay_out_appended(to, t) } else { Ok(()) }
}

/// What later writers appended to a thread: as much as is there.
fn lay_out_appended(to: &mut impl Layout, t: &mut ThreadRecord) -> Result<(), Short> {
    macro_rules! appended {
        ($($field:ident: $kind:ident $len:literal),*) => {
            $(if to.has($len) { to.$kind(&mut t.$field)?; })*
        };
    }
    if to.has(WITHOUT_TTY + 1) {
        appended!(pidns_init_start_ts: u64 8, tty: u32 4);
    }
    appended!(
        loginuid: u32 4, exe_writable: bool 1,
        cap_inheritable: u64 8, cap_permitted: u64 8, cap_effective: u64 8,
        exe_upper_layer: bool 1, exe_ino: u64 8, exe_ctime: u64 8, exe_mtime: u64 8,
        exe_from_memfd: bool 1, exe_lower_layer: bool 1, pgid: i64 8
    );
    Ok(())
}

/// Numbers that captures give to kinds of fds with more than a name.
mod fd_type {
    pub const UNKNOWN: u8 = 0;
    pub const IPV4: u8 = 3;
    pub const IPV6: u8 = 4;
    pub const IPV4_SERVER: u8 = 5;
    pub const IPV6_SERVER: u8 = 6;
    pub const UNIX: u8 = 8;
    pub const FILE: u8 = 16;
}

fn named_kind(number: u8) -> Option<NamedKind> {
    use NamedKind as K;
    const KINDS: [NamedKind; 15] = [
        K::OldFile,
        K::Directory,
        K::Fifo,
        K::Event,
        K::Unsupported,
        K::Signal,
        K::Eventpoll,
        K::Inotify,
        K::Timerfd,
        K::Netlink,
        K::Bpf,
        K::Userfault,
        K::IoUring,
        K::Memfd,
        K::Pidfd,
    ];
    KINDS.into_iter().find(|kind| *kind as u8 == number)
}

fn ip(to: &mut impl Layout, address: &mut IpAddr) -> Result<(), Short> {
    match address {
        IpAddr::V4(v4) => {
            let mut octets = v4.octets();
            to.bytes(&mut octets)?;
            *v4 = octets.into();
        }
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            to.bytes(&mut octets)?;
            *v6 = octets.into();
        }
    }
    Ok(())
}

const ANY_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

fn read_fd(from: &mut Decoder<'_>, sized: bool) -> Result<FdRecord, Short> {
    let mut fd = FdRecord { num: 0, ino: 0, object: FdObject::Unknown };
    let mut ty = 0;
    from.i64(&mut fd.num)?;
    from.u64(&mut fd.ino)?;
    from.u8(&mut ty)?;
    fd.object = match ty {
        fd_type::UNKNOWN => FdObject::Unknown,
        fd_type::IPV4 => FdObject::Ip { source: (ANY_V4, 0), dest: (ANY_V4, 0), protocol: 0 },
        fd_type::IPV6 => FdObject::Ip { source: (ANY_V6, 0), dest: (ANY_V6, 0), protocol: 0 },
        fd_type::IPV4_SERVER => FdObject::IpServer { address: (ANY_V4, 0), protocol: 0 },
        fd_type::IPV6_SERVER => FdObject::IpServer { address: (ANY_V6, 0), protocol: 0 },
        fd_type::UNIX => FdObject::Unix { source: 0, dest: 0, name: Vec::new() },
        fd_type::FILE => FdObject::File { name: Vec::new(), open_flags: 0, dev: 0 },
        other => match named_kind(other) {
            Some(kind) => FdObject::Named { kind, name: Vec::new() },
            // A kind that came later. Its entry's length says where it ends.
            None => {
                let name = format!("unknown-type:[{other}]").into_bytes();
                fd.object = FdObject::Named { kind: NamedKind::Unsupported, name };
                return Ok(fd);
            }
        },
    };
    lay_out_object(from, &mut fd.object, sized)?;
    Ok(fd)
}

fn write_fd(to: &mut Encoder, fd: &FdRecord) -> Result<(), Short> {
    let mut fd = fd.clone();
    let mut ty = match &fd.object {
        FdObject::Unknown => fd_type::UNKNOWN,
        FdObject::File { .. } => fd_type::FILE,
        FdObject::Ip { source: (IpAddr::V4(_), _), .. } => fd_type::IPV4,
        FdObject::Ip { .. } => fd_type::IPV6,
        FdObject::IpServer { address: (IpAddr::V4(_), _), .. } => fd_type::IPV4_SERVER,
        FdObject::IpServer { .. } => fd_type::IPV6_SERVER,
        FdObject::Unix { .. } => fd_type::UNIX,
        FdObject::Named { kind, .. } => *kind as u8,
    };
    to.i64(&mut fd.num)?;
    to.u64(&mut fd.ino)?;
    to.u8(&mut ty)?;
    lay_out_object(to, &mut fd.object, true)
}

fn lay_out_object(to: &mut impl Layout, object: &mut FdObject, sized: bool) -> Result<(), Short> {
    match object {
        FdObject::Unknown => Ok(()),
        FdObject::Ip { source, dest, protocol } => {
            ip(to, &mut source.0)?;
            ip(to, &mut dest.0)?;
            to.u16(&mut source.1)?;
            to.u16(&mut dest.1)?;
            to.u8(protocol)
        }
        FdObject::IpServer { address, protocol } => {
            ip(to, &mut address.0)?;
            to.u16(&mut address.1)?;
            to.u8(protocol)
        }
        FdObject::Unix { source, dest, name } => {
            to.u64(source)?;
            to.u64(dest)?;
            to.text(name)
        }
        FdObject::File { name, open_flags, dev } => {
            to.u32(open_flags)?;
            to.text(name)?;
            if sized && to.has(4) { to.u32(dev) } else { Ok(()) }
        }
        FdObject::Named { name, .. } => to.text(name),
    }
}

/// Numbers that captures give to entries of interface lists.
mod interface_type {
    pub const IPV4: u16 = 1;
    pub const IPV6: u16 = 2;
    pub const IPV4_WITHOUT_SPEED: u16 = 3;
    pub const IPV6_WITHOUT_SPEED: u16 = 4;
}

/// An interface; `None` for an entry of another kind.
fn read_interface(from: &mut Decoder<'_>) -> Result<Option<InterfaceRecord>, Short> {
    use interface_type::{IPV4, IPV4_WITHOUT_SPEED, IPV6, IPV6_WITHOUT_SPEED};
    let (mut ty, mut name_len) = (0, 0);
    from.u16(&mut ty)?;
    from.u16(&mut name_len)?;
    let any = match ty {
        IPV4 | IPV4_WITHOUT_SPEED => ANY_V4,
        IPV6 | IPV6_WITHOUT_SPEED => ANY_V6,
        _ => return Ok(None),
    };
    let mut interface =
        InterfaceRecord { name: Vec::new(), address: any, netmask: any, broadcast: any, link_speed: 0 };
    ip(from, &mut interface.address)?;
    ip(from, &mut interface.netmask)?;
    ip(from, &mut interface.broadcast)?;
    if ty == IPV4 || ty == IPV6 {
        from.u64(&mut interface.link_speed)?;
    }
    from.raw_text(&mut interface.name, usize::from(name_len))?;
    Ok(Some(interface))
}

fn write_interface(to: &mut Encoder, interface: &InterfaceRecord) -> Result<(), Short> {
    let mut i = interface.clone();
    let mut ty = if i.address.is_ipv4() { interface_type::IPV4 } else { interface_type::IPV6 };
    i.name.truncate(usize::from(u16::MAX));
    to.u16(&mut ty)?;
    to.u16(&mut (i.name.len() as u16))?;
    ip(to, &mut i.address)?;
    ip(to, &mut i.netmask)?;
    ip(to, &mut i.broadcast)?;
    to.u64(&mut i.link_speed)?;
    let len = i.name.len();
    to.raw_text(&mut i.name, len)
}

/// First byte of a user's entry; a group's is 1.
const USER: u8 = 0;
const GROUP: u8 = 1;

fn read_owner(from: &mut Decoder<'_>, snapshot: &mut Snapshot) -> Result<(), Short> {
    let mut ty = 0;
    from.u8(&mut ty)?;
    if ty == USER {
        let mut user = UserRecord::default();
        lay_out_user(from, &mut user)?;
        snapshot.users.push(user);
    } else {
        let mut group = GroupRecord::default();
        lay_out_group(from, &mut group)?;
        snapshot.groups.push(group);
    }
    Ok(())
}

fn write_user(to: &mut Encoder, user: &UserRecord) -> Result<(), Short> {
    to.u8(&mut USER.clone())?;
    lay_out_user(to, &mut user.clone())
}

fn write_group(to: &mut Encoder, group: &GroupRecord) -> Result<(), Short> {
    to.u8(&mut GROUP.clone())?;
    lay_out_group(to, &mut group.clone())
}

fn lay_out_user(to: &mut impl Layout, user: &mut UserRecord) -> Result<(), Short> {
    to.u32(&mut user.uid)?;
    to.u32(&mut user.gid)?;
    to.text(&mut user.name)?;
    to.text(&mut user.home)?;
    to.text(&mut user.shell)
}

fn lay_out_group(to: &mut impl Layout, group: &mut GroupRecord) -> Result<(), Short> {
    to.u32(&mut group.gid)?;
    to.text(&mut group.name)
}
