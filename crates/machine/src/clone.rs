//! clone, clone3, fork and vfork, seen by the parent and by the child.
//!
//! Either side may come first, and either may be missing. The parent's side makes the child unless only the
//! child can know its ids (it lives in another pid namespace) or may be over already (vfork).

use lanner_event::{Event, types};

use crate::apply::Frame;
use crate::exits::STALE_NS;
use crate::machine::Machine;
use crate::threads::Slot;
use crate::wire::{i64_of, params, text_of, u32_of, u64_of};
use crate::{Subject, Text, TextList, Thread, abi};

/// The parameters that all these events share.
struct Clone<'a> {
    ts: u64,
    exe: &'a [u8],
    args: &'a [u8],
    pid: i64,
    ptid: i64,
    fdlimit: i64,
    memory: [&'a [u8]; 5],
    comm: &'a [u8],
    cgroups: &'a [u8],
    flags: u32,
    uid: u32,
    gid: u32,
    virtual_ids: Option<(i64, i64)>,
    pidns_init: Option<u64>,
}

impl<'a> Clone<'a> {
    fn read(event: &Event<'a>) -> Clone<'a> {
        let p = params::<21>(event);
        let exe = text_of(p[1]);
        Clone {
            ts: event.ts,
            exe,
            args: p[2],
            pid: i64_of(p[4]).unwrap_or(-1),
            ptid: i64_of(p[5]).unwrap_or(-1),
            fdlimit: i64_of(p[7]).unwrap_or(-1),
            memory: [p[8], p[9], p[10], p[11], p[12]],
            // Old captures had no name of their own for it.
            comm: if p[13].is_empty() { exe } else { text_of(p[13]) },
            cgroups: p[14],
            flags: u32_of(p[15]).unwrap_or(0),
            uid: u32_of(p[16]).unwrap_or(u32::MAX),
            gid: u32_of(p[17]).unwrap_or(u32::MAX),
            virtual_ids: i64_of(p[18]).zip(i64_of(p[19])),
            pidns_init: u64_of(p[20]),
        }
    }

    fn is_thread(&self) -> bool {
        self.flags & abi::CLONE_THREAD != 0
    }
}

impl Thread {
    /// Takes over page faults and memory sizes, where the event has them.
    pub(crate) fn set_memory(&mut self, [major, minor, size, rss, swap]: [&[u8]; 5]) {
        let Some(swap) = u32_of(swap) else { return };
        self.pf_major = u64_of(major).unwrap_or(0);
        self.pf_minor = u64_of(minor).unwrap_or(0);
        self.vm_size = u32_of(size).unwrap_or(0);
        self.vm_rss = u32_of(rss).unwrap_or(0);
        self.vm_swap = swap;
    }

    /// What a new thread has from the one it was made by, or from its process.
    fn inherit(&mut self, from: &Thread) {
        self.executable = from.executable.clone();
        // Only the process that executed the file knows this of it.
        self.executable.pidns_start_to_ctime = 0;
        self.root = from.root.clone();
        self.sid = from.sid;
        self.vpgid = from.vpgid;
        self.pgid = from.pgid;
        self.tty = from.tty;
        self.loginuid = from.loginuid;
        self.capabilities = from.capabilities;
    }

    /// Takes over a process' name and arguments from the event of a thread that shares them.
    fn set_command(&mut self, clone: &Clone<'_>) {
        self.exe = Text::from(clone.exe);
        self.comm = Text::from(clone.comm);
        self.args = TextList::from_joined(clone.args);
    }
}

impl Machine {
    /// A clone, fork or vfork returned, in the parent or in the child.
    pub(crate) fn cloned(&mut self, event: &Event<'_>) -> Subject {
        let unresolved = Subject::unresolved(event.tid);
        if let Some(record) = self.threads.get_mut(event.tid) {
            record.thread.last_seen_ts = event.ts;
        }
        let known = self.threads.slot(event.tid).filter(|&slot| self.is_in_snapshot(slot, event));
        let slot = match event.i64(0) {
            _ if known.is_some() => known,
            Some(0) => self.cloned_in_child(event),
            Some(child @ 1..) => self.cloned_in_parent(event, child),
            _ => self.threads.slot(event.tid),
        };
        slot.map_or(unresolved, |slot| Subject { slot: Some(slot), ..unresolved })
    }

