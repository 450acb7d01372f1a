//! Limits, quotas, keys, settings of file systems.
use lanner_event::types as t;

use crate::Want::{Bytes, Nothing, Num, Result, Text};
use crate::support::call::{
    Arg::{N, P},
    call,
};
use crate::support::flag;
use crate::{Seen, case, check};

/// All of this group.
pub fn all(seen: &mut Seen) {
    limits(seen);
    quotas(seen);
    keys(seen);
    file_systems(seen);
}

fn longs(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_ne_bytes()).collect()
}

fn limits(seen: &mut Seen) {
    let resource = |name| flag(t::SYSCALL_GETRLIMIT_X, "resource", name);
    let mut own = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `own` is a whole rlimit.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut own) }, 0);
    let (cur, max) = (own.rlim_cur as i64, own.rlim_max as i64);
    let mut answer = [0u64; 2];
    let at = answer.as_mut_ptr() as i64;
    let asked = longs(&[5, 6]);
    let mut cases = vec![
        case(
            libc::SYS_prlimit64,
            vec![N(0), N(7), N(0), N(at)],
            t::SYSCALL_PRLIMIT_X,
            vec![
                ("res", Num(0)),
                ("newcur", Num(0)),
                ("newmax", Num(0)),
                ("oldcur", Num(cur)),
                ("oldmax", Num(max)),
                ("pid", Num(0)),
                ("resource", Num(resource("RLIMIT_NOFILE"))),
            ],
        ),
        case(
            libc::SYS_prlimit64,
            vec![N(99_999_999), N(9), P(&asked), N(at)],
            t::SYSCALL_PRLIMIT_X,
            vec![
                ("res", Num(-3)),
                ("newcur", Num(5)),
                ("newmax", Num(6)),
                ("oldcur", Num(-1)),
                ("oldmax", Num(-1)),
                ("pid", Num(99_999_999)),
                ("resource", Num(resource("RLIMIT_AS"))),
            ],
        ),
    ];
    #[cfg(target_arch = "x86_64")]
    cases.extend([
        case(
            libc::SYS_getrlimit,
            vec![N(7), N(at)],
            t::SYSCALL_GETRLIMIT_X,
            vec![
                ("res", Num(0)),
                ("cur", Num(cur)),
                ("max", Num(max)),
                ("resource", Num(resource("RLIMIT_NOFILE"))),
            ],
        ),
        case(
            libc::SYS_getrlimit,
            vec![N(99), N(at)],
            t::SYSCALL_GETRLIMIT_X,
            vec![("res", Num(-22)), ("cur", Num(-1)), ("resource", Num(resource("RLIMIT_UNKNOWN")))],
        ),
        case(
            libc::SYS_setrlimit,
            vec![N(99), P(&asked)],
            t::SYSCALL_SETRLIMIT_X,
            vec![
                ("res", Num(-22)),
                ("cur", Num(5)),
                ("max", Num(6)),
                ("resource", Num(resource("RLIMIT_UNKNOWN"))),
            ],
        ),
    ]);
    check(seen, &cases);
}

/// A device that is none: what is asked of it is read from the caller's memory all the same.
const DEVICE: &[u8] = b"/dev/lanner-none\0";

