//! Every system call with known arguments, made for real, must come as its event with these very parameters.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use lanner_event::{EventType, types as t};
use support::call::{Arg, Arg::N, Arg::P, call};
use support::{flag, number, text, watch};

/// What a parameter must be.
enum Want {
    Num(i64),
    Text(&'static str),
    /// No bytes: the kernel had nothing.
    Nothing,
    /// The call's own result.
    Result,
    /// Any number but zero.
    Something,
}
use Want::{Nothing, Num, Result, Something, Text};

/// A call and what must come of it.
struct Case<'a> {
    number: libc::c_long,
    args: Vec<Arg<'a>>,
    event: EventType,
    want: Vec<(&'static str, Want)>,
}

fn case<'a>(
    number: libc::c_long,
    args: Vec<Arg<'a>>,
    event: EventType,
    want: Vec<(&'static str, Want)>,
) -> Case<'a> {
    Case { number, args, event, want }
}

/// Makes the calls and compares.
fn check(cases: &[Case<'_>]) {
    let types: Vec<EventType> = cases.iter().map(|c| c.event).collect();
    let Some(mut watch) = watch(&types) else { return };
    let results: Vec<i64> = cases.iter().map(|c| call(c.number, &c.args)).collect();
    let events = watch.own(cases.len());
    let found: Vec<&str> = events.iter().map(|e| e.event().unwrap().info.symbol).collect();
    let wanted: Vec<&str> = types.iter().map(|ty| ty.info().unwrap().symbol).collect();
    assert_eq!(found, wanted);
    for ((case, event), result) in cases.iter().zip(&events).zip(results) {
        let event = event.event().unwrap();
        assert_eq!(event.param_count(), event.info.params.len());
        for (name, want) in &case.want {
            let place = format!("{} {name} ({event:?})", event.info.symbol);
            match want {
                Num(n) => assert_eq!(number(&event, name), Some(*n), "{place}"),
                Text(s) => assert_eq!(text(&event, name).as_deref(), Some(*s), "{place}"),
                Nothing => assert_eq!(support::bytes(&event, name), b"", "{place}"),
                Result => assert_eq!(number(&event, name), Some(result), "{place}"),
                Something => assert_ne!(number(&event, name), Some(0), "{place}"),
            }
        }
        assert!(event.ts > 1_600_000_000_000_000_000, "{}", event.ts);
    }
}

const DIR: &[u8] = b"/tmp/lanner-probe-test-none/\0";
const NONE: &[u8] = b"/tmp/lanner-probe-test-none\0";
const OTHER: &[u8] = b"lanner-probe-test-other\0";
const NONE_TEXT: &str = "/tmp/lanner-probe-test-none";
const OTHER_TEXT: &str = "lanner-probe-test-other";
const CWD: i64 = -100;
const ENOENT: i64 = -2;
const EBADF: i64 = -9;

#[test]
fn opening_files() {
    let open = |name| flag(t::SYSCALL_OPENAT_2_X, "flags", name);
    let how: Vec<u8> =
        [u64::from(libc::O_PATH as u32), 0, 4].into_iter().flat_map(u64::to_ne_bytes).collect();
    check(&[
        case(
            libc::SYS_openat,
            vec![N(CWD), P(b"/etc/hostname\0"), N(0o2000000)],
            t::SYSCALL_OPENAT_2_X,
            vec![
                ("fd", Result),
                ("dirfd", Num(CWD)),
                ("name", Text("/etc/hostname")),
                ("flags", Num(open("O_RDONLY") | open("O_CLOEXEC"))),
                ("mode", Num(0)),
                ("dev", Something),
                ("ino", Something),
            ],
        ),
        case(
            libc::SYS_openat,
            vec![N(9999), P(OTHER), N(0o1 | 0o100 | 0o200), N(0o640)],
            t::SYSCALL_OPENAT_2_X,
            vec![
                ("fd", Num(EBADF)),
                ("dirfd", Num(9999)),
                ("name", Text(OTHER_TEXT)),
                ("flags", Num(open("O_WRONLY") | open("O_CREAT") | open("O_EXCL"))),
                ("mode", Num(0o640)),
                ("dev", Num(0)),
                ("ino", Num(0)),
            ],
        ),
        case(
            libc::SYS_openat,
            vec![N(CWD), N(8), N(0)],
            t::SYSCALL_OPENAT_2_X,
            vec![("fd", Num(-14)), ("name", Nothing)],
        ),
        case(
            libc::SYS_openat2,
            vec![N(CWD), P(NONE), P(&how), N(24)],
            t::SYSCALL_OPENAT2_X,
            vec![
                ("fd", Num(ENOENT)),
                ("name", Text(NONE_TEXT)),
                ("flags", Num(open("O_RDONLY"))),
                ("resolve", Num(flag(t::SYSCALL_OPENAT2_X, "resolve", "RESOLVE_NO_SYMLINKS"))),
            ],
        ),
        case(
            libc::SYS_open_by_handle_at,
            vec![N(99), P(&[0; 16]), N(0o2)],
            t::SYSCALL_OPEN_BY_HANDLE_AT_X,
            vec![("fd", Result), ("mountfd", Num(99)), ("flags", Num(open("O_RDWR"))), ("path", Nothing)],
        ),
    ]);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn opening_files_the_old_way() {
    let open = |name| flag(t::SYSCALL_OPEN_X, "flags", name);
    let path = format!("/tmp/lanner-probe-created-{}\0", std::process::id());
    check(&[
        case(
            libc::SYS_open,
            vec![P(path.as_bytes()), N(0o1 | 0o100), N(0o600)],
            t::SYSCALL_OPEN_X,
            vec![
                ("fd", Result),
                ("flags", Num(open("O_WRONLY") | open("O_CREAT") | open("O_F_CREATED"))),
                ("mode", Num(0o600)),
                ("ino", Something),
            ],
        ),
        case(
            libc::SYS_open,
            vec![P(path.as_bytes()), N(0o1 | 0o100), N(0o600)],
            t::SYSCALL_OPEN_X,
            vec![("flags", Num(open("O_WRONLY") | open("O_CREAT")))],
        ),
        case(
            libc::SYS_creat,
            vec![P(NONE), N(0o2000)],
            t::SYSCALL_CREAT_X,
            vec![("mode", Num(0o2000)), ("name", Text(NONE_TEXT))],
        ),
        case(libc::SYS_unlink, vec![P(NONE)], t::SYSCALL_UNLINK_2_X, vec![("res", Num(0))]),
        case(libc::SYS_unlink, vec![P(path.as_bytes())], t::SYSCALL_UNLINK_2_X, vec![("res", Num(0))]),
        case(
            libc::SYS_rename,
            vec![P(NONE), P(OTHER)],
            t::SYSCALL_RENAME_X,
            vec![("res", Result), ("oldpath", Text(NONE_TEXT)), ("newpath", Text(OTHER_TEXT))],
        ),
        case(
            libc::SYS_mkdir,
            vec![P(DIR), N(0o755)],
            t::SYSCALL_MKDIR_2_X,
            vec![("res", Num(0)), ("path", Text("/tmp/lanner-probe-test-none/")), ("mode", Num(0o755))],
        ),
        case(libc::SYS_rmdir, vec![P(DIR)], t::SYSCALL_RMDIR_2_X, vec![("res", Num(0))]),
        case(
            libc::SYS_link,
            vec![P(NONE), P(OTHER)],
            t::SYSCALL_LINK_2_X,
            vec![("oldpath", Text(NONE_TEXT)), ("newpath", Text(OTHER_TEXT))],
        ),
        case(
            libc::SYS_symlink,
            vec![P(OTHER), P(b"/proc/none/x\0")],
            t::SYSCALL_SYMLINK_X,
            vec![("target", Text(OTHER_TEXT)), ("linkpath", Text("/proc/none/x"))],
        ),
        case(
            libc::SYS_chmod,
            vec![P(NONE), N(0o4755)],
            t::SYSCALL_CHMOD_X,
            vec![("res", Num(ENOENT)), ("mode", Num(0o4755))],
        ),
        case(
            libc::SYS_chown,
            vec![P(NONE), N(1), N(2)],
            t::SYSCALL_CHOWN_X,
            vec![("uid", Num(1)), ("gid", Num(2))],
        ),
        case(
            libc::SYS_lchown,
            vec![P(NONE), N(1), N(2)],
            t::SYSCALL_LCHOWN_X,
            vec![("path", Text(NONE_TEXT))],
        ),
        case(
            libc::SYS_mknod,
            vec![P(b"/proc/none/x\0"), N(0o20666), N(0x103)],
            t::SYSCALL_MKNOD_X,
            vec![("mode", Num(0o20666)), ("dev", Num(0x103))],
        ),
        case(
            libc::SYS_access,
            vec![P(NONE), N(4)],
            t::SYSCALL_ACCESS_X,
            vec![("res", Num(ENOENT)), ("mode", Num(4))],
        ),
        case(
            libc::SYS_dup2,
            vec![N(98), N(99)],
            t::SYSCALL_DUP2_X,
            vec![("res", Num(EBADF)), ("oldfd", Num(98)), ("newfd", Num(99))],
        ),
    ]);
}

#[test]
fn names_relative_to_directories() {
    check(&[
        case(
            libc::SYS_renameat2,
            vec![N(97), P(NONE), N(98), P(OTHER), N(1)],
            t::SYSCALL_RENAMEAT2_X,
            vec![
                ("res", Num(EBADF)),
                ("olddirfd", Num(97)),
                ("oldpath", Text(NONE_TEXT)),
                ("newdirfd", Num(98)),
                ("newpath", Text(OTHER_TEXT)),
                ("flags", Num(1)),
            ],
        ),
        case(
            libc::SYS_renameat,
            vec![N(CWD), P(NONE), N(98), P(b"/\0")],
            t::SYSCALL_RENAMEAT_X,
            vec![("olddirfd", Num(CWD)), ("newpath", Text("/"))],
        ),
        case(
            libc::SYS_unlinkat,
            vec![N(CWD), P(NONE), N(0x200)],
            t::SYSCALL_UNLINKAT_2_X,
            vec![
                ("res", Num(ENOENT)),
                ("dirfd", Num(CWD)),
                ("name", Text(NONE_TEXT)),
                ("flags", Num(flag(t::SYSCALL_UNLINKAT_2_X, "flags", "AT_REMOVEDIR"))),
            ],
        ),
        case(
            libc::SYS_mkdirat,
            vec![N(99), P(OTHER), N(0o700)],
            t::SYSCALL_MKDIRAT_X,
            vec![("res", Num(EBADF)), ("path", Text(OTHER_TEXT)), ("mode", Num(0o700))],
        ),
        case(
            libc::SYS_linkat,
            vec![N(CWD), P(NONE), N(CWD), P(OTHER), N(0x400)],
            t::SYSCALL_LINKAT_2_X,
            vec![
                ("res", Num(ENOENT)),
                ("newpath", Text(OTHER_TEXT)),
                ("flags", Num(flag(t::SYSCALL_LINKAT_2_X, "flags", "AT_SYMLINK_FOLLOW"))),
            ],
        ),
        case(
            libc::SYS_symlinkat,
            vec![P(OTHER), N(99), P(b"x\0")],
            t::SYSCALL_SYMLINKAT_X,
            vec![("target", Text(OTHER_TEXT)), ("linkdirfd", Num(99)), ("linkpath", Text("x"))],
        ),
        case(
            libc::SYS_fchmodat,
            vec![N(CWD), P(NONE), N(0o1777)],
            t::SYSCALL_FCHMODAT_X,
            vec![("filename", Text(NONE_TEXT)), ("mode", Num(0o1777))],
        ),
        case(
            libc::SYS_fchmod,
            vec![N(99), N(0o600)],
            t::SYSCALL_FCHMOD_X,
            vec![("fd", Num(99)), ("mode", Num(0o600))],
        ),
        case(
            libc::SYS_fchown,
            vec![N(99), N(3), N(4)],
            t::SYSCALL_FCHOWN_X,
            vec![("fd", Num(99)), ("uid", Num(3)), ("gid", Num(4))],
        ),
        case(
            libc::SYS_fchownat,
            vec![N(CWD), P(NONE), N(3), N(4), N(0x100)],
            t::SYSCALL_FCHOWNAT_X,
            vec![
                ("pathname", Text(NONE_TEXT)),
                ("flags", Num(flag(t::SYSCALL_FCHOWNAT_X, "flags", "AT_SYMLINK_NOFOLLOW"))),
            ],
        ),
        case(
            libc::SYS_mknodat,
            vec![N(99), P(OTHER), N(0o10644), N(0)],
            t::SYSCALL_MKNODAT_X,
            vec![("dirfd", Num(99)), ("mode", Num(0o10644))],
        ),
        case(
            libc::SYS_chdir,
            vec![P(NONE)],
            t::SYSCALL_CHDIR_X,
            vec![("res", Num(ENOENT)), ("path", Text(NONE_TEXT))],
        ),
        case(libc::SYS_fchdir, vec![N(99)], t::SYSCALL_FCHDIR_X, vec![("res", Num(EBADF)), ("fd", Num(99))]),
        case(libc::SYS_chroot, vec![P(NONE)], t::SYSCALL_CHROOT_X, vec![("path", Text(NONE_TEXT))]),
        case(
            libc::SYS_mount,
            vec![P(b"src\0"), P(NONE), P(b"ext4\0"), N(0xc0ed_0001), N(0)],
            t::SYSCALL_MOUNT_X,
            vec![("dev", Text("src")), ("dir", Text(NONE_TEXT)), ("type", Text("ext4")), ("flags", Num(1))],
        ),
        case(
            libc::SYS_umount2,
            vec![P(NONE), N(2)],
            t::SYSCALL_UMOUNT2_X,
            vec![("name", Text(NONE_TEXT)), ("flags", Num(2))],
        ),
    ]);
}

#[test]
fn descriptors() {
    let cloexec = flag(t::SYSCALL_DUP3_X, "flags", "O_CLOEXEC");
    let nonblock = flag(t::SYSCALL_DUP3_X, "flags", "O_NONBLOCK");
    check(&[
        case(
            libc::SYS_close,
            vec![N(12345)],
            t::SYSCALL_CLOSE_X,
            vec![("res", Num(EBADF)), ("fd", Num(12345))],
        ),
        case(libc::SYS_close, vec![N(-1)], t::SYSCALL_CLOSE_X, vec![("fd", Num(-1))]),
        case(
            libc::SYS_close_range,
            vec![N(9000), N(9001), N(4)],
            t::SYSCALL_CLOSE_RANGE_X,
            vec![("res", Num(0)), ("first", Num(9000)), ("last", Num(9001)), ("flags", Num(4))],
        ),
        case(
            libc::SYS_dup,
            vec![N(9999)],
            t::SYSCALL_DUP_1_X,
            vec![("res", Num(EBADF)), ("oldfd", Num(9999))],
        ),
        case(
            libc::SYS_dup3,
            vec![N(9998), N(9999), N(0o2000000)],
            t::SYSCALL_DUP3_X,
            vec![("oldfd", Num(9998)), ("newfd", Num(9999)), ("flags", Num(cloexec))],
        ),
        case(
            libc::SYS_fcntl,
            vec![N(9999), N(1030), N(5)],
            t::SYSCALL_FCNTL_X,
            vec![
                ("res", Num(EBADF)),
                ("cmd", Num(flag(t::SYSCALL_FCNTL_X, "cmd", "F_DUPFD_CLOEXEC"))),
                ("arg", Num(5)),
            ],
        ),
        case(libc::SYS_fcntl, vec![N(9999), N(4711), N(5)], t::SYSCALL_FCNTL_X, vec![("cmd", Num(0))]),
        case(
            libc::SYS_pipe2,
            vec![N(8), N(0o4000)],
            t::SYSCALL_PIPE2_X,
            vec![
                ("res", Num(-14)),
                ("fd1", Num(-1)),
                ("fd2", Num(-1)),
                ("ino", Num(0)),
                ("flags", Num(nonblock)),
            ],
        ),
        case(
            libc::SYS_eventfd2,
            vec![N(7), N(0o2000000)],
            t::SYSCALL_EVENTFD2_X,
            vec![("res", Result), ("initval", Num(7)), ("flags", Num(cloexec))],
        ),
        case(
            libc::SYS_epoll_create1,
            vec![N(0o2000000)],
            t::SYSCALL_EPOLL_CREATE1_X,
            vec![("res", Result), ("flags", Num(1))],
        ),
        case(
            libc::SYS_inotify_init1,
            vec![N(0o4000)],
            t::SYSCALL_INOTIFY_INIT1_X,
            vec![("res", Result), ("flags", Num(nonblock))],
        ),
        case(
            libc::SYS_timerfd_create,
            vec![N(1), N(0)],
            t::SYSCALL_TIMERFD_CREATE_X,
            vec![("res", Result), ("clockid", Num(1))],
        ),
        case(
            libc::SYS_signalfd4,
            vec![N(-1), P(&[0; 8]), N(8), N(0o2000000)],
            t::SYSCALL_SIGNALFD4_X,
            vec![("res", Result), ("fd", Num(-1)), ("flags", Num(cloexec))],
        ),
        case(
            libc::SYS_memfd_create,
            vec![P(OTHER), N(1)],
            t::SYSCALL_MEMFD_CREATE_X,
            vec![("fd", Result), ("name", Text(OTHER_TEXT)), ("flags", Num(1))],
        ),
        case(
            libc::SYS_pidfd_open,
            vec![N(1), N(0o4000)],
            t::SYSCALL_PIDFD_OPEN_X,
            vec![("fd", Result), ("pid", Num(1)), ("flags", Num(1))],
        ),
        case(
            libc::SYS_pidfd_getfd,
            vec![N(9998), N(9999), N(0)],
            t::SYSCALL_PIDFD_GETFD_X,
            vec![("fd", Num(EBADF)), ("pid_fd", Num(9998)), ("target_fd", Num(9999))],
        ),
        case(
            libc::SYS_io_uring_setup,
            vec![N(3), N(8)],
            t::SYSCALL_IO_URING_SETUP_X,
            vec![("res", Result), ("entries", Num(3))],
        ),
        case(libc::SYS_userfaultfd, vec![N(0x7fff_0000)], t::SYSCALL_USERFAULTFD_X, vec![("res", Result)]),
        case(
            libc::SYS_bpf,
            vec![N(7), N(0), N(0)],
            t::SYSCALL_BPF_2_X,
            vec![("fd", Result), ("cmd", Num(flag(t::SYSCALL_BPF_2_X, "cmd", "BPF_OBJ_GET")))],
        ),
        case(
            libc::SYS_fstat,
            vec![N(9999), N(8)],
            t::SYSCALL_FSTAT_X,
            vec![("res", Num(EBADF)), ("fd", Num(9999))],
        ),
        case(
            libc::SYS_read,
            vec![N(9999), N(8), N(30)],
            t::SYSCALL_READ_X,
            vec![("res", Num(EBADF)), ("data", Nothing), ("fd", Num(9999)), ("size", Num(30))],
        ),
        case(
            libc::SYS_write,
            vec![N(9999), P(b"hello\0"), N(6)],
            t::SYSCALL_WRITE_X,
            vec![("data", Text("hello")), ("size", Num(6))],
        ),
    ]);
}

#[test]
fn users_and_processes() {
    let clone = |name| flag(t::SYSCALL_UNSHARE_X, "flags", name);
    check(&[
        case(
            libc::SYS_setuid,
            vec![N(0xffff_ffff)],
            t::SYSCALL_SETUID_X,
            vec![("res", Num(-22)), ("uid", Num(0xffff_ffff))],
        ),
        case(
            libc::SYS_setgid,
            vec![N(0xffff_ffff)],
            t::SYSCALL_SETGID_X,
            vec![("res", Num(-22)), ("gid", Num(0xffff_ffff))],
        ),
        case(
            libc::SYS_setresuid,
            vec![N(-1), N(-1), N(-1)],
            t::SYSCALL_SETRESUID_X,
            vec![("res", Num(0)), ("ruid", Num(0xffff_ffff)), ("suid", Num(0xffff_ffff))],
        ),
        case(
            libc::SYS_setresgid,
            vec![N(-1), N(-1), N(-1)],
            t::SYSCALL_SETRESGID_X,
            vec![("res", Num(0)), ("egid", Num(0xffff_ffff))],
        ),
        case(
            libc::SYS_setreuid,
            vec![N(-1), N(-1)],
            t::SYSCALL_SETREUID_X,
            vec![("res", Num(0)), ("euid", Num(0xffff_ffff))],
        ),
        case(
            libc::SYS_setregid,
            vec![N(-1), N(-1)],
            t::SYSCALL_SETREGID_X,
            vec![("res", Num(0)), ("rgid", Num(0xffff_ffff))],
        ),
        case(
            libc::SYS_capset,
            vec![N(8), N(8)],
            t::SYSCALL_CAPSET_X,
            vec![("res", Num(-14)), ("cap_effective", Something), ("cap_permitted", Something)],
        ),
        case(
            libc::SYS_setpgid,
            vec![N(99_999_999), N(3)],
            t::SYSCALL_SETPGID_X,
            vec![("res", Num(-3)), ("pid", Num(99_999_999)), ("pgid", Num(3))],
        ),
        case(libc::SYS_setsid, vec![], t::SYSCALL_SETSID_X, vec![("res", Result)]),
        case(
            libc::SYS_kill,
            vec![N(99_999_999), N(9)],
            t::SYSCALL_KILL_X,
            vec![("res", Num(-3)), ("pid", Num(99_999_999)), ("sig", Num(9))],
        ),
        case(
            libc::SYS_tkill,
            vec![N(99_999_999), N(10)],
            t::SYSCALL_TKILL_X,
            vec![("tid", Num(99_999_999)), ("sig", Num(10))],
        ),
        case(
            libc::SYS_tgkill,
            vec![N(99_999_998), N(99_999_999), N(11)],
            t::SYSCALL_TGKILL_X,
            vec![("pid", Num(99_999_998)), ("tid", Num(99_999_999)), ("sig", Num(11))],
        ),
        case(
            libc::SYS_prctl,
            vec![N(15), P(b"lanner-test\0")],
            t::SYSCALL_PRCTL_X,
            vec![
                ("res", Num(0)),
                ("option", Num(15)),
                ("arg2_str", Text("lanner-test")),
                ("arg2_int", Num(0)),
            ],
        ),
        case(
            libc::SYS_prctl,
            vec![N(3)],
            t::SYSCALL_PRCTL_X,
            vec![("option", Num(3)), ("arg2_str", Nothing), ("arg2_int", Num(0))],
        ),
        case(
            libc::SYS_setns,
            vec![N(9999), N(0x4000_0000)],
            t::SYSCALL_SETNS_X,
            vec![("res", Num(EBADF)), ("fd", Num(9999)), ("nstype", Num(clone("CLONE_NEWNET")))],
        ),
        // a new user namespace is refused to a process with threads
        case(
            libc::SYS_unshare,
            vec![N(0x1000_0000 | 0x4000_0000)],
            t::SYSCALL_UNSHARE_X,
            vec![("res", Num(-22)), ("flags", Num(clone("CLONE_NEWUSER") | clone("CLONE_NEWNET")))],
        ),
        case(
            libc::SYS_ptrace,
            vec![N(16), N(99_999_999), N(5), N(6)],
            t::SYSCALL_PTRACE_X,
            vec![
                ("res", Num(-3)),
                ("request", Num(flag(t::SYSCALL_PTRACE_X, "request", "PTRACE_ATTACH"))),
                ("pid", Num(99_999_999)),
            ],
        ),
        case(
            libc::SYS_init_module,
            vec![P(b"no module\0"), N(9), P(b"a=1\0")],
            t::SYSCALL_INIT_MODULE_X,
            vec![("res", Result), ("img", Text("no module")), ("length", Num(9)), ("uargs", Text("a=1"))],
        ),
        case(
            libc::SYS_finit_module,
            vec![N(9999), P(b"b=2\0"), N(4)],
            t::SYSCALL_FINIT_MODULE_X,
            vec![("res", Result), ("fd", Num(9999)), ("uargs", Text("b=2")), ("flags", Num(4))],
        ),
        case(
            libc::SYS_delete_module,
            vec![P(OTHER), N(0o4000)],
            t::SYSCALL_DELETE_MODULE_X,
            vec![
                ("res", Result),
                ("name", Text(OTHER_TEXT)),
                ("flags", Num(flag(t::SYSCALL_DELETE_MODULE_X, "flags", "O_NONBLOCK"))),
            ],
        ),
    ]);
}

#[test]
fn memory_and_moving_data() {
    let prot = |name| flag(t::SYSCALL_MPROTECT_X, "prot", name);
    check(&[
        case(
            libc::SYS_mmap,
            vec![N(0), N(4096), N(3), N(0x22), N(-1), N(0)],
            t::SYSCALL_MMAP_X,
            vec![
                ("res", Result),
                ("vm_size", Something),
                ("length", Num(4096)),
                ("prot", Num(prot("PROT_READ") | prot("PROT_WRITE"))),
                (
                    "flags",
                    Num(flag(t::SYSCALL_MMAP_X, "flags", "MAP_PRIVATE")
                        | flag(t::SYSCALL_MMAP_X, "flags", "MAP_ANONYMOUS")),
                ),
                ("fd", Num(-1)),
            ],
        ),
        case(
            libc::SYS_munmap,
            vec![N(1), N(4096)],
            t::SYSCALL_MUNMAP_X,
            vec![("res", Num(-22)), ("addr", Num(1))],
        ),
        case(
            libc::SYS_mprotect,
            vec![N(4096), N(0), N(4)],
            t::SYSCALL_MPROTECT_X,
            vec![("prot", Num(prot("PROT_EXEC"))), ("addr", Num(4096))],
        ),
        case(
            libc::SYS_flock,
            vec![N(9999), N(6)],
            t::SYSCALL_FLOCK_X,
            vec![("res", Num(EBADF)), ("operation", Num(6))],
        ),
        case(
            libc::SYS_ioctl,
            vec![N(9999), N(0x5413), N(77)],
            t::SYSCALL_IOCTL_3_X,
            vec![("fd", Num(9999)), ("request", Num(0x5413)), ("argument", Num(77))],
        ),
        case(
            libc::SYS_splice,
            vec![N(9998), N(0), N(9999), N(0), N(5), N(1)],
            t::SYSCALL_SPLICE_X,
            vec![("fd_in", Num(9998)), ("fd_out", Num(9999)), ("size", Num(5)), ("flags", Num(1))],
        ),
        case(
            libc::SYS_sendfile,
            vec![N(9998), N(9999), N(0), N(6)],
            t::SYSCALL_SENDFILE_X,
            vec![("out_fd", Num(9998)), ("in_fd", Num(9999)), ("size", Num(6))],
        ),
    ]);
}

#[test]
fn a_call_without_an_event_of_its_own_is_generic() {
    let Some(mut watch) = watch(&[t::GENERIC_X]) else { return };
    call(libc::SYS_getpriority, &[N(0), N(99_999_999)]);
    // the probe's own waiting is generic too
    let events = watch.own(1);
    let id = lanner_event::SYSCALL_NAMES.iter().position(|n| *n == "getpriority").unwrap() as i64;
    let ours = events
        .iter()
        .find(|e| number(&e.event().unwrap(), "nativeID") == Some(libc::SYS_getpriority))
        .unwrap();
    assert_eq!(number(&ours.event().unwrap(), "ID"), Some(id));
}
