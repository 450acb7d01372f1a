//! What ran before the first event: told by a capture's lists or by snapshot events.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lanner_event::{Event, EventFlag, types};

use crate::address::Socket;
use crate::machine::Machine;
use crate::process::directory;
use crate::sockets::l4_of;
use crate::threads::Slot;
use crate::wire::{i64_of, params, text_of, u16_of, u32_of, u64_of};
use crate::{
    Capabilities, Endpoint, Ends, Executable, Fd, FdKind, L4Proto, Role, Subject, Tail, Text, TextList,
    Thread, abi,
};

impl Machine {
    /// Puts in a thread that ran before events began, in any order. Its container comes from its cgroups; a
    /// main thread's working directory gets its closing slash.
    pub fn add_thread(&mut self, mut thread: Thread) {
        if thread.container.is_empty() {
            thread.container = self.containers.of_cgroups(&thread.cgroups);
        }
        if thread.is_main() {
            let mut out = std::mem::take(&mut self.scratch);
            directory(b"", &thread.cwd, &mut out);
            thread.cwd = Text::sharing(&out, &thread.cwd);
            self.scratch = out;
        } else {
            (thread.cwd, thread.env) = (Text::default(), TextList::default());
        }
        let path = thread.executable.path.clone();
        thread.set_exe_path(&path);
        thread.reaper = -1;
        self.unlinked.push(thread.tid);
        self.insert_thread(thread);
    }

    /// Puts in an fd that was open before events began; its thread comes first. An IP socket needs no name:
    /// it has one from its ends.
    pub fn add_fd(&mut self, tid: i64, mut fd: Fd) {
        let Some(table) = self.threads.get(tid).and_then(|r| r.table) else { return };
        fd.from_snapshot = true;
        match fd.kind {
            FdKind::Ipv4 | FdKind::Ipv6 => self.prepare_pair(&mut fd),
            FdKind::Ipv4Server | FdKind::Ipv6Server => {
                if let Ends::Ip { source, .. } = fd.ends {
                    self.server_ports.insert(source.port);
                }
                self.name_socket(&mut fd);
            }
            // A socket with a path is one that others connect to.
            FdKind::Unix => fd.role = if fd.name.is_empty() { Role::Client } else { Role::Server },
            _ => {}
        }
        if !self.tables.insert(table, fd, self.options.max_fds) {
            self.stats.fds_refused += 1;
        }
        if self.unlinked.last() != Some(&tid) {
            self.unlinked.push(tid);
        }
    }

    fn prepare_pair(&mut self, fd: &mut Fd) {
        if let Ends::Ip { source, dest: Some(dest) } = fd.ends {
            let (short_source, short_dest) = (source.unmapped(), dest.unmapped());
            if short_source.ip.is_ipv4() && short_dest.ip.is_ipv4() {
                fd.kind = FdKind::Ipv4;
                fd.ends = Ends::Ip { source: short_source, dest: Some(short_dest) };
            }
        }
        fd.connected |= fd.l4 == L4Proto::Tcp;
        if fd.kind == FdKind::Ipv4 {
            let mut socket = Socket::of(fd);
            socket.complete(&self.interfaces);
            socket.put(fd);
        }
        self.name_socket(fd);
    }

    fn name_socket(&mut self, fd: &mut Fd) {
        let mut out = std::mem::take(&mut self.scratch);
        let socket = Socket::of(fd);
        // Whatever the protocol: the lists tell ports, and they are shown.
        Socket { l4: L4Proto::Tcp, ..socket }.print_name(&mut out);
        fd.name = Text::from(&out[..]);
        self.scratch = out;
    }

    /// Makes the snapshot's threads known to their processes and parents, and finds out which sockets were
    /// connected to a port that is listened on here.
    pub(crate) fn link_snapshot(&mut self) {
        let mut tids = std::mem::take(&mut self.unlinked);
        tids.sort_unstable();
        tids.dedup();
        for &tid in &tids {
            if let Some(slot) = self.threads.slot(tid) {
                self.link(slot);
            }
        }
        for tid in tids {
            if let Some(table) = self.threads.get(tid).and_then(|r| r.table) {
                self.orient_sockets(table);
            }
        }
    }

    fn orient_sockets(&mut self, table: u32) {
        let undecided = |fd: &Fd| fd.kind == FdKind::Ipv4 && fd.from_snapshot && fd.role == Role::Unknown;
        let nums: Vec<i64> = self.tables.iter(table).filter(|fd| undecided(fd)).map(|fd| fd.num).collect();
        for num in nums {
            let Some(mut fd) = self.tables.get(table, num).cloned() else { continue };
            let served =
                matches!(fd.ends, Ends::Ip { source, .. } if self.server_ports.contains(&source.port));
            fd.role = if served { Role::Server } else { Role::Client };
            if served {
                let mut socket = Socket::of(&fd);
                socket.swap();
                socket.put(&mut fd);
                self.name_socket(&mut fd);
            }
            self.tables.insert(table, fd, usize::MAX);
        }
    }

