//! What became of event types and their parameters since captures are written.
//!
//! The facts are those of the capture format's own history: which type replaced which, and what a parameter
//! holds that an old event could not tell. A value that is absent is either empty (no bytes: "not known") or
//! the zero of its type, as programs that read such captures have always shown it.

use lanner_event::EventType;
use lanner_event::types::*;

/// What a parameter holds that nothing tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fill {
    /// No bytes.
    Empty,
    /// The zero of its type; for ids of users and groups, "none".
    Zero,
}

use Fill::{Empty, Zero};

/// Types that are of another type today, and what fills the parameters that came with it.
#[rustfmt::skip]
pub(crate) const REPLACED: &[(EventType, EventType, Fill)] = &[
    (SYSCALL_EXECVE_8_E, SYSCALL_EXECVE_19_E, Empty),
    (SYSCALL_EXECVE_13_E, SYSCALL_EXECVE_19_E, Empty),
    (SYSCALL_EXECVE_14_E, SYSCALL_EXECVE_19_E, Empty),
    (SYSCALL_EXECVE_15_E, SYSCALL_EXECVE_19_E, Empty),
    (SYSCALL_EXECVE_16_E, SYSCALL_EXECVE_19_E, Empty),
    (SYSCALL_EXECVE_17_E, SYSCALL_EXECVE_19_E, Empty),
    (SYSCALL_EXECVE_18_E, SYSCALL_EXECVE_19_E, Empty),
    (SYSCALL_EXECVE_8_X, SYSCALL_EXECVE_19_X, Empty),
    (SYSCALL_EXECVE_13_X, SYSCALL_EXECVE_19_X, Empty),
    (SYSCALL_EXECVE_14_X, SYSCALL_EXECVE_19_X, Empty),
    (SYSCALL_EXECVE_15_X, SYSCALL_EXECVE_19_X, Empty),
    (SYSCALL_EXECVE_16_X, SYSCALL_EXECVE_19_X, Empty),
    (SYSCALL_EXECVE_17_X, SYSCALL_EXECVE_19_X, Empty),
    (SYSCALL_EXECVE_18_X, SYSCALL_EXECVE_19_X, Empty),
    (SYSCALL_CLONE_11_X, SYSCALL_CLONE_20_X, Empty),
    (SYSCALL_CLONE_16_X, SYSCALL_CLONE_20_X, Empty),
    (SYSCALL_CLONE_17_X, SYSCALL_CLONE_20_X, Empty),
    (SYSCALL_FORK_X, SYSCALL_FORK_20_X, Empty),
    (SYSCALL_FORK_17_X, SYSCALL_FORK_20_X, Empty),
    (SYSCALL_VFORK_X, SYSCALL_VFORK_20_X, Empty),
    (SYSCALL_VFORK_17_X, SYSCALL_VFORK_20_X, Empty),
    (PROCEXIT_E, PROCEXIT_1_E, Empty),
    (SCHEDSWITCH_1_E, SCHEDSWITCH_6_E, Empty),
    (SYSCALL_BRK_1_X, SYSCALL_BRK_4_X, Empty),
    (SYSCALL_BPF_X, SYSCALL_BPF_2_X, Empty),
    (SYSCALL_DUP_X, SYSCALL_DUP_1_X, Empty),
    (SYSCALL_IOCTL_2_X, SYSCALL_IOCTL_3_X, Empty),
    (SYSCALL_LINK_X, SYSCALL_LINK_2_X, Empty),
    (SYSCALL_LINKAT_X, SYSCALL_LINKAT_2_X, Empty),
    (SYSCALL_MKDIR_X, SYSCALL_MKDIR_2_X, Empty),
    (SYSCALL_NEWSELECT_X, SYSCALL_SELECT_X, Empty),
    (SYSCALL_OPENAT_X, SYSCALL_OPENAT_2_X, Empty),
    (SYSCALL_RMDIR_X, SYSCALL_RMDIR_2_X, Empty),
    (SYSCALL_UMOUNT_X, SYSCALL_UMOUNT_1_X, Empty),
    (SYSCALL_UNLINK_X, SYSCALL_UNLINK_2_X, Empty),
    (SYSCALL_UNLINKAT_X, SYSCALL_UNLINKAT_2_X, Empty),
    (SOCKET_ACCEPT_X, SOCKET_ACCEPT_5_X, Zero),
    (SOCKET_ACCEPT4_X, SOCKET_ACCEPT4_6_X, Zero),
    (SOCKET_ACCEPT4_5_X, SOCKET_ACCEPT4_6_X, Zero),
    (CONTAINER_JSON_E, CONTAINER_JSON_2_E, Empty),
];

