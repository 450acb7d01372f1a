//! Fds that calls make, copy and close, sockets aside.

use lanner_event::{Event, types};

use crate::apply::Frame;
use crate::machine::{Ending, Machine};
use crate::path::Becomes;
use crate::threads::Slot;
use crate::wire::{i64_of, params, text_of, u16_of, u32_of, u64_of};
use crate::{Fd, FdKind, Tail, Text, abi, path};

/// An open call as its event tells it.
struct Open<'a> {
    /// `None`: the name is absolute or counts from the working directory.
    dirfd: Option<i64>,
    name: &'a [u8],
    flags: u32,
    dev: u32,
    ino: u64,
}

impl<'a> Open<'a> {
    fn read(event: &Event<'a>) -> Open<'a> {
        let p = params::<8>(event);
        let place = |dev: &[u8], ino: &[u8]| (u32_of(dev).unwrap_or(0), u64_of(ino).unwrap_or(0));
        let flags = |p| u32_of(p).unwrap_or(0);
        match event.ty() {
            types::SYSCALL_CREAT_X => {
                let (dev, ino) = place(p[3], p[4]);
                Open { dirfd: None, name: text_of(p[1]), flags: creat_flags(p[5]), dev, ino }
            }
            types::SYSCALL_OPENAT_2_X | types::SYSCALL_OPENAT2_X => {
                let at = if event.ty() == types::SYSCALL_OPENAT2_X { 6 } else { 5 };
                let (dev, ino) = place(p[at], p[at + 1]);
                Open { dirfd: i64_of(p[1]), name: text_of(p[2]), flags: flags(p[3]), dev, ino }
            }
            types::SYSCALL_OPEN_BY_HANDLE_AT_X => {
                let (dev, ino) = place(p[4], p[5]);
                Open { dirfd: None, name: text_of(p[3]), flags: flags(p[2]), dev, ino }
            }
            _ => {
                let (dev, ino) = place(p[4], p[5]);
                Open { dirfd: None, name: text_of(p[1]), flags: flags(p[2]), dev, ino }
            }
        }
    }

    /// What was read at the call's beginning cannot have been changed by another thread since.
    fn prefer_beginning(&mut self, begun: &Event<'a>) {
        let (name, flags, dirfd) = match begun.ty() {
            types::SYSCALL_OPENAT_2_E | types::SYSCALL_OPENAT2_E => (1, 2, Some(0)),
            _ => (0, 1, None),
        };
        let name = text_of(begun.param(name).unwrap_or_default());
        if name == b"<NA>" {
            return;
        }
        self.name = name;
        if begun.ty() != types::SYSCALL_CREAT_E {
            let added = self.flags & !(abi::O_F_CREATED - 1);
            self.flags = begun.u32(flags).unwrap_or(0) | added;
        }
        if let Some(dirfd) = dirfd {
            self.dirfd = begun.i64(dirfd);
        }
    }
}

/// `creat` has no flags; its event tells the layer in a field of its own.
fn creat_flags(param: &[u8]) -> u32 {
    match u16_of(param).unwrap_or(0) {
        f if f & abi::CREAT_UPPER_LAYER != 0 => abi::FD_UPPER_LAYER,
        f if f & abi::CREAT_LOWER_LAYER != 0 => abi::FD_LOWER_LAYER,
        _ => 0,
    }
}

impl Machine {
    pub(crate) fn opened(&mut self, frame: &mut Frame<'_, '_>) {
        let Some(num @ 0..) = frame.result() else { return };
        let begun = std::mem::take(&mut self.begun);
        let event = frame.event;
        let mut open = Open::read(event);
        if let Some(begun) = Machine::beginning(frame, &begun) {
            open.prefer_beginning(&begun);
        }
        let (name, raw) = self.names_of(frame.slot, event, &open);
        let fd = Fd {
            kind: if open.flags & abi::O_DIRECTORY != 0 { FdKind::Directory } else { FdKind::File },
            raw,
            found: Tail::of(event.resolved_path().unwrap_or_default(), &name),
            name,
            open_flags: open.flags,
            dev: open.dev,
            ino: open.ino,
            upper_layer: open.flags & abi::FD_UPPER_LAYER != 0,
            lower_layer: open.flags & abi::FD_LOWER_LAYER != 0,
            ..Fd::default()
        };
        frame.renamed = !fd.name.is_empty();
        self.add_frame_fd(frame, num, fd);
        self.begun = begun;
    }

