//! Memory, and data that moves between fds.
use lanner_event::types as t;

use crate::Want::{Num, Result, Something};
use crate::support::call::Arg::N;
use crate::support::flag;
use crate::{EBADF, Seen, case, check};

/// All of this group.
pub fn all(seen: &mut Seen) {
    memory_and_moving_data(seen);
}

fn memory_and_moving_data(seen: &mut Seen) {
    let prot = |name| flag(t::SYSCALL_MPROTECT_X, "prot", name);
    check(
        seen,
        &[
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
        ],
    );
}
