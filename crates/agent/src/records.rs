//! What a capture says of its machine before the first event, put into ours.

use lanner_capture::{FdObject, FdRecord, NamedKind, Snapshot, ThreadRecord, texts};
use lanner_machine::{
    Capabilities, Endpoint, Ends, Executable, Fd, FdKind, Group, Interface, L4Proto, Machine, Text, TextList,
    Thread, User,
};

/// Puts a snapshot into an empty machine. When the host started is left unknown, as in Falco, so that times which
/// captures count from there show as they stand.
pub fn give_to(snapshot: Snapshot, machine: &mut Machine) {
    let interface = |i: lanner_capture::InterfaceRecord| Interface {
        name: String::from_utf8_lossy(&i.name).into_owned(),
        address: i.address,
        netmask: i.netmask,
    };
    machine.set_interfaces(snapshot.interfaces.into_iter().map(interface).collect());
    for user in snapshot.users {
        let user = User {
            uid: user.uid,
            gid: user.gid,
            name: user.name.into(),
            home: user.home.into(),
            shell: user.shell.into(),
        };
        machine.add_user(b"", user);
    }
    for group in snapshot.groups {
        machine.add_group(b"", Group { gid: group.gid, name: group.name.into() });
    }
    for record in &snapshot.threads {
        machine.add_thread(thread(record));
    }
    for list in snapshot.fds {
        for record in list.fds {
            machine.add_fd(list.tid, fd(record));
        }
    }
}

fn thread(record: &ThreadRecord) -> Thread {
    let list = |joined: &[u8]| texts(joined).collect::<TextList>();
    Thread {
        tid: record.tid,
        pid: record.pid,
        ptid: record.ptid,
        vtid: record.vtid,
        vpid: record.vpid,
        sid: record.sid,
        vpgid: record.vpgid,
        pgid: record.pgid,
        comm: Text::from(&record.comm[..]),
        exe: Text::from(&record.exe[..]),
        args: list(&record.args),
        env: list(&record.env),
        executable: Executable {
            path: Text::from(&record.exe_path[..]),
            ino: record.exe_ino,
            ctime: record.exe_ctime,
            mtime: record.exe_mtime,
            writable: record.exe_writable,
            upper_layer: record.exe_upper_layer,
            lower_layer: record.exe_lower_layer,
            from_memfd: record.exe_from_memfd,
            ..Executable::default()
        },
        cwd: Text::from(&record.cwd[..]),
        root: Text::from(&record.root[..]),
        cgroups: list(&record.cgroups),
        uid: record.uid,
        gid: record.gid,
        loginuid: record.loginuid,
        tty: record.tty,
        capabilities: Capabilities {
            permitted: record.cap_permitted,
            effective: record.cap_effective,
            inheritable: record.cap_inheritable,
        },
        flags: record.flags,
        fdlimit: record.fd_limit,
        pidns_init_start_ts: record.pidns_init_start_ts,
        vm_size: record.vm_size,
        vm_rss: record.vm_rss,
        vm_swap: record.vm_swap,
        pf_major: record.pf_major,
        pf_minor: record.pf_minor,
        ..Thread::unknown(record.tid)
    }
}

fn fd(record: FdRecord) -> Fd {
    let base = Fd { num: record.num, ino: record.ino, ..Fd::default() };
    let family = |ip: std::net::IpAddr, v4, v6| if ip.is_ipv4() { v4 } else { v6 };
    match record.object {
        FdObject::Unknown => base,
        FdObject::File { name, open_flags, dev } => {
            Fd { kind: FdKind::File, name: name.into(), open_flags, dev, ..base }
        }
        FdObject::Ip { source, dest, protocol } => Fd {
            kind: family(source.0, FdKind::Ipv4, FdKind::Ipv6),
            ends: Ends::Ip { source: end(source), dest: Some(end(dest)) },
            l4: l4(protocol),
            ..base
        },
        FdObject::IpServer { address, protocol } => Fd {
            kind: family(address.0, FdKind::Ipv4Server, FdKind::Ipv6Server),
            ends: Ends::Ip { source: end(address), dest: None },
            l4: l4(protocol),
            ..base
        },
        FdObject::Unix { source, dest, name } => {
            Fd { kind: FdKind::Unix, ends: Ends::Unix { source, dest }, name: name.into(), ..base }
        }
        FdObject::Named { kind, name } => Fd { kind: named(kind), name: name.into(), ..base },
    }
}

fn end((ip, port): (std::net::IpAddr, u16)) -> Endpoint {
    Endpoint { ip, port }
}

/// Protocols by the numbers that captures give them.
fn l4(number: u8) -> L4Proto {
    match number {
        2 => L4Proto::Tcp,
        3 => L4Proto::Udp,
        4 => L4Proto::Icmp,
        5 => L4Proto::Raw,
        _ => L4Proto::Unknown,
    }
}

fn named(kind: NamedKind) -> FdKind {
    match kind {
        NamedKind::OldFile => FdKind::File,
        NamedKind::Directory => FdKind::Directory,
        NamedKind::Fifo => FdKind::Fifo,
        NamedKind::Event => FdKind::Event,
        NamedKind::Unsupported => FdKind::Unsupported,
        NamedKind::Signal => FdKind::Signal,
        NamedKind::Eventpoll => FdKind::Eventpoll,
        NamedKind::Inotify => FdKind::Inotify,
        NamedKind::Timerfd => FdKind::Timerfd,
        NamedKind::Netlink => FdKind::Netlink,
        NamedKind::Bpf => FdKind::Bpf,
        NamedKind::Userfault => FdKind::Userfault,
        NamedKind::IoUring => FdKind::IoUring,
        NamedKind::Memfd => FdKind::Memfd,
        NamedKind::Pidfd => FdKind::Pidfd,
    }
}
