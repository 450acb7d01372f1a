//! The state of this host, put into the records that stand before a capture's events: the way back of
//! [`crate::records`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use lanner_capture::{
    FdListRecord, FdObject, FdRecord, GroupRecord, HostRecord, InterfaceRecord, NamedKind, Snapshot,
    ThreadRecord, UserRecord,
};
use lanner_machine::{
    ContainerId, Endpoint, Ends, Fd, FdKind, Group, Interface, L4Proto, Machine, Thread, User,
};

use crate::accounts::Accounts;
use crate::host::host_record;
pub use crate::recording::Readers;

/// What a capture says of a host that its machine doesn't know.
#[derive(Debug)]
pub struct Surroundings {
    /// The host.
    pub host: HostRecord,
    /// Its addresses.
    pub interfaces: Vec<Interface>,
    /// Its users and groups.
    pub accounts: Accounts,
}

impl Surroundings {
    /// Reads them from this host, whose root directory is seen at `root`.
    pub fn read(machine: &Machine, root: &Path) -> Surroundings {
        Surroundings {
            host: host_record(machine.boot_ts()),
            interfaces: crate::host::interfaces(),
            accounts: Accounts::read(ContainerId::default(), root),
        }
    }
}

/// The records of a machine as it is now, by thread and by number, so that the same state gives the same bytes.
/// Threads of which nothing but the id is known are left out. A process's files stand with its first thread.
pub fn records(machine: &Machine, around: &Surroundings, readers: Readers) -> Snapshot {
    let mut threads: Vec<&Thread> = machine.threads().filter(|thread| !thread.is_unknown()).collect();
    threads.sort_by_key(|thread| thread.tid);
    Snapshot {
        host: Some(around.host.clone()),
        interfaces: around.interfaces.iter().map(interface).collect(),
        users: around.accounts.users.iter().map(user).collect(),
        groups: around.accounts.groups.iter().map(group).collect(),
        threads: threads.iter().map(|thread| record(machine, thread)).collect(),
        fds: threads
            .iter()
            .filter(|thread| thread.is_main())
            .map(|thread| fds(machine, thread.tid, readers))
            .collect(),
    }
}

/// The records of a machine that was read from a capture, which says of its host what stands in `around`.
pub fn of_capture(machine: &Machine, around: &Snapshot) -> Snapshot {
    let nothing =
        Surroundings { host: HostRecord::default(), interfaces: Vec::new(), accounts: Accounts::default() };
    let Snapshot { threads, fds, .. } = records(machine, &nothing, Readers::Today);
    Snapshot { threads, fds, ..around.clone() }
}

fn interface(interface: &Interface) -> InterfaceRecord {
    InterfaceRecord {
        name: interface.name.clone().into_bytes(),
        address: interface.address,
        netmask: interface.netmask,
        broadcast: unspecified(interface.address.is_ipv6()),
        link_speed: 0,
    }
}

