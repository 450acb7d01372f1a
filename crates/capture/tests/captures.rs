//! Captures built here, written, damaged and read.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{Cursor, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flate2::{Compression, write::GzEncoder};
use lanner_capture::{
    CaptureError, FdListRecord, FdObject, FdRecord, GroupRecord, HostRecord, InterfaceRecord, NamedKind,
    Reader, Snapshot, ThreadRecord, UserRecord, Writer,
};
use lanner_event::{EventBuf, EventType, types};
use proptest::prelude::*;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));

fn fd(num: i64, object: FdObject) -> FdRecord {
    FdRecord { num, ino: num as u64 + 1000, object }
}

fn snapshot() -> Snapshot {
    let mut hostname = [0; 128];
    hostname[..4].copy_from_slice(b"host");
    let named = |kind, name: &[u8]| FdObject::Named { kind, name: name.to_vec() };
    Snapshot {
        host: Some(HostRecord {
            cpus: 2,
            memory: 1 << 33,
            max_pid: 4_194_304,
            hostname,
            boot_ts: 77,
            ..HostRecord::default()
        }),
        interfaces: [V4, V6]
            .map(|ip| InterfaceRecord {
                name: b"eth0".to_vec(),
                address: ip,
                netmask: ip,
                broadcast: ip,
                link_speed: 9,
            })
            .to_vec(),
        users: vec![UserRecord {
            uid: 1,
            gid: 2,
            name: b"u".to_vec(),
            home: b"/home/u".to_vec(),
            shell: b"/bin/sh".to_vec(),
        }],
        groups: vec![GroupRecord { gid: 2, name: b"g".to_vec() }],
        threads: vec![
            ThreadRecord {
                tid: 5,
                pid: 5,
                ptid: 1,
                comm: b"sh".to_vec(),
                exe: b"/bin/sh".to_vec(),
                args: b"-c\0true\0".to_vec(),
                env: b"A=1\0".to_vec(),
                cgroups: b"cpu=/x\0".to_vec(),
                cwd: b"/tmp/".to_vec(),
                exe_writable: true,
                cap_effective: 3,
                pgid: 5,
                tty: 34816,
                ..ThreadRecord::default()
            },
            ThreadRecord { tid: 6, pid: 5, ..ThreadRecord::default() },
        ],
        fds: vec![FdListRecord {
            tid: 5,
            fds: vec![
                fd(0, FdObject::File { name: b"/dev/null".to_vec(), open_flags: 1, dev: 6 }),
                fd(1, FdObject::Ip { source: (V4, 1), dest: (V4, 2), protocol: 2 }),
                fd(2, FdObject::Ip { source: (V6, 1), dest: (V6, 2), protocol: 3 }),
                fd(3, FdObject::IpServer { address: (V4, 80), protocol: 2 }),
                fd(4, FdObject::IpServer { address: (V6, 80), protocol: 2 }),
                fd(5, FdObject::Unix { source: 1, dest: 2, name: b"/run/s".to_vec() }),
                fd(6, named(NamedKind::Fifo, b"pipe:[7]")),
                fd(7, named(NamedKind::Pidfd, b"")),
                fd(8, FdObject::Unknown),
            ],
        }],
    }
}

fn event(ty: EventType, params: &[&[u8]]) -> EventBuf {
    EventBuf::new(1_700_000_000_000_000_000, 5, 3, ty, params).unwrap()
}

fn events() -> Vec<EventBuf> {
    let n = 7i64.to_ne_bytes();
    let large = vec![b'x'; 100_000];
    vec![
        event(types::SYSCALL_CLOSE_X, &[&n, &n]),
        event(types::SYSCALL_CHDIR_X, &[&n, b"/tmp\0"]),
        event(types::PLUGINEVENT_E, &[&9u32.to_ne_bytes(), &large]),
        event(types::SYSCALL_UNLINK_2_X, &[&n, b"x\0"]),
    ]
}

fn write(snapshot: &Snapshot, events: &[EventBuf]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), snapshot).unwrap();
    for event in events {
        writer.write(&event.event().unwrap()).unwrap();
    }
    let written = writer.written();
    let bytes = writer.finish().unwrap();
    assert_eq!(written, bytes.len() as u64);
    bytes
}

fn write_for_old_readers(snapshot: &Snapshot, events: &[EventBuf]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), snapshot).unwrap().for_old_readers();
    for event in events {
        writer.write(&event.event().unwrap()).unwrap();
    }
    writer.finish().unwrap()
}

