//! What a caller asks of the probe and what the probe says about itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use lanner_event::{EVENTS, EventType};

const WORDS: usize = EVENTS.len().div_ceil(64);

/// A set of event types.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventSet {
    bits: [u64; WORDS],
}

impl EventSet {
    /// The empty set.
    pub const fn new() -> EventSet {
        EventSet { bits: [0; WORDS] }
    }

    /// Every type of the event table.
    pub fn all() -> EventSet {
        EVENTS.iter().map(|e| e.code).collect()
    }

    /// Adds a type; one that the event table lacks is left out.
    pub fn insert(&mut self, ty: EventType) {
        if usize::from(ty.0) < EVENTS.len() {
            self.bits[usize::from(ty.0) / 64] |= 1 << (ty.0 % 64);
        }
    }

    /// Removes a type.
    pub fn remove(&mut self, ty: EventType) {
        if usize::from(ty.0) < EVENTS.len() {
            self.bits[usize::from(ty.0) / 64] &= !(1 << (ty.0 % 64));
        }
    }

    /// Whether a type is in it.
    pub fn contains(&self, ty: EventType) -> bool {
        self.bits.get(usize::from(ty.0) / 64).is_some_and(|word| word & (1 << (ty.0 % 64)) != 0)
    }

    /// The types in it, by their numbers.
    pub fn iter(&self) -> impl Iterator<Item = EventType> + '_ {
        EVENTS.iter().map(|e| e.code).filter(|&code| self.contains(code))
    }
}

impl Default for EventSet {
    fn default() -> EventSet {
        EventSet::new()
    }
}

impl FromIterator<EventType> for EventSet {
    fn from_iter<I: IntoIterator<Item = EventType>>(types: I) -> EventSet {
        let mut set = EventSet::new();
        set.extend(types);
        set
    }
}

impl Extend<EventType> for EventSet {
    fn extend<I: IntoIterator<Item = EventType>>(&mut self, types: I) {
        for ty in types {
            self.insert(ty);
        }
    }
}

/// Where the ends of calls are to be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CallPoint {
    /// The best that is known to work.
    #[default]
    Auto,
    /// At the ends of their functions (fexit), where that can be done, so that no other call costs anything.
    Fexit,
    /// At the end of every call of the host.
    SysExit,
    /// There, but all programs at tracepoints are called with the records that the kernel writes for perf, as they are
    /// by themselves where it would leave out some of their runs (since Linux 7.0).
    Records,
}

/// How the probe is to be opened.
#[derive(Clone, Debug)]
pub struct ProbeOptions {
    /// The event types to deliver. Types that no live source writes are ignored.
    pub events: EventSet,
    /// Bytes of each ring buffer; rounded up to a power of two of at least one page.
    pub ring_bytes: usize,
    /// How many CPUs write to one ring buffer.
    pub cpus_per_ring: usize,
    /// Bytes that are shown of what is read or written; at most [`ProbeOptions::MOST_SHOWN`].
    pub snaplen: u32,
    /// Say of what is opened where the kernel found it, too.
    pub resolved: bool,
    /// Don't deliver calls that failed; what io_uring does in vain is delivered all the same.
    pub drop_failed: bool,
    /// Processes whose events are not delivered, by process id; at most eight. This process is always among
    /// them unless `include_self` is set.
    pub skip_pids: Vec<u32>,
    /// Deliver this process's own events too. For tests.
    pub include_self: bool,
    /// Where the snapshot is to come from; by default from the kernel's iterators where it lets them.
    pub snapshot_from: Option<SnapshotSource>,
    /// Where the host's `/proc` is seen.
    pub proc: PathBuf,
    /// Where the ends of calls are to be seen.
    pub calls: CallPoint,
    /// Load for the functions of all calls, not only of those that are wanted now: later, when others are, this process
    /// may have given up loading.
    pub ahead: bool,
    /// Keep the kernel's own copies of names and addresses that calls are given, where it lets programs do that.
    pub copies: bool,
    /// Keep them by kprobes, also where programs may be called by the functions themselves. For tests.
    pub kprobes: bool,
    /// Programs that are loaded as what they are not, so that the kernel refuses them. For tests.
    pub spoilt: Vec<&'static str>,
    /// Have the kernel call programs itself even where it leaves some out. For tests.
    pub no_records: bool,
    /// Have the kernel refuse programs that keep notes of a thread, as those before 5.13 do. For tests.
    pub spoil_notes: bool,
}

impl ProbeOptions {
    /// So many bytes of data leave room for the rest of an event in the kernel-side work buffer.
    pub const MOST_SHOWN: u32 = 56_000;
}

impl Default for ProbeOptions {
    fn default() -> ProbeOptions {
        ProbeOptions {
            events: EventSet::all(),
            ring_bytes: 8 << 20,
            cpus_per_ring: 1,
            snaplen: 80,
            resolved: false,
            drop_failed: false,
            skip_pids: Vec::new(),
            include_self: false,
            snapshot_from: None,
            proc: PathBuf::from("/proc"),
            calls: CallPoint::Auto,
            ahead: false,
            copies: true,
            kprobes: false,
            spoilt: Vec::new(),
            no_records: false,
            spoil_notes: false,
        }
    }
}