    fn cloned_in_parent(&mut self, event: &Event<'_>, child: i64) -> Option<Slot> {
        let clone = Clone::read(event);
        let caller = self.slot_or_unknown(event.tid)?;
        let known = self.complete_caller(caller, &clone);
        let thread = &self.at(caller)?.thread;
        let elsewhere = abi::CHILD_IN_PIDNS | abi::CLONE_NEWPID | abi::CLONE_PARENT;
        let vfork = clone.flags & abi::CLONE_VFORK != 0 || event.ty() == types::SYSCALL_VFORK_20_X;
        if clone.flags & elsewhere != 0 || thread.tid != thread.vtid || vfork {
            return Some(caller);
        }
        if self.exits.has(event.tid, child, event.ts) {
            return Some(caller);
        }
        match self.threads.get(child) {
            Some(existing) if existing.thread.flags & abi::CLONE_INVERTED != 0 => return Some(caller),
            Some(_) => self.remove_thread(child),
            None => {}
        }
        self.make_child_of(event.tid, child, &clone, known);
        self.threads.slot(event.tid)
    }

    /// Fills in what the event tells of a caller that was not known. Says whether it was known.
    fn complete_caller(&mut self, caller: Slot, clone: &Clone<'_>) -> bool {
        let Some(record) = self.threads.at_mut(caller) else { return false };
        let thread = &mut record.thread;
        if !thread.is_unknown() {
            return true;
        }
        thread.pid = clone.pid;
        thread.ptid = clone.ptid;
        (thread.vtid, thread.vpid) = clone.virtual_ids.unwrap_or((thread.tid, -1));
        self.link(caller);
        false
    }

    /// Makes the child from its parent's event: in the host's pid namespace.
    fn make_child_of(&mut self, caller: i64, tid: i64, clone: &Clone<'_>, known: bool) {
        let Some(from) = self.threads.get(caller) else { return };
        let parent = &from.thread;
        let mut child = Thread { tid, ..Thread::unknown(tid) };
        child.flags = clone.flags;
        if clone.is_thread() {
            (child.pid, child.ptid) = (parent.pid, parent.ptid);
            child.flags |= abi::CLONE_FILES;
            child.last_exec_ts = parent.last_exec_ts;
        } else {
            (child.pid, child.ptid) = (tid, caller);
        }
        (child.vtid, child.vpid) = (tid, child.pid);
        self.fill(&mut child, clone, parent);
        child.pidns_init_start_ts = self.boot_ts;
        if known {
            child.inherit(parent);
        } else if let Some(record) = self.threads.get_mut(caller) {
            record.thread.set_command(clone);
        }
        self.add_child(child, caller, known);
    }

    fn cloned_in_child(&mut self, event: &Event<'_>) -> Option<Slot> {
        if let Some(slot) = self.threads.slot(event.tid) {
            let (clone_ts, flags) = self.at(slot).map_or((0, 0), |r| (r.thread.clone_ts, r.thread.flags));
            if clone_ts != 0 {
                // a thread begins once: what tells of a second beginning is another one, and the first one's end was lost
                let begun = flags & abi::CLONE_INVERTED != 0;
                if !begun && event.ts.saturating_sub(clone_ts) < STALE_NS {
                    return Some(slot);
                }
                self.remove_thread(event.tid);
            }
        }
        let clone = Clone::read(event);
        let mut child = Thread::unknown(event.tid);
        (child.pid, child.ptid) = (clone.pid, clone.ptid);
        (child.vtid, child.vpid) = clone.virtual_ids.unwrap_or((event.tid, -1));
        child.flags = clone.flags | abi::CLONE_INVERTED;
        let from = if clone.is_thread() {
            child.flags |= abi::CLONE_FILES;
            child.pid
        } else {
            child.ptid
        };
        let from_slot = self.slot_or_unknown(from)?;
        let known = self.at(from_slot).is_some_and(|r| !r.thread.is_unknown());
        if !known && clone.is_thread() {
            self.complete_main(from_slot, &child, &clone);
        }
        let parent = &self.at(from_slot)?.thread;
        self.fill(&mut child, &clone, parent);
        if known {
            child.inherit(parent);
            if clone.is_thread() {
                child.last_exec_ts = parent.last_exec_ts;
            }
        }
        let in_namespace =
            child.flags & (abi::CHILD_IN_PIDNS | abi::CLONE_NEWPID) != 0 || child.tid != child.vtid;
        child.pidns_init_start_ts = match clone.pidns_init {
            Some(since_boot) if in_namespace => since_boot.wrapping_add(self.boot_ts),
            None if in_namespace => 0,
            _ => self.boot_ts,
        };
        self.add_child(child, from, known)
    }

