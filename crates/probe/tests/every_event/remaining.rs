//! Calls and parameters that the other groups leave out.
use lanner_event::types as t;

use crate::Want::{Nothing, Num, Result, Something, Text};
use crate::support::call::{
    Arg::{N, P},
    call,
};
use crate::support::flag;
use crate::{CWD, EBADF, ENOENT, NONE, NONE_TEXT, OTHER, OTHER_TEXT, Seen, case, check};

/// All of this group.
pub fn all(seen: &mut Seen) {
    names(seen);
    numbers(seen);
    memory(seen);
    rings(seen);
    #[cfg(target_arch = "x86_64")]
    old_ways(seen);
}

fn names(seen: &mut Seen) {
    // its device and inode stand in the event as in the file's metadata
    let how: Vec<u8> = [0u64, 0, 0].into_iter().flat_map(u64::to_ne_bytes).collect();
    use std::os::unix::fs::MetadataExt as _;
    let hostname = std::fs::metadata("/etc/hostname").unwrap();
    check(
        seen,
        &[
            case(
                libc::SYS_openat2,
                vec![N(CWD), P(b"/etc/hostname\0"), P(&how), N(24)],
                t::SYSCALL_OPENAT2_X,
                vec![
                    ("fd", Result),
                    ("dirfd", Num(CWD)),
                    ("mode", Num(0)),
                    ("dev", Num(hostname.dev() as i64)),
                    ("ino", Num(hostname.ino() as i64)),
                ],
            ),
            case(
                libc::SYS_open_by_handle_at,
                vec![N(9999), P(&[0; 16]), N(0)],
                t::SYSCALL_OPEN_BY_HANDLE_AT_X,
                vec![("dev", Num(0)), ("ino", Num(0))],
            ),
            case(
                libc::SYS_renameat,
                vec![N(9997), P(NONE), N(9998), P(OTHER)],
                t::SYSCALL_RENAMEAT_X,
                vec![
                    ("res", Num(EBADF)),
                    ("olddirfd", Num(9997)),
                    ("oldpath", Text(NONE_TEXT)),
                    ("newdirfd", Num(9998)),
                    ("newpath", Text(OTHER_TEXT)),
                ],
            ),
            case(
                libc::SYS_mkdirat,
                vec![N(9999), P(OTHER), N(0o700)],
                t::SYSCALL_MKDIRAT_X,
                vec![("dirfd", Num(9999))],
            ),
            case(
                libc::SYS_linkat,
                vec![N(9997), P(OTHER), N(9998), P(OTHER), N(0)],
                t::SYSCALL_LINKAT_2_X,
                vec![
                    ("res", Num(EBADF)),
                    ("olddir", Num(9997)),
                    ("oldpath", Text(OTHER_TEXT)),
                    ("newdir", Num(9998)),
                ],
            ),
            case(
                libc::SYS_symlinkat,
                vec![P(OTHER), N(9999), P(b"x\0")],
                t::SYSCALL_SYMLINKAT_X,
                vec![("res", Num(EBADF))],
            ),
            case(
                libc::SYS_fchmodat,
                vec![N(9999), P(OTHER), N(0)],
                t::SYSCALL_FCHMODAT_X,
                vec![("res", Num(EBADF)), ("dirfd", Num(9999))],
            ),
            case(libc::SYS_fchmod, vec![N(9999), N(0)], t::SYSCALL_FCHMOD_X, vec![("res", Num(EBADF))]),
            case(libc::SYS_fchown, vec![N(9999), N(3), N(4)], t::SYSCALL_FCHOWN_X, vec![("res", Num(EBADF))]),
            case(
                libc::SYS_fchownat,
                vec![N(9999), P(OTHER), N(3), N(4), N(0)],
                t::SYSCALL_FCHOWNAT_X,
                vec![("res", Num(EBADF)), ("dirfd", Num(9999)), ("uid", Num(3)), ("gid", Num(4))],
            ),
            case(
                libc::SYS_mknodat,
                vec![N(9999), P(OTHER), N(0o20644), N(0x103)],
                t::SYSCALL_MKNODAT_X,
                vec![("res", Num(EBADF)), ("path", Text(OTHER_TEXT)), ("dev", Num(0x103))],
            ),
            case(libc::SYS_chroot, vec![P(NONE)], t::SYSCALL_CHROOT_X, vec![("res", Num(ENOENT))]),
            case(
                libc::SYS_mount,
                vec![P(b"s\0"), P(NONE), P(b"ext4\0"), N(0), N(0)],
                t::SYSCALL_MOUNT_X,
                vec![("res", Num(ENOENT))],
            ),
            case(libc::SYS_umount2, vec![P(NONE), N(0)], t::SYSCALL_UMOUNT2_X, vec![("res", Num(ENOENT))]),
            case(
                libc::SYS_newfstatat,
                vec![N(9999), P(OTHER), N(8), N(0x100)],
                t::SYSCALL_NEWFSTATAT_X,
                vec![
                    ("res", Num(EBADF)),
                    ("dirfd", Num(9999)),
                    ("path", Text(OTHER_TEXT)),
                    ("flags", Num(flag(t::SYSCALL_NEWFSTATAT_X, "flags", "AT_SYMLINK_NOFOLLOW"))),
                ],
            ),
            case(
                libc::SYS_getcwd,
                vec![N(8), N(0)],
                t::SYSCALL_GETCWD_X,
                vec![("res", Num(-34)), ("path", Nothing)],
            ),
        ],
    );
}