/// Why an event, or a part of it, was lost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LostReason {
    /// The ring buffer had no room: the agent reads too slowly.
    RingFull,
    /// The event did not fit into the kernel-side work buffer.
    TooLarge,
    /// The kernel-side work buffer was not there.
    NoBuffer,
    /// A program that writes this event could not be called.
    NoProgram,
}

impl LostReason {
    /// All reasons, in the order in which the kernel side counts them.
    pub const ALL: [LostReason; 4] =
        [LostReason::RingFull, LostReason::TooLarge, LostReason::NoBuffer, LostReason::NoProgram];
}

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LostReason::RingFull => "ring buffer full",
            LostReason::TooLarge => "event too large",
            LostReason::NoBuffer => "no work buffer",
            LostReason::NoProgram => "no program",
        })
    }
}

/// Events lost since the probe was opened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lost {
    /// How many of each type, by reason; what lost nothing is not listed.
    pub by_type: BTreeMap<(EventType, LostReason), u64>,
    /// Records of a ring buffer that were no events.
    pub damaged: u64,
    /// Runs of programs that the kernel left out, because another thread was stopped in the same program on that CPU
    /// (since Linux 5.12 it counts them). Each might have told of an event, or of a call that nobody asks for.
    pub left_out: u64,
    /// Parameters that were delivered empty because user memory could not be read; their events are not lost.
    pub unreadable: u64,
}

impl Lost {
    /// All lost events.
    pub fn total(&self) -> u64 {
        self.by_type.values().sum::<u64>() + self.damaged + self.left_out
    }

    /// Events lost for one reason.
    pub fn by_reason(&self, reason: LostReason) -> u64 {
        self.by_type.iter().filter(|((_, r), _)| *r == reason).map(|(_, n)| n).sum()
    }
}

/// Where a snapshot came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SnapshotSource {
    /// The kernel's BPF iterators.
    #[default]
    Iterators,
    /// `/proc`, because the kernel refused the iterators.
    Proc,
}

/// What a snapshot found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SnapshotStats {
    /// Threads.
    pub threads: usize,
    /// Files of processes.
    pub files: usize,
    /// Records that could not be delivered.
    pub skipped: usize,
    /// Where it came from.
    pub source: SnapshotSource,
}

/// How the probe is attached.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Attachment {
    /// The kernel's release.
    pub kernel: String,
    /// What the programs are attached to, such as `tp_btf/sys_exit`.
    pub points: Vec<String>,
    /// Why calls are seen at `sys_exit` and not at their functions.
    pub no_fexit: Option<String>,
    /// To how many functions programs are being attached in the background, to take the place of `sys_exit`.
    pub moving_to: Option<usize>,
    /// Why names and addresses that calls are given are read from the caller's memory, where other threads can change
    /// them, and not taken from the kernel's copies.
    pub no_copies: Option<String>,
    /// Whether they are taken by kprobes, so that this process asks the kernel for some when others are wanted.
    pub kprobes: bool,
    /// Why calls may go unseen and uncounted: those that end while another thread of their CPU is stopped in a program.
    pub leaves_out: Option<String>,
    /// System calls that are watched, by name.
    pub syscalls: Vec<String>,
    /// How many ring buffers there are.
    pub rings: usize,
    /// Bytes of each.
    pub ring_bytes: usize,
    /// Whether the snapshot comes from BPF iterators.
    pub iterators: bool,
    /// Why it doesn't, although nobody asked for another way.
    pub no_iterators: Option<String>,
    /// Why programs keep no notes of a thread (since 5.13 they can). Without them every opened file is told.
    pub no_notes: Option<String>,
    /// Whether short names are read by way of the caller's page tables (x86_64, since 6.2), which is faster than the
    /// kernel's own function for it.
    pub reads_by_page_tables: bool,
    /// What is not seen because the kernel refused a program.
    pub missing: Vec<Missing>,
}

/// A program that the kernel refused while the others run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    /// Its name.
    pub program: String,
    /// What nobody is told of without it.
    pub unseen: &'static str,
    /// The kernel's answer.
    pub why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the kernel refused the program {}: {}", self.unseen, self.program, self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_event::types;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set: EventSet = [types::SYSCALL_CLOSE_X, types::SYSCALL_KEYCTL_X].into_iter().collect();
        assert!(set.contains(types::SYSCALL_CLOSE_X) && !set.contains(types::SYSCALL_CLOSE_E));
        assert_eq!(set.iter().collect::<Vec<_>>(), [types::SYSCALL_CLOSE_X, types::SYSCALL_KEYCTL_X]);
        set.remove(types::SYSCALL_CLOSE_X);
        set.insert(EventType(9999));
        assert_eq!(set.iter().count(), 1);
        assert!(!set.contains(EventType(9999)));
        assert_eq!(EventSet::all().iter().count(), EVENTS.len());
    }

    #[test]
    fn lost_events_add_up() {
        let mut lost = Lost::default();
        lost.by_type.insert((types::SYSCALL_CLOSE_X, LostReason::RingFull), 3);
        lost.by_type.insert((types::SYSCALL_OPEN_X, LostReason::TooLarge), 1);
        assert_eq!((lost.total(), lost.by_reason(LostReason::RingFull)), (4, 3));
    }
}
