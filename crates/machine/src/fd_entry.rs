//! An fd in a table: its own as long as no fork has made a second table that has it too.

use std::sync::Arc;

use crate::Fd;

/// Memory of fds that were closed, to be used again.
const SPARE: usize = 64;

/// An fd as it was from one change to the next.
#[derive(Clone, Default, Debug)]
pub(crate) struct Known {
    pub(crate) fd: Fd,
    /// What the clock of all tables showed when it was last changed.
    pub(crate) version: u64,
    /// What it showed when it was opened.
    pub(crate) born: u64,
}

/// An fd of one table, or one that several tables share until it changes.
#[derive(Debug)]
pub(crate) enum Entry {
    Own(Box<Known>),
    Shared(Arc<Known>),
}

impl Entry {
    #[inline]
    pub(crate) fn get(&self) -> &Known {
        match self {
            Entry::Own(known) => known,
            Entry::Shared(known) => known,
        }
    }

    #[inline]
    pub(crate) fn to_mut(&mut self) -> &mut Known {
        match self {
            Entry::Own(known) => known,
            Entry::Shared(_) => self.become_own(),
        }
    }

    #[cold]
    fn become_own(&mut self) -> &mut Known {
        if let Entry::Shared(known) = self {
            *self = Entry::Own(Box::new(Known::clone(known)));
        }
        match self {
            Entry::Own(known) => known,
            Entry::Shared(known) => Arc::make_mut(known),
        }
    }

    /// Makes it one that copies of the table can share.
    pub(crate) fn share(&mut self) {
        if let Entry::Own(known) = self {
            *self = Entry::Shared(Arc::new(std::mem::take(known)));
        }
    }
}

impl Clone for Entry {
    fn clone(&self) -> Entry {
        match self {
            Entry::Own(known) => Entry::Own(known.clone()),
            Entry::Shared(known) => Entry::Shared(Arc::clone(known)),
        }
    }
}

/// Makes entries of the memory of closed ones, so that opening and closing files allocates nothing.
#[allow(clippy::vec_box, reason = "it is the boxes that are kept")]
#[derive(Default, Debug)]
pub(crate) struct Spares(Vec<Box<Known>>);

impl Spares {
    /// An entry for an fd that is opened now.
    pub(crate) fn entry(&mut self, fd: Fd, now: u64) -> Entry {
        let mut known = self.0.pop().unwrap_or_default();
        known.fd = fd;
        (known.version, known.born) = (now, now);
        Entry::Own(known)
    }

    pub(crate) fn give_back(&mut self, entry: Entry) {
        if let (Entry::Own(known), true) = (entry, self.0.len() < SPARE) {
            self.0.push(known);
        }
    }
}
