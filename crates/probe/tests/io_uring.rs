//! What io_uring carries out is told as the call that it stands for, with the result, by whoever submitted it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;

use lanner_event::{Event, EventBuf, EventType, types as t};
use support::call::{Arg::N, Arg::P, call, gettid};
use support::uring::{FIXED_FILE, LINK, Ring, SKIP_SUCCESS, SQPOLL, Sqe};
use support::{Watch, bytes, flag, number, text};

const CWD: i32 = -100;
const ENOENT: i32 = -2;
const ECANCELED: i32 = -125;
const NONE: &[u8] = b"/tmp/lanner-uring-none/a\0";
const OTHER: &[u8] = b"/tmp/lanner-uring-none/b\0";
const NONE_TEXT: &str = "/tmp/lanner-uring-none/a";
const OTHER_TEXT: &str = "/tmp/lanner-uring-none/b";
/// Where descriptors of a ring's own table begin.
const FIXED_FDS: i64 = 0x4000_0000;

const SENDMSG: u8 = 9;
const RECVMSG: u8 = 10;
const ACCEPT: u8 = 13;
const CONNECT: u8 = 16;
const OPENAT: u8 = 18;
const CLOSE: u8 = 19;
const READ: u8 = 22;
const WRITE: u8 = 23;
const SEND: u8 = 26;
const RECV: u8 = 27;
const OPENAT2: u8 = 28;
const SPLICE: u8 = 30;
const SHUTDOWN: u8 = 34;
const RENAMEAT: u8 = 35;
const UNLINKAT: u8 = 36;
const MKDIRAT: u8 = 37;
const SYMLINKAT: u8 = 38;
const LINKAT: u8 = 39;
const SOCKET: u8 = 45;
const BIND: u8 = 56;
const LISTEN: u8 = 57;

fn at(bytes: &[u8]) -> u64 {
    bytes.as_ptr() as u64
}

/// A probe on this thread's operations, and a ring.
fn start(types: &[EventType], flags: u32) -> Option<(Watch, Ring)> {
    let ring = Ring::new(flags)?;
    let watch = support::watch(types)?;
    sees_rings(&watch).then_some((watch, ring))
}

/// Whether the probe sees what rings carry out here; says why not.
fn sees_rings(watch: &Watch) -> bool {
    let sees = watch.probe.attachment().points.iter().any(|point| point.contains("io_uring_submit"));
    if !sees {
        eprintln!("skipped: the kernel's tracepoints of io_uring are of no use");
    }
    sees
}

/// The next events of operations that a thread has submitted.
fn of(watch: &mut Watch, tid: i64, n: usize) -> Vec<EventBuf> {
    let own = |e: &EventBuf| {
        let event = e.event().unwrap();
        event.tid == tid && event.is_io_uring()
    };
    let mut events = watch.events_until(|events| events.iter().filter(|e| own(e)).count() >= n);
    events.retain(own);
    assert_eq!(events.len(), n, "{:?}", events.iter().map(|e| e.event().unwrap()).collect::<Vec<_>>());
    events
}

/// One operation, and the event of it.
fn one(ring: &Ring, watch: &mut Watch, submission: Sqe) -> (i32, EventBuf) {
    let done = ring.run(&[submission], 1);
    (done[0].1, of(watch, gettid(), 1).remove(0))
}

fn is(event: &Event<'_>, ty: EventType, numbers: &[(&str, i64)], texts: &[(&str, &str)]) {
    assert_eq!(event.info.symbol, ty.info().unwrap().symbol);
    assert_eq!(event.param_count(), event.info.params.len() + 1);
    for (name, want) in numbers {
        assert_eq!(number(event, name), Some(*want), "{} {name}", event.info.symbol);
    }
    for (name, want) in texts {
        assert_eq!(text(event, name).as_deref(), Some(*want), "{} {name}", event.info.symbol);
    }
}