    /// Applies an event of the snapshot. The thread id of such an event has the process id in its upper half.
    pub(crate) fn apply_snapshot(&mut self, event: &Event<'_>) -> Subject {
        let tid = event.tid & 0xffff_ffff;
        let pid = if event.tid >> 32 == 0 { tid } else { event.tid >> 32 };
        self.snapshot_end = self.snapshot_end.max(event.ts);
        if event.ty() == types::ITER_TASK_E {
            let thread = self.thread_of_snapshot(event, tid, pid);
            self.add_thread(thread);
            if let Some(record) = self.threads.get_mut(tid) {
                record.snapshot_ts = event.ts;
            }
        } else if let Some(fd) = fd_of_snapshot(event) {
            self.add_fd(tid, fd);
            if let Some(record) = self.threads.get_mut(tid) {
                record.files_ts = event.ts;
            }
        }
        Subject::unresolved(tid)
    }

    /// A file whose opening was left out as mattering to nobody, and which its thread now uses. Other than in a
    /// snapshot, the event's thread id is that of the thread alone, and what has no path is neither a file nor a
    /// directory any more: its close was left out.
    pub(crate) fn told_of_file(&mut self, event: &Event<'_>) -> Subject {
        self.settle(event.ts);
        let table = self.threads.get(event.tid).and_then(|record| record.table);
        let (Some(table), Some(fd)) = (table, fd_of_snapshot(event)) else {
            return Subject::unresolved(event.tid);
        };
        if fd.kind == FdKind::File && fd.name.is_empty() {
            let closed_unseen = [FdKind::File, FdKind::Directory, FdKind::Memfd];
            if self.tables.get(table, fd.num).is_some_and(|known| closed_unseen.contains(&known.kind)) {
                self.tables.remove(table, fd.num);
            }
        } else if !self.tables.insert(table, fd, self.options.max_fds) {
            self.stats.fds_refused += 1;
        }
        Subject::unresolved(event.tid)
    }

    /// Whether what an event tells was over when the snapshot was taken: a source is attached first, and its
    /// first events come after the snapshot that already knows their outcome.
    pub(crate) fn is_in_snapshot(&self, slot: Slot, event: &Event<'_>) -> bool {
        if event.ts >= self.snapshot_end {
            return false;
        }
        let Some(record) = self.at(slot) else { return false };
        let of_fds = [EventFlag::CreatesFd, EventFlag::UsesFd, EventFlag::DestroysFd];
        let files = || self.threads.main_slot(slot).and_then(|main| self.at(main)).map_or(0, |r| r.files_ts);
        let files_ts = if of_fds.iter().any(|&flag| event.info.has(flag)) { files() } else { 0 };
        event.ts < record.snapshot_ts.max(files_ts)
    }

    fn thread_of_snapshot(&self, event: &Event<'_>, tid: i64, pid: i64) -> Thread {
        let p = params::<32>(event);
        let id = |i: usize| u32_of(p[i]).map_or(-1, |v| i64::from(v as i32));
        let word = |i: usize| u64_of(p[i]).unwrap_or(0);
        let half = |i: usize, absent| u32_of(p[i]).unwrap_or(absent);
        let argv = TextList::from_joined(p[5]);
        let exe = argv.get(0).unwrap_or_default();
        let args = p[5].get(exe.len() + 1..).unwrap_or_default();
        let exe_flags = half(7, 0);
        let start = word(26);
        let mut thread = Thread {
            pid,
            ptid: id(0),
            pgid: id(1),
            vpgid: id(2),
            sid: id(3),
            comm: Text::from(p[4].strip_suffix(&[0]).unwrap_or(p[4])),
            exe: Text::from(exe),
            args: TextList::from_joined(args),
            env: TextList::from_joined(p[8]),
            executable: Executable {
                path: if p[6].is_empty() { Text::default() } else { Text::from(text_of(p[6])) },
                ino: word(16),
                ctime: word(17),
                mtime: word(18),
                writable: exe_flags & abi::EXE_WRITABLE != 0,
                upper_layer: exe_flags & abi::EXE_UPPER_LAYER != 0,
                lower_layer: exe_flags & abi::EXE_LOWER_LAYER != 0,
                from_memfd: exe_flags & abi::EXE_FROM_MEMFD != 0,
                ..Executable::default()
            },
            cwd: if p[9].is_empty() { Text::default() } else { Text::from(text_of(p[9])) },
            fdlimit: i64_of(p[10]).unwrap_or(-1),
            uid: half(11, u32::MAX),
            gid: half(12, u32::MAX),
            capabilities: Capabilities { permitted: word(13), effective: word(14), inheritable: word(15) },
            vpid: id(24),
            vtid: id(25),
            // Some sources count from the host's start.
            pidns_init_start_ts: if start < self.boot_ts { start + self.boot_ts } else { start },
            cgroups: TextList::from_joined(p[27]),
            root: if p[28].is_empty() { Text::default() } else { Text::from(text_of(p[28])) },
            clone_ts: word(29),
            tty: half(30, 0),
            loginuid: half(31, u32::MAX),
            flags: if tid == pid { 0 } else { abi::CLONE_THREAD | abi::CLONE_FILES },
            dead: event.has_ended(),
            last_seen_ts: event.ts,
            ..Thread::unknown(tid)
        };
        thread.set_memory([p[22], p[23], p[19], p[20], p[21]]);
        thread
    }
}

