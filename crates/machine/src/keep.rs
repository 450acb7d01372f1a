//! Which events the machine can spare where no rule needs them.

use lanner_event::prefilter::Keep;
use lanner_event::{EventType, types};

/// Calls that tell the machine something only when they succeed.
const SUCCESSES: [EventType; 35] = [
    types::SYSCALL_OPEN_BY_HANDLE_AT_X,
    types::SYSCALL_CLOSE_RANGE_X,
    types::SYSCALL_DUP_1_X,
    types::SYSCALL_DUP2_X,
    types::SYSCALL_DUP3_X,
    types::SYSCALL_PIPE_X,
    types::SYSCALL_PIPE2_X,
    types::SYSCALL_MEMFD_CREATE_X,
    types::SYSCALL_PIDFD_OPEN_X,
    types::SYSCALL_PIDFD_GETFD_X,
    types::SYSCALL_EVENTFD_X,
    types::SYSCALL_EVENTFD2_X,
    types::SYSCALL_SIGNALFD_X,
    types::SYSCALL_SIGNALFD4_X,
    types::SYSCALL_TIMERFD_CREATE_X,
    types::SYSCALL_INOTIFY_INIT_X,
    types::SYSCALL_INOTIFY_INIT1_X,
    types::SYSCALL_BPF_2_X,
    types::SYSCALL_USERFAULTFD_X,
    types::SYSCALL_IO_URING_SETUP_X,
    types::SYSCALL_EPOLL_CREATE_X,
    types::SYSCALL_EPOLL_CREATE1_X,
    types::SOCKET_SOCKET_X,
    types::SOCKET_SOCKETPAIR_X,
    types::SOCKET_BIND_X,
    types::SYSCALL_CHDIR_X,
    types::SYSCALL_FCHDIR_X,
    types::SYSCALL_CHROOT_X,
    types::SYSCALL_SETSID_X,
    types::SYSCALL_SETUID_X,
    types::SYSCALL_SETGID_X,
    types::SYSCALL_SETRESUID_X,
    types::SYSCALL_SETRESGID_X,
    types::SYSCALL_UNSHARE_X,
    types::SYSCALL_SETNS_X,
];

/// Calls that make a thread, which tells of itself; the caller's side tells the machine nothing more.
pub const BIRTHS: [EventType; 4] =
    [types::SYSCALL_CLONE_20_X, types::SYSCALL_CLONE3_X, types::SYSCALL_FORK_20_X, types::SYSCALL_VFORK_20_X];

/// Calls that tell the machine nothing.
const NOTHING: [EventType; 32] = [
    types::SYSCALL_RENAME_X,
    types::SYSCALL_RENAMEAT_X,
    types::SYSCALL_RENAMEAT2_X,
    types::SYSCALL_UNLINK_2_X,
    types::SYSCALL_UNLINKAT_2_X,
    types::SYSCALL_MKDIR_2_X,
    types::SYSCALL_MKDIRAT_X,
    types::SYSCALL_RMDIR_2_X,
    types::SYSCALL_LINK_2_X,
    types::SYSCALL_LINKAT_2_X,
    types::SYSCALL_SYMLINK_X,
    types::SYSCALL_SYMLINKAT_X,
    types::SYSCALL_CHMOD_X,
    types::SYSCALL_FCHMOD_X,
    types::SYSCALL_FCHMODAT_X,
    types::SYSCALL_CHOWN_X,
    types::SYSCALL_LCHOWN_X,
    types::SYSCALL_FCHOWN_X,
    types::SYSCALL_FCHOWNAT_X,
    types::SYSCALL_MKNOD_X,
    types::SYSCALL_MKNODAT_X,
    types::SYSCALL_ACCESS_X,
    types::SYSCALL_STAT_X,
    types::SYSCALL_LSTAT_X,
    types::SYSCALL_NEWFSTATAT_X,
    types::SOCKET_LISTEN_X,
    types::SYSCALL_PTRACE_X,
    types::SYSCALL_KILL_X,
    types::SYSCALL_TKILL_X,
    types::SYSCALL_TGKILL_X,
    types::SYSCALL_INIT_MODULE_X,
    types::SYSCALL_DELETE_MODULE_X,
];

/// Calls that move data over sockets.
const EXCHANGES: [EventType; 8] = [
    types::SOCKET_SEND_X,
    types::SOCKET_SENDTO_X,
    types::SOCKET_SENDMSG_X,
    types::SOCKET_SENDMMSG_X,
    types::SOCKET_RECV_X,
    types::SOCKET_RECVFROM_X,
    types::SOCKET_RECVMSG_X,
    types::SOCKET_RECVMMSG_X,
];

/// What the machine needs of events of a type that no rule needs, given that a file which was opened unseen is
/// told of before the first event that uses it,
/// and that nobody looks at what unix sockets are connected to.
pub fn keep(ty: EventType) -> Keep {
    match ty {
        types::SYSCALL_OPEN_X
        | types::SYSCALL_CREAT_X
        | types::SYSCALL_OPENAT_2_X
        | types::SYSCALL_OPENAT2_X => Keep::Opens,
        types::SYSCALL_CLOSE_X => Keep::Closes,
        types::SYSCALL_FCNTL_X => Keep::FdCommands,
        types::SOCKET_CONNECT_X => Keep::ConnectsButUnix,
        types::SOCKET_ACCEPT_5_X | types::SOCKET_ACCEPT4_6_X => Keep::AcceptsButUnix,
        _ if EXCHANGES.contains(&ty) => Keep::ExchangesButUnix,
        _ if SUCCESSES.contains(&ty) => Keep::Successes,
        _ if NOTHING.contains(&ty) => Keep::Nothing,
        _ => Keep::All,
    }
}
