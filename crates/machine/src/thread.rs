//! A thread and what is known of it.

use crate::{ContainerId, Text, TextList, abi};

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
    /// It has ended, but other threads of its process live on.
    pub dead: bool,
}

impl Thread {
    /// A thread of which nothing but the id is known: neither its start nor a snapshot of it was seen.
    pub fn unknown(tid: i64) -> Thread {
        Thread {
            tid,
            pid: -1,
            ptid: -1,
            reaper: -1,
            vtid: -1,
            vpid: -1,
            sid: -1,
            vpgid: -1,
            pgid: -1,
            comm: Text::not_known(),
            exe: Text::not_known(),
            uid: u32::MAX,
            gid: u32::MAX,
            loginuid: u32::MAX,
            fdlimit: -1,
            ..Thread::default()
        }
    }

    /// Whether nothing but the id is known.
    pub fn is_unknown(&self) -> bool {
        self.tid < 0 || self.pid < 0 || self.ptid < 0
    }

    /// Whether it is its process' first thread.
    pub fn is_main(&self) -> bool {
        self.tid == self.pid || self.flags & abi::IS_MAIN_THREAD != 0
    }

    /// Whether it lives in a pid namespace of its own, as processes of containers do.
    pub fn in_pid_namespace(&self) -> bool {
        self.flags & abi::CHILD_IN_PIDNS != 0 || (self.tid != self.vtid && self.vtid >= 0)
    }

    /// Subsystem and path of each cgroup, the subsystems by their names of today (`memory` for `mem`).
    pub fn cgroup_paths(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.cgroups.iter().filter_map(|cgroup| {
            let at = memchr::memchr(b'=', cgroup)?;
            Some((subsystem(&cgroup[..at]), &cgroup[at + 1..]))
        })
    }

    pub(crate) fn set_exe_path(&mut self, path: &[u8]) {
        let path = path.strip_suffix(b" (deleted)").filter(|rest| !rest.is_empty()).unwrap_or(path);
        self.executable.path = Text::sharing(path, &self.executable.path);
    }
}

/// The name that a cgroup subsystem goes by today.
fn subsystem(name: &[u8]) -> &[u8] {
    match name.strip_suffix(b"_cgroup").unwrap_or(name) {
        b"perf" => b"perf_event",
        b"mem" => b"memory",
        b"io" => b"blkio",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_go_by_their_names_of_today() {
        let cgroups =
            TextList::from_iter(["cpuset_cgroup=/a", "mem_cgroup=/b=c", "io=/", "perf=/", "nonsense"]);
        let thread = Thread { cgroups, ..Thread::default() };
        let paths: Vec<_> = thread.cgroup_paths().collect();
        let want: [(&[u8], &[u8]); 4] =
            [(b"cpuset", b"/a"), (b"memory", b"/b=c"), (b"blkio", b"/"), (b"perf_event", b"/")];
        assert_eq!(paths, want);
    }

    /// A host has thousands of them.
    #[test]
    fn a_thread_is_compact() {
        let size = size_of::<Thread>();
        assert!(size <= 432, "{size} bytes");
    }

    #[test]
    fn a_deleted_executable_keeps_its_path() {
        let mut thread = Thread::default();
        for (given, want) in [("/a (deleted)", "/a"), (" (deleted)", " (deleted)"), ("/b", "/b")] {
            thread.set_exe_path(given.as_bytes());
            assert_eq!(&*thread.executable.path, want.as_bytes());
        }
    }
}