fn quotas(seen: &mut Seen) {
    let command = |name| Num(flag(t::SYSCALL_QUOTACTL_X, "cmd", name));
    let format = |param, name| Num(flag(t::SYSCALL_QUOTACTL_X, param, name));
    let kind = |name| Num(flag(t::SYSCALL_QUOTACTL_X, "type", name));
    let block = longs(&[11, 12, 13, 14, 15, 16, 17, 18, 0x3f]);
    let info = [longs(&[21, 22]), 2u32.to_ne_bytes().to_vec(), 7u32.to_ne_bytes().to_vec()].concat();
    let number = |command: i64, kind: i64| N((command << 8 | kind) as u32 as i32 as i64);
    check(
        seen,
        &[
            case(
                libc::SYS_quotactl,
                vec![number(0x800008, 0), P(DEVICE), N(7), P(&block)],
                t::SYSCALL_QUOTACTL_X,
                vec![
                    ("res", Result),
                    ("special", Text("/dev/lanner-none")),
                    ("quotafilepath", Nothing),
                    ("dqb_bhardlimit", Num(11)),
                    ("dqb_bsoftlimit", Num(12)),
                    ("dqb_curspace", Num(13)),
                    ("dqb_ihardlimit", Num(14)),
                    ("dqb_isoftlimit", Num(15)),
                    ("dqb_btime", Num(17)),
                    ("dqb_itime", Num(18)),
                    ("dqi_bgrace", Num(0)),
                    ("quota_fmt_out", format("quota_fmt_out", "QFMT_NOT_USED")),
                    ("cmd", command("Q_SETQUOTA")),
                    ("type", kind("USRQUOTA")),
                    ("id", Num(7)),
                    ("quota_fmt", format("quota_fmt", "QFMT_NOT_USED")),
                ],
            ),
            case(
                libc::SYS_quotactl,
                vec![number(0x800006, 1), P(DEVICE), N(7), P(&info)],
                t::SYSCALL_QUOTACTL_X,
                vec![
                    ("dqb_bhardlimit", Num(0)),
                    ("dqi_bgrace", Num(21)),
                    ("dqi_igrace", Num(22)),
                    ("dqi_flags", Num(2)),
                    ("cmd", command("Q_SETINFO")),
                    ("type", kind("GRPQUOTA")),
                    ("id", Num(0)),
                ],
            ),
            case(
                libc::SYS_quotactl,
                vec![number(0x800002, 0), P(DEVICE), N(2), P(b"/quota.user\0")],
                t::SYSCALL_QUOTACTL_X,
                vec![
                    ("quotafilepath", Text("/quota.user")),
                    ("cmd", command("Q_QUOTAON")),
                    ("id", Num(0)),
                    ("quota_fmt", format("quota_fmt", "QFMT_VFS_V0")),
                ],
            ),
            case(
                libc::SYS_quotactl,
                vec![number(0x800004, 0), P(DEVICE), N(0), P(&4u32.to_ne_bytes())],
                t::SYSCALL_QUOTACTL_X,
                vec![("quota_fmt_out", format("quota_fmt_out", "QFMT_VFS_V1")), ("cmd", command("Q_GETFMT"))],
            ),
        ],
    );
}

fn keys(seen: &mut Seen) {
    let operation = |name| Num(flag(t::SYSCALL_KEYCTL_X, "operation", name));
    let is_number = |n: i64| Bytes([&[0][..], &n.to_ne_bytes()].concat());
    let is_text = |text: &str| Bytes([&[1][..], text.as_bytes(), b"\0"].concat());
    check(
        seen,
        &[
            case(
                libc::SYS_keyctl,
                vec![N(10), N(-3), P(b"user\0"), P(b"lanner-no-such-key\0"), N(77)],
                t::SYSCALL_KEYCTL_X,
                vec![
                    ("res", Result),
                    ("operation", operation("KEYCTL_SEARCH")),
                    ("arg2", is_number(-3)),
                    ("arg3", is_text("user")),
                    ("arg4", is_text("lanner-no-such-key")),
                    ("arg5", is_number(77)),
                ],
            ),
            // what stands in registers that the command has no use for is not shown
            case(
                libc::SYS_keyctl,
                vec![N(3), N(99_999_999), N(5), N(6), N(7)],
                t::SYSCALL_KEYCTL_X,
                vec![
                    ("operation", operation("KEYCTL_REVOKE")),
                    ("arg2", is_number(99_999_999)),
                    ("arg3", is_number(0)),
                    ("arg5", is_number(0)),
                ],
            ),
        ],
    );
}

fn file_systems(seen: &mut Seen) {
    let command = |name| Num(flag(t::SYSCALL_FSCONFIG_X, "cmd", name));
    let fd = call(libc::SYS_fsopen, &[P(b"tmpfs\0"), N(0)]);
    if fd < 0 {
        eprintln!("no tmpfs can be made here: {fd}");
    }
    let fits = if fd < 0 { (Num(-22), Nothing) } else { (Num(0), Text("1M")) };
    check(
        seen,
        &[
            case(
                libc::SYS_fsconfig,
                vec![N(fd), N(1), P(b"size\0"), P(b"1M\0"), N(0)],
                t::SYSCALL_FSCONFIG_X,
                vec![
                    ("res", fits.0),
                    ("fd", Num(fd)),
                    ("cmd", command("FSCONFIG_SET_STRING")),
                    ("key", Text("size")),
                    ("value_bytebuf", Nothing),
                    ("value_charbuf", fits.1),
                    ("aux", Num(0)),
                ],
            ),
            case(
                libc::SYS_fsconfig,
                vec![N(9999), N(2), P(b"blob\0"), P(b"abc"), N(3)],
                t::SYSCALL_FSCONFIG_X,
                vec![
                    ("res", Num(crate::EBADF)),
                    ("cmd", command("FSCONFIG_SET_BINARY")),
                    ("value_bytebuf", Nothing),
                    ("aux", Num(3)),
                ],
            ),
        ],
    );
    call(libc::SYS_close, &[N(fd)]);
}
