//! Fds over which data goes in and out without telling anything new of them.

use crate::fd_table::TableId;

/// How many are remembered; a power of two.
const PLACES: usize = 64;

/// Exchanges that changed nothing, and won't for as long as no fd of the table changes.
#[derive(Debug)]
pub(crate) struct QuietExchanges([Quiet; PLACES]);

#[derive(Clone, Copy, Debug)]
struct Quiet {
    fd: i64,
    /// What tells the fd's table from all others, and from what it was before.
    changed: u64,
    /// That goes for exchanges that tell a socket's ends, too.
    told: bool,
}

impl Default for QuietExchanges {
    fn default() -> QuietExchanges {
        QuietExchanges([Quiet { fd: -1, changed: 0, told: false }; PLACES])
    }
}

fn place(table: TableId, fd: i64) -> usize {
    (table as usize).wrapping_mul(13).wrapping_add(fd as usize) % PLACES
}

impl QuietExchanges {
    /// Notes that an exchange over an fd changed nothing. No fd is -1.
    pub(crate) fn note(&mut self, table: TableId, fd: i64, changed: u64, told: bool) {
        self.0[place(table, fd)] = Quiet { fd, changed, told };
    }

    /// Whether an exchange over an fd changes nothing; `told`: it tells the ends.
    #[inline]
    pub(crate) fn has(&self, table: TableId, fd: i64, changed: u64, told: bool) -> bool {
        let known = &self.0[place(table, fd)];
        known.fd == fd && known.changed == changed && (known.told || !told)
    }
}