    /// The path of what was opened, and the name by which it was asked for. Nearly always that is the path's end, which
    /// is known before: comparing both would have to wait for what was just written.
    fn names_of(&mut self, slot: Slot, event: &Event<'_>, open: &Open<'_>) -> (Text, Tail) {
        // What stands for an absolute path's directory is one byte, or none.
        if path::becomes(1, open.name) == Becomes::Itself {
            return (Text::from(open.name), Tail::end(open.name.len()));
        }
        let mut out = std::mem::take(&mut self.scratch);
        let dir = self.base_of(slot, event, open);
        path::join_to(dir, open.name, &mut out);
        let name = Text::from(&out[..]);
        let raw = match path::becomes(dir[0].len() + dir[1].len(), open.name) {
            Becomes::Other => Tail::of(open.name, &name),
            Becomes::Itself | Becomes::End => Tail::end(open.name.len()),
        };
        self.scratch = out;
        (name, raw)
    }

    fn base_of(&self, slot: Slot, event: &Event<'_>, open: &Open<'_>) -> [&[u8]; 2] {
        let at = matches!(event.ty(), types::SYSCALL_OPENAT_2_X | types::SYSCALL_OPENAT2_X);
        match open.dirfd {
            Some(dirfd) => self.dir_of(slot, dirfd, open.name).unwrap_or([b"<UNKNOWN>", b""]),
            // The source of open_by_handle_at gives a whole path.
            None if at || event.ty() == types::SYSCALL_OPEN_BY_HANDLE_AT_X => [b"", b""],
            None => self.dir_of(slot, abi::AT_FDCWD, open.name).unwrap_or([b"", b""]),
        }
    }

    /// The directory that `name` counts from, and the closing slash where it has none. `None`: the fd is not known.
    pub(crate) fn dir_of(&self, slot: Slot, dirfd: i64, name: &[u8]) -> Option<[&[u8]; 2]> {
        if name.first() == Some(&b'/') {
            return Some([b".", b""]);
        }
        let record = self.at(slot)?;
        if dirfd == abi::AT_FDCWD {
            return Some([self.cwd(&record.thread), b""]);
        }
        let dir: &[u8] = &self.tables.get(record.table?, dirfd)?.name;
        Some([dir, if dir.is_empty() || dir.ends_with(b"/") { b"" } else { b"/" }])
    }

    pub(crate) fn closed(&mut self, frame: &mut Frame<'_, '_>) {
        let Some(num) = frame.fd().filter(|_| frame.succeeded()) else { return };
        match frame.table.filter(|&table| self.tables.get(table, num).is_some()) {
            Some(table) => self.ending = Ending::Fd(table, num),
            None => self.stats.unknown_fds += 1,
        }
    }

    pub(crate) fn closed_range(&mut self, frame: &mut Frame<'_, '_>) {
        let [_, first, last, flags] = params::<4>(frame.event);
        let (first, last) = (u32_of(first).unwrap_or(0), u32_of(last).unwrap_or(0));
        let flags = u32_of(flags).unwrap_or(0);
        if frame.succeeded() && flags & abi::CLOSE_RANGE_UNSHARE != 0 {
            self.leave_table(frame);
        }
        let (Some(table), true) = (frame.table, frame.succeeded()) else { return };
        let inside = |fd: &Fd| (i64::from(first)..=i64::from(last)).contains(&fd.num);
        if flags & abi::CLOSE_RANGE_CLOEXEC != 0 {
            self.tables.change(table, inside, |fd| fd.set_cloexec(true));
        } else {
            self.tables.retain(table, |fd| !inside(fd));
        }
    }

    pub(crate) fn duplicated(&mut self, frame: &mut Frame<'_, '_>) {
        let Some(num @ 0..) = frame.result() else { return };
        let cloexec = frame.event.ty() == types::SYSCALL_DUP3_X
            && frame.event.u32(3).unwrap_or(0) & abi::O_CLOEXEC != 0;
        self.copy_fd(frame, num, cloexec);
    }

    pub(crate) fn controlled(&mut self, frame: &mut Frame<'_, '_>) {
        let Some(num @ 0..) = frame.result() else { return };
        match frame.event.u8(2) {
            Some(abi::F_DUPFD) => self.copy_fd(frame, num, false),
            Some(abi::F_DUPFD_CLOEXEC) => self.copy_fd(frame, num, true),
            Some(abi::F_SETFD) => {
                let on = frame.event.u64(3).unwrap_or(0) & abi::FD_CLOEXEC != 0;
                if self.frame_fd(frame).is_some_and(|fd| fd.is_cloexec() != on) {
                    if let Some(fd) = self.frame_fd_mut(frame) {
                        fd.set_cloexec(on);
                    }
                }
            }
            _ => {}
        }
    }

