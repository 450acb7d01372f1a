//! Changes of a thread and its process other than beginning, exec and files: ids, session, limits,
//! capabilities, directories, memory; and its end.

use lanner_event::{Event, types};

use crate::apply::Frame;
use crate::machine::{Ending, Machine};
use crate::wire::{i64_of, params, u32_of, u64_of};
use crate::{Group, Text, Thread, User, abi, path};

impl Machine {
    pub(crate) fn dispatch_thread(&mut self, frame: &mut Frame<'_, '_>) {
        let event = frame.event;
        match event.ty() {
            types::SYSCALL_CHDIR_X => {
                let to = event.text(1).unwrap_or(b"<NA>");
                self.change_cwd(frame, to);
            }
            types::SYSCALL_GETCWD_X => {
                let to = event.text(1).unwrap_or(b"<NA>");
                self.change_cwd(frame, to);
            }
            types::SYSCALL_FCHDIR_X => {
                if let Some(name) = self.frame_fd(frame).map(|fd| fd.name.clone()) {
                    self.change_cwd(frame, &name);
                }
            }
            types::SYSCALL_CHROOT_X => self.changed_root(frame),
            types::SYSCALL_SETRESUID_X | types::SYSCALL_SETREUID_X => self.set_user(frame, 2),
            types::SYSCALL_SETUID_X => self.set_user(frame, 1),
            types::SYSCALL_SETRESGID_X | types::SYSCALL_SETREGID_X => self.set_group(frame, 2),
            types::SYSCALL_SETGID_X => self.set_group(frame, 1),
            types::SYSCALL_SETSID_X => {
                if let (Some(sid @ 0..), Some(thread)) = (frame.result(), self.thread_mut(frame)) {
                    thread.sid = sid;
                }
            }
            types::SYSCALL_CAPSET_X => self.set_capabilities(frame),
            types::SYSCALL_UNSHARE_X => self.unshared(frame),
            types::SYSCALL_SETNS_X => self.entered_namespaces(frame, event.u32(2)),
            types::SYSCALL_PRCTL_X => self.process_controlled(frame),
            types::SYSCALL_GETRLIMIT_X | types::SYSCALL_SETRLIMIT_X => self.limit_told(frame),
            types::SYSCALL_PRLIMIT_X => self.limit_of_other_told(frame),
            types::SYSCALL_BRK_4_X
            | types::SYSCALL_MMAP_X
            | types::SYSCALL_MMAP2_X
            | types::SYSCALL_MUNMAP_X => self.memory_told(frame),
            types::SCHEDSWITCH_6_E => self.switched(frame),
            _ => {}
        }
    }

    fn thread_mut(&mut self, frame: &Frame<'_, '_>) -> Option<&mut Thread> {
        self.threads.at_mut(frame.slot).map(|r| &mut r.thread)
    }

    fn main_mut(&mut self, slot: u32) -> Option<&mut Thread> {
        let main = self.threads.main_slot(slot)?;
        self.threads.at_mut(main).map(|r| &mut r.thread)
    }

    fn change_cwd(&mut self, frame: &Frame<'_, '_>, to: &[u8]) {
        if !frame.succeeded() {
            return;
        }
        let Some(from) = self.at(frame.slot).map(|r| self.cwd(&r.thread).clone()) else { return };
        let mut out = std::mem::take(&mut self.scratch);
        directory(&from, to, &mut out);
        if let Some(main) = self.main_mut(frame.slot) {
            main.cwd = Text::sharing(&out, &main.cwd);
        }
        self.scratch = out;
    }

    fn changed_root(&mut self, frame: &Frame<'_, '_>) {
        if frame.result() != Some(0) {
            return;
        }
        let name = frame.event.text(1).unwrap_or(b"<NA>");
        let relative = name.first().is_some_and(|&b| b != b'/') && name != b"<NA>";
        let mut out = name.to_vec();
        if let Some(record) = self.at(frame.slot).filter(|_| relative) {
            path::join(self.cwd(&record.thread), name, &mut out);
        }
        if let Some(thread) = self.thread_mut(frame) {
            thread.root = Text::from(out);
        }
    }

    fn set_user(&mut self, frame: &Frame<'_, '_>, param: usize) {
        if let (Some(0), Some(uid)) = (frame.result(), frame.event.u32(param)) {
            if let Some(thread) = self.thread_mut(frame) {
                thread.uid = uid;
            }
        }
    }

    fn set_group(&mut self, frame: &Frame<'_, '_>, param: usize) {
        if let (Some(0), Some(gid)) = (frame.result(), frame.event.u32(param)) {
            if let Some(thread) = self.thread_mut(frame) {
                thread.gid = gid;
            }
        }
    }

    fn set_capabilities(&mut self, frame: &Frame<'_, '_>) {
        if !frame.succeeded() {
            return;
        }
        let [_, inheritable, permitted, effective] = params::<4>(frame.event);
        if let Some(thread) = self.thread_mut(frame) {
            thread.capabilities.inheritable = u64_of(inheritable).unwrap_or(0);
            thread.capabilities.permitted = u64_of(permitted).unwrap_or(0);
            thread.capabilities.effective = u64_of(effective).unwrap_or(0);
        }
    }

    /// Whoever enters a new user namespace has all capabilities in it.
    fn unshared(&mut self, frame: &mut Frame<'_, '_>) {
        let flags = frame.event.u32(1);
        self.entered_namespaces(frame, flags);
        if frame.succeeded() && flags.unwrap_or(0) & abi::CLONE_FILES != 0 {
            self.leave_table(frame);
        }
    }

