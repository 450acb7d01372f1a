//! Waiting, and what threads agree upon.
use lanner_event::types as t;

use crate::Want::{Bytes, Num, Result};
use crate::support::call::{
    Arg::{N, P},
    call,
};
use crate::support::flag;
use crate::{EBADF, Seen, case, check};

/// All of this group.
pub fn all(seen: &mut Seen) {
    times(seen);
    semaphores(seen);
}

fn words(numbers: &[i64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_ne_bytes()).collect()
}

fn times(seen: &mut Seen) {
    let futex = |name| flag(t::SYSCALL_FUTEX_X, "op", name);
    let (short, bad) = (words(&[0, 1000]), words(&[5, -1]));
    // one that does not exist, one that is not asked about
    let polled: Vec<u8> =
        [9999i32, -1].iter().flat_map(|fd| [fd.to_ne_bytes(), [1, 0, 0, 0]].concat()).collect();
    let mut answered = [&2u16.to_ne_bytes()[..], &9999i64.to_ne_bytes(), &0x40u16.to_ne_bytes()].concat();
    answered.extend((-1i64).to_ne_bytes());
    answered.extend([0, 0]);
    let mut cases = vec![
        case(
            libc::SYS_nanosleep,
            vec![P(&short), N(0)],
            t::SYSCALL_NANOSLEEP_X,
            vec![("res", Num(0)), ("interval", Num(1000))],
        ),
        case(
            libc::SYS_ppoll,
            vec![N(0), N(0), P(&bad), P(&[2, 1, 0, 0, 0, 0, 0, 0]), N(8)],
            t::SYSCALL_PPOLL_X,
            vec![
                ("res", Num(-22)),
                ("fds", Bytes(vec![0, 0])),
                ("timeout", Num(4_999_999_999)),
                ("sigmask", Num(0x102)),
            ],
        ),
        case(
            libc::SYS_futex,
            vec![P(&[0; 8]), N(129), N(3)],
            t::SYSCALL_FUTEX_X,
            vec![
                ("res", Num(0)),
                ("op", Num(futex("FUTEX_WAKE") | futex("FUTEX_PRIVATE_FLAG"))),
                ("val", Num(3)),
            ],
        ),
        case(
            libc::SYS_futex,
            vec![N(8), N(256 | 9), N(0)],
            t::SYSCALL_FUTEX_X,
            vec![
                ("res", Result),
                ("addr", Num(8)),
                ("op", Num(futex("FUTEX_WAIT_BITSET") | futex("FUTEX_CLOCK_REALTIME"))),
            ],
        ),
    ];
    #[cfg(target_arch = "x86_64")]
    cases.extend([
        case(
            libc::SYS_poll,
            vec![P(&polled), N(2), N(0)],
            t::SYSCALL_POLL_X,
            vec![("res", Num(1)), ("fds", Bytes(answered)), ("timeout", Num(0))],
        ),
        case(
            libc::SYS_poll,
            vec![N(8), N(1), N(-1)],
            t::SYSCALL_POLL_X,
            vec![("res", Num(-14)), ("fds", Bytes(vec![0, 0])), ("timeout", Num(-1))],
        ),
        case(
            libc::SYS_select,
            vec![N(0), N(0), N(0), N(0), P(&[0; 16])],
            t::SYSCALL_SELECT_X,
            vec![("res", Num(0))],
        ),
        case(
            libc::SYS_epoll_wait,
            vec![N(9999), P(&[0; 64]), N(3), N(0)],
            t::SYSCALL_EPOLLWAIT_X,
            vec![("res", Num(EBADF)), ("maxevents", Num(3))],
        ),
    ]);
    check(seen, &cases);
}

fn semaphores(seen: &mut Seen) {
    let get = |name| flag(t::SYSCALL_SEMGET_X, "semflg", name);
    let command = |name| flag(t::SYSCALL_SEMCTL_X, "cmd", name);
    let id = call(libc::SYS_semget, &[N(0), N(2), N(0o1600)]);
    assert!(id >= 0, "{id}");
    // number, operation, flags of two operations
    let operations: Vec<u8> = [0u16, 1, 0o4000, 1, 2, 0x1000].iter().flat_map(|n| n.to_ne_bytes()).collect();
    check(
        seen,
        &[
            case(
                libc::SYS_semget,
                vec![N(0x1234_5678), N(3), N(0o2000)],
                t::SYSCALL_SEMGET_X,
                vec![
                    ("res", Num(-2)),
                    ("key", Num(0x1234_5678)),
                    ("nsems", Num(3)),
                    ("semflg", Num(get("IPC_EXCL"))),
                ],
            ),
            case(
                libc::SYS_semop,
                vec![N(id), P(&operations), N(2)],
                t::SYSCALL_SEMOP_X,
                vec![
                    ("res", Num(0)),
                    ("nsops", Num(2)),
                    ("sem_num_0", Num(0)),
                    ("sem_op_0", Num(1)),
                    ("sem_flg_0", Num(flag(t::SYSCALL_SEMOP_X, "sem_flg_0", "IPC_NOWAIT"))),
                    ("sem_num_1", Num(1)),
                    ("sem_op_1", Num(2)),
                    ("sem_flg_1", Num(flag(t::SYSCALL_SEMOP_X, "sem_flg_1", "SEM_UNDO"))),
                    ("semid", Num(id)),
                ],
            ),
            // of what failed nothing is shown
            case(
                libc::SYS_semop,
                vec![N(id), P(&operations[6..]), N(0)],
                t::SYSCALL_SEMOP_X,
                vec![("res", Num(-22)), ("nsops", Num(0)), ("sem_num_0", Num(0)), ("sem_op_0", Num(0))],
            ),
            case(
                libc::SYS_semctl,
                vec![N(id), N(1), N(16), N(5)],
                t::SYSCALL_SEMCTL_X,
                vec![
                    ("res", Num(0)),
                    ("semid", Num(id)),
                    ("semnum", Num(1)),
                    ("cmd", Num(command("SETVAL"))),
                    ("val", Num(5)),
                ],
            ),
            case(
                libc::SYS_semctl,
                vec![N(id), N(0), N(0), N(5)],
                t::SYSCALL_SEMCTL_X,
                vec![("res", Num(0)), ("cmd", Num(command("IPC_RMID"))), ("val", Num(0))],
            ),
        ],
    );
}