#[test]
fn names_of_files() {
    let types = [
        t::SYSCALL_OPENAT_2_X,
        t::SYSCALL_OPENAT2_X,
        t::SYSCALL_UNLINKAT_2_X,
        t::SYSCALL_RENAMEAT2_X,
        t::SYSCALL_MKDIRAT_X,
        t::SYSCALL_SYMLINKAT_X,
        t::SYSCALL_LINKAT_2_X,
    ];
    let Some((mut watch, ring)) = start(&types, 0) else { return };
    let result = ("res", i64::from(ENOENT));
    let how: Vec<u8> = [0o1u64 | 0o100, 0o640, 4].into_iter().flat_map(u64::to_ne_bytes).collect();
    let open = |name| flag(t::SYSCALL_OPENAT_2_X, "flags", name);

    let opening =
        Sqe { opcode: OPENAT, fd: CWD, addr: at(NONE), len: 0o600, op_flags: 0o1 | 0o100, ..Sqe::default() };
    let (res, event) = one(&ring, &mut watch, opening);
    assert_eq!(res, ENOENT);
    let numbers = [
        ("fd", res.into()),
        ("dirfd", CWD.into()),
        ("flags", open("O_WRONLY") | open("O_CREAT")),
        ("mode", 0o600),
        ("ino", 0),
    ];
    is(&event.event().unwrap(), t::SYSCALL_OPENAT_2_X, &numbers, &[("name", NONE_TEXT)]);

    let opening = Sqe { opcode: OPENAT2, fd: CWD, addr: at(NONE), len: 24, off: at(&how), ..Sqe::default() };
    let (res, event) = one(&ring, &mut watch, opening);
    let numbers = [
        ("fd", res.into()),
        ("flags", open("O_WRONLY") | open("O_CREAT")),
        ("mode", 0o640),
        ("resolve", flag(t::SYSCALL_OPENAT2_X, "resolve", "RESOLVE_NO_SYMLINKS")),
    ];
    is(&event.event().unwrap(), t::SYSCALL_OPENAT2_X, &numbers, &[("name", NONE_TEXT)]);

    let unlinking = Sqe { opcode: UNLINKAT, fd: CWD, addr: at(NONE), op_flags: 0x200, ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, unlinking);
    let directory = flag(t::SYSCALL_UNLINKAT_2_X, "flags", "AT_REMOVEDIR");
    let numbers = [result, ("dirfd", CWD.into()), ("flags", directory)];
    is(&event.event().unwrap(), t::SYSCALL_UNLINKAT_2_X, &numbers, &[("name", NONE_TEXT)]);

    let renaming = Sqe {
        opcode: RENAMEAT,
        fd: 97,
        addr: at(NONE),
        len: 98,
        off: at(OTHER),
        op_flags: 1,
        ..Sqe::default()
    };
    let (_, event) = one(&ring, &mut watch, renaming);
    let texts = [("oldpath", NONE_TEXT), ("newpath", OTHER_TEXT)];
    let numbers = [result, ("olddirfd", 97), ("newdirfd", 98), ("flags", 1)];
    is(&event.event().unwrap(), t::SYSCALL_RENAMEAT2_X, &numbers, &texts);

    let making = Sqe { opcode: MKDIRAT, fd: CWD, addr: at(NONE), len: 0o700, ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, making);
    let numbers = [result, ("dirfd", CWD.into()), ("mode", 0o700)];
    is(&event.event().unwrap(), t::SYSCALL_MKDIRAT_X, &numbers, &[("path", NONE_TEXT)]);

    let linking = Sqe { opcode: SYMLINKAT, fd: 97, addr: at(OTHER), off: at(NONE), ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, linking);
    let texts = [("target", OTHER_TEXT), ("linkpath", NONE_TEXT)];
    is(&event.event().unwrap(), t::SYSCALL_SYMLINKAT_X, &[result, ("linkdirfd", 97)], &texts);

    let linking = Sqe { opcode: LINKAT, fd: 97, addr: at(NONE), len: 98, off: at(OTHER), ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, linking);
    let texts = [("oldpath", NONE_TEXT), ("newpath", OTHER_TEXT)];
    is(&event.event().unwrap(), t::SYSCALL_LINKAT_2_X, &[result, ("olddir", 97), ("newdir", 98)], &texts);
}

