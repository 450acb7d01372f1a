//! What is gone takes no memory: a capture of very many short processes, replayed while it is made.

use std::fs::{File, read_to_string};
use std::io::{BufWriter, Write};

use lanner_capture::{HostRecord, Snapshot, ThreadRecord, Writer};
use lanner_event::{EventBuf, EventType, types};
use nix::sys::stat::Mode;

use crate::stage::{RULES, Stage};

/// How many, unless `LANNER_PROCESSES` says so; `make memory` takes a million.
const PROCESSES: u64 = 40_000;
const SHELL: i64 = 42;
/// Process ids begin again, as they do on a host.
const IDS: u64 = 32_768;

/// An event with some parameters by name; the others are zero or empty.
fn event(ts: u64, tid: i64, ty: EventType, values: &[(&str, &[u8])]) -> EventBuf {
    let zeros = [0; 64];
    let value = |param: &lanner_event::ParamInfo| {
        let given = values.iter().find(|(name, _)| *name == param.name).map(|(_, value)| *value);
        given.unwrap_or(&zeros[..param.ty.fixed_len().unwrap_or(0)])
    };
    let params: Vec<&[u8]> = ty.info().unwrap().params.iter().map(value).collect();
    EventBuf::new(ts, tid, 0, ty, &params).unwrap()
}

/// What a shell's child does from its birth to its end.
fn life(number: u64) -> [EventBuf; 6] {
    let tid = (1_000 + number % IDS) as i64;
    let ts = 1_700_000_000_000_000_000 + number * 1_000_000;
    let (id, parent) = (tid.to_ne_bytes(), SHELL.to_ne_bytes());
    let (fd, zero, none) = (3_i64.to_ne_bytes(), 0_i64.to_ne_bytes(), (-100_i64).to_ne_bytes());
    let of_child: [(&str, &[u8]); 10] = [
        ("res", &zero),
        ("exe", b"/bin/true\0"),
        ("tid", &id),
        ("pid", &id),
        ("ptid", &parent),
        ("vtid", &id),
        ("vpid", &id),
        ("comm", b"true\0"),
        ("cwd", b"/root/\0"),
        ("env", b"PATH=/usr/bin:/bin\0HOME=/root\0"),
    ];
    let name = format!("/var/lib/thing/{number}\0");
    [
        event(ts, SHELL, types::SYSCALL_CLONE_20_X, &[("res", &id), ("tid", &parent), ("pid", &parent)]),
        event(ts + 1, tid, types::SYSCALL_CLONE_20_X, &of_child),
        event(ts + 2, tid, types::SYSCALL_EXECVE_19_X, &of_child),
        event(
            ts + 3,
            tid,
            types::SYSCALL_OPENAT_2_X,
            &[("fd", &fd), ("dirfd", &none), ("name", name.as_bytes())],
        ),
        event(ts + 4, tid, types::SYSCALL_CLOSE_X, &[("fd", &fd)]),
        event(ts + 5, tid, types::PROCEXIT_1_E, &[]),
    ]
}

/// Resident bytes of a process.
fn resident(pid: u32) -> u64 {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn short_processes_leave_nothing_behind() {
    let processes = std::env::var("LANNER_PROCESSES").map_or(PROCESSES, |number| number.parse().unwrap());
    let stage = Stage::new().with("r.yaml", RULES);
    let pipe = stage.path("pipe.scap");
    nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let mut replay = stage.command(&["replay", "pipe.scap", "-r", "r.yaml", "--priority", "warning"]);
    let replay = replay.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let shell = ThreadRecord {
        tid: SHELL,
        pid: SHELL,
        ptid: 1,
        vtid: SHELL,
        vpid: SHELL,
        comm: b"sh".to_vec(),
        exe: b"sh".to_vec(),
        ..ThreadRecord::default()
    };
    let host = Some(HostRecord { cpus: 2, ..HostRecord::default() });
    let snapshot = Snapshot { host, threads: vec![shell], ..Snapshot::default() };
    let to = BufWriter::with_capacity(1 << 16, File::create(&pipe).unwrap());
    let mut writer = Writer::new(to, &snapshot).unwrap();
    let mut early = 0;
    for number in 0..processes {
        if number == processes / 2 {
            early = resident(replay.id());
        }
        for event in life(number) {
            writer.write(&event.event().unwrap()).unwrap();
        }
    }
    writer.flush().unwrap();
    let late = resident(replay.id());
    drop(writer.finish().unwrap().into_inner().unwrap().flush());
    let output = replay.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && told.contains(&format!("events {}", processes * 6)), "{told}");
    assert!(late <= early + (1 << 20), "{early} bytes after half of them, {late} at the end");
}
