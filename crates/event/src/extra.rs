//! What lanner's probe says beyond the event table: parameters behind those of the table, which readers that don't
//! know them pass over.

use crate::{Event, ParamType};

/// How the first of them begins, so that parameters which a later table has are not taken for it.
const MARK: &[u8] = b"lanner\0";

/// The flag of an operation of io_uring.
const IO_URING: u8 = 1;

/// The flag of a call whose name or address is the kernel's own copy. Told only if the call's beginning is too.
const COPIED: u8 = 2;

/// The flag of a path that is the one which was asked for, in place of which nothing stands.
const AS_ASKED: u8 = 4;

/// The flag of an fd, in a list of what is open, that a new program closes.
const CLOSES_ON_EXEC: u8 = 8;

/// The flag of a thread, in a list of those that run, that has ended, while others of its process live.
const ENDED: u8 = 16;

/// What says that a thread has ended, behind the parameters of the event table.
pub const THREAD_HAS_ENDED: [u8; 8] = [b'l', b'a', b'n', b'n', b'e', b'r', 0, ENDED];

/// What says that a new program closes an fd, behind the parameters of the event table.
pub const FD_CLOSES_ON_EXEC: [u8; 8] = [b'l', b'a', b'n', b'n', b'e', b'r', 0, CLOSES_ON_EXEC];

impl<'a> Event<'a> {
    /// The flags, if the event says anything beyond the table.
    fn extra(&self) -> Option<u8> {
        let mark = self.param(self.info.params.len())?;
        mark.strip_prefix(MARK)?.first().copied()
    }

    /// Whether io_uring carried the call out.
    pub fn is_io_uring(&self) -> bool {
        self.extra().is_some_and(|flags| flags & IO_URING != 0)
    }

    /// Whether the name or the address that the call was given is the kernel's own copy: nobody can have changed it
    /// since, so that it is truer than what was read at the call's beginning.
    pub fn is_copied(&self) -> bool {
        self.extra().is_some_and(|flags| flags & COPIED != 0)
    }

    /// Whether it is said that a new program closes the fd that is told of.
    pub fn closes_on_exec(&self) -> bool {
        self.extra().is_some_and(|flags| flags & CLOSES_ON_EXEC != 0)
    }

    /// Whether the thread that is told of has ended.
    pub fn has_ended(&self) -> bool {
        self.extra().is_some_and(|flags| flags & ENDED != 0)
    }

    /// What the kernel made of the path that was opened: symbolic links followed, as the root of its mount namespace
    /// sees it. `None` where the source did not say.
    pub fn resolved_path(&self) -> Option<&'a [u8]> {
        if self.extra()? & AS_ASKED == 0 {
            return self.text(self.info.params.len() + 1);
        }
        let is_path = |ty| matches!(ty, ParamType::Fspath | ParamType::Fsrelpath);
        self.text(self.info.params.iter().position(|param| is_path(param.ty))?)
    }
}

#[cfg(test)]
mod tests {
    use crate::{EventBuf, types};

    fn close(extras: &[&[u8]]) -> EventBuf {
        let params = [&[&[0; 8][..], &[0; 8]], extras].concat();
        EventBuf::new(1, 2, 0, types::SYSCALL_CLOSE_X, &params).unwrap()
    }

    #[test]
    fn what_lies_where_it_was_asked_for_is_told_once() {
        let numbers = [[0u8; 8]; 2];
        let params: [&[u8]; 9] = [
            &numbers[0],
            &numbers[1],
            b"/etc/shadow\0",
            &[0; 4],
            &[0; 4],
            &[0; 4],
            &[0; 8],
            b"lanner\0\x04",
            b"",
        ];
        let event = EventBuf::new(1, 2, 0, types::SYSCALL_OPENAT_2_X, &params).unwrap();
        assert_eq!(event.event().unwrap().resolved_path(), Some(&b"/etc/shadow"[..]));
    }

    #[test]
    fn lists_say_what_a_new_program_closes_and_which_thread_has_ended() {
        let said = |extras| {
            let event = close(extras);
            let event = event.event().unwrap();
            (event.closes_on_exec(), event.has_ended())
        };
        assert_eq!(said(&[&super::FD_CLOSES_ON_EXEC]), (true, false));
        assert_eq!(said(&[&super::THREAD_HAS_ENDED]), (false, true));
        assert_eq!((said(&[]), said(&[b"lanner\0\x07"])), ((false, false), (false, false)));
    }

    #[test]
    fn what_stands_behind_the_table_is_read_if_it_is_ours() {
        for (extras, ring, copied, path) in [
            (&[][..], false, false, None),
            (&[&b"lanner\0\x01"[..]], true, false, None),
            (&[&b"lanner\0\x02"[..]], false, true, None),
            (&[b"lanner\0\x00", b"/etc/shadow\0"], false, false, Some(&b"/etc/shadow"[..])),
            (&[b"lanner\0\x03", b"/etc/shadow\0"], true, true, Some(b"/etc/shadow")),
            // what a later table may have there
            (&[b"\x03\0\0\0\0\0\0\0", b"/etc/shadow\0"], false, false, None),
        ] {
            let event = close(extras);
            let event = event.event().unwrap();
            let said = (event.is_io_uring(), event.is_copied(), event.resolved_path());
            assert_eq!(said, (ring, copied, path), "{extras:?}");
        }
    }
}