#[test]
fn a_file_is_opened_written_read_and_closed() {
    let types = [
        t::SYSCALL_OPENAT_2_X,
        t::SYSCALL_CLOSE_X,
        t::SYSCALL_READ_X,
        t::SYSCALL_WRITE_X,
        t::SYSCALL_SPLICE_X,
    ];
    let Some((mut watch, ring)) = start(&types, 0) else { return };
    let path = format!("/tmp/lanner-uring-{}\0", std::process::id());
    let opening = Sqe {
        opcode: OPENAT,
        fd: CWD,
        addr: at(path.as_bytes()),
        len: 0o600,
        op_flags: 0o2 | 0o100,
        ..Sqe::default()
    };
    let (fd, event) = one(&ring, &mut watch, opening);
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path.trim_end_matches('\0')).unwrap();
    std::fs::remove_file(path.trim_end_matches('\0')).unwrap();
    let numbers = [("fd", fd.into()), ("ino", metadata.ino() as i64), ("dev", metadata.dev() as i64)];
    is(&event.event().unwrap(), t::SYSCALL_OPENAT_2_X, &numbers, &[("name", path.trim_end_matches('\0'))]);

    let writing = Sqe { opcode: WRITE, fd, addr: at(b"hello"), len: 5, ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, writing);
    let numbers = [("res", 5), ("fd", fd.into()), ("size", 5)];
    is(&event.event().unwrap(), t::SYSCALL_WRITE_X, &numbers, &[("data", "hello")]);

    let mut room = [0u8; 9];
    let reading = Sqe { opcode: READ, fd, addr: room.as_mut_ptr() as u64, len: 9, ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, reading);
    let numbers = [("res", 5), ("fd", fd.into()), ("size", 9)];
    is(&event.event().unwrap(), t::SYSCALL_READ_X, &numbers, &[("data", "hello")]);

    let splicing = Sqe {
        opcode: SPLICE,
        fd: 9998,
        file_index: 9999,
        len: 7,
        op_flags: 1,
        off: u64::MAX,
        addr: u64::MAX,
        ..Sqe::default()
    };
    let (res, event) = one(&ring, &mut watch, splicing);
    let numbers = [("res", res.into()), ("fd_in", 9999), ("fd_out", 9998), ("size", 7), ("flags", 1)];
    is(&event.event().unwrap(), t::SYSCALL_SPLICE_X, &numbers, &[]);

    let closing = Sqe { opcode: CLOSE, fd, ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, closing);
    is(&event.event().unwrap(), t::SYSCALL_CLOSE_X, &[("res", 0), ("fd", fd.into())], &[]);
}