fn numbers(seen: &mut Seen) {
    let mut ids = [7u32; 3];
    let (r, e, s) = {
        let at = ids.as_mut_ptr();
        (at as i64, at.wrapping_add(1) as i64, at.wrapping_add(2) as i64)
    };
    let offsets = [5u64, 6];
    let (from, to) = (offsets.as_ptr() as i64, offsets.as_ptr().wrapping_add(1) as i64);
    check(
        seen,
        &[
            case(
                libc::SYS_write,
                vec![N(9999), P(b"x"), N(1)],
                t::SYSCALL_WRITE_X,
                vec![("res", Num(EBADF)), ("fd", Num(9999))],
            ),
            case(libc::SYS_tkill, vec![N(99_999_999), N(10)], t::SYSCALL_TKILL_X, vec![("res", Num(-3))]),
            case(
                libc::SYS_tgkill,
                vec![N(9), N(99_999_999), N(1)],
                t::SYSCALL_TGKILL_X,
                vec![("res", Num(-3))],
            ),
            case(
                libc::SYS_timerfd_create,
                vec![N(9999), N(0)],
                t::SYSCALL_TIMERFD_CREATE_X,
                vec![("flags", Num(0))],
            ),
            case(libc::SYS_fcntl, vec![N(9999), N(1), N(0)], t::SYSCALL_FCNTL_X, vec![("fd", Num(9999))]),
            case(
                libc::SYS_splice,
                vec![N(9998), N(0), N(9999), N(0), N(5), N(0)],
                t::SYSCALL_SPLICE_X,
                vec![("res", Num(EBADF))],
            ),
            case(
                libc::SYS_ioctl,
                vec![N(9999), N(0x5413), N(7)],
                t::SYSCALL_IOCTL_3_X,
                vec![("res", Num(EBADF))],
            ),
            case(
                libc::SYS_sendfile,
                vec![N(9998), N(9999), N(from), N(6)],
                t::SYSCALL_SENDFILE_X,
                vec![("res", Num(EBADF)), ("offset", Num(5))],
            ),
            case(
                libc::SYS_copy_file_range,
                vec![N(9998), N(from), N(9999), N(to), N(12), N(0)],
                t::SYSCALL_COPY_FILE_RANGE_X,
                vec![
                    ("res", Num(EBADF)),
                    ("fdin", Num(9998)),
                    ("offin", Num(5)),
                    ("fdout", Num(9999)),
                    ("offout", Num(6)),
                    ("len", Num(12)),
                ],
            ),
            case(libc::SYS_flock, vec![N(9999), N(6)], t::SYSCALL_FLOCK_X, vec![("fd", Num(9999))]),
            case(libc::SYS_dup3, vec![N(9998), N(9999), N(0)], t::SYSCALL_DUP3_X, vec![("res", Num(EBADF))]),
            case(
                libc::SYS_setresuid,
                vec![N(-1), N(-1), N(-1)],
                t::SYSCALL_SETRESUID_X,
                vec![("euid", Num(0xffff_ffff))],
            ),
            case(
                libc::SYS_setresgid,
                vec![N(-1), N(-1), N(-1)],
                t::SYSCALL_SETRESGID_X,
                vec![("rgid", Num(0xffff_ffff)), ("sgid", Num(0xffff_ffff))],
            ),
            case(
                libc::SYS_setreuid,
                vec![N(-1), N(-1)],
                t::SYSCALL_SETREUID_X,
                vec![("ruid", Num(0xffff_ffff))],
            ),
            case(
                libc::SYS_setregid,
                vec![N(-1), N(-1)],
                t::SYSCALL_SETREGID_X,
                vec![("egid", Num(0xffff_ffff))],
            ),
            case(libc::SYS_getuid, vec![], t::SYSCALL_GETUID_X, vec![("uid", Result)]),
            case(libc::SYS_geteuid, vec![], t::SYSCALL_GETEUID_X, vec![("euid", Result)]),
            case(libc::SYS_getgid, vec![], t::SYSCALL_GETGID_X, vec![("gid", Result)]),
            case(libc::SYS_getegid, vec![], t::SYSCALL_GETEGID_X, vec![("egid", Result)]),
            case(
                libc::SYS_getresuid,
                vec![N(r), N(e), N(s)],
                t::SYSCALL_GETRESUID_X,
                vec![("res", Num(0)), ("ruid", Num(uid())), ("euid", Num(uid())), ("suid", Num(uid()))],
            ),
            case(
                libc::SYS_getresgid,
                vec![N(r), N(e), N(s)],
                t::SYSCALL_GETRESGID_X,
                vec![("res", Num(0)), ("rgid", Num(gid())), ("egid", Num(gid())), ("sgid", Num(gid()))],
            ),
            case(
                libc::SYS_getdents64,
                vec![N(9999), N(8), N(9)],
                t::SYSCALL_GETDENTS64_X,
                vec![("res", Num(EBADF)), ("fd", Num(9999))],
            ),
            case(
                libc::SYS_seccomp,
                vec![N(99), N(7), N(0)],
                t::SYSCALL_SECCOMP_X,
                vec![("res", Num(-22)), ("op", Num(99)), ("flags", Num(7))],
            ),
            case(
                libc::SYS_userfaultfd,
                vec![N(0o2000000)],
                t::SYSCALL_USERFAULTFD_X,
                vec![("res", Result), ("flags", Num(flag(t::SYSCALL_USERFAULTFD_X, "flags", "O_CLOEXEC")))],
            ),
            case(
                libc::SYS_signalfd4,
                vec![N(-1), N(8), N(8), N(0)],
                t::SYSCALL_SIGNALFD4_X,
                vec![("mask", Num(0))],
            ),
            case(
                libc::SYS_pidfd_getfd,
                vec![N(9998), N(9999), N(3)],
                t::SYSCALL_PIDFD_GETFD_X,
                vec![("flags", Num(3))],
            ),
            case(libc::SYS_capset, vec![N(8), N(8)], t::SYSCALL_CAPSET_X, vec![("cap_inheritable", Num(0))]),
            // of what failed nothing is shown
            case(
                libc::SYS_ptrace,
                vec![N(16), N(99_999_999), N(5), N(6)],
                t::SYSCALL_PTRACE_X,
                vec![("addr", crate::Want::Bytes(vec![0; 9])), ("data", crate::Want::Bytes(vec![0; 9]))],
            ),
        ],
    );
}

