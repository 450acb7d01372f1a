//! The system calls that the process may make from now on; all others fail with EPERM. A child is bound by the same
//! list, and none can become another program.

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// Calls that are the same everywhere, by what they are for.
const CALLS: &[&[c_long]] = &[
    // Memory.
    &[
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_membarrier,
        libc::SYS_mincore,
        libc::SYS_mlock,
    ],
    // Threads, their signals, and the end.
    &[
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_get_robust_list,
        libc::SYS_rseq,
        libc::SYS_set_tid_address,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_getppid,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_getparam,
        libc::SYS_sched_getscheduler,
        libc::SYS_sched_get_priority_min,
        libc::SYS_sched_get_priority_max,
        libc::SYS_getcpu,
        libc::SYS_prctl,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigtimedwait,
        libc::SYS_sigaltstack,
        libc::SYS_tgkill,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_wait4,
    ],
    // Time.
    &[
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_gettimeofday,
        libc::SYS_timerfd_create,
        libc::SYS_timerfd_settime,
        libc::SYS_getrandom,
    ],
    // Files.
    &[
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_close,
        libc::SYS_close_range,
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_pread64,
        libc::SYS_preadv,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_pwrite64,
        libc::SYS_pwritev,
        libc::SYS_lseek,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_statfs,
        libc::SYS_fstatfs,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_readlinkat,
        libc::SYS_getdents64,
        libc::SYS_getcwd,
        libc::SYS_fcntl,
        libc::SYS_ioctl,
        libc::SYS_dup,
        libc::SYS_dup3,
        libc::SYS_flock,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_ftruncate,
        libc::SYS_fallocate,
        libc::SYS_fadvise64,
        libc::SYS_mkdirat,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        // Of the alerts' socket, to a group of its own: CAP_CHOWN is given up.
        libc::SYS_fchownat,
        libc::SYS_utimensat,
        libc::SYS_umask,
        libc::SYS_copy_file_range,
        libc::SYS_sendfile,
        libc::SYS_splice,
        libc::SYS_inotify_init1,
        libc::SYS_inotify_add_watch,
        libc::SYS_inotify_rm_watch,
    ],
    // Sockets, pipes, and waiting for them.
    &[
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_getsockname,
        libc::SYS_getpeername,
        libc::SYS_getsockopt,
        libc::SYS_setsockopt,
        libc::SYS_sendto,
        libc::SYS_recvfrom,
        libc::SYS_sendmsg,
        libc::SYS_recvmsg,
        libc::SYS_sendmmsg,
        libc::SYS_recvmmsg,
        libc::SYS_shutdown,
        libc::SYS_pipe2,
        libc::SYS_eventfd2,
        libc::SYS_epoll_create1,
        libc::SYS_epoll_ctl,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
        libc::SYS_ppoll,
        libc::SYS_pselect6,
    ],
    // Rings can't be made any more; one that was made hands descriptors over to the kernel in the end (the probe's).
    &[libc::SYS_io_uring_register],
    // What the process and the host are.
    &[
        libc::SYS_uname,
        libc::SYS_sysinfo,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getegid,
        libc::SYS_getgroups,
        libc::SYS_getresuid,
        libc::SYS_getresgid,
        libc::SYS_getrusage,
        libc::SYS_prlimit64,
        libc::SYS_times,
        libc::SYS_capget,
    ],
];

/// Calls that only older architectures have.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_wait,
    libc::SYS_pipe,
    libc::SYS_dup2,
    libc::SYS_getdents,
    libc::SYS_time,
    libc::SYS_getrlimit,
    libc::SYS_arch_prctl,
    libc::SYS_fork,
    libc::SYS_vfork,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

/// Commands of `bpf` that make something new: what there is was made before.
const BPF_NEW: [u64; 3] = [0 /* MAP_CREATE */, 5 /* PROG_LOAD */, 18 /* BTF_LOAD */];