#[test]
fn sockets() {
    let types = [
        t::SOCKET_SOCKET_X,
        t::SOCKET_CONNECT_X,
        t::SOCKET_ACCEPT4_6_X,
        t::SOCKET_SENDTO_X,
        t::SOCKET_RECVFROM_X,
        t::SOCKET_SENDMSG_X,
        t::SOCKET_RECVMSG_X,
        t::SOCKET_SHUTDOWN_X,
        t::SOCKET_BIND_X,
        t::SOCKET_LISTEN_X,
    ];
    let Some((mut watch, ring)) = start(&types, 0) else { return };
    let making = Sqe { opcode: SOCKET, fd: 2, off: 1, ..Sqe::default() };
    let (fd, event) = one(&ring, &mut watch, making);
    let numbers = [("fd", fd.into()), ("domain", 2), ("type", 1), ("proto", 0)];
    is(&event.event().unwrap(), t::SOCKET_SOCKET_X, &numbers, &[]);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = [&[2u8, 0][..], &port.to_be_bytes(), &[127, 0, 0, 1], &[0; 8]].concat();
    let shown = [&[2u8, 127, 0, 0, 1][..], &port.to_ne_bytes()].concat();
    let connecting = Sqe { opcode: CONNECT, fd, addr: at(&address), off: 16, ..Sqe::default() };
    let (res, event) = one(&ring, &mut watch, connecting);
    assert_eq!(res, 0);
    let event = event.event().unwrap();
    is(&event, t::SOCKET_CONNECT_X, &[("res", 0), ("fd", fd.into())], &[]);
    assert_eq!(bytes(&event, "addr"), shown);
    assert_eq!(&bytes(&event, "tuple")[7..], &shown[1..]);
    let tuple = bytes(&event, "tuple").to_vec();

    let accepting = Sqe { opcode: ACCEPT, fd: listener.as_raw_fd(), op_flags: 0o2000000, ..Sqe::default() };
    let (accepted, event) = one(&ring, &mut watch, accepting);
    let cloexec = flag(t::SOCKET_SOCKET_X, "flags", "O_CLOEXEC");
    let event = event.event().unwrap();
    is(&event, t::SOCKET_ACCEPT4_6_X, &[("fd", accepted.into()), ("flags", cloexec)], &[]);
    assert_eq!(bytes(&event, "tuple"), tuple);

    let sending = Sqe { opcode: SEND, fd, addr: at(b"hello"), len: 5, ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, sending);
    let event = event.event().unwrap();
    is(&event, t::SOCKET_SENDTO_X, &[("res", 5), ("fd", fd.into()), ("size", 5)], &[("data", "hello")]);
    assert_eq!(bytes(&event, "tuple"), tuple);

    let mut room = [0u8; 9];
    let receiving =
        Sqe { opcode: RECV, fd: accepted, addr: room.as_mut_ptr() as u64, len: 9, ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, receiving);
    let event = event.event().unwrap();
    is(&event, t::SOCKET_RECVFROM_X, &[("res", 5), ("fd", accepted.into())], &[("data", "hello")]);

    let (part, place) = ([at(b"parts"), 5], [room.as_mut_ptr() as u64, 9]);
    let header = |parts: &[u64; 2]| -> Vec<u8> {
        [0, 0, parts.as_ptr() as u64, 1, 0, 0, 0].into_iter().flat_map(u64::to_ne_bytes).collect()
    };
    let (out, into) = (header(&part), header(&place));
    let sending = Sqe { opcode: SENDMSG, fd, addr: at(&out), len: 1, ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, sending);
    let event = event.event().unwrap();
    is(&event, t::SOCKET_SENDMSG_X, &[("res", 5), ("fd", fd.into()), ("size", 5)], &[("data", "parts")]);
    let receiving = Sqe { opcode: RECVMSG, fd: accepted, addr: at(&into), len: 1, ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, receiving);
    let event = event.event().unwrap();
    is(&event, t::SOCKET_RECVMSG_X, &[("res", 5), ("fd", accepted.into())], &[("data", "parts")]);

    let ending = Sqe { opcode: SHUTDOWN, fd, len: 1, ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, ending);
    is(&event.event().unwrap(), t::SOCKET_SHUTDOWN_X, &[("res", 0), ("fd", fd.into()), ("how", 1)], &[]);
    for fd in [fd, accepted] {
        call(libc::SYS_close, &[N(fd.into())]);
    }

    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let binding = Sqe { opcode: BIND, fd: other.as_raw_fd(), addr: at(&address), off: 16, ..Sqe::default() };
    let done = ring.run(&[binding], 1)[0].1;
    // kernels before 6.11 have no such operations
    if done == -22 && of_none(&mut watch) {
        return;
    }
    let events = of(&mut watch, gettid(), 1);
    let event = events[0].event().unwrap();
    is(&event, t::SOCKET_BIND_X, &[("res", done.into()), ("fd", other.as_raw_fd().into())], &[]);
    assert_eq!(bytes(&event, "addr"), shown);
    let listening = Sqe { opcode: LISTEN, fd: listener.as_raw_fd(), len: 5, ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, listening);
    let numbers = [("res", 0), ("fd", listener.as_raw_fd().into()), ("backlog", 5)];
    is(&event.event().unwrap(), t::SOCKET_LISTEN_X, &numbers, &[]);
}

