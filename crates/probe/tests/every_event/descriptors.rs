//! Descriptors of every kind.
use lanner_event::types as t;

use crate::Want::{Nothing, Num, Result, Text};
use crate::support::call::Arg::{N, P};
use crate::support::flag;
use crate::{EBADF, OTHER, OTHER_TEXT, Seen, case, check};

/// All of this group.
pub fn all(seen: &mut Seen) {
    descriptors(seen);
}

fn descriptors(seen: &mut Seen) {
    let cloexec = flag(t::SYSCALL_DUP3_X, "flags", "O_CLOEXEC");
    let nonblock = flag(t::SYSCALL_DUP3_X, "flags", "O_NONBLOCK");
    check(
        seen,
        &[
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
                // 5.10 does not have the flag
                vec![("res", Result), ("first", Num(9000)), ("last", Num(9001)), ("flags", Num(4))],
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
            case(
                libc::SYS_userfaultfd,
                vec![N(0x7fff_0000)],
                t::SYSCALL_USERFAULTFD_X,
                vec![("res", Result)],
            ),
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
        ],
    );
}
