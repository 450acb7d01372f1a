//! What a capture says of the machine before its first event. Texts are bytes, as the kernel gave them.

use std::net::IpAddr;

/// Everything that stands before a section's events.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Snapshot {
    /// The machine.
    pub host: Option<HostRecord>,
    /// Its network interfaces.
    pub interfaces: Vec<InterfaceRecord>,
    /// Its users.
    pub users: Vec<UserRecord>,
    /// Its groups.
    pub groups: Vec<GroupRecord>,
    /// Threads, in file order.
    pub threads: Vec<ThreadRecord>,
    /// Open fds by thread, in file order.
    pub fds: Vec<FdListRecord>,
}

/// The machine that was captured.
#[derive(Clone, PartialEq, Debug)]
pub struct HostRecord {
    /// Number of CPUs.
    pub cpus: u32,
    /// Physical memory in bytes.
    pub memory: u64,
    /// Highest process id.
    pub max_pid: u64,
    /// Host name with NUL padding, as stored; [`HostRecord::name`] is the text.
    pub hostname: [u8; 128],
    /// When it booted, ns since 1970; 0 when unknown.
    pub boot_ts: u64,
    /// Flags of the capture's source.
    pub flags: u64,
    /// Reserved values, kept so that a copy is exact.
    pub reserved: [u64; 2],
}

impl HostRecord {
    /// The host's name.
    pub fn name(&self) -> &[u8] {
        texts(&self.hostname).next().unwrap_or_default()
    }
}

impl Default for HostRecord {
    fn default() -> HostRecord {
        HostRecord {
            cpus: 0,
            memory: 0,
            max_pid: 0,
            hostname: [0; 128],
            boot_ts: 0,
            flags: 0,
            reserved: [0; 2],
        }
    }
}

/// An address of a network interface. Masks are kept as addresses.
#[derive(Clone, PartialEq, Debug)]
pub struct InterfaceRecord {
    /// Name, such as `eth0`.
    pub name: Vec<u8>,
    /// Address.
    pub address: IpAddr,
    /// Netmask.
    pub netmask: IpAddr,
    /// Broadcast address.
    pub broadcast: IpAddr,
    /// Link speed; 0 when unknown.
    pub link_speed: u64,
}

/// A user of the machine.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct UserRecord {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Name.
    pub name: Vec<u8>,
    /// Home directory.
    pub home: Vec<u8>,
    /// Login shell.
    pub shell: Vec<u8>,
}

/// A group of the machine.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct GroupRecord {
    /// Group id.
    pub gid: u32,
    /// Name.
    pub name: Vec<u8>,
}

/// A thread that ran when the capture began. What an old capture does not say has its default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadRecord {
    /// Thread id.
    pub tid: i64,
    /// Process id.
    pub pid: i64,
    /// Thread id of the parent's main thread.
    pub ptid: i64,
    /// Session id, -1 when unknown.
    pub sid: i64,
    /// Process group in its pid namespace, -1 when unknown.
    pub vpgid: i64,
    /// Process group in the host's pid namespace, -1 when unknown.
    pub pgid: i64,
    /// Thread id in its pid namespace, -1 when unknown.
    pub vtid: i64,
    /// Process id in its pid namespace, -1 when unknown.
    pub vpid: i64,
    /// Name.
    pub comm: Vec<u8>,
    /// First argument.
    pub exe: Vec<u8>,
    /// Path of the executable.
    pub exe_path: Vec<u8>,
    /// Further arguments, a NUL after each: see [`texts`].
    pub args: Vec<u8>,
    /// Environment, a NUL after each: see [`texts`].
    pub env: Vec<u8>,
    /// `subsystem=path` of each cgroup, a NUL after each: see [`texts`].
    pub cgroups: Vec<u8>,
    /// Working directory.
    pub cwd: Vec<u8>,
    /// Root directory.
    pub root: Vec<u8>,
    /// Limit of open files.
    pub fd_limit: i64,
    /// Flags of its creation (`PPM_CL_*` of the capture format).
    pub flags: u32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Login user id, `u32::MAX` when none.
    pub loginuid: u32,
    /// Virtual memory, kB.
    pub vm_size: u32,
    /// Resident memory, kB.
    pub vm_rss: u32,
    /// Swapped memory, kB.
    pub vm_swap: u32,
    /// Major page faults.
    pub pf_major: u64,
    /// Minor page faults.
    pub pf_minor: u64,
    /// When the init process of its pid namespace started, ns since 1970.
    pub pidns_init_start_ts: u64,
    /// Controlling terminal, 0 without one.
    pub tty: u32,
    /// The executable can be written by the user that runs it.
    pub exe_writable: bool,
    /// The executable lies in the upper layer of an overlay file system.
    pub exe_upper_layer: bool,
    /// The executable lies in a lower layer of an overlay file system.
    pub exe_lower_layer: bool,
    /// The executable is a memfd.
    pub exe_from_memfd: bool,
    /// Inode of the executable.
    pub exe_ino: u64,
    /// Its inode change time, ns since 1970.
    pub exe_ctime: u64,
    /// Its modification time, ns since 1970.
    pub exe_mtime: u64,
    /// Inheritable capabilities.
    pub cap_inheritable: u64,
    /// Permitted capabilities.
    pub cap_permitted: u64,
    /// Effective capabilities.
    pub cap_effective: u64,
}

