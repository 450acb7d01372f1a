//! execve and execveat: the process becomes another program.

use lanner_event::{Event, types};

use crate::apply::Frame;
use crate::machine::Machine;
use crate::threads::Slot;
use crate::wire::{i64_of, params, text_of, u32_of, u64_of};
use crate::{Text, TextList, Thread, abi, bare, path};

impl Machine {
    /// A program was executed: the thread's process has a new name, arguments, environment and file; its
    /// other threads are gone, and so are its close-on-exec fds.
    pub(crate) fn executed(&mut self, frame: &mut Frame<'_, '_>) {
        if !frame.succeeded() {
            return;
        }
        let slot = frame.slot;
        let p = params::<30>(frame.event);
        self.revive(slot);
        let begun_path = if p[27].is_empty() { self.path_from_beginning(frame) } else { None };
        let Some(record) = self.threads.at_mut(slot) else { return };
        let thread = &mut record.thread;
        let by_runtime = bare::is_of_runtime(thread);
        thread.exe = Text::sharing(text_of(p[1]), &thread.exe);
        thread.comm =
            if p[13].is_empty() { thread.exe.clone() } else { Text::sharing(text_of(p[13]), &thread.comm) };
        thread.args = TextList::sharing(p[2], &thread.args);
        thread.last_exec_ts = frame.event.ts;
        let linked = record.linked;
        set_ids(thread, linked, &p);
        set_file(thread, &p, begun_path);
        thread.fdlimit = i64_of(p[7]).unwrap_or(-1);
        thread.set_memory([p[8], p[9], p[10], p[11], p[12]]);
        if !p[15].is_empty() {
            thread.env = TextList::sharing(p[15], &thread.env);
        }
        if !p[14].is_empty() && thread.cgroups.as_joined() != p[14] {
            thread.cgroups = TextList::from_joined(p[14]);
            thread.container = self.containers.of_cgroups(&thread.cgroups);
        }
        thread.flags &= abi::IS_MAIN_THREAD | abi::CLONE_INVERTED;
        let is_bare = by_runtime && thread.container.is_empty();
        self.link(slot);
        if is_bare {
            self.name_by_runtime(slot);
        }
        self.end_other_threads(slot);
        self.leave_table(frame);
        if let Some(table) = frame.table {
            self.tables.retain(table, |fd| !fd.is_cloexec());
        }
    }

    fn end_other_threads(&mut self, slot: Slot) {
        let Some(thread) = self.at(slot).filter(|r| r.linked).map(|r| &r.thread) else { return };
        let (tid, pid) = (thread.tid, thread.pid);
        let Some(process) = self.threads.processes.get(&pid).filter(|p| p.threads.len() > 1) else { return };
        for other in process.threads.clone() {
            let main = self.threads.get(other).is_none_or(|r| r.thread.is_main());
            if !main && other != tid {
                self.remove_thread(other);
            }
        }
    }

    /// Sources of old told the path only where the call begins.
    fn path_from_beginning(&self, frame: &Frame<'_, '_>) -> Option<Text> {
        let begun = Machine::beginning(frame, &self.begun)?;
        let mut out = Vec::new();
        let found = self.begun_path(frame, &begun, &mut out);
        Some(Text::from(if found { &out[..] } else { b"<NA>" }))
    }

    fn begun_path(&self, frame: &Frame<'_, '_>, begun: &Event<'_>, out: &mut Vec<u8>) -> bool {
        let Some(thread) = self.at(frame.slot).map(|r| &r.thread) else { return false };
        if begun.ty() == types::SYSCALL_EXECVE_19_E {
            let name = text_of(begun.param(0).unwrap_or_default());
            path::join(self.cwd(thread), name, out);
            return name != b"<NA>";
        }
        let [dirfd, name, flags] = params::<3>(begun);
        let (dirfd, name) = (i64_of(dirfd).unwrap_or(-1), text_of(name));
        let empty_path = u32_of(flags).unwrap_or(0) & abi::AT_EMPTY_PATH != 0;
        let Some(dir) = self.dir_of(frame.slot, dirfd, name) else { return false };
        if empty_path {
            path::join(b"", &dir.concat(), out);
        } else {
            path::join_to(dir, name, out);
        }
        empty_path || name != b"<NA>"
    }
}

fn set_ids(thread: &mut Thread, linked: bool, p: &[&[u8]; 30]) {
    // A thread that is counted in a process stays in it, whatever a damaged capture says.
    if !linked {
        thread.pid = i64_of(p[4]).unwrap_or(-1);
    }
    if thread.is_unknown() {
        thread.ptid = i64_of(p[5]).unwrap_or(-1);
        if thread.flags & abi::CHILD_IN_PIDNS == 0 {
            (thread.vtid, thread.vpid) = (thread.tid, thread.pid);
        }
    }
    let set = |to: &mut u32, p: &[u8]| *to = u32_of(p).unwrap_or(*to);
    set(&mut thread.tty, p[16]);
    thread.vpgid = i64_of(p[17]).unwrap_or(thread.vpgid);
    set(&mut thread.loginuid, p[18]);
    let caps = &mut thread.capabilities;
    if let Some(effective) = u64_of(p[22]) {
        caps.inheritable = u64_of(p[20]).unwrap_or(0);
        caps.permitted = u64_of(p[21]).unwrap_or(0);
        caps.effective = effective;
    }
    set(&mut thread.uid, p[26]);
    thread.pgid = i64_of(p[28]).unwrap_or(-1);
    set(&mut thread.gid, p[29]);
}

fn set_file(thread: &mut Thread, p: &[&[u8]; 30], begun_path: Option<Text>) {
    match begun_path {
        Some(path) => thread.set_exe_path(&path),
        None if p[27].is_empty() => {}
        None => thread.set_exe_path(text_of(p[27])),
    }
    let (clone_ts, start) = (thread.clone_ts, thread.pidns_init_start_ts);
    let file = &mut thread.executable;
    if let Some(flags) = u32_of(p[19]) {
        file.writable = flags & abi::EXE_WRITABLE != 0;
        file.upper_layer = flags & abi::EXE_UPPER_LAYER != 0;
        file.lower_layer = flags & abi::EXE_LOWER_LAYER != 0;
        file.from_memfd = flags & abi::EXE_FROM_MEMFD != 0;
    }
    if let Some(mtime) = u64_of(p[25]) {
        file.ino = u64_of(p[23]).unwrap_or(0);
        file.ctime = u64_of(p[24]).unwrap_or(0);
        file.mtime = mtime;
        if clone_ts != 0 {
            file.ctime_to_clone = clone_ts.wrapping_sub(file.ctime);
        }
        if start != 0 && file.ctime > start {
            file.pidns_start_to_ctime = file.ctime - start;
        }
    }
}
