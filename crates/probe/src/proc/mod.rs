//! What runs already, by `/proc`: the fall-back where the kernel refuses iterators. The same events with the
//! same parameters, except what `/proc` does not tell (execve flags, start of a pid namespace).

mod files;
mod sockets;
mod task;

use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use lanner_event::{Event, EventBuf, EventType};

use crate::{SnapshotSource, SnapshotStats};

/// Reads a `/proc` and delivers every thread and every file. What ends meanwhile is left out.
pub fn snapshot(proc: &Path, boot_time: u64, sink: &mut dyn FnMut(&Event<'_>)) -> io::Result<SnapshotStats> {
    let mut stats = SnapshotStats { source: SnapshotSource::Proc, ..SnapshotStats::default() };
    let mut tables = sockets::Tables::default();
    for pid in numbers(proc)? {
        let home = proc.join(pid.to_string());
        let threads = numbers(&home.join("task")).unwrap_or_default();
        let mut user_process = false;
        for tid in threads {
            let ts = now();
            let Some(event) = task::read(&home.join("task").join(tid.to_string()), pid, tid, boot_time)
            else {
                continue;
            };
            user_process = true;
            stats.threads += deliver(&event, ts, sink);
        }
        if !user_process {
            continue;
        }
        stats.files += deliver_files(&home, pid, &|_| true, &mut tables, sink);
    }
    Ok(stats)
}

/// Delivers the files of one process, by the numbers that are wanted; says how many.
fn deliver_files(
    home: &Path,
    pid: u32,
    is_wanted: &dyn Fn(i64) -> bool,
    tables: &mut sockets::Tables,
    sink: &mut dyn FnMut(&Event<'_>),
) -> usize {
    let fds = numbers(&home.join("fd")).unwrap_or_default();
    let wanted = fds.into_iter().filter(|fd| is_wanted(i64::from(*fd)));
    let deliver_one = |fd| {
        let ts = now();
        files::read(home, pid, fd, tables).map_or(0, |event| deliver(&event, ts, sink))
    };
    wanted.map(deliver_one).sum()
}

/// Delivers the files of processes that a `/proc` shows, where process and number are wanted. None of what has ended.
pub fn open_files(
    proc: &Path,
    pids: impl Iterator<Item = i64>,
    is_wanted: &dyn Fn(i64, i64) -> bool,
    sink: &mut dyn FnMut(&Event<'_>),
) {
    let mut tables = sockets::Tables::default();
    for pid in pids.filter_map(|pid| u32::try_from(pid).ok()) {
        let of_process = |num| is_wanted(i64::from(pid), num);
        deliver_files(&proc.join(pid.to_string()), pid, &of_process, &mut tables, sink);
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Delivers an event with the time before it was read: what happens later is news to whoever gets it.
fn deliver(event: &EventBuf, ts: u64, sink: &mut dyn FnMut(&Event<'_>)) -> usize {
    let Ok(event) = event.event() else { return 0 };
    let params: Vec<&[u8]> = event.params().collect();
    let stamped = EventBuf::new(ts, event.tid, event.cpu, event.ty(), &params);
    match stamped.as_ref().map(EventBuf::event) {
        Ok(Ok(event)) => {
            sink(&event);
            1
        }
        _ => 0,
    }
}

/// The entries of a directory that are numbers, in order.
fn numbers(directory: &Path) -> io::Result<Vec<u32>> {
    let mut found: Vec<u32> =
        fs::read_dir(directory)?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    found.sort_unstable();
    Ok(found)
}

/// An event whose thread id is packed as iterators pack it.
fn event(pid: u32, tid: u32, ty: EventType, params: &[Vec<u8>]) -> Option<EventBuf> {
    let params: Vec<&[u8]> = params.iter().map(Vec::as_slice).collect();
    EventBuf::new(0, i64::from(pid) << 32 | i64::from(tid), 0, ty, &params).ok()
}

/// Text with the NUL that a parameter has; nothing for nothing.
fn text(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [] => Vec::new(),
        bytes => [bytes, b"\0"].concat(),
    }
}

/// Where a link points.
fn link(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStringExt as _;
    fs::read_link(path).map(|to| to.into_os_string().into_vec()).unwrap_or_default()
}
