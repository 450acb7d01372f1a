//! Users, processes, modules.
use lanner_event::types as t;

use crate::Want::{Nothing, Num, Result, Something, Text};
use crate::support::call::Arg::{N, P};
use crate::support::flag;
use crate::{EBADF, OTHER, OTHER_TEXT, Seen, case, check};

/// All of this group.
pub fn all(seen: &mut Seen) {
    users_and_processes(seen);
}

fn users_and_processes(seen: &mut Seen) {
    let clone = |name| flag(t::SYSCALL_UNSHARE_X, "flags", name);
    check(
        seen,
        &[
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
        ],
    );
}
