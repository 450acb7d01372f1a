//! A thread and what is known of it.

use crate::{ContainerId, Text, TextList};

/// Capability sets of a thread, one bit per capability in the kernel's numbering.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// What it may take.
    pub permitted: u64,
    /// What it has now.
    pub effective: u64,
    /// What an exec may keep.
    pub inheritable: u64,
}

/// The executable file a thread runs.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Executable {
    /// Its path as the kernel knows it (symlinks resolved), `memfd:…` for a memfd.
    pub path: Text,
    /// Inode number.
    pub ino: u64,
    /// Inode change time, ns since 1970.
    pub ctime: u64,
    /// Modification time, ns since 1970.
    pub mtime: u64,
    /// The user that ran it may write it.
    pub writable: bool,
    /// It lies in the upper layer of an overlay file system.
    pub upper_layer: bool,
    /// It lies in a lower layer of an overlay file system.
    pub lower_layer: bool,
    /// It is a memfd.
    pub from_memfd: bool,
    /// From the inode's change to the start of the process that executed it, ns; wraps where the change
    /// is later; 0 when unknown.
    pub ctime_to_clone: u64,
    /// From the start of the pid namespace to the inode's change, ns; 0 when unknown or the other way round.
    pub pidns_start_to_ctime: u64,
}

/// A thread. For a process' properties that all its threads share, ask its main thread.
#[derive(Clone, Default, Debug)]
pub struct Thread {
    /// Thread id in the host's pid namespace.
    pub tid: i64,
    /// Process id: the thread id of the main thread.
    pub pid: i64,
    /// Thread id of the parent's main thread; 0 or -1 when unknown.
    pub ptid: i64,
    /// Thread that takes over the children when the thread's parent ends; -1 when unknown.
    pub reaper: i64,
    /// Thread id inside the thread's own pid namespace.
    pub vtid: i64,
    /// Process id inside the thread's own pid namespace.
    pub vpid: i64,
    /// Session id.
    pub sid: i64,
    /// Process group, in the thread's pid namespace.
    pub vpgid: i64,
    /// Process group, in the host's pid namespace.
    pub pgid: i64,
    /// `comm`: the name, at most 15 bytes.
    pub comm: Text,
    /// First argument (`argv[0]`).
    pub exe: Text,
    /// The remaining arguments, in order.
    pub args: TextList,
    /// Environment, `NAME=value` each. A process' threads share their main thread's: ask [`Machine::env`].
    ///
    /// [`Machine::env`]: crate::Machine::env
    pub env: TextList,
    /// The executable file.
    pub executable: Executable,
    /// Working directory, with a closing slash. A process' threads share their main thread's: ask
    /// [`Machine::cwd`].
    ///
    /// [`Machine::cwd`]: crate::Machine::cwd
    pub cwd: Text,
    /// Root directory as seen from the host; `/` without chroot.
    pub root: Text,
    /// `subsystem=path` of each cgroup.
    pub cgroups: TextList,
    /// The container that the cgroups say, empty for the host.
    pub container: ContainerId,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Login (audit) user id; `u32::MAX` when none.
    pub loginuid: u32,
    /// Device number of the controlling terminal, 0 without one.
    pub tty: u32,
    /// Capability sets.
    pub capabilities: Capabilities,
    /// `PPM_CL_*` bits of its creation, as captures hold them.
    pub flags: u32,
    /// Soft limit of open files, -1 when unknown.
    pub fdlimit: i64,
    /// When it was cloned, ns since 1970; 0 when unknown.
    pub clone_ts: u64,
    /// When an event of it was last seen, ns since 1970.
    pub last_seen_ts: u64,
    /// When its executable was last replaced, ns since 1970; 0 when it was not seen.
    pub last_exec_ts: u64,
    /// When init of its pid namespace started, ns since 1970.
    pub pidns_init_start_ts: u64,
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
    /// The process is gone for the kernel but its children still refer to it.
    pub dead: bool,
    /// Nothing is known but the id: neither its start nor a snapshot was seen.
    pub invalid: bool,
}

impl Thread {
    /// Whether it is its process' first thread.
    pub fn is_main(&self) -> bool {
        self.tid == self.pid
    }

    /// Whether it lives in a pid namespace of its own, as processes of containers do.
    pub fn in_pid_namespace(&self) -> bool {
        self.tid != self.vtid || self.pid != self.vpid
    }
}
