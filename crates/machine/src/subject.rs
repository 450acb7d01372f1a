//! What one event is about.

use crate::threads::Slot;

/// What an event is about, resolved once by [`Machine::apply`].
///
/// [`Machine::apply`]: crate::Machine::apply
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject {
    /// The thread; it may be unknown to the machine.
    pub tid: i64,
    /// Number of the fd that the event used or made. The machine need not know that fd; whether it does
    /// says [`Machine::fd_of`].
    ///
    /// [`Machine::fd_of`]: crate::Machine::fd_of
    pub fd: Option<i64>,
    /// The event gave that fd another name.
    pub fd_name_changed: bool,
    pub(crate) slot: Option<Slot>,
    /// Number of an fd that is looked at in place of the event's own.
    pub(crate) stand_in: Option<i64>,
}

impl Subject {
    /// The subject of an event that no machine has looked at.
    pub const fn unresolved(tid: i64) -> Subject {
        Subject { tid, fd: None, fd_name_changed: false, slot: None, stand_in: None }
    }

    /// The same, with another of the thread's fds for [`Machine::fd_of`] to find. The rest stays the event's.
    ///
    /// [`Machine::fd_of`]: crate::Machine::fd_of
    #[must_use]
    pub const fn looking_at(self, fd: i64) -> Subject {
        Subject { stand_in: Some(fd), ..self }
    }
}

/// Numbers that change whenever what is known of a thread does, so that an answer about it can be remembered for
/// as long as they stay the same.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Versions {
    /// The thread's place in the machine's table; with `own` it names one thread, once and for all.
    pub slot: u32,
    /// The thread itself.
    pub own: u64,
    /// The first thread of its process; 0 if that isn't known.
    pub main: u64,
    /// Anything that an answer may depend on: all threads, containers, users, groups. Files are not among it.
    pub all: u64,
}