/// Reads to the end: the snapshot, the events, and the fault that was met.
fn read(bytes: Vec<u8>) -> Result<(Snapshot, Vec<EventBuf>, Option<CaptureError>), CaptureError> {
    let mut reader = Reader::new(Cursor::new(bytes))?;
    let snapshot = reader.snapshot().clone();
    let (mut events, mut fault) = (Vec::new(), None);
    loop {
        match reader.next() {
            Ok(Some(event)) => events.push(EventBuf::copy_of(&event)),
            Ok(None) => return Ok((snapshot, events, fault)),
            Err(error) => assert!(fault.replace(error).is_none(), "two faults"),
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_written_is_read_and_writes_the_same() {
    let bytes = write(&snapshot(), &events());
    for bytes in [bytes.clone(), gzip(&bytes)] {
        let (snapshot_read, events_read, fault) = read(bytes).unwrap();
        assert!(fault.is_none(), "{fault:?}");
        assert_eq!(snapshot_read, snapshot());
        assert_eq!(events_read, events());
        assert_eq!(write(&snapshot_read, &events_read), write(&snapshot(), &events()));
    }
}

#[test]
fn what_old_readers_want_is_written_beside_and_passed_over() {
    let n = 7i64.to_ne_bytes();
    let mut events = events();
    events.push(event(types::SYSCALL_DUP2_X, &[&n, &n, &n]));
    events.push(event(types::SYSCALL_READ_X, &[&n, b"data", &n, &9u32.to_ne_bytes()]));
    let bytes = write_for_old_readers(&snapshot(), &events);
    // The type's number stands behind time, thread and length; `close`, `dup` and `read` begin.
    for begin in [types::SYSCALL_CLOSE_E, types::SYSCALL_DUP_E, types::SYSCALL_DUP_X, types::SYSCALL_READ_E] {
        let head = [&event(begin, &[]).as_bytes()[..16], &[0; 0]].concat();
        let at = |i: usize| bytes[i..].starts_with(&head) && bytes[i + 20..i + 22] == begin.0.to_ne_bytes();
        assert_eq!((0..bytes.len() - 30).filter(|&i| at(i)).count(), 1, "{begin:?}");
    }
    let (_, events_read, fault) = read(bytes.clone()).unwrap();
    assert!(fault.is_none(), "{fault:?}");
    assert_eq!(events_read, events);
    assert_eq!(write_for_old_readers(&snapshot(), &events_read), bytes);
}

#[test]
fn an_empty_capture_has_no_events() {
    let (snapshot, events, fault) = read(write(&Snapshot::default(), &[])).unwrap();
    assert!(snapshot == Snapshot::default() && events.is_empty() && fault.is_none());
}

#[test]
fn joined_captures_are_read_one_behind_the_other() {
    let mut other = snapshot();
    other.threads.truncate(1);
    let bytes = [write(&snapshot(), &events()), write(&other, &events()[..1])].concat();
    let mut reader = Reader::new(Cursor::new(bytes)).unwrap();
    let mut seen = Vec::new();
    while reader.next().unwrap().is_some() {
        seen.push((reader.sections(), reader.snapshot().threads.len()));
    }
    assert_eq!(seen, [(1, 2), (1, 2), (1, 2), (1, 2), (2, 1)]);
}

#[test]
fn an_event_that_only_changes_state_says_so() {
    let mut writer = Writer::new(Vec::new(), &Snapshot::default()).unwrap();
    writer.write_state_only(&events()[0].event().unwrap()).unwrap();
    writer.write(&events()[0].event().unwrap()).unwrap();
    writer.write_learnt(&events()[0].event().unwrap()).unwrap();
    let mut reader = Reader::new(Cursor::new(writer.finish().unwrap())).unwrap();
    let mut seen = Vec::new();
    while let Some(event) = reader.next().unwrap() {
        assert_eq!(event.as_bytes(), events()[0].as_bytes());
        seen.push((reader.is_state_only(), reader.is_learnt()));
    }
    assert_eq!(seen, [(true, false), (false, false), (true, true)]);
}

#[test]
fn what_is_no_capture_is_refused() {
    for bytes in [&b""[..], b"short", b"just some text that is long enough for a header", &gzip(b"text")] {
        assert!(matches!(read(bytes.to_vec()), Err(CaptureError::NotACapture)), "{bytes:?}");
    }
    let mut newer = write(&Snapshot::default(), &[]);
    newer[12] = 2;
    assert!(matches!(read(newer), Err(CaptureError::Version { major: 2 })));
    let missing = Reader::open("/nonexistent/capture.scap").unwrap_err().to_string();
    assert!(missing.starts_with("can't open /nonexistent/capture.scap: "), "{missing}");
}

#[test]
fn a_cut_capture_gives_what_is_there_and_says_where_it_ends() {
    let whole = write(&snapshot(), &events()[..2]);
    let mut most = 0;
    for len in 28..whole.len() {
        let (_, events, fault) = read(whole[..len].to_vec()).unwrap();
        assert!(events.len() >= most);
        most = events.len();
        match fault {
            Some(CaptureError::CutOff { at, need, have, .. }) => {
                assert!(at + have == len as u64 && need > have, "{at} {need} {have} {len}");
            }
            None => {} // cut between two blocks
            Some(other) => panic!("{other}"),
        }
    }
    let text = read(whole[..whole.len() - 3].to_vec()).unwrap().2.unwrap().to_string();
    assert!(
        text.starts_with("the capture is cut off at byte ") && text.ends_with("bytes, 57 are left"),
        "{text}"
    );
}

#[test]
fn a_cut_gzip_says_so_once() {
    let packed = gzip(&write(&snapshot(), &events()));
    let (_, _, fault) = read(packed[..packed.len() - 20].to_vec()).unwrap();
    assert!(matches!(fault, Some(CaptureError::Read { .. })), "{fault:?}");
}

#[test]
fn damage_in_one_entry_costs_no_events() {
    let bytes = write(&snapshot(), &events());
    // The first thread's name says it is longer than its entry.
    let at = bytes.windows(4).position(|w| w == b"\x02\0sh").unwrap();
    let mut damaged = bytes.clone();
    damaged[at + 1] = 0xff;
    let (snapshot_read, events_read, fault) = read(damaged).unwrap();
    assert_eq!(events_read, events());
    assert!(snapshot_read.threads.is_empty() && snapshot_read.fds == snapshot().fds);
    let Some(CaptureError::Damaged { at, what }) = fault else { panic!("{fault:?}") };
    assert!(at > 0 && what.starts_with("a thread needs "), "{at} {what}");
}

#[test]
fn damage_in_one_event_costs_that_event() {
    let bytes = write(&Snapshot::default(), &events());
    let mut damaged = bytes.clone();
    // Parameter count of the first event: section header, block head, cpu, then 22 bytes.
    damaged[28 + 10 + 22] = 200;
    let (_, events_read, fault) = read(damaged).unwrap();
    assert_eq!(events_read, events()[1..]);
    assert!(matches!(fault, Some(CaptureError::Damaged { at: 28, .. })), "{fault:?}");
}

#[test]
fn events_of_newer_types_and_unknown_blocks_are_passed_over() {
    let mut bytes = write(&Snapshot::default(), &events()[..1]);
    bytes[28 + 10 + 20..][..2].copy_from_slice(&5000u16.to_ne_bytes());
    bytes.extend([0x7777u32, 16, 0, 16].iter().flat_map(|n| n.to_ne_bytes()));
    bytes.extend(&write(&Snapshot::default(), &events()[..1])[28..]);
    let mut reader = Reader::new(Cursor::new(bytes)).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().as_bytes(), events()[0].as_bytes());
    assert!(reader.next().unwrap().is_none());
    assert_eq!(reader.skipped(), 1);
}

#[test]
fn the_beginning_of_a_call_is_state_only_even_when_it_is_old() {
    let fd = 3i64.to_ne_bytes();
    let connect = event(types::SOCKET_CONNECT_E, &[&fd, b"\x01/run\0"]);
    let exec = event(types::SYSCALL_EXECVE_16_E, &[]);
    let bytes = write(&Snapshot::default(), &[connect, exec, events()[0].clone()]);
    let mut reader = Reader::new(Cursor::new(bytes)).unwrap();
    let mut seen = Vec::new();
    while let Some(event) = reader.next().unwrap() {
        let name = event.info.symbol;
        seen.push((name, reader.is_state_only()));
    }
    let want = [("SOCKET_CONNECT_E", true), ("SYSCALL_EXECVE_19_E", true), ("SYSCALL_CLOSE_X", false)];
    assert_eq!(seen, want);
}

#[test]
fn accounts_at_the_very_beginning_are_state() {
    let group = || event(types::GROUP_ADDED_E, &[&7u32.to_ne_bytes(), b"g\0", b"\0"]);
    let bytes = write(&Snapshot::default(), &[group(), group(), events()[0].clone(), group()]);
    let mut reader = Reader::new(Cursor::new([bytes.clone(), bytes].concat())).unwrap();
    let mut seen = Vec::new();
    while reader.advance().unwrap() {
        seen.push(reader.is_state_only());
    }
    assert_eq!(seen, [true, true, false, false].repeat(2));
}

/// A capture of the other byte order and an early version, byte by byte.
#[test]
fn the_other_byte_order_and_early_versions_are_read() {
    #[derive(Default)]
    struct Foreign(Vec<u8>);
    impl Foreign {
        fn put<const N: usize>(&mut self, mut number: [u8; N]) -> &mut Foreign {
            number.reverse();
            self.0.extend(number);
            self
        }
        fn text(&mut self, text: &[u8]) -> &mut Foreign {
            self.put((text.len() as u16).to_ne_bytes()).0.extend(text);
            self
        }
        fn block(&mut self, ty: u32, body: &[u8]) {
            let len = ((12 + body.len()).div_ceil(4) * 4) as u32;
            self.put(ty.to_ne_bytes()).put(len.to_ne_bytes()).0.extend(body);
            self.0.resize(self.0.len() + len as usize - 12 - body.len(), 0);
            self.put(len.to_ne_bytes());
        }
    }
    let mut capture = Foreign::default();
    let mut body = Foreign::default();
    body.put(0x1A2B_3C4Du32.to_ne_bytes())
        .put(1u16.to_ne_bytes())
        .put(0u16.to_ne_bytes())
        .put(0u64.to_ne_bytes());
    capture.block(0x0A0D_0D0A, &body.0);
    let mut body = Foreign::default();
    for id in [8i64, 8, 1] {
        body.put(id.to_ne_bytes());
    }
    body.text(b"cat").text(b"/bin/cat").text(b"f\0").text(b"/");
    body.put(1024i64.to_ne_bytes());
    for number in [0u32, 1000, 1001] {
        body.put(number.to_ne_bytes());
    }
    capture.block(0x202, &body.0);
    let mut body = Foreign::default();
    body.put(8i64.to_ne_bytes()).put(3i64.to_ne_bytes()).put(99u64.to_ne_bytes()).put([1u8]).text(b"/etc/f");
    capture.block(0x203, &body.0);
    // close of fd 3: a beginning and an end, without parameter counts.
    for (ty, value) in [(types::SYSCALL_CLOSE_E, 3i64), (types::SYSCALL_CLOSE_X, 0)] {
        let mut body = Foreign::default();
        body.put(1u16.to_ne_bytes()).put(5u64.to_ne_bytes()).put(8u64.to_ne_bytes());
        body.put(32u32.to_ne_bytes())
            .put(ty.0.to_ne_bytes())
            .put(8u16.to_ne_bytes())
            .put(value.to_ne_bytes());
        capture.block(0x204, &body.0);
    }
    let (snapshot, events, fault) = read(capture.0).unwrap();
    assert!(fault.is_none(), "{fault:?}");
    let thread = &snapshot.threads[0];
    assert_eq!((thread.tid, thread.ptid, thread.uid, thread.gid, thread.fd_limit), (8, 1, 1000, 1001, 1024));
    assert_eq!((&thread.comm[..], &thread.args[..], thread.sid), (&b"cat"[..], &b"f\0"[..], -1));
    let file = FdObject::Named { kind: NamedKind::OldFile, name: b"/etc/f".to_vec() };
    assert_eq!(
        snapshot.fds[0],
        FdListRecord { tid: 8, fds: vec![FdRecord { num: 3, ino: 99, object: file }] }
    );
    let close = EventBuf::new(5, 8, 1, types::SYSCALL_CLOSE_X, &[&0i64.to_ne_bytes(), &3i64.to_ne_bytes()]);
    assert_eq!(events, [close.unwrap()]);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read(bytes.clone());
        let _ = read([&write(&Snapshot::default(), &[])[..], &bytes].concat());
    }

    #[test]
    fn damage_never_panics_and_always_ends(at in 0usize..2000, value: u8, cut in 0usize..200) {
        let mut bytes = write(&snapshot(), &events()[..2]);
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.truncate(bytes.len() - cut);
        let _ = read(bytes);
    }

    #[test]
    fn events_of_every_current_type_survive(code in 0u16..454, lens in prop::collection::vec(0usize..40, 32)) {
        let info = EventType(code).info().unwrap();
        let current = lanner_event::EventFlag::OldVersion.bit() | lanner_event::EventFlag::Unused.bit();
        prop_assume!(info.flags & current == 0);
        let data = [0x41; 40];
        let params: Vec<&[u8]> = info.params.iter().zip(&lens).map(|(_, len)| &data[..*len]).collect();
        let event = event(info.code, &params);
        for write in [write, write_for_old_readers] {
            let bytes = write(&Snapshot::default(), std::slice::from_ref(&event));
            let (_, events, fault) = read(bytes.clone()).unwrap();
            prop_assert!(fault.is_none());
            prop_assert_eq!(&events, std::slice::from_ref(&event));
            prop_assert!(write(&Snapshot::default(), &events) == bytes);
        }
    }
}
