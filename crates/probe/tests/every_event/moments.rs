//! Events that are no end of a call: beginnings, signals, the scheduler.
use lanner_event::types as t;

use crate::Want::{Bytes, Num, Something, Text};
use crate::support::call::{
    Arg::{N, P},
    call, gettid,
};
use crate::support::{flag, number};
use crate::watch;
use crate::{CWD, OTHER, OTHER_TEXT, Seen, case, check, check_one, compare};

/// All of this group.
pub fn all(seen: &mut Seen) {
    beginnings(seen);
    a_signal(seen);
    a_switch(seen);
}

fn beginnings(seen: &mut Seen) {
    let open = |name| flag(t::SYSCALL_OPENAT_2_E, "flags", name);
    let how: Vec<u8> = [0o100u64, 0o640, 4].into_iter().flat_map(u64::to_ne_bytes).collect();
    let address = [2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut cases = vec![
        case(
            libc::SYS_openat,
            vec![N(9999), P(OTHER), N(0o1 | 0o100), N(0o640)],
            t::SYSCALL_OPENAT_2_E,
            vec![
                ("dirfd", Num(9999)),
                ("name", Text(OTHER_TEXT)),
                ("flags", Num(open("O_WRONLY") | open("O_CREAT"))),
                ("mode", Num(0o640)),
            ],
        ),
        case(
            libc::SYS_openat2,
            vec![N(CWD), P(b"/nonexistent/x\0"), P(&how), N(24)],
            t::SYSCALL_OPENAT2_E,
            vec![
                ("dirfd", Num(CWD)),
                ("name", Text("/nonexistent/x")),
                ("flags", Num(open("O_RDONLY") | open("O_CREAT"))),
                ("mode", Num(0o640)),
                ("resolve", Num(flag(t::SYSCALL_OPENAT2_E, "resolve", "RESOLVE_NO_SYMLINKS"))),
            ],
        ),
        case(
            libc::SYS_connect,
            vec![N(9999), P(&address), N(16)],
            t::SOCKET_CONNECT_E,
            vec![("fd", Num(9999)), ("addr", Bytes(vec![2, 127, 0, 0, 1, 80, 0]))],
        ),
    ];
    #[cfg(target_arch = "x86_64")]
    cases.extend([
        case(
            libc::SYS_open,
            vec![P(b"/nonexistent/x\0"), N(0), N(0)],
            t::SYSCALL_OPEN_E,
            vec![("name", Text("/nonexistent/x")), ("flags", Num(open("O_RDONLY"))), ("mode", Num(0))],
        ),
        case(
            libc::SYS_creat,
            vec![P(b"/nonexistent/x\0"), N(0o600)],
            t::SYSCALL_CREAT_E,
            vec![("name", Text("/nonexistent/x")), ("mode", Num(0o600))],
        ),
    ]);
    check(seen, &cases);
    #[cfg(target_arch = "x86_64")]
    beginnings_by_the_32_bit_gate(seen);
}

#[cfg(target_arch = "x86_64")]
fn beginnings_by_the_32_bit_gate(seen: &mut Seen) {
    use crate::support::call::{Low, call32};
    check_one(seen, t::SYSCALL_OPENAT_2_E, || {
        let name = Low::new(b"/nonexistent/32\0");
        let result = call32(295, [-100i32 as u32, name.at(), 0, 0]);
        (result.into(), vec![("dirfd", Num(CWD)), ("name", Text("/nonexistent/32"))])
    });
    check_one(seen, t::SOCKET_CONNECT_E, || {
        let address = Low::new(&[2, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let args = Low::new(&[9999u32, address.at(), 16].map(u32::to_ne_bytes).concat());
        let result = call32(102, [3, args.at(), 0, 0]);
        (result.into(), vec![("fd", Num(9999)), ("addr", Bytes(vec![2, 127, 0, 0, 1, 1, 0]))])
    });
}

extern "C" fn nothing(_: i32) {}

fn a_signal(seen: &mut Seen) {
    let handler = nothing as extern "C" fn(i32);
    // SAFETY: the handler does nothing, which is safe at any moment.
    unsafe { libc::signal(libc::SIGHUP, handler as libc::sighandler_t) };
    check_one(seen, t::SIGNALDELIVER_E, || {
        let own = i64::from(std::process::id());
        let result = call(libc::SYS_tgkill, &[N(own), N(gettid()), N(libc::SIGHUP.into())]);
        (result, vec![("spid", Num(own)), ("dpid", Num(gettid())), ("sig", Num(1))])
    });
}

fn a_switch(seen: &mut Seen) {
    let Some(mut watch) = watch(&[t::SCHEDSWITCH_6_E]) else { return };
    call(libc::SYS_nanosleep, &[P(&[0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x42, 0xf, 0, 0, 0, 0, 0]), N(0)]);
    let events = watch.own(1);
    let event = events[0].event().unwrap();
    assert_ne!(number(&event, "next"), Some(gettid()));
    let wants = [("vm_size", Something), ("vm_rss", Something), ("vm_swap", Num(0)), ("pgft_min", Something)];
    compare(seen, &event, 0, &wants);
}