fn uid() -> i64 {
    call(libc::SYS_getuid, &[])
}

fn gid() -> i64 {
    call(libc::SYS_getgid, &[])
}

fn memory(seen: &mut Seen) {
    let top = call(libc::SYS_brk, &[N(0)]);
    check(
        seen,
        &[
            case(
                libc::SYS_brk,
                vec![N(8)],
                t::SYSCALL_BRK_4_X,
                vec![
                    ("res", Num(top)),
                    ("vm_size", Something),
                    ("vm_rss", Something),
                    ("vm_swap", Num(0)),
                    ("addr", Num(8)),
                ],
            ),
            case(
                libc::SYS_mmap,
                vec![N(0x7000), N(0), N(0), N(2), N(9999), N(0x3000)],
                t::SYSCALL_MMAP_X,
                vec![
                    ("res", Result),
                    ("vm_rss", Something),
                    ("vm_swap", Num(0)),
                    ("addr", Num(0x7000)),
                    ("fd", Num(9999)),
                    ("offset", Num(0x3000)),
                ],
            ),
            case(
                libc::SYS_munmap,
                vec![N(1), N(4096)],
                t::SYSCALL_MUNMAP_X,
                vec![
                    ("vm_size", Something),
                    ("vm_rss", Something),
                    ("vm_swap", Num(0)),
                    ("length", Num(4096)),
                ],
            ),
            case(
                libc::SYS_mprotect,
                vec![N(1), N(4096), N(1)],
                t::SYSCALL_MPROTECT_X,
                vec![("res", Num(-22)), ("length", Num(4096))],
            ),
            case(
                libc::SYS_mlock,
                vec![N(0x1000), N(1)],
                t::SYSCALL_MLOCK_X,
                vec![("res", Result), ("addr", Num(0x1000)), ("len", Num(1))],
            ),
            case(
                libc::SYS_munlock,
                vec![N(0x1000), N(1)],
                t::SYSCALL_MUNLOCK_X,
                vec![("res", Result), ("addr", Num(0x1000)), ("len", Num(1))],
            ),
            case(
                libc::SYS_mlock2,
                vec![N(0x1000), N(1), N(1)],
                t::SYSCALL_MLOCK2_X,
                vec![
                    ("res", Result),
                    ("addr", Num(0x1000)),
                    ("len", Num(1)),
                    ("flags", Num(flag(t::SYSCALL_MLOCK2_X, "flags", "MLOCK_ONFAULT"))),
                ],
            ),
            case(
                libc::SYS_mlockall,
                vec![N(0)],
                t::SYSCALL_MLOCKALL_X,
                vec![("res", Num(-22)), ("flags", Num(0))],
            ),
            case(libc::SYS_munlockall, vec![], t::SYSCALL_MUNLOCKALL_X, vec![("res", Num(0))]),
        ],
    );
}

