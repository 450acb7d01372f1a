//! A process's open files as `/proc` shows them.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use lanner_event::{EventBuf, EventType, FD_CLOSES_ON_EXEC, flag_sets, types};

use super::sockets::{Socket, Tables};
use super::{event, link, text};
use crate::plans::convert_open_flags;

/// Reads one file; `None` for one that is gone or of a kind that no event has.
pub fn read(home: &Path, pid: u32, fd: u32, tables: &mut Tables) -> Option<EventBuf> {
    let info = fs::read_to_string(home.join("fdinfo").join(fd.to_string())).unwrap_or_default();
    let flags = info_word(&info, "flags").and_then(|w| u32::from_str_radix(w, 8).ok()).unwrap_or(0);
    let mount = info_word(&info, "mnt_id").and_then(|w| w.parse().ok()).unwrap_or(0);
    let (ty, mut params) = look(home, fd, (flags, mount), tables)?;
    // other than the flags of the file itself, those in the list are the fd's
    if flags & libc::O_CLOEXEC as u32 != 0 {
        params.push(FD_CLOSES_ON_EXEC.to_vec());
    }
    event(pid, pid, ty, &params)
}

/// The event's type and parameters, by where the fd leads, its flags and its mount.
fn look(
    home: &Path,
    fd: u32,
    (flags, mount): (u32, u32),
    tables: &mut Tables,
) -> Option<(EventType, Vec<Vec<u8>>)> {
    let place = home.join("fd").join(fd.to_string());
    let name = link(&place);
    let number = fd.to_ne_bytes().to_vec();
    if let Some(kind) = name.strip_prefix(b"anon_inode:") {
        let ino = fs::metadata(&place).map_or(0, |m| m.ino());
        let ty = anon_type(kind);
        let path = if ty == 0 { text(kind) } else { Vec::new() };
        return Some((types::ITER_TASK_FILE_ANON_INODE_E, vec![number, vec![ty], path, long(ino)]));
    }
    let meta = fs::metadata(&place).ok()?;
    let ino = long(meta.ino());
    let kind = meta.file_type();
    if kind.is_socket() {
        return Some(socket(number, meta.ino(), tables.find(home, meta.ino())?));
    }
    // a deleted file keeps the path that it was opened by, as on the BPF side
    let path = name.strip_suffix(b" (deleted)").unwrap_or(&name);
    if kind.is_fifo() {
        let path = if path.starts_with(b"pipe:") { Vec::new() } else { text(path) };
        return Some((types::ITER_TASK_FILE_PIPE_E, vec![number, path, ino]));
    }
    if kind.is_dir() {
        return Some((types::ITER_TASK_FILE_DIRECTORY_E, vec![number, text(path), ino]));
    }
    if path.starts_with(b"/memfd:") {
        return Some((types::ITER_TASK_FILE_MEMFD_E, vec![number, text(&path[1..]), ino]));
    }
    let flags = convert_open_flags(flags).to_ne_bytes().to_vec();
    let params = vec![number, text(path), flags, mount.to_ne_bytes().to_vec(), ino];
    Some((types::ITER_TASK_FILE_REGULAR_E, params))
}

fn long(n: u64) -> Vec<u8> {
    n.to_ne_bytes().to_vec()
}

fn info_word<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// The event table's number of an anonymous inode's kind: `[eventfd]`, `bpf-map`, `inotify` …
fn anon_type(kind: &[u8]) -> u8 {
    let name = String::from_utf8_lossy(kind).trim_matches(['[', ']']).replace(['-', '_'], "").to_uppercase();
    let named = flag_sets::TASK_FILE_ANON_INODE_FD_TYPE.iter().find(|flag| {
        flag.name.strip_prefix("ANON_INODE_FD_TYPE_").is_some_and(|known| known.replace('_', "") == name)
    });
    named.map_or(0, |flag| flag.value as u8)
}

fn socket(number: Vec<u8>, ino: u64, socket: &Socket) -> (EventType, Vec<Vec<u8>>) {
    let half = |n: u16| n.to_ne_bytes().to_vec();
    match socket {
        Socket::Inet { ty, proto, local, local_port, remote, remote_port } => {
            let event_type = match local.len() {
                4 => types::ITER_TASK_FILE_SOCKET_INET_E,
                _ => types::ITER_TASK_FILE_SOCKET_INET6_E,
            };
            let (local, local_port) = (local.clone(), half(*local_port));
            let (remote, remote_port) = (remote.clone(), half(*remote_port));
            let ends = [local, local_port, remote, remote_port];
            (event_type, [vec![number, half(*ty), half(*proto)], ends.to_vec(), vec![long(ino)]].concat())
        }
        // the kernel's address of the socket is not shown; its inode stands for it
        Socket::Unix { ty, path } => {
            let params = vec![number, half(*ty), half(0), long(ino), text(path), long(ino)];
            (types::ITER_TASK_FILE_SOCKET_UNIX_E, params)
        }
        Socket::Netlink { proto } => {
            (types::ITER_TASK_FILE_SOCKET_NETLINK_E, vec![number, half(3), half(*proto), long(ino)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_anonymous_inodes_are_numbered_as_the_table_does() {
        let of = |name: &str| {
            let found = flag_sets::TASK_FILE_ANON_INODE_FD_TYPE.iter().find(|f| f.name.ends_with(name));
            found.unwrap().value as u8
        };
        assert_eq!(anon_type(b"[eventfd]"), of("_EVENTFD"));
        assert_eq!(anon_type(b"bpf-map"), of("_BPF_MAP"));
        assert_eq!(anon_type(b"inotify"), of("_INOTIFY"));
        assert_eq!(anon_type(b"[perf_event]"), of("_PERF_EVENT"));
        assert_eq!(anon_type(b"[something-new]"), 0);
    }
}
