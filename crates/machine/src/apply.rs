//! What each event does to the state: the frame that all share, and the table of who handles which.

use lanner_event::{Category, Direction, EVENTS, Event, EventFlag, ParamType, types};

use crate::fd_table::TableId;
use crate::machine::{Ending, Machine};
use crate::threads::Slot;
use crate::{Fd, Subject};

/// An event type without an fd parameter.
const NO_FD: u8 = u8::MAX;

/// Where each event type has the fd that it works on.
pub(crate) fn fd_params() -> Box<[u8]> {
    let place = |event: &lanner_event::EventInfo| {
        if !event.has(EventFlag::UsesFd) {
            return None;
        }
        // The result of a call that makes an fd out of another is an fd too; `splice` counts by its output.
        let first = match (event.direction, event.code) {
            (Direction::Enter, _) => 0,
            (_, types::SYSCALL_SPLICE_X) => 2,
            _ => 1,
        };
        let fd = |p: &lanner_event::ParamInfo| matches!(p.ty, ParamType::Fd | ParamType::Fd32);
        (first..event.params.len()).find(|&i| fd(&event.params[i]))
    };
    EVENTS.iter().map(|e| place(e).and_then(|i| u8::try_from(i).ok()).unwrap_or(NO_FD)).collect()
}

/// An event on its way through the machine.
pub(crate) struct Frame<'a, 'e> {
    pub(crate) event: &'a Event<'e>,
    /// The thread that caused it.
    pub(crate) slot: Slot,
    /// That thread's fd table.
    pub(crate) table: Option<TableId>,
    /// The fd that it works on, or made.
    pub(crate) fd: Option<i64>,
    /// That fd has another name than before.
    pub(crate) renamed: bool,
    /// The beginning of the same call, where it was seen.
    pub(crate) begun: Vec<u8>,
}

impl Frame<'_, '_> {
    /// The call's result, where it has one.
    pub(crate) fn result(&self) -> Option<i64> {
        self.event.i64(0)
    }

    /// Whether the call succeeded.
    pub(crate) fn succeeded(&self) -> bool {
        self.result().is_some_and(|r| r >= 0)
    }

    /// The event of the call's beginning.
    pub(crate) fn beginning(&self) -> Option<Event<'_>> {
        if self.begun.is_empty() { None } else { Event::decode(&self.begun, self.event.cpu).ok() }
    }
}

impl Machine {
    /// Changes the state as the event says. A removal that it causes (a closed fd, an ended thread) is
    /// carried out by the next call, so that rules still see what goes.
    pub fn apply(&mut self, event: &Event<'_>) -> Subject {
        if event.info.is(Category::Iter) {
            return self.apply_snapshot(event);
        }
        self.settle(event.ts);
        if event.info.has(EventFlag::Skipparsereset) {
            return Subject::unresolved(event.tid);
        }
        match event.ty() {
            types::USER_ADDED_E | types::USER_DELETED_E => self.user_changed(event),
            types::GROUP_ADDED_E | types::GROUP_DELETED_E => self.group_changed(event),
            types::CONTAINER_JSON_2_E | types::PLUGINEVENT_E | types::ASYNCEVENT_E => {}
            types::SYSCALL_CLONE_20_X
            | types::SYSCALL_CLONE3_X
            | types::SYSCALL_FORK_20_X
            | types::SYSCALL_VFORK_20_X => return self.cloned(event),
            _ => return self.apply_to_thread(event),
        }
        Subject::unresolved(event.tid)
    }

    /// Carries out what the last event ended.
    fn settle(&mut self, ts: u64) {
        if !self.unlinked.is_empty() {
            self.link_snapshot();
        }
        match std::mem::take(&mut self.ending) {
            Ending::Nothing => {}
            Ending::Fd(tid, num) => {
                if let Some(table) = self.threads.get(tid).and_then(|r| r.table) {
                    self.tables.remove(table, num);
                }
            }
            Ending::Thread(tid) => {
                if let Some(record) = self.threads.get(tid) {
                    self.exits.note(record.thread.ptid, tid, ts);
                }
                self.remove_thread(tid);
            }
        }
    }

    fn apply_to_thread(&mut self, event: &Event<'_>) -> Subject {
        let known_only = matches!(event.ty(), types::SCHEDSWITCH_6_E | types::PROCEXIT_1_E);
        let slot = if known_only { self.threads.slot(event.tid) } else { self.slot_or_unknown(event.tid) };
        let Some(slot) = slot else { return Subject::unresolved(event.tid) };
        let Some(record) = self.threads.touch(slot) else { return Subject::unresolved(event.tid) };
        record.thread.last_seen_ts = event.ts;
        let table = record.table;
        let param = self.fd_params.get(usize::from(event.ty().0)).copied().unwrap_or(NO_FD);
        let fd = if param == NO_FD { None } else { event.i64(usize::from(param)).filter(|&fd| fd != -1) };
        let begun = match event.info.direction {
            Direction::Enter => Vec::new(),
            Direction::Exit => record.begun.take(event),
        };
        let mut frame = Frame { event, slot, table, fd, renamed: false, begun };
        if !self.is_in_snapshot(slot, event) {
            self.dispatch(&mut frame);
        }
        let subject = Subject {
            tid: event.tid,
            fd: frame.fd,
            fd_name_changed: frame.renamed,
            slot: Some(frame.slot),
            stand_in: None,
        };
        if let Some(record) = self.threads.touch(slot) {
            record.begun.give_back(frame.begun);
        }
        subject
    }

