//! Limits, and what became of them.

/// Limits of what the machine remembers.
#[derive(Clone, Debug)]
pub struct MachineOptions {
    /// Most threads known at a time; further ones are counted and left out.
    pub max_threads: usize,
    /// Most fds of one table known at a time; further ones are counted and left out.
    pub max_fds: usize,
    /// A thread of which nothing was heard for so long may be taken for gone by a sweep, ns.
    pub thread_timeout: u64,
    /// Whether closes may be left out of the events, as live ones are that nobody asks for. Then what is known of an fd
    /// may be out of date, and is forgotten when the number comes to stand for something that isn't known; otherwise it
    /// stays, as in Falco.
    pub closes_left_out: bool,
}

impl Default for MachineOptions {
    fn default() -> MachineOptions {
        MachineOptions {
            max_threads: 262_144,
            max_fds: 4_096,
            thread_timeout: 1_800_000_000_000,
            closes_left_out: false,
        }
    }
}

/// Sizes and counters.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct MachineStats {
    /// Threads known now.
    pub threads: u64,
    /// Fds known now, shared tables counted once.
    pub fds: u64,
    /// Containers known now.
    pub containers: u64,
    /// Threads left out because the limit was reached.
    pub threads_refused: u64,
    /// Fds left out because the limit was reached.
    pub fds_refused: u64,
    /// Threads removed by a sweep.
    pub threads_swept: u64,
    /// Threads that had an event though nothing was known of them.
    pub unknown_threads: u64,
    /// Events about an fd that was not known.
    pub unknown_fds: u64,
    /// Threads that became known.
    pub threads_added: u64,
    /// Threads that were forgotten.
    pub threads_removed: u64,
    /// Fds that became known; a forked table's fds are no new ones.
    pub fds_added: u64,
    /// Fds that were closed; those that end with their table are not counted.
    pub fds_removed: u64,
}