/// Whether nothing comes.
fn of_none(watch: &mut Watch) -> bool {
    watch.forget();
    let events = watch.events_until(|_| true);
    events.is_empty()
}

#[test]
fn what_the_polling_thread_takes_up_is_the_processes_own() {
    let Some((mut watch, ring)) = start(&[t::SYSCALL_OPENAT_2_X], SQPOLL) else { return };
    let opening = Sqe { opcode: OPENAT, fd: CWD, addr: at(b"/etc/hostname\0"), ..Sqe::default() };
    let done = ring.run(&[opening], 1);
    let events = of(&mut watch, i64::from(std::process::id()), 1);
    let numbers = [("fd", i64::from(done[0].1))];
    is(&events[0].event().unwrap(), t::SYSCALL_OPENAT_2_X, &numbers, &[("name", "/etc/hostname")]);
    call(libc::SYS_close, &[N(done[0].1.into())]);
}

#[test]
fn what_is_linked_to_a_failure_is_cancelled() {
    let Some((mut watch, ring)) = start(&[t::SYSCALL_OPENAT_2_X, t::SYSCALL_UNLINKAT_2_X], 0) else { return };
    let opening = Sqe { opcode: OPENAT, flags: LINK, fd: CWD, addr: at(NONE), ..Sqe::default() };
    let unlinking = Sqe { opcode: UNLINKAT, fd: CWD, addr: at(OTHER), user_data: 2, ..Sqe::default() };
    let done = ring.run(&[opening, unlinking], 2);
    assert_eq!(done, [(0, ENOENT), (2, ECANCELED)]);
    let events = of(&mut watch, gettid(), 2);
    let events: Vec<_> = events.iter().map(|e| e.event().unwrap()).collect();
    is(&events[0], t::SYSCALL_OPENAT_2_X, &[("fd", ENOENT.into())], &[("name", NONE_TEXT)]);
    is(&events[1], t::SYSCALL_UNLINKAT_2_X, &[("res", ECANCELED.into())], &[("name", OTHER_TEXT)]);
}

#[test]
fn files_of_the_rings_own_table() {
    let types = [t::SYSCALL_OPENAT_2_X, t::SYSCALL_READ_X, t::SYSCALL_CLOSE_X];
    let Some((mut watch, ring)) = start(&types, 0) else { return };
    ring.make_places(4);
    let opening =
        Sqe { opcode: OPENAT, fd: CWD, addr: at(b"/etc/hostname\0"), file_index: 3, ..Sqe::default() };
    let (res, event) = one(&ring, &mut watch, opening);
    assert_eq!(res, 0);
    let numbers = [("fd", FIXED_FDS + 2)];
    is(&event.event().unwrap(), t::SYSCALL_OPENAT_2_X, &numbers, &[("name", "/etc/hostname")]);
    let mut room = [0u8; 4];
    let reading = Sqe {
        opcode: READ,
        flags: FIXED_FILE,
        fd: 2,
        addr: room.as_mut_ptr() as u64,
        len: 4,
        ..Sqe::default()
    };
    let (res, event) = one(&ring, &mut watch, reading);
    is(&event.event().unwrap(), t::SYSCALL_READ_X, &[("res", res.into()), ("fd", FIXED_FDS + 2)], &[]);
    let closing = Sqe { opcode: CLOSE, file_index: 3, ..Sqe::default() };
    let (_, event) = one(&ring, &mut watch, closing);
    is(&event.event().unwrap(), t::SYSCALL_CLOSE_X, &[("res", 0), ("fd", FIXED_FDS + 2)], &[]);
}

