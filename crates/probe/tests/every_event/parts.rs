//! Data in one piece and in parts.
use std::io::Write as _;
use std::os::fd::AsRawFd;

use lanner_event::types as t;

use crate::Want::{Bytes, Nothing, Num, Result, Text};
use crate::support::bytes;
use crate::support::call::{Arg::N, Arg::P, call};
use crate::{EBADF, Seen, case, check};

/// All of this group.
pub fn all(seen: &mut Seen) {
    files(seen);
    as_much_as_is_asked_for();
    memory_of_processes(seen);
}

/// An array of parts: addresses and lengths.
pub fn array(parts: &[(i64, usize)]) -> Vec<u8> {
    parts.iter().flat_map(|(at, len)| [at.to_ne_bytes(), (*len as u64).to_ne_bytes()].concat()).collect()
}

/// Parts to be written.
pub fn parts_of(texts: &[&[u8]]) -> Vec<u8> {
    array(&texts.iter().map(|text| (text.as_ptr() as i64, text.len())).collect::<Vec<_>>())
}

fn files(seen: &mut Seen) {
    let path = format!("/tmp/lanner-probe-parts-{}", std::process::id());
    let mut file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(b"0123456789").unwrap();
    let fd = i64::from(file.as_raw_fd());
    let mut room = [[0u8; 4]; 2];
    let room = array(&[(room[0].as_mut_ptr() as i64, 4), (room[1].as_mut_ptr() as i64, 4)]);
    let texts = parts_of(&[b"hello ", b"", b"world"]);
    let mut piece = [0u8; 6];
    let piece = piece.as_mut_ptr() as i64;
    let long = vec![b'x'; 200];
    check(
        seen,
        &[
            case(
                libc::SYS_pwritev,
                vec![N(fd), P(&texts), N(3), N(100), N(0)],
                t::SYSCALL_PWRITEV_X,
                vec![
                    ("res", Num(11)),
                    ("data", Text("hello world")),
                    ("fd", Num(fd)),
                    ("size", Num(11)),
                    ("pos", Num(100)),
                ],
            ),
            case(
                libc::SYS_preadv,
                vec![N(fd), P(&room), N(2), N(2), N(0)],
                t::SYSCALL_PREADV_X,
                vec![
                    ("res", Num(8)),
                    ("size", Num(8)),
                    ("data", Text("23456789")),
                    ("fd", Num(fd)),
                    ("pos", Num(2)),
                ],
            ),
            case(
                libc::SYS_lseek,
                vec![N(fd), N(3), N(0)],
                t::SYSCALL_LSEEK_X,
                vec![("res", Num(3)), ("fd", Num(fd)), ("offset", Num(3)), ("whence", Num(0))],
            ),
            case(
                libc::SYS_lseek,
                vec![N(fd), N(0), N(1)],
                t::SYSCALL_LSEEK_X,
                vec![("res", Num(3)), ("whence", Num(1))],
            ),
            case(
                libc::SYS_readv,
                vec![N(fd), P(&room), N(1)],
                t::SYSCALL_READV_X,
                vec![("res", Num(4)), ("size", Num(4)), ("data", Text("3456")), ("fd", Num(fd))],
            ),
            case(
                libc::SYS_readv,
                vec![N(9999), P(&room), N(1)],
                t::SYSCALL_READV_X,
                vec![("res", Num(EBADF)), ("size", Num(0)), ("data", Nothing)],
            ),
            // of what was to be written there is always something to show
            case(
                libc::SYS_writev,
                vec![N(9999), P(&texts), N(3)],
                t::SYSCALL_WRITEV_X,
                vec![
                    ("res", Num(EBADF)),
                    ("data", Text("hello world")),
                    ("fd", Num(9999)),
                    ("size", Num(11)),
                ],
            ),
            case(
                libc::SYS_pwrite64,
                vec![N(fd), P(&long), N(200), N(20)],
                t::SYSCALL_PWRITE_X,
                vec![
                    ("res", Num(200)),
                    ("data", Bytes(long[..80].to_vec())),
                    ("fd", Num(fd)),
                    ("size", Num(200)),
                    ("pos", Num(20)),
                ],
            ),
            case(
                libc::SYS_pread64,
                vec![N(fd), N(piece), N(6), N(4)],
                t::SYSCALL_PREAD_X,
                vec![
                    ("res", Num(6)),
                    ("data", Text("456789")),
                    ("fd", Num(fd)),
                    ("size", Num(6)),
                    ("pos", Num(4)),
                ],
            ),
        ],
    );
}

/// More of the data, if more is wanted.
fn as_much_as_is_asked_for() {
    let long: Vec<u8> = (0..60_000u32).map(|n| n as u8).collect();
    let halves = parts_of(&[&long[..5000], &long[5000..20_000]]);
    for snaplen in [10_000, 1 << 30] {
        let options = lanner_probe::ProbeOptions {
            events: [t::SYSCALL_WRITE_X, t::SYSCALL_WRITEV_X].into_iter().collect(),
            include_self: true,
            snaplen,
            ..Default::default()
        };
        let Some(mut watch) = crate::support::open(options) else { return };
        call(libc::SYS_write, &[N(9999), P(&long), N(60_000)]);
        call(libc::SYS_writev, &[N(9999), P(&halves), N(2)]);
        let events = watch.own(2);
        let shown = lanner_probe::ProbeOptions::MOST_SHOWN.min(snaplen) as usize;
        assert_eq!(bytes(&events[0].event().unwrap(), "data"), &long[..shown]);
        assert_eq!(bytes(&events[1].event().unwrap(), "data"), &long[..shown.min(20_000)]);
    }
}

fn memory_of_processes(seen: &mut Seen) {
    let own = i64::from(std::process::id());
    let mut room = [0u8; 5];
    let here = array(&[(room.as_mut_ptr() as i64, 5)]);
    let there = parts_of(&[b"their"]);
    check(
        seen,
        &[
            case(
                libc::SYS_process_vm_readv,
                vec![N(own), P(&here), N(1), P(&there), N(1), N(0)],
                t::SYSCALL_PROCESS_VM_READV_X,
                vec![("res", Num(5)), ("pid", Num(own)), ("data", Text("their"))],
            ),
            case(
                libc::SYS_process_vm_writev,
                vec![N(own), P(&there), N(1), P(&here), N(1), N(0)],
                t::SYSCALL_PROCESS_VM_WRITEV_X,
                vec![("res", Num(5)), ("pid", Num(own)), ("data", Text("their"))],
            ),
            case(
                libc::SYS_process_vm_writev,
                vec![N(99_999_999), P(&there), N(1), P(&here), N(1), N(0)],
                t::SYSCALL_PROCESS_VM_WRITEV_X,
                vec![("res", Result), ("pid", Num(99_999_999)), ("data", Nothing)],
            ),
        ],
    );
}
