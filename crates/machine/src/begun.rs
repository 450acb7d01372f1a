//! Calls whose beginning is kept for their end: old captures, and sources that read arguments before a
//! racing thread can change them, tell part of the call there.

use lanner_event::{Event, EventType, types};

/// Memory of a beginning that is worth keeping for the next one.
const KEPT: usize = 512;

/// The last call that was seen to begin. Its memory is used again.
#[derive(Default, Debug)]
pub(crate) struct Begun {
    bytes: Vec<u8>,
    ty: Option<EventType>,
}

impl Begun {
    pub(crate) fn keep(&mut self, event: &Event<'_>) {
        // Without its first parameter the beginning says nothing; `execveat` may lack just the path.
        let empty = event.param(0).is_none_or(<[u8]>::is_empty);
        if empty && !matches!(event.ty(), types::SYSCALL_EXECVEAT_E | types::SOCKET_CONNECT_E) {
            self.ty = None;
            return;
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(event.as_bytes());
        self.ty = Some(event.ty());
    }

    /// Whether a call was seen to begin.
    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        self.ty.is_some()
    }

    /// Whether this is the end of the call; the beginning's bytes are then exchanged for those in `out`. It is
    /// over either way.
    #[inline]
    pub(crate) fn take(&mut self, end: &Event<'_>, out: &mut Vec<u8>) -> bool {
        self.ty.take().is_some_and(|begin| self.give(begin, end, out))
    }

    fn give(&mut self, begin: EventType, end: &Event<'_>, out: &mut Vec<u8>) -> bool {
        // An execveat that succeeds ends as an execve.
        let as_execve = begin == types::SYSCALL_EXECVEAT_E && end.ty() == types::SYSCALL_EXECVE_19_X;
        let fits = begin.0 + 1 == end.ty().0 || as_execve;
        if fits {
            std::mem::swap(&mut self.bytes, out);
            if self.bytes.capacity() > KEPT {
                self.bytes = Vec::new();
            }
        }
        fits
    }
}
