//! Fds over which data goes in and out without telling anything new of them.

use crate::threads::Slot;

/// How many are remembered; a power of two.
const PLACES: usize = 64;

/// Exchanges that changed nothing, and won't for as long as no fd changes.
#[derive(Debug)]
pub(crate) struct QuietExchanges([Quiet; PLACES]);

#[derive(Clone, Copy, Debug)]
struct Quiet {
    slot: Slot,
    fd: i64,
    /// What the clock of the fd tables showed; any change to any fd outdates it.
    clock: u64,
    /// That goes for exchanges that tell a socket's ends, too.
    told: bool,
}

impl Default for QuietExchanges {
    fn default() -> QuietExchanges {
        QuietExchanges([Quiet { slot: 0, fd: -1, clock: 0, told: false }; PLACES])
    }
}

fn place(slot: Slot, fd: i64) -> usize {
    (slot as usize).wrapping_mul(13).wrapping_add(fd as usize) % PLACES
}

impl QuietExchanges {
    /// Notes that an exchange over an fd changed nothing. No fd is -1.
    pub(crate) fn note(&mut self, slot: Slot, fd: Option<i64>, clock: u64, told: bool) {
        if let Some(fd) = fd {
            self.0[place(slot, fd)] = Quiet { slot, fd, clock, told };
        }
    }

    /// Whether an exchange over an fd changes nothing; `told`: it tells the ends.
    #[inline]
    pub(crate) fn has(&self, slot: Slot, fd: i64, clock: u64, told: bool) -> bool {
        let known = &self.0[place(slot, fd)];
        known.fd == fd && known.slot == slot && known.clock == clock && (known.told || !told)
    }
}