/// The fd that a snapshot event tells of.
fn fd_of_snapshot(event: &Event<'_>) -> Option<Fd> {
    let mut fd = fd_as_listed(event)?;
    if event.closes_on_exec() {
        fd.set_cloexec(true);
    }
    Some(fd)
}

/// The fd by the parameters of the event table, which say of plain files alone what a new program does to them.
fn fd_as_listed(event: &Event<'_>) -> Option<Fd> {
    let p = params::<8>(event);
    let num = i64::from(u32_of(p[0])? as i32);
    let path = |i: usize| if p[i].is_empty() { Text::default() } else { Text::from(text_of(p[i])) };
    let ino = |i: usize| u64_of(p[i]).unwrap_or(0);
    let named = |kind| Fd { num, kind, name: path(1), ino: ino(2), ..Fd::default() };
    Some(match event.ty() {
        types::ITER_TASK_FILE_PIPE_E => named(FdKind::Fifo),
        types::ITER_TASK_FILE_MEMFD_E => named(FdKind::Memfd),
        types::ITER_TASK_FILE_DIRECTORY_E => named(FdKind::Directory),
        types::ITER_TASK_FILE_REGULAR_E => {
            let fd = named(FdKind::File);
            Fd {
                open_flags: u32_of(p[2]).unwrap_or(0),
                mount_id: u32_of(p[3]).unwrap_or(0),
                ino: ino(4),
                // what a snapshot calls a file is where the kernel has it
                found: Tail::of(&fd.name, &fd.name),
                ..fd
            }
        }
        types::ITER_TASK_FILE_SOCKET_INET_E => inet(num, &p, v4_end)?,
        types::ITER_TASK_FILE_SOCKET_INET6_E => inet(num, &p, v6_end)?,
        types::ITER_TASK_FILE_SOCKET_UNIX_E => Fd {
            num,
            kind: FdKind::Unix,
            ends: Ends::Unix { source: ino(3), dest: 0 },
            name: path(4),
            ino: ino(5),
            ..Fd::default()
        },
        types::ITER_TASK_FILE_SOCKET_NETLINK_E => {
            Fd { num, kind: FdKind::Netlink, ino: ino(3), ..Fd::default() }
        }
        types::ITER_TASK_FILE_ANON_INODE_E => {
            let kind = anonymous_kind(p[1].first().copied().unwrap_or(0));
            let name = if kind.is_none() { path(2) } else { Text::default() };
            Fd { num, kind: kind.unwrap_or(FdKind::Unsupported), name, ino: ino(3), ..Fd::default() }
        }
        _ => return None,
    })
}

fn v4_end(ip: &[u8], port: &[u8]) -> Option<Endpoint> {
    let octets: [u8; 4] = *ip.first_chunk()?;
    Some(Endpoint { ip: Ipv4Addr::from(octets).into(), port: u16_of(port)? })
}

fn v6_end(ip: &[u8], port: &[u8]) -> Option<Endpoint> {
    let octets: [u8; 16] = *ip.first_chunk()?;
    Some(Endpoint { ip: Ipv6Addr::from(octets).into(), port: u16_of(port)? })
}

/// A socket with a remote address is connected; one without is taken for a listening one.
fn inet(num: i64, p: &[&[u8]; 8], end: fn(&[u8], &[u8]) -> Option<Endpoint>) -> Option<Fd> {
    let (source, dest) = (end(p[3], p[4])?, end(p[5], p[6])?);
    let kind = match (source.ip, dest.ip.is_unspecified()) {
        (IpAddr::V4(_), false) => FdKind::Ipv4,
        (IpAddr::V4(_), true) => FdKind::Ipv4Server,
        (IpAddr::V6(_), false) => FdKind::Ipv6,
        (IpAddr::V6(_), true) => FdKind::Ipv6Server,
    };
    let dest = Some(dest).filter(|d| !d.ip.is_unspecified());
    let (ty, protocol) = (u32::from(u16_of(p[1])?), u32::from(u16_of(p[2])?));
    let l4 = if ty == abi::SOCK_RAW { L4Proto::Raw } else { l4_of(ty, protocol) };
    Some(Fd {
        num,
        kind,
        ends: Ends::Ip { source, dest },
        l4,
        ino: u64_of(p[7]).unwrap_or(0),
        ..Fd::default()
    })
}

/// Kinds by the event table's `task_file_anon_inode_fd_type`. `None`: not told apart.
fn anonymous_kind(code: u8) -> Option<FdKind> {
    Some(match code {
        1 => FdKind::Event,
        2 => FdKind::Eventpoll,
        3 => FdKind::Inotify,
        4 => FdKind::Signal,
        5 => FdKind::Timerfd,
        6 => FdKind::IoUring,
        7 => FdKind::Userfault,
        8 => FdKind::Pidfd,
        9..=12 => FdKind::Bpf,
        13 => FdKind::Unsupported,
        _ => return None,
    })
}