    fn entered_namespaces(&mut self, frame: &Frame<'_, '_>, flags: Option<u32>) {
        if !frame.succeeded() || flags.unwrap_or(0) & abi::CLONE_NEWUSER == 0 {
            return;
        }
        if let Some(thread) = self.thread_mut(frame) {
            thread.capabilities.inheritable = abi::ALL_CAPABILITIES;
            thread.capabilities.permitted = abi::ALL_CAPABILITIES;
            thread.capabilities.effective = abi::ALL_CAPABILITIES;
        }
    }

    fn process_controlled(&mut self, frame: &Frame<'_, '_>) {
        let option = frame.event.u32(1);
        let subreaper =
            [Some(abi::PR_SET_CHILD_SUBREAPER), Some(abi::PR_GET_CHILD_SUBREAPER)].contains(&option);
        if !frame.succeeded() || !subreaper {
            return;
        }
        let on = frame.event.i64(3).unwrap_or(0) != 0;
        let Some(pid) = self.at(frame.slot).filter(|r| r.linked).map(|r| r.thread.pid) else { return };
        if let Some(process) = self.threads.processes.get_mut(&pid) {
            process.reaper = on;
        }
    }

    fn limit_told(&mut self, frame: &Frame<'_, '_>) {
        let of_files = frame.event.u8(3) == Some(abi::RLIMIT_NOFILE);
        if !frame.succeeded() || !of_files {
            return;
        }
        let Some(limit) = frame.event.i64(1).filter(|&l| l != -1) else { return };
        if let Some(main) = self.main_mut(frame.slot) {
            main.fdlimit = limit;
        }
    }

    fn limit_of_other_told(&mut self, frame: &Frame<'_, '_>) {
        let event = frame.event;
        if frame.result() != Some(0) || event.u8(6) != Some(abi::RLIMIT_NOFILE) {
            return;
        }
        let (Some(limit), Some(tid)) = (event.i64(1).filter(|&l| l != -1), event.i64(5)) else { return };
        let slot = if tid == 0 { Some(frame.slot) } else { self.threads.slot(tid) };
        let Some(slot) = slot.filter(|&s| self.at(s).is_some_and(|r| !r.thread.is_unknown())) else { return };
        if let Some(main) = self.main_mut(slot) {
            main.fdlimit = limit;
        }
    }

    fn memory_told(&mut self, frame: &Frame<'_, '_>) {
        let [_, size, rss, swap] = params::<4>(frame.event);
        let Some(thread) = self.thread_mut(frame) else { return };
        thread.vm_size = u32_of(size).unwrap_or(thread.vm_size);
        if let Some(swap) = u32_of(swap) {
            thread.vm_rss = u32_of(rss).unwrap_or(0);
            thread.vm_swap = swap;
        }
    }

    /// Page faults are a thread's own, memory sizes its process'.
    fn switched(&mut self, frame: &Frame<'_, '_>) {
        let [_, major, minor, size, rss, swap] = params::<6>(frame.event);
        let Some(swap) = u32_of(swap) else { return };
        if let Some(thread) = self.thread_mut(frame) {
            thread.pf_major = u64_of(major).unwrap_or(0);
            thread.pf_minor = u64_of(minor).unwrap_or(0);
        }
        if let Some(main) = self.main_mut(frame.slot) {
            main.vm_size = u32_of(size).unwrap_or(0);
            main.vm_rss = u32_of(rss).unwrap_or(0);
            main.vm_swap = swap;
        }
    }

    /// The thread ends. It is dead at once and goes with the next event.
    pub(crate) fn ended(&mut self, frame: &Frame<'_, '_>) {
        self.mark_dead(frame.slot);
        self.ending = Ending::Thread(frame.event.tid);
        let reaper = frame.event.param(4).map(i64_of);
        let Some(record) = self.threads.at_mut(frame.slot).filter(|r| !r.children.is_empty()) else { return };
        match reaper {
            None => record.thread.reaper = -1,
            Some(Some(reaper)) => record.thread.reaper = reaper,
            Some(None) => {}
        }
    }

    pub(crate) fn user_changed(&mut self, event: &Event<'_>) {
        let (Some(uid), Some(container)) = (event.u32(0), event.text(5)) else { return };
        self.threads.tick();
        if event.ty() == types::USER_DELETED_E {
            return self.accounts.remove_user(container, uid);
        }
        // A container's accounts come from the container; such an event only renews what is known of them.
        if !container.is_empty() && self.accounts.user(container, uid).is_none() {
            return;
        }
        let text = |i| Text::from(event.text(i).unwrap_or_default());
        let user =
            User { uid, gid: event.u32(1).unwrap_or(u32::MAX), name: text(2), home: text(3), shell: text(4) };
        self.accounts.add_user(container, user);
    }

    pub(crate) fn group_changed(&mut self, event: &Event<'_>) {
        let (Some(gid), Some(container)) = (event.u32(0), event.text(2)) else { return };
        self.threads.tick();
        if event.ty() == types::GROUP_DELETED_E {
            return self.accounts.remove_group(container, gid);
        }
        if !container.is_empty() && self.accounts.group(container, gid).is_none() {
            return;
        }
        self.accounts
            .add_group(container, Group { gid, name: Text::from(event.text(1).unwrap_or_default()) });
    }
}

/// A directory's path with its closing slash.
pub(crate) fn directory(from: &[u8], to: &[u8], out: &mut Vec<u8>) {
    path::join(from, to, out);
    if !out.ends_with(b"/") {
        out.push(b'/');
    }
}