fn rings(seen: &mut Seen) {
    let mut parameters = [0u32; 30];
    (parameters[2], parameters[3], parameters[4]) = (8, 0, 7);
    let at = parameters.as_mut_ptr() as i64;
    // a number of entries that no ring may have; its parameters are shown as they were asked for
    check(
        seen,
        &[
            case(
                libc::SYS_io_uring_setup,
                vec![N(0), N(at)],
                t::SYSCALL_IO_URING_SETUP_X,
                vec![
                    ("res", Result),
                    ("entries", Num(0)),
                    ("sq_entries", Num(0)),
                    ("cq_entries", Num(0)),
                    ("flags", Num(flag(t::SYSCALL_IO_URING_SETUP_X, "flags", "IORING_SETUP_CQSIZE"))),
                    ("sq_thread_cpu", Num(0)),
                    ("sq_thread_idle", Num(7)),
                    ("features", Num(0)),
                ],
            ),
            case(
                libc::SYS_io_uring_enter,
                vec![N(9999), N(1), N(2), N(1), N(0)],
                t::SYSCALL_IO_URING_ENTER_X,
                vec![
                    ("res", Num(EBADF)),
                    ("fd", Num(9999)),
                    ("to_submit", Num(1)),
                    ("min_complete", Num(2)),
                    ("flags", Num(flag(t::SYSCALL_IO_URING_ENTER_X, "flags", "IORING_ENTER_GETEVENTS"))),
                    ("sig", Num(0)),
                ],
            ),
            case(
                libc::SYS_io_uring_register,
                vec![N(9999), N(5), N(8), N(7)],
                t::SYSCALL_IO_URING_REGISTER_X,
                vec![
                    ("res", Num(EBADF)),
                    ("fd", Num(9999)),
                    (
                        "opcode",
                        Num(flag(t::SYSCALL_IO_URING_REGISTER_X, "opcode", "IORING_UNREGISTER_EVENTFD")),
                    ),
                    ("arg", Num(8)),
                    ("nr_args", Num(7)),
                ],
            ),
        ],
    );
}