    fn copy_fd(&mut self, frame: &mut Frame<'_, '_>, num: i64, cloexec: bool) {
        let Some(mut fd) = self.frame_fd(frame).cloned() else { return self.forget_frame_fd(frame, num) };
        fd.set_cloexec(cloexec);
        self.add_frame_fd(frame, num, fd);
    }

    pub(crate) fn piped(&mut self, frame: &mut Frame<'_, '_>) {
        if !frame.succeeded() {
            return;
        }
        let [_, one, two, ino, flags] = params::<5>(frame.event);
        let open_flags =
            if frame.event.ty() == types::SYSCALL_PIPE2_X { u32_of(flags).unwrap_or(0) } else { 0 };
        let ino = u64_of(ino).unwrap_or(0);
        for num in [one, two].into_iter().filter_map(i64_of) {
            self.add_frame_fd(frame, num, Fd { kind: FdKind::Fifo, ino, open_flags, ..Fd::default() });
        }
    }

    pub(crate) fn memfd_made(&mut self, frame: &mut Frame<'_, '_>) {
        let Some(num @ 0..) = frame.result() else { return };
        let [_, name, flags] = params::<3>(frame.event);
        let name = Text::from(text_of(name));
        frame.renamed = !name.is_empty();
        let open_flags = u32_of(flags).unwrap_or(0);
        self.add_frame_fd(frame, num, Fd { kind: FdKind::Memfd, name, open_flags, ..Fd::default() });
    }

    pub(crate) fn pidfd_opened(&mut self, frame: &mut Frame<'_, '_>) {
        let Some(num @ 0..) = frame.result() else { return };
        let [_, pid, flags] = params::<3>(frame.event);
        let pid = i64_of(pid).unwrap_or(-1);
        let name = Text::from(format!("/proc/{pid}"));
        frame.renamed = true;
        let open_flags = u32_of(flags).unwrap_or(0);
        self.add_frame_fd(frame, num, Fd { kind: FdKind::Pidfd, name, pid, open_flags, ..Fd::default() });
    }

    /// `pidfd_getfd`: a copy of another process' fd.
    pub(crate) fn fd_taken_over(&mut self, frame: &mut Frame<'_, '_>) {
        let Some(num @ 0..) = frame.result() else { return };
        match self.fd_of_other(frame).cloned() {
            Some(mut fd) => {
                fd.set_cloexec(true);
                self.add_frame_fd(frame, num, fd);
            }
            None => self.forget_frame_fd(frame, num),
        }
    }

    fn fd_of_other(&self, frame: &Frame<'_, '_>) -> Option<&Fd> {
        let [_, pidfd, target] = params::<3>(frame.event);
        let pidfd = self.tables.get(frame.table?, i64_of(pidfd)?).filter(|fd| fd.kind == FdKind::Pidfd)?;
        self.fd(pidfd.pid, i64_of(target)?)
    }

    /// An fd of a file that has no name: eventfd, epoll, inotify and the like.
    pub(crate) fn anonymous_made(&mut self, frame: &mut Frame<'_, '_>) {
        let Some(num @ 0..) = frame.result() else { return };
        let event = frame.event;
        let half = || event.u16(1).map_or(0, u32::from);
        let (kind, open_flags) = match event.ty() {
            types::SYSCALL_EVENTFD_X => (FdKind::Event, 0),
            types::SYSCALL_EVENTFD2_X => (FdKind::Event, half()),
            types::SYSCALL_SIGNALFD_X => (FdKind::Signal, 0),
            types::SYSCALL_SIGNALFD4_X => (FdKind::Signal, half()),
            types::SYSCALL_TIMERFD_CREATE_X => (FdKind::Timerfd, event.u8(2).map_or(0, u32::from)),
            types::SYSCALL_INOTIFY_INIT_X => (FdKind::Inotify, 0),
            types::SYSCALL_INOTIFY_INIT1_X => (FdKind::Inotify, half()),
            types::SYSCALL_BPF_2_X => (FdKind::Bpf, 0),
            types::SYSCALL_USERFAULTFD_X => (FdKind::Userfault, 0),
            types::SYSCALL_IO_URING_SETUP_X => (FdKind::IoUring, 0),
            types::SYSCALL_EPOLL_CREATE1_X if event.u32(1).unwrap_or(0) & abi::SPECIAL_CLOEXEC != 0 => {
                (FdKind::Eventpoll, abi::O_CLOEXEC)
            }
            _ => (FdKind::Eventpoll, 0),
        };
        self.add_frame_fd(frame, num, Fd { kind, open_flags, ..Fd::default() });
    }
}