fn unspecified(v6: bool) -> IpAddr {
    if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

fn user(user: &User) -> UserRecord {
    UserRecord {
        uid: user.uid,
        gid: user.gid,
        name: user.name.to_vec(),
        home: user.home.to_vec(),
        shell: user.shell.to_vec(),
    }
}

fn group(group: &Group) -> GroupRecord {
    GroupRecord { gid: group.gid, name: group.name.to_vec() }
}

fn record(machine: &Machine, thread: &Thread) -> ThreadRecord {
    ThreadRecord {
        tid: thread.tid,
        pid: thread.pid,
        ptid: thread.ptid,
        sid: thread.sid,
        vpgid: thread.vpgid,
        pgid: thread.pgid,
        vtid: thread.vtid,
        vpid: thread.vpid,
        comm: thread.comm.to_vec(),
        exe: thread.exe.to_vec(),
        exe_path: thread.executable.path.to_vec(),
        args: thread.args.as_joined().to_vec(),
        env: machine.env(thread).as_joined().to_vec(),
        cgroups: thread.cgroups.as_joined().to_vec(),
        cwd: machine.cwd(thread).to_vec(),
        root: thread.root.to_vec(),
        fd_limit: thread.fdlimit,
        flags: thread.flags,
        uid: thread.uid,
        gid: thread.gid,
        loginuid: thread.loginuid,
        vm_size: thread.vm_size,
        vm_rss: thread.vm_rss,
        vm_swap: thread.vm_swap,
        pf_major: thread.pf_major,
        pf_minor: thread.pf_minor,
        pidns_init_start_ts: thread.pidns_init_start_ts,
        tty: thread.tty,
        exe_writable: thread.executable.writable,
        exe_upper_layer: thread.executable.upper_layer,
        exe_lower_layer: thread.executable.lower_layer,
        exe_from_memfd: thread.executable.from_memfd,
        exe_ino: thread.executable.ino,
        exe_ctime: thread.executable.ctime,
        exe_mtime: thread.executable.mtime,
        cap_inheritable: thread.capabilities.inheritable,
        cap_permitted: thread.capabilities.permitted,
        cap_effective: thread.capabilities.effective,
    }
}

/// The files of a process, by number.
pub fn fds(machine: &Machine, tid: i64, readers: Readers) -> FdListRecord {
    let mut fds: Vec<FdRecord> = machine.fds(tid).map(|known| fd(known, readers)).collect();
    fds.sort_by_key(|fd| fd.num);
    FdListRecord { tid, fds }
}

fn fd(fd: &Fd, readers: Readers) -> FdRecord {
    FdRecord { num: fd.num, ino: fd.ino, object: object(fd, readers) }
}

fn object(fd: &Fd, readers: Readers) -> FdObject {
    let name = || fd.name.to_vec();
    match (fd.kind, fd.ends) {
        (FdKind::File, _) => FdObject::File { name: name(), open_flags: fd.open_flags, dev: fd.dev },
        (FdKind::Unix, Ends::Unix { source, dest }) => FdObject::Unix { source, dest, name: name() },
        (FdKind::Unix, _) => FdObject::Unix { source: 0, dest: 0, name: name() },
        _ if fd.is_ip() => socket(fd),
        (kind, _) => match named(kind, readers) {
            Some(kind) => FdObject::Named { kind, name: name() },
            None => FdObject::Unknown,
        },
    }
}

/// An IP socket; one without a remote end is written as one that listens, as the kernel's lists tell of it.
fn socket(fd: &Fd) -> FdObject {
    let pair = |end: Endpoint| (end.ip, end.port);
    let none = || (unspecified(matches!(fd.kind, FdKind::Ipv6 | FdKind::Ipv6Server)), 0);
    let protocol = protocol(fd.l4);
    match fd.ends {
        // The form has room for two addresses of one family only.
        Ends::Ip { source, dest: Some(dest) } if source.ip.is_ipv4() == dest.ip.is_ipv4() => {
            FdObject::Ip { source: pair(source), dest: pair(dest), protocol }
        }
        Ends::Ip { source, .. } => FdObject::IpServer { address: pair(source), protocol },
        _ => FdObject::IpServer { address: none(), protocol },
    }
}

/// Protocols by the numbers that captures give them.
fn protocol(l4: L4Proto) -> u8 {
    match l4 {
        L4Proto::Unknown => 0,
        L4Proto::Tcp => 2,
        L4Proto::Udp => 3,
        L4Proto::Icmp => 4,
        L4Proto::Raw => 5,
    }
}

/// Kinds with a name and no more. Those that the format got after [`NamedKind::Netlink`] and `FILE` (bpf,
/// userfaultfd, io_uring, memfd, pidfd) are unsupported for readers of old: sysdig up to 0.29 gives a whole capture
/// up when it meets one.
fn named(kind: FdKind, readers: Readers) -> Option<NamedKind> {
    let young = |kind| if readers == Readers::Today { kind } else { NamedKind::Unsupported };
    Some(match kind {
        FdKind::Directory => NamedKind::Directory,
        FdKind::Fifo => NamedKind::Fifo,
        FdKind::Event => NamedKind::Event,
        FdKind::Signal => NamedKind::Signal,
        FdKind::Eventpoll => NamedKind::Eventpoll,
        FdKind::Inotify => NamedKind::Inotify,
        FdKind::Timerfd => NamedKind::Timerfd,
        FdKind::Netlink => NamedKind::Netlink,
        FdKind::Bpf => young(NamedKind::Bpf),
        FdKind::Userfault => young(NamedKind::Userfault),
        FdKind::IoUring => young(NamedKind::IoUring),
        FdKind::Memfd => young(NamedKind::Memfd),
        FdKind::Pidfd => young(NamedKind::Pidfd),
        FdKind::Unsupported => NamedKind::Unsupported,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One fd of each kind that is written.
    fn all_fds() -> Vec<FdRecord> {
        let v4 = |last: u8, port: u16| (IpAddr::from([10, 0, 0, last]), port);
        let v6 = |port: u16| (IpAddr::from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), port);
        let name = |text: &str| text.as_bytes().to_vec();
        let mut objects = vec![
            FdObject::File { name: name("/etc/hosts"), open_flags: 1, dev: 7 },
            FdObject::Ip { source: v4(1, 40000), dest: v4(2, 443), protocol: 2 },
            FdObject::Ip { source: v6(40000), dest: v6(53), protocol: 3 },
            FdObject::IpServer { address: v4(1, 22), protocol: 2 },
            FdObject::IpServer { address: v6(22), protocol: 2 },
            FdObject::Unix { source: 5, dest: 6, name: name("/run/a.sock") },
        ];
        use NamedKind as K;
        for kind in [K::Directory, K::Fifo, K::Event, K::Signal, K::Eventpoll, K::Inotify, K::Timerfd] {
            objects.push(FdObject::Named { kind, name: name("n") });
        }
        for kind in [K::Netlink, K::Unsupported, K::Bpf, K::Userfault, K::IoUring, K::Memfd, K::Pidfd] {
            objects.push(FdObject::Named { kind, name: name("n") });
        }
        let numbered = objects.into_iter().enumerate();
        numbered.map(|(at, object)| FdRecord { num: at as i64, ino: 100 + at as u64, object }).collect()
    }

    fn process() -> ThreadRecord {
        ThreadRecord {
            tid: 10,
            pid: 10,
            ptid: 1,
            comm: b"cat".to_vec(),
            exe: b"/bin/cat".to_vec(),
            exe_path: b"/usr/bin/cat".to_vec(),
            args: b"-n\0/etc/hosts\0".to_vec(),
            env: b"A=1\0".to_vec(),
            cwd: b"/root/".to_vec(),
            root: b"/".to_vec(),
            cap_effective: 5,
            exe_ino: 3,
            ..ThreadRecord::default()
        }
    }

    #[test]
    fn kinds_that_sysdig_gives_up_at_are_unsupported() {
        for kind in [FdKind::Bpf, FdKind::Userfault, FdKind::IoUring, FdKind::Memfd, FdKind::Pidfd] {
            let fd = Fd { kind, name: "n".into(), ..Fd::default() };
            let unsupported = FdObject::Named { kind: NamedKind::Unsupported, name: b"n".to_vec() };
            assert_eq!(object(&fd, Readers::All), unsupported);
            assert_ne!(object(&fd, Readers::Today), unsupported);
        }
    }

    #[test]
    fn records_that_a_machine_took_come_out_again() {
        let around = Surroundings {
            host: HostRecord { cpus: 2, ..HostRecord::default() },
            interfaces: vec![Interface {
                name: "lo".into(),
                address: IpAddr::from([127, 0, 0, 1]),
                netmask: IpAddr::from([255, 0, 0, 0]),
            }],
            accounts: Accounts {
                users: vec![User { uid: 1, gid: 2, name: "daemon".into(), ..User::default() }],
                groups: vec![Group { gid: 2, name: "daemon".into() }],
                ..Accounts::default()
            },
        };
        let given = Snapshot {
            threads: vec![process()],
            fds: vec![FdListRecord { tid: 10, fds: all_fds() }],
            ..Snapshot::default()
        };
        let mut machine = Machine::default();
        crate::records::give_to(given.clone(), &mut machine);
        let taken = records(&machine, &around, Readers::Today);
        assert_eq!((&taken.threads, &taken.fds), (&given.threads, &given.fds));
        assert_eq!((taken.users.len(), taken.groups.len(), taken.interfaces.len()), (1, 1, 1));
        assert_eq!(taken.host.unwrap().cpus, 2);
    }
}