#[test]
fn success_that_is_not_reported_is_told_when_it_is_submitted() {
    let Some((mut watch, ring)) = start(&[t::SYSCALL_UNLINKAT_2_X, t::SYSCALL_OPENAT_2_X], 0) else { return };
    let path = format!("/tmp/lanner-uring-quiet-{}", std::process::id());
    std::fs::write(&path, "").unwrap();
    let name = format!("{path}\0");
    let unlinking =
        Sqe { opcode: UNLINKAT, flags: SKIP_SUCCESS, fd: CWD, addr: at(name.as_bytes()), ..Sqe::default() };
    assert_eq!(ring.run(&[unlinking], 0), []);
    let events = of(&mut watch, gettid(), 1);
    is(&events[0].event().unwrap(), t::SYSCALL_UNLINKAT_2_X, &[("res", 0)], &[("name", &path)]);
    // a failure to open is reported all the same; what stands for an fd that nobody knows came before
    let opening = Sqe { opcode: OPENAT, flags: SKIP_SUCCESS, fd: CWD, addr: at(NONE), ..Sqe::default() };
    assert_eq!(ring.run(&[opening], 1)[0].1, ENOENT);
    let events = of(&mut watch, gettid(), 2);
    let events: Vec<_> = events.iter().map(|e| e.event().unwrap()).collect();
    is(&events[0], t::SYSCALL_OPENAT_2_X, &[("fd", 0x7fff_ffff)], &[("name", NONE_TEXT)]);
    is(&events[1], t::SYSCALL_OPENAT_2_X, &[("fd", ENOENT.into())], &[("name", NONE_TEXT)]);
}

#[test]
fn one_submission_that_accepts_many() {
    let Some((mut watch, ring)) = start(&[t::SOCKET_ACCEPT4_6_X], 0) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepting =
        Sqe { opcode: ACCEPT, ioprio: 1, fd: listener.as_raw_fd(), user_data: 77, ..Sqe::default() };
    ring.run(&[accepting], 0);
    let clients: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let mut done = Vec::new();
    while done.len() < 3 {
        done.extend(ring.completions(1));
    }
    let events = of(&mut watch, gettid(), 3);
    for ((event, client), (name, fd)) in events.iter().zip(&clients).zip(done) {
        let event = event.event().unwrap();
        is(&event, t::SOCKET_ACCEPT4_6_X, &[("fd", fd.into())], &[]);
        let port = client.local_addr().unwrap().port();
        assert_eq!((name, &bytes(&event, "tuple")[5..7]), (77, &port.to_ne_bytes()[..]));
        call(libc::SYS_close, &[N(fd.into())]);
    }
}

#[test]
fn what_was_opened_is_told_where_it_lies() {
    let options = lanner_probe::ProbeOptions {
        events: [t::SYSCALL_OPENAT_2_X, t::SYSCALL_OPENAT2_X].into_iter().collect(),
        include_self: true,
        resolved: true,
        ..Default::default()
    };
    let Some(mut watch) = support::open(options) else { return };
    let link = format!("/tmp/lanner-link-{}", std::process::id());
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink("/etc/../etc/hostname", &link).unwrap();
    let name = format!("{link}\0");
    let fd = call(libc::SYS_openat, &[N(CWD.into()), P(name.as_bytes()), N(0)]);
    std::fs::remove_file(&link).unwrap();
    call(libc::SYS_openat, &[N(CWD.into()), P(NONE), N(0)]);
    let events = watch.own(2);
    let (opened, failed) = (events[0].event().unwrap(), events[1].event().unwrap());
    assert_eq!(text(&opened, "name").as_deref(), Some(&*link));
    assert_eq!((opened.resolved_path(), opened.is_io_uring()), (Some(&b"/etc/hostname"[..]), false));
    assert_eq!((failed.resolved_path(), failed.param_count()), (None, failed.info.params.len()));
    call(libc::SYS_close, &[N(fd)]);
    let Some(ring) = Ring::new(0).filter(|_| sees_rings(&watch)) else { return };
    let opening =
        Sqe { opcode: OPENAT, fd: CWD, addr: at(b"/proc/self/../../etc/hostname\0"), ..Sqe::default() };
    let fd = ring.run(&[opening], 1)[0].1;
    let events = watch.own(1);
    let event = events[0].event().unwrap();
    assert_eq!((event.resolved_path(), event.is_io_uring()), (Some(&b"/etc/hostname"[..]), true));
    call(libc::SYS_close, &[N(fd.into())]);
}
