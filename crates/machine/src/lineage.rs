//! Who is whose child and which threads make a process; what becomes of both when a thread ends.

use crate::machine::Machine;
use crate::threads::{Process, Slot};
use crate::{Thread, abi};

/// No lineage is followed further up than this.
pub(crate) const MAX_DEPTH: usize = 1_000;

impl Machine {
    /// Puts in a thread over one of the same id, if the limit allows. It has no relatives yet.
    pub(crate) fn insert_thread(&mut self, thread: Thread) -> Option<Slot> {
        let children = self.forget_thread(thread.tid);
        if self.threads.len() >= self.options.max_threads {
            self.stats.threads_refused += 1;
            return None;
        }
        let shares = !thread.is_main() && thread.flags & abi::CLONE_FILES != 0;
        let table = if shares { None } else { Some(self.tables.create()) };
        let slot = self.threads.insert(thread, table);
        if let Some(record) = self.threads.at_mut(slot) {
            record.children = children;
        }
        Some(slot)
    }

    /// The thread's slot; one of which nothing is known is put in where it is missing.
    pub(crate) fn slot_or_unknown(&mut self, tid: i64) -> Option<Slot> {
        self.threads.slot(tid).or_else(|| self.insert_unknown(tid))
    }

    /// Puts in a thread of which nothing is known.
    #[cold]
    pub(crate) fn insert_unknown(&mut self, tid: i64) -> Option<Slot> {
        self.stats.unknown_threads += 1;
        self.insert_thread(Thread::unknown(tid))
    }

    /// Counts a thread in its process and gives it to its parent, once.
    pub(crate) fn link(&mut self, slot: Slot) {
        let Some(record) = self.threads.at_mut(slot).filter(|r| !r.linked && !r.thread.is_unknown()) else {
            return;
        };
        record.linked = true;
        let thread = &record.thread;
        let (tid, pid, ptid, main) = (thread.tid, thread.pid, thread.ptid, thread.is_main());
        let (init, alive) = (pid == 1 || thread.vpid == 1, !thread.dead);
        let process = self
            .threads
            .processes
            .entry(pid)
            .or_insert_with(|| Process { reaper: init, ..Process::default() });
        process.alive += usize::from(alive);
        process.threads.insert(if main { 0 } else { process.threads.len() }, tid);
        self.share_main_table(slot);
        if pid == 1 {
            return;
        }
        match self.threads.get_mut(ptid).filter(|p| !p.thread.is_unknown()) {
            Some(parent) => parent.children.push(tid),
            None => {
                if let Some(record) = self.threads.at_mut(slot) {
                    record.thread.ptid = 0;
                }
            }
        }
    }

    /// Gives a thread without an fd table that of its process' main thread, or the process' threads that of
    /// their late main thread.
    fn share_main_table(&mut self, slot: Slot) {
        let Some(main) = self.threads.main_slot(slot) else { return };
        let Some(table) = self.threads.at(main).and_then(|r| r.table) else { return };
        if main != slot {
            return self.share_table(slot, table);
        }
        let Some(pid) = self.threads.at(slot).map(|r| r.thread.pid) else { return };
        let siblings = self.threads.processes.get(&pid).map(|p| p.threads.clone()).unwrap_or_default();
        for sibling in siblings {
            if let Some(sibling) = self.threads.slot(sibling) {
                self.share_table(sibling, table);
            }
        }
    }

    fn share_table(&mut self, slot: Slot, table: u32) {
        if let Some(record) = self.threads.at_mut(slot).filter(|r| r.table.is_none()) {
            record.table = Some(self.tables.share(table));
        }
    }

    /// Takes a thread out of the table without asking what becomes of its process, and returns its children.
    fn forget_thread(&mut self, tid: i64) -> Vec<i64> {
        let Some(record) = self.threads.remove(tid) else { return Vec::new() };
        if let Some(table) = record.table {
            self.tables.release(table);
        }
        if let Some(parent) = self.threads.get_mut(record.thread.ptid) {
            if let Some(at) = parent.children.iter().position(|&child| child == tid) {
                parent.children.swap_remove(at);
            }
        }
        let Some(process) = self.threads.processes.get_mut(&record.thread.pid).filter(|_| record.linked)
        else {
            return record.children;
        };
        process.threads.retain(|thread| *thread != tid);
        if !record.thread.dead {
            process.alive = process.alive.saturating_sub(1);
        }
        if process.threads.is_empty() {
            self.threads.processes.remove(&record.thread.pid);
        }
        record.children
    }