impl Default for ThreadRecord {
    fn default() -> ThreadRecord {
        ThreadRecord {
            tid: 0,
            pid: 0,
            ptid: 0,
            sid: -1,
            vpgid: -1,
            pgid: -1,
            vtid: -1,
            vpid: -1,
            comm: Vec::new(),
            exe: Vec::new(),
            exe_path: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            cgroups: Vec::new(),
            cwd: Vec::new(),
            root: Vec::new(),
            fd_limit: 0,
            flags: 0,
            uid: 0,
            gid: 0,
            loginuid: u32::MAX,
            vm_size: 0,
            vm_rss: 0,
            vm_swap: 0,
            pf_major: 0,
            pf_minor: 0,
            pidns_init_start_ts: 0,
            tty: 0,
            exe_writable: false,
            exe_upper_layer: false,
            exe_lower_layer: false,
            exe_from_memfd: false,
            exe_ino: 0,
            exe_ctime: 0,
            exe_mtime: 0,
            cap_inheritable: 0,
            cap_permitted: 0,
            cap_effective: 0,
        }
    }
}

/// The open fds of a thread.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct FdListRecord {
    /// The thread.
    pub tid: i64,
    /// Its fds.
    pub fds: Vec<FdRecord>,
}

/// An open fd.
#[derive(Clone, PartialEq, Debug)]
pub struct FdRecord {
    /// Its number.
    pub num: i64,
    /// Inode number.
    pub ino: u64,
    /// What it refers to.
    pub object: FdObject,
}

/// What an fd of a capture refers to. Ports are numbers, not in network order.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "the fields are those of addresses")]
pub enum FdObject {
    /// Not known.
    Unknown,
    /// A regular file or device.
    File { name: Vec<u8>, open_flags: u32, dev: u32 },
    /// A TCP, UDP, ICMP or raw socket with both ends.
    Ip { source: (IpAddr, u16), dest: (IpAddr, u16), protocol: u8 },
    /// A socket that listens.
    IpServer { address: (IpAddr, u16), protocol: u8 },
    /// A unix socket: kernel addresses of both ends, and its path.
    Unix { source: u64, dest: u64, name: Vec<u8> },
    /// Anything else that has a name and no more.
    Named { kind: NamedKind, name: Vec<u8> },
}

/// Kinds of fds that have a name and no more, with the numbers that captures give them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the kernel's")]
#[repr(u8)]
pub enum NamedKind {
    /// A file of a capture too old to tell its open flags.
    OldFile = 1,
    Directory = 2,
    Fifo = 7,
    Event = 9,
    Unsupported = 10,
    Signal = 11,
    Eventpoll = 12,
    Inotify = 13,
    Timerfd = 14,
    Netlink = 15,
    Bpf = 17,
    Userfault = 18,
    IoUring = 19,
    Memfd = 20,
    Pidfd = 21,
}

/// The texts of a list in which a NUL closes each (the last NUL may be missing).
pub fn texts(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let list = list.strip_suffix(b"\0").unwrap_or(list);
    let some = !list.is_empty();
    some.then(|| list.split(|b| *b == 0)).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_fall_apart_at_nuls() {
        let all = |list: &'static [u8]| texts(list).collect::<Vec<_>>();
        assert_eq!(all(b"a\0bc\0"), [&b"a"[..], b"bc"]);
        assert_eq!(all(b"a\0bc"), [&b"a"[..], b"bc"]);
        assert_eq!(all(b"a\0\0b\0"), [&b"a"[..], b"", b"b"]);
        assert_eq!(all(b""), Vec::<&[u8]>::new());
        assert_eq!(all(b"\0"), Vec::<&[u8]>::new());
    }
}