    /// Fills in what a thread's clone tells of a main thread that was not known.
    fn complete_main(&mut self, main: Slot, child: &Thread, clone: &Clone<'_>) {
        let Some(record) = self.threads.at_mut(main) else { return };
        let thread = &mut record.thread;
        (thread.pid, thread.ptid) = (child.pid, child.ptid);
        (thread.vtid, thread.vpid) = (child.vpid, child.vpid);
        thread.set_command(clone);
        self.link(main);
    }

    /// What the event itself tells of the child, sharing memory with what is the same in `parent`.
    fn fill(&self, child: &mut Thread, clone: &Clone<'_>, parent: &Thread) {
        child.exe = Text::sharing(clone.exe, &parent.exe);
        child.comm = Text::sharing(clone.comm, &parent.comm);
        child.args = TextList::sharing(clone.args, &parent.args);
        child.fdlimit = clone.fdlimit;
        child.set_memory(clone.memory);
        (child.uid, child.gid) = (clone.uid, clone.gid);
        child.cgroups = TextList::sharing(clone.cgroups, &parent.cgroups);
        child.clone_ts = clone.ts;
        child.last_seen_ts = clone.ts;
    }

    /// Puts in the child with its container, directory, environment and fd table.
    fn add_child(&mut self, mut child: Thread, from: i64, known: bool) -> Option<Slot> {
        let parent = self.threads.get(from)?;
        let leader = child.flags & abi::CLONE_THREAD == 0;
        child.container = if child.cgroups.is_empty() || child.cgroups == parent.thread.cgroups {
            parent.thread.container.clone()
        } else {
            self.containers.of_cgroups(&child.cgroups)
        };
        let parent_table = parent.table.filter(|_| leader && known);
        if leader && known {
            child.cwd = self.cwd(&parent.thread).clone();
            child.env = self.env(&parent.thread).clone();
        }
        let shares = child.flags & abi::CLONE_FILES != 0;
        let slot = self.insert_thread(child)?;
        if let Some(table) = parent_table {
            let table = if shares { self.tables.share(table) } else { self.tables.fork(table) };
            self.set_table(slot, table);
        }
        self.link(slot);
        Some(slot)
    }

    fn set_table(&mut self, slot: Slot, table: u32) {
        let Some(record) = self.threads.at_mut(slot) else { return self.tables.release(table) };
        if let Some(before) = record.table.replace(table) {
            self.tables.release(before);
        }
    }

    /// The event's thread has a table of its own from now on.
    pub(crate) fn leave_table(&mut self, frame: &mut Frame<'_, '_>) {
        self.unshare_table(frame.slot);
        frame.table = self.at(frame.slot).and_then(|record| record.table);
    }

    /// Gives the thread a table of its own where others share it.
    pub(crate) fn unshare_table(&mut self, slot: Slot) {
        let Some(table) = self.at(slot).and_then(|r| r.table) else { return };
        if self.tables.users(table) > 1 {
            let own = self.tables.fork(table);
            self.set_table(slot, own);
        }
    }
}
