//! The table of all threads, and the processes that they make up.

use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::Thread;
use crate::begun::Begun;
use crate::fd_table::TableId;

/// Place of a thread in the table, stable while it is there.
pub(crate) type Slot = u32;

/// A thread with what only the machine itself has to know of it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) thread: Thread,
    /// Its fd table; none when its process' main thread is not known.
    pub(crate) table: Option<TableId>,
    /// It was counted in its process and given to its parent.
    pub(crate) linked: bool,
    /// Threads whose parent it is.
    pub(crate) children: Vec<i64>,
    /// The call that it is in, where the beginning was seen.
    pub(crate) begun: Begun,
    /// When a snapshot event told of it, and of its process' files; 0 without one.
    pub(crate) snapshot_ts: u64,
    pub(crate) files_ts: u64,
    /// What the table's clock showed when the record was last changed.
    pub(crate) version: u64,
    /// What it showed when the thread was put in.
    pub(crate) born: u64,
}

/// The threads of a process.
#[derive(Default, Debug)]
pub(crate) struct Process {
    /// Threads that have not ended.
    pub(crate) alive: usize,
    /// Orphans below it become its children.
    pub(crate) reaper: bool,
    /// Its threads, the main one first where known.
    pub(crate) threads: SmallVec<[i64; 2]>,
}

/// All threads, by id and by slot.
#[derive(Debug)]
pub(crate) struct Threads {
    records: Vec<Option<Box<Record>>>,
    free: Vec<Slot>,
    slots: FxHashMap<i64, Slot>,
    /// The thread that was found last: most events are of the same one as the event before.
    latest: Option<(i64, Slot)>,
    pub(crate) processes: FxHashMap<i64, Process>,
    /// Threads that were ever put in.
    pub(crate) added: u64,
    /// Counts changes of any kind, so that whoever remembers an answer can tell whether it still holds.
    clock: u64,
}

impl Default for Threads {
    fn default() -> Threads {
        // Each machine counts where no other one comes, so that no two ever show the same numbers.
        static BEGIN: AtomicU64 = AtomicU64::new(1 << 40);
        Threads {
            records: Vec::new(),
            free: Vec::new(),
            slots: FxHashMap::default(),
            latest: None,
            processes: FxHashMap::default(),
            added: 0,
            clock: BEGIN.fetch_add(1 << 40, Ordering::Relaxed),
        }
    }
}

impl Threads {
    /// The number of changes so far.
    pub(crate) fn clock(&self) -> u64 {
        self.clock
    }

    /// Tells of a change to something else that answers about threads depend on.
    pub(crate) fn tick(&mut self) {
        self.clock += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(crate) fn slot(&self, tid: i64) -> Option<Slot> {
        match self.latest {
            Some((latest, slot)) if latest == tid => Some(slot),
            _ => self.slots.get(&tid).copied(),
        }
    }

    /// The same, for the thread of an event.
    #[inline]
    pub(crate) fn find(&mut self, tid: i64) -> Option<Slot> {
        match self.latest {
            Some((latest, slot)) if latest == tid => Some(slot),
            _ => self.find_other(tid),
        }
    }

    #[inline(never)]
    fn find_other(&mut self, tid: i64) -> Option<Slot> {
        let slot = self.slots.get(&tid).copied()?;
        self.latest = Some((tid, slot));
        Some(slot)
    }

    pub(crate) fn get(&self, tid: i64) -> Option<&Record> {
        self.at(self.slot(tid)?)
    }

    pub(crate) fn get_mut(&mut self, tid: i64) -> Option<&mut Record> {
        self.at_mut(self.slot(tid)?)
    }

    pub(crate) fn at(&self, slot: Slot) -> Option<&Record> {
        self.records.get(slot as usize)?.as_deref()
    }

    /// A record to be changed.
    pub(crate) fn at_mut(&mut self, slot: Slot) -> Option<&mut Record> {
        let record = self.records.get_mut(slot as usize)?.as_deref_mut()?;
        self.clock += 1;
        record.version = self.clock;
        Some(record)
    }

    /// A record in which only what no answer depends on is to be changed: when it was last seen, and the
    /// call that it is in.
    pub(crate) fn touch(&mut self, slot: Slot) -> Option<&mut Record> {
        self.records.get_mut(slot as usize)?.as_deref_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().flatten().map(|r| &**r)
    }

    /// Puts in a thread whose id must not be there yet.
    pub(crate) fn insert(&mut self, thread: Thread, table: Option<TableId>) -> Slot {
        let tid = thread.tid;
        self.clock += 1;
        let record = Record {
            thread,
            table,
            linked: false,
            children: Vec::new(),
            begun: Begun::default(),
            snapshot_ts: 0,
            files_ts: 0,
            version: self.clock,
            born: self.clock,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.records.push(None);
            (self.records.len() - 1) as Slot
        });
        self.records[slot as usize] = Some(Box::new(record));
        self.slots.insert(tid, slot);
        self.added += 1;
        self.latest = None;
        slot
    }

    /// Takes out a thread.
    pub(crate) fn remove(&mut self, tid: i64) -> Option<Box<Record>> {
        let slot = self.slots.remove(&tid)?;
        self.latest = None;
        self.clock += 1;
        self.free.push(slot);
        self.records[slot as usize].take()
    }

    /// The slot of the first thread of a thread's process, which may be its own.
    pub(crate) fn main_slot(&self, slot: Slot) -> Option<Slot> {
        let record = self.at(slot)?;
        if record.thread.is_main() {
            return Some(slot);
        }
        if !record.linked {
            return None;
        }
        let first = *self.processes.get(&record.thread.pid)?.threads.first()?;
        self.slot(first).filter(|&main| self.at(main).is_some_and(|r| r.thread.is_main()))
    }
}
