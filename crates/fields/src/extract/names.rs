//! What an event's numbers refer to, as printing its parameters asks for it.

use lanner_event::{BufferFormat, FdLabel, Names};
use lanner_machine::{Fd, L4Proto, Thread};

use super::path;
use crate::Context;

/// Names from the view of the event's thread.
pub(crate) struct ThreadNames<'c, 'a> {
    pub cx: &'c Context<'a>,
    pub thread: Option<&'a Thread>,
}

impl<'c, 'a> ThreadNames<'c, 'a> {
    pub(crate) fn new(cx: &'c Context<'a>) -> ThreadNames<'c, 'a> {
        ThreadNames { cx, thread: cx.thread() }
    }

    fn container(&self) -> &'a [u8] {
        self.thread.map_or(b"", |t| &t.container)
    }
}

impl Names for ThreadNames<'_, '_> {
    fn has_thread(&self) -> bool {
        self.thread.is_some()
    }

    fn fd(&self, num: i64) -> Option<FdLabel<'_>> {
        let fd = self.cx.machine.fd(self.thread?.tid, num)?;
        let protocol = match fd.protocol() {
            Some(L4Proto::Tcp) => Some('t'),
            Some(L4Proto::Udp) => Some('u'),
            Some(L4Proto::Icmp) => Some('i'),
            Some(L4Proto::Raw) => Some('r'),
            Some(L4Proto::Unknown) | None => None,
        };
        Some(FdLabel { kind: fd.kind.letter(), protocol, name: &fd.name })
    }

    fn thread_name(&self, tid: i64) -> Option<&[u8]> {
        self.cx.machine.thread(tid).map(|t| &*t.comm)
    }

    fn user_name(&self, uid: u32) -> Option<&[u8]> {
        self.cx.machine.user(self.container(), uid).map(|u| &*u.name)
    }

    fn group_name(&self, gid: u32) -> Option<&[u8]> {
        self.cx.machine.group(self.container(), gid).map(|g| &*g.name)
    }

    fn absolute_path(&self, dir: Option<i64>, relative: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(thread) = self.thread else { return false };
        let directory = match dir {
            None => path::cwd(self.cx, thread),
            // The path is shown as asked for where its directory is not known.
            Some(fd) => match path::directory(self.cx, thread, fd) {
                path::UNKNOWN => b"",
                known => known,
            },
        };
        out.extend_from_slice(path::join(self.cx, directory, relative));
        true
    }

    fn utc_offset(&self, seconds: i64) -> i64 {
        (self.cx.meta.utc_offset)(seconds)
    }

    fn buffer_format(&self) -> BufferFormat {
        self.cx.meta.buffer_format
    }
}

/// The word for an fd's kind.
pub(crate) fn type_name(fd: &Fd) -> &'static str {
    fd.kind.name().unwrap_or("<NA>")
}