/// Types that kept their number but got parameters, which are empty where an event has none. All other such
/// types have zeros there.
#[rustfmt::skip]
pub(crate) const EMPTY_WHERE_ABSENT: &[EventType] = &[
    GENERIC_X, SYSCALL_OPEN_E, SYSCALL_OPEN_X, SYSCALL_CREAT_E, SYSCALL_CREAT_X, SYSCALL_OPENAT_2_E,
    SYSCALL_OPENAT_2_X, SYSCALL_OPENAT2_E, SYSCALL_OPENAT2_X, SYSCALL_EXECVE_19_E, SYSCALL_EXECVE_19_X,
    SYSCALL_EXECVEAT_E, SYSCALL_EXECVEAT_X, SYSCALL_CLONE_20_X, SYSCALL_CLONE3_X, SYSCALL_FORK_20_X,
    SYSCALL_VFORK_20_X, SYSCALL_BRK_4_X, SYSCALL_MKDIR_2_X, SYSCALL_PRLIMIT_X, SYSCALL_PTRACE_X, SYSCALL_FCHDIR_X, SYSCALL_SETNS_X,
    SYSCALL_SETUID_X, SYSCALL_SETGID_X, SYSCALL_SETPGID_X, SYSCALL_SETRESUID_X, SYSCALL_SETRESGID_X,
    SOCKET_SENDMMSG_X, SOCKET_RECVMMSG_X,
];

/// Parameters that are zero although their type's others are empty: the results of calls that once gave an
/// event without parameters.
pub(crate) const ZERO_PARAMS: &[(EventType, usize)] = &[(SOCKET_SENDMMSG_X, 0), (SOCKET_RECVMMSG_X, 0)];

/// Beginnings of calls that are events in their own right.
#[rustfmt::skip]
pub(crate) const PASSED: &[EventType] = &[
    SYSCALL_OPEN_E, SYSCALL_CREAT_E, SYSCALL_OPENAT_2_E, SYSCALL_OPENAT2_E, SYSCALL_EXECVEAT_E,
    PROCEXIT_1_E, SCHEDSWITCH_6_E, CONTAINER_JSON_2_E,
];

/// Whether an event is the beginning of a call that is still handed out, for what it says of the state. The call's
/// end is the event that rules see.
pub(crate) fn is_beginning(ty: EventType) -> bool {
    matches!(
        ty,
        SYSCALL_OPEN_E
            | SYSCALL_CREAT_E
            | SYSCALL_OPENAT_2_E
            | SYSCALL_OPENAT2_E
            | SYSCALL_EXECVE_19_E
            | SYSCALL_EXECVEAT_E
            | SOCKET_CONNECT_E
    )
}

/// Whether an event at the very beginning of a capture continues what the lists say of the state.
pub(crate) fn is_state(ty: EventType) -> bool {
    matches!(
        ty,
        CONTAINER_JSON_2_E | USER_ADDED_E | USER_DELETED_E | GROUP_ADDED_E | GROUP_DELETED_E | ASYNCEVENT_E
    )
}

/// Beginnings of calls that are events in their own right and complete the end's event too.
pub(crate) const KEPT_AND_PASSED: &[EventType] = &[SYSCALL_EXECVE_19_E, SOCKET_CONNECT_E];

/// Parameters that had another name: type, today's name, old name. (What `brk`
/// asked for has always been shown as the memory size, so it stays there.)
pub(crate) const RENAMED: &[(EventType, &str, &str)] = &[
    (SYSCALL_DUP_1_X, "oldfd", "fd"),
    (SYSCALL_BPF_2_X, "fd", "res_or_fd"),
    (SYSCALL_BRK_4_X, "vm_size", "size"),
];

/// Parameters that are taken from the beginning's event only if the end's has at least so many: readers of
/// such captures have always completed them one step at a time, and used the beginning up in the first.
pub(crate) const NOT_FROM_ENTER: &[(EventType, &str, usize)] = &[(SOCKET_CONNECT_X, "addr", 3)];