    fn dispatch(&mut self, frame: &mut Frame<'_, '_>) {
        match frame.event.ty() {
            types::SYSCALL_OPEN_E
            | types::SYSCALL_CREAT_E
            | types::SYSCALL_OPENAT_2_E
            | types::SYSCALL_OPENAT2_E
            | types::SYSCALL_EXECVE_19_E
            | types::SYSCALL_EXECVEAT_E
            | types::SOCKET_CONNECT_E => self.begin(frame),

            types::SYSCALL_READ_X
            | types::SYSCALL_READV_X
            | types::SYSCALL_PREAD_X
            | types::SYSCALL_PREADV_X => self.exchange(frame, None, true),
            types::SYSCALL_WRITE_X
            | types::SYSCALL_WRITEV_X
            | types::SYSCALL_PWRITE_X
            | types::SYSCALL_PWRITEV_X => self.exchange(frame, None, false),
            types::SOCKET_RECVFROM_X => self.exchange(frame, Some(2), true),
            types::SOCKET_RECVMSG_X => self.exchange(frame, Some(3), true),
            types::SOCKET_RECV_X | types::SOCKET_RECVMMSG_X => self.exchange(frame, Some(4), true),
            types::SOCKET_SEND_X
            | types::SOCKET_SENDTO_X
            | types::SOCKET_SENDMSG_X
            | types::SOCKET_SENDMMSG_X => self.exchange(frame, Some(4), false),

            types::SYSCALL_OPEN_X
            | types::SYSCALL_CREAT_X
            | types::SYSCALL_OPENAT_2_X
            | types::SYSCALL_OPENAT2_X
            | types::SYSCALL_OPEN_BY_HANDLE_AT_X => self.opened(frame),
            types::SYSCALL_CLOSE_X => self.closed(frame),
            types::SYSCALL_CLOSE_RANGE_X => self.closed_range(frame),
            types::SYSCALL_DUP_1_X | types::SYSCALL_DUP2_X | types::SYSCALL_DUP3_X => self.duplicated(frame),
            types::SYSCALL_FCNTL_X => self.controlled(frame),
            types::SYSCALL_PIPE_X | types::SYSCALL_PIPE2_X => self.piped(frame),
            types::SYSCALL_MEMFD_CREATE_X => self.memfd_made(frame),
            types::SYSCALL_PIDFD_OPEN_X => self.pidfd_opened(frame),
            types::SYSCALL_PIDFD_GETFD_X => self.fd_taken_over(frame),
            types::SYSCALL_EVENTFD_X
            | types::SYSCALL_EVENTFD2_X
            | types::SYSCALL_SIGNALFD_X
            | types::SYSCALL_SIGNALFD4_X
            | types::SYSCALL_TIMERFD_CREATE_X
            | types::SYSCALL_INOTIFY_INIT_X
            | types::SYSCALL_INOTIFY_INIT1_X
            | types::SYSCALL_BPF_2_X
            | types::SYSCALL_USERFAULTFD_X
            | types::SYSCALL_IO_URING_SETUP_X
            | types::SYSCALL_EPOLL_CREATE_X
            | types::SYSCALL_EPOLL_CREATE1_X => self.anonymous_made(frame),

            types::SOCKET_SOCKET_X => self.socket_made(frame),
            types::SOCKET_SOCKETPAIR_X => self.socket_pair_made(frame),
            types::SOCKET_BIND_X => self.bound(frame),
            types::SOCKET_CONNECT_X => self.connected(frame),
            types::SOCKET_ACCEPT_5_X | types::SOCKET_ACCEPT4_6_X => self.accepted(frame),

            types::SYSCALL_EXECVE_19_X | types::SYSCALL_EXECVEAT_X => self.executed(frame),
            types::PROCEXIT_1_E => self.ended(frame),
            _ => self.dispatch_thread(frame),
        }
    }

    /// The fd that the event works on.
    pub(crate) fn frame_fd(&self, frame: &Frame<'_, '_>) -> Option<&Fd> {
        self.tables.get(frame.table?, frame.fd?)
    }

    /// The same, to be changed.
    pub(crate) fn frame_fd_mut(&mut self, frame: &Frame<'_, '_>) -> Option<&mut Fd> {
        self.tables.get_mut(frame.table?, frame.fd?)
    }

    /// Puts in an fd that the event made.
    pub(crate) fn add_frame_fd(&mut self, frame: &mut Frame<'_, '_>, num: i64, mut fd: Fd) {
        let Some(table) = frame.table else { return };
        fd.num = num;
        if !self.tables.insert(table, fd, self.options.max_fds) {
            self.stats.fds_refused += 1;
        }
        frame.fd = Some(num);
    }

    /// Keeps a call's beginning for its end.
    fn begin(&mut self, frame: &Frame<'_, '_>) {
        if let Some(record) = self.threads.touch(frame.slot) {
            record.begun.keep(frame.event);
        }
    }
}