    /// Marks a thread as ended; it stays in the table.
    pub(crate) fn mark_dead(&mut self, slot: Slot) {
        let Some(record) = self.threads.at_mut(slot).filter(|r| !r.thread.dead) else { return };
        record.thread.dead = true;
        let (pid, linked) = (record.thread.pid, record.linked);
        if let Some(process) = self.threads.processes.get_mut(&pid).filter(|_| linked) {
            process.alive = process.alive.saturating_sub(1);
        }
    }

    /// Takes back [`Machine::mark_dead`].
    pub(crate) fn revive(&mut self, slot: Slot) {
        let Some(record) = self.threads.at_mut(slot).filter(|r| r.thread.dead) else { return };
        record.thread.dead = false;
        let (pid, linked) = (record.thread.pid, record.linked);
        if let Some(process) = self.threads.processes.get_mut(&pid).filter(|_| linked) {
            process.alive += 1;
        }
    }

    /// Removes an ended thread. Its children go to the next reaper. A main thread stays, dead, while others
    /// of its process live; the last of those takes it along.
    pub(crate) fn remove_thread(&mut self, tid: i64) {
        let Some(slot) = self.threads.slot(tid) else { return };
        if self.threads.at(slot).is_none_or(|r| !r.linked) {
            self.forget_thread(tid);
            return;
        }
        self.mark_dead(slot);
        self.hand_over_children(slot);
        let Some(record) = self.threads.at(slot) else { return };
        let (pid, main) = (record.thread.pid, record.thread.is_main());
        if self.threads.processes.get(&pid).is_none_or(|p| p.alive == 0) {
            self.forget_thread(pid);
        }
        if !main {
            self.forget_thread(tid);
        }
    }

    fn hand_over_children(&mut self, slot: Slot) {
        let Some(record) = self.threads.at_mut(slot) else { return };
        let children = std::mem::take(&mut record.children);
        if children.is_empty() {
            return;
        }
        let (told, pid) = (record.thread.reaper, record.thread.pid);
        if told > 0 {
            // The kernel's word that it exists, even if it cannot be given children.
            self.slot_or_unknown(told);
        }
        let known = |r: &crate::threads::Record| !r.thread.is_unknown() && r.thread.tid == told;
        let told = self.threads.get(told).filter(|r| told > 0 && known(r)).map(|r| r.thread.tid);
        let reaper = told.or_else(|| self.find_reaper(slot)).filter(|&r| self.threads.slot(r) != Some(slot));
        for &child in &children {
            if let Some(child) = self.threads.get_mut(child) {
                child.thread.ptid = reaper.unwrap_or(0);
            }
        }
        let Some(reaper) = reaper.and_then(|r| self.threads.get_mut(r)) else { return };
        reaper.children.extend(children);
        let (reaper_pid, reaper_tid) = (reaper.thread.pid, reaper.thread.tid);
        if let Some(process) = self.threads.processes.get_mut(&reaper_pid).filter(|_| reaper_pid != pid) {
            process.reaper = true;
        }
        if let Some(record) = self.threads.at_mut(slot) {
            record.thread.reaper = reaper_tid;
        }
    }

    /// Who takes over a thread's children, by the kernel's rule: another thread of the process, else the
    /// nearest ancestor that reaps, within the same kind of pid namespace.
    fn find_reaper(&self, slot: Slot) -> Option<i64> {
        let thread = &self.threads.at(slot)?.thread;
        if let Some(sibling) = self.first_alive(thread.pid, thread.tid) {
            return Some(sibling);
        }
        for ancestor in self.ancestors(thread) {
            if ancestor.in_pid_namespace() != thread.in_pid_namespace() {
                return None;
            }
            if self.threads.processes.get(&ancestor.pid).is_some_and(|p| p.reaper) {
                if let Some(alive) = self.first_alive(ancestor.pid, thread.tid) {
                    return Some(alive);
                }
            }
        }
        None
    }

    fn first_alive(&self, pid: i64, except: i64) -> Option<i64> {
        let process = self.threads.processes.get(&pid)?;
        let alive = |tid: &&i64| self.threads.get(**tid).is_some_and(|r| !r.thread.dead);
        process.threads.iter().filter(|&&tid| tid != except).find(alive).copied()
    }
}