/// Calls that only x86 has.
#[cfg(target_arch = "x86_64")]
fn old_ways(seen: &mut Seen) {
    use crate::check_one;
    use crate::support::call::{Low, call32};
    use std::os::unix::fs::MetadataExt as _;
    let path = format!("/tmp/lanner-probe-made-{}\0", std::process::id());
    let hostname = std::fs::metadata("/etc/hostname").unwrap();
    check_one(seen, t::SYSCALL_CREAT_X, || {
        let fd = call(libc::SYS_creat, &[P(path.as_bytes()), N(0o600)]);
        let made = std::fs::metadata(path.trim_end_matches('\0')).unwrap();
        std::fs::remove_file(path.trim_end_matches('\0')).unwrap();
        let (dev, ino) = (Num(made.dev() as i64), Num(made.ino() as i64));
        (fd, vec![("fd", Result), ("dev", dev), ("ino", ino), ("creat_flags", Num(0))])
    });
    check_one(seen, t::SYSCALL_PIPE_X, || {
        let mut ends = [0i32; 2];
        let result = call(libc::SYS_pipe, &[N(ends.as_mut_ptr() as i64)]);
        let inode = std::fs::metadata(format!("/proc/self/fd/{}", ends[0])).unwrap().ino();
        let want = vec![
            ("res", Num(0)),
            ("fd1", Num(ends[0].into())),
            ("fd2", Num(ends[1].into())),
            ("ino", Num(inode as i64)),
        ];
        (result, want)
    });
    check_one(seen, t::SYSCALL_UMOUNT_1_X, || {
        let name = Low::new(NONE);
        (call32(22, [name.at(), 0, 0, 0]).into(), vec![("res", Num(ENOENT)), ("name", Text(NONE_TEXT))])
    });
    check(
        seen,
        &[
            case(
                libc::SYS_open,
                vec![P(b"/etc/hostname\0"), N(0), N(0)],
                t::SYSCALL_OPEN_X,
                vec![("name", Text("/etc/hostname")), ("dev", Num(hostname.dev() as i64))],
            ),
            case(
                libc::SYS_stat,
                vec![P(NONE), N(8)],
                t::SYSCALL_STAT_X,
                vec![("res", Num(ENOENT)), ("path", Text(NONE_TEXT))],
            ),
            case(
                libc::SYS_lstat,
                vec![P(NONE), N(8)],
                t::SYSCALL_LSTAT_X,
                vec![("res", Num(ENOENT)), ("path", Text(NONE_TEXT))],
            ),
            case(
                libc::SYS_eventfd,
                vec![N(7)],
                t::SYSCALL_EVENTFD_X,
                vec![("res", Result), ("initval", Num(7)), ("flags", Num(0))],
            ),
            case(
                libc::SYS_signalfd,
                vec![N(9999), N(8), N(8)],
                t::SYSCALL_SIGNALFD_X,
                vec![("res", Result), ("fd", Num(9999)), ("mask", Num(0)), ("flags", Num(0))],
            ),
            case(
                libc::SYS_inotify_init,
                vec![],
                t::SYSCALL_INOTIFY_INIT_X,
                vec![("res", Result), ("flags", Num(0))],
            ),
            case(
                libc::SYS_epoll_create,
                vec![N(0)],
                t::SYSCALL_EPOLL_CREATE_X,
                vec![("res", Num(-22)), ("size", Num(0))],
            ),
            case(
                libc::SYS_getdents,
                vec![N(9999), N(8), N(9)],
                t::SYSCALL_GETDENTS_X,
                vec![("res", Num(EBADF)), ("fd", Num(9999))],
            ),
            case(
                libc::SYS_symlink,
                vec![P(OTHER), P(b"/proc/none/x\0")],
                t::SYSCALL_SYMLINK_X,
                vec![("res", Num(ENOENT))],
            ),
            case(libc::SYS_access, vec![P(NONE), N(0)], t::SYSCALL_ACCESS_X, vec![("name", Text(NONE_TEXT))]),
            case(libc::SYS_rmdir, vec![P(NONE)], t::SYSCALL_RMDIR_2_X, vec![("path", Text(NONE_TEXT))]),
            case(libc::SYS_unlink, vec![P(NONE)], t::SYSCALL_UNLINK_2_X, vec![("path", Text(NONE_TEXT))]),
            case(libc::SYS_link, vec![P(NONE), P(OTHER)], t::SYSCALL_LINK_2_X, vec![("res", Num(ENOENT))]),
            case(
                libc::SYS_chmod,
                vec![P(NONE), N(0)],
                t::SYSCALL_CHMOD_X,
                vec![("filename", Text(NONE_TEXT))],
            ),
            case(
                libc::SYS_chown,
                vec![P(NONE), N(1), N(2)],
                t::SYSCALL_CHOWN_X,
                vec![("res", Num(ENOENT)), ("path", Text(NONE_TEXT))],
            ),
            case(
                libc::SYS_lchown,
                vec![P(NONE), N(1), N(2)],
                t::SYSCALL_LCHOWN_X,
                vec![("res", Num(ENOENT)), ("uid", Num(1)), ("gid", Num(2))],
            ),
            case(
                libc::SYS_mknod,
                vec![P(b"/proc/none/x\0"), N(0o600), N(0)],
                t::SYSCALL_MKNOD_X,
                vec![("res", Num(ENOENT)), ("path", Text("/proc/none/x"))],
            ),
        ],
    );
}