/// Flags of `clone` that make namespaces.
const NAMESPACES: u64 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

fn refused(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// Restricts this thread and those that it will start. `kprobes`: the events of such may be had.
///
/// # Errors
/// When the kernel has no seccomp, or refuses the filter.
pub fn restrict(kprobes: bool) -> io::Result<()> {
    // The arguments of clone3 are in memory, which a filter can't look at. The C library then uses clone.
    let missing = [(libc::SYS_clone3, Vec::new())].into();
    apply(missing, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))?;
    let mut calls = allowed()?;
    if kprobes {
        calls.insert(libc::SYS_perf_event_open, vec![of_no_thread()?]);
    }
    apply(calls, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn apply(rules: Rules, others: SeccompAction, matching: SeccompAction) -> io::Result<()> {
    let arch: TargetArch = std::env::consts::ARCH.try_into().map_err(refused)?;
    let filter = SeccompFilter::new(rules, others, matching, arch).map_err(refused)?;
    let program: BpfProgram = filter.try_into().map_err(refused)?;
    seccompiler::apply_filter(&program).map_err(refused)
}

/// Of `perf_event_open`: an event of no single thread and no group.
fn of_no_thread() -> io::Result<SeccompRule> {
    let none = u64::from(u32::MAX);
    let is_none = |place| SeccompCondition::new(place, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, none);
    let conditions = [1, 3].map(is_none).into_iter().collect::<Result<_, _>>();
    SeccompRule::new(conditions.map_err(refused)?).map_err(refused)
}

fn allowed() -> io::Result<Rules> {
    let condition = |len, op, value| SeccompCondition::new(0, len, op, value).map_err(refused);
    let plain = CALLS.iter().copied().flatten().chain(OLDER);
    let mut rules: Rules = plain.map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_clone3, Vec::new());
    let no_namespaces = condition(SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(NAMESPACES), 0)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![no_namespaces]).map_err(refused)?]);
    let old = BPF_NEW.iter().map(|command| condition(SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *command));
    let old = SeccompRule::new(old.collect::<io::Result<_>>()?).map_err(refused)?;
    rules.insert(libc::SYS_bpf, vec![old]);
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread of its own: the others stay free.
    #[test]
    fn files_threads_and_sockets_are_left_and_programs_and_roots_are_not() {
        let tried = std::thread::spawn(|| {
            restrict(false).unwrap();
            let reads = std::fs::read("/proc/self/stat").is_ok();
            let threads = std::thread::spawn(|| 7).join().unwrap() == 7;
            let listens = std::net::TcpListener::bind("127.0.0.1:0").is_ok();
            let program = std::process::Command::new("/bin/true").status().map(|status| status.success());
            (reads && threads && listens, program, rustix::process::chroot("/").unwrap_err())
        });
        let (left, program, chroot) = tried.join().unwrap();
        assert!(left);
        assert!(!program.unwrap_or(false));
        assert_eq!(chroot, rustix::io::Errno::PERM);
    }

    #[test]
    fn events_of_kprobes_may_be_had_where_they_are_used() {
        // with a flag that there isn't; whoever may not even ask is told so first
        let asked = |thread: i64| {
            let attributes = [0u64; 16];
            // SAFETY: the attributes, longer than the size of 0 that they say, would only be read.
            let made = unsafe {
                libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), thread, 0i64, -1i64, 1u64 << 40)
            };
            (made, io::Error::last_os_error().raw_os_error())
        };
        let tried = |kprobes| {
            let thread = std::thread::spawn(move || {
                restrict(kprobes).unwrap();
                [-1, 0].map(asked)
            });
            thread.join().unwrap()
        };
        let (forbidden, invalid) = ((-1, Some(libc::EPERM)), (-1, Some(libc::EINVAL)));
        assert_eq!(tried(false), [forbidden, forbidden]);
        assert_eq!(tried(true), [invalid, forbidden]);
    }
}
