//! Which losses the state of a host doesn't recover from by itself.

use crate::{Category, EventInfo};

/// Calls about processes, credentials, namespaces and the kernel itself that no category tells apart.
const CALLS: [&str; 26] = [
    "bpf",
    "capset",
    "chroot",
    "clone",
    "clone3",
    "delete_module",
    "execve",
    "execveat",
    "finit_module",
    "fork",
    "init_module",
    "mount",
    "pivot_root",
    "prctl",
    "procexit",
    "ptrace",
    "setgid",
    "setns",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setuid",
    "umount2",
    "unshare",
    "vfork",
];

impl EventInfo {
    /// Whether the event is one of processes, credentials, namespaces or modules. They are rare, and one that is lost
    /// leaves much wrong for long, so that floods of others must not take their room.
    pub fn is_vital(&self) -> bool {
        CALLS.contains(&self.name) || self.is(Category::Iter)
    }
}

#[cfg(test)]
mod tests {
    use crate::types;

    #[test]
    fn processes_are_vital_and_files_are_not() {
        let vital = |ty: crate::EventType| ty.info().unwrap().is_vital();
        assert!(
            vital(types::SYSCALL_EXECVE_19_X) && vital(types::PROCEXIT_1_E) && vital(types::SYSCALL_SETNS_X)
        );
        assert!(!vital(types::SYSCALL_OPENAT_2_X) && !vital(types::SOCKET_CONNECT_X));
    }
}
