//! What each event does to the state: the frame that all share, and the table of who handles which.

use lanner_event::{Category, Direction, EVENTS, Event, EventFlag, EventInfo, EventType, ParamType, types};

use crate::fd_table::TableId;
use crate::machine::{Ending, Machine};
use crate::threads::Slot;
use crate::{Fd, Subject};

/// An event type without an fd parameter.
const NO_FD: u8 = u8::MAX;

/// What is the same for all events of a type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Where the fd is that they work on.
    fd: u8,
    exchange: Exchange,
    /// They don't just do something to the thread that they are of.
    special: bool,
}

/// Data that goes in or out over an fd that is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Exchange {
    /// They do something else.
    No,
    /// The event doesn't tell the ends of a socket.
    Plain { incoming: bool },
    /// It does, in this parameter.
    Told { incoming: bool, tuple: u8 },
}

/// The shapes of all types.
pub(crate) fn shapes() -> Box<[Shape]> {
    let shape =
        |info| Shape { fd: fd_param(info), exchange: exchange_of(info.code), special: is_special(info) };
    EVENTS.iter().map(shape).collect()
}

fn is_special(info: &EventInfo) -> bool {
    let special = matches!(
        info.code,
        types::USER_ADDED_E
            | types::USER_DELETED_E
            | types::GROUP_ADDED_E
            | types::GROUP_DELETED_E
            | types::CONTAINER_JSON_2_E
            | types::PLUGINEVENT_E
            | types::ASYNCEVENT_E
            | types::SYSCALL_CLONE_20_X
            | types::SYSCALL_CLONE3_X
            | types::SYSCALL_FORK_20_X
            | types::SYSCALL_VFORK_20_X
            | types::SCHEDSWITCH_6_E
            | types::PROCEXIT_1_E
    );
    special || info.is(Category::Iter) || info.has(EventFlag::Skipparsereset)
}

fn fd_param(info: &EventInfo) -> u8 {
    if !info.has(EventFlag::UsesFd) {
        return NO_FD;
    }
    // The result of a call that makes an fd out of another is an fd too; `splice` counts by its output.
    let first = match (info.direction, info.code) {
        (Direction::Enter, _) => 0,
        (_, types::SYSCALL_SPLICE_X) => 2,
        _ => 1,
    };
    let fd = |p: &lanner_event::ParamInfo| matches!(p.ty, ParamType::Fd | ParamType::Fd32);
    let place = (first..info.params.len()).find(|&i| fd(&info.params[i]));
    place.and_then(|i| u8::try_from(i).ok()).unwrap_or(NO_FD)
}

fn exchange_of(ty: EventType) -> Exchange {
    match ty {
        types::SYSCALL_READ_X | types::SYSCALL_READV_X | types::SYSCALL_PREAD_X | types::SYSCALL_PREADV_X => {
            Exchange::Plain { incoming: true }
        }
        types::SYSCALL_WRITE_X
        | types::SYSCALL_WRITEV_X
        | types::SYSCALL_PWRITE_X
        | types::SYSCALL_PWRITEV_X => Exchange::Plain { incoming: false },
        types::SOCKET_RECVFROM_X => Exchange::Told { incoming: true, tuple: 2 },
        types::SOCKET_RECVMSG_X => Exchange::Told { incoming: true, tuple: 3 },
        types::SOCKET_RECV_X | types::SOCKET_RECVMMSG_X => Exchange::Told { incoming: true, tuple: 4 },
        types::SOCKET_SEND_X
        | types::SOCKET_SENDTO_X
        | types::SOCKET_SENDMSG_X
        | types::SOCKET_SENDMMSG_X => Exchange::Told { incoming: false, tuple: 4 },
        _ => Exchange::No,
    }
}

/// An event on its way through the machine.
pub(crate) struct Frame<'a, 'e> {
    pub(crate) event: &'a Event<'e>,
    /// The thread that caused it.
    pub(crate) slot: Slot,
    /// That thread's fd table.
    pub(crate) table: Option<TableId>,
    /// The fd that it works on, or made; -1 for none. What is written in one piece can be read in one right after.
    pub(crate) num: i64,
    /// That fd has another name than before.
    pub(crate) renamed: bool,
    /// The beginning of the same call was seen and tells more than its end; the machine has it.
    pub(crate) begun: bool,
}

impl Frame<'_, '_> {
    /// The fd that it works on, or made.
    pub(crate) fn fd(&self) -> Option<i64> {
        (self.num != -1).then_some(self.num)
    }

    /// The call's result, where it has one.
    pub(crate) fn result(&self) -> Option<i64> {
        self.event.i64(0)
    }

    /// Whether the call succeeded.
    pub(crate) fn succeeded(&self) -> bool {
        self.result().is_some_and(|r| r >= 0)
    }
}

impl Machine {
    /// Changes the state as the event says. A removal that it causes (a closed fd, an ended thread) is
    /// carried out by the next call, so that rules still see what goes.
    pub fn apply(&mut self, event: &Event<'_>) -> Subject {
        let Some(&shape) = self.shapes.get(usize::from(event.ty().0)) else {
            return Subject::unresolved(event.tid);
        };
        if shape.special {
            return self.apply_special(event, shape);
        }
        self.settle(event.ts);
        match self.threads.find(event.tid).or_else(|| self.insert_unknown(event.tid)) {
            Some(slot) => match self.apply_quietly(event, slot, shape) {
                Some(subject) => subject,
                None => self.apply_to_thread(event, slot, shape),
            },
            None => Subject::unresolved(event.tid),
        }
    }

    /// Applies an exchange that is known to change nothing but when its thread was last seen: what half of all events
    /// are. `None`: it may change more.
    #[inline]
    fn apply_quietly(&mut self, event: &Event<'_>, slot: Slot, shape: Shape) -> Option<Subject> {
        let told = match shape.exchange {
            Exchange::No => return None,
            Exchange::Plain { .. } => false,
            Exchange::Told { .. } => true,
        };
        let fd = event.i64(usize::from(shape.fd))?;
        let record = self.threads.touch(slot)?;
        let table = record.table?;
        if record.begun.is_some() || !self.quiet.has(table, fd, self.tables.changed(table)?, told) {
            return None;
        }
        record.thread.last_seen_ts = event.ts;
        let fd = Some(fd);
        Some(Subject { tid: event.tid, fd, fd_name_changed: false, slot: Some(slot), stand_in: None })
    }

    #[inline(never)]
    fn apply_special(&mut self, event: &Event<'_>, shape: Shape) -> Subject {
        if event.info.is(Category::Iter) {
            return if event.tid >> 32 == 0 { self.told_of_file(event) } else { self.apply_snapshot(event) };
        }
        self.settle(event.ts);
        if event.info.has(EventFlag::Skipparsereset) {
            return Subject::unresolved(event.tid);
        }
        match event.ty() {
            types::USER_ADDED_E | types::USER_DELETED_E => self.user_changed(event),
            types::GROUP_ADDED_E | types::GROUP_DELETED_E => self.group_changed(event),
            types::SYSCALL_CLONE_20_X
            | types::SYSCALL_CLONE3_X
            | types::SYSCALL_FORK_20_X
            | types::SYSCALL_VFORK_20_X => return self.cloned(event),
            types::SCHEDSWITCH_6_E | types::PROCEXIT_1_E => {
                if let Some(slot) = self.threads.find(event.tid) {
                    return self.apply_to_thread(event, slot, shape);
                }
            }
            _ => {}
        }
        Subject::unresolved(event.tid)
    }

    /// Carries out what the last event ended.
    #[inline]
    pub(crate) fn settle(&mut self, ts: u64) {
        if self.ending != Ending::Nothing || !self.unlinked.is_empty() {
            self.carry_out(ts);
        }
    }

    fn carry_out(&mut self, ts: u64) {
        if !self.unlinked.is_empty() {
            self.link_snapshot();
        }
        match std::mem::take(&mut self.ending) {
            Ending::Nothing => {}
            Ending::Fd(table, num) => self.tables.remove(table, num),
            Ending::Thread(tid) => {
                if let Some(record) = self.threads.get(tid) {
                    self.exits.note(record.thread.ptid, tid, ts);
                }
                self.remove_thread(tid);
            }
        }
    }

    #[inline(never)]
    fn apply_to_thread(&mut self, event: &Event<'_>, slot: Slot, shape: Shape) -> Subject {
        let Some(record) = self.threads.touch(slot) else { return Subject::unresolved(event.tid) };
        record.thread.last_seen_ts = event.ts;
        let table = record.table;
        let Shape { fd: param, exchange, .. } = shape;
        let num = if param == NO_FD { -1 } else { event.i64(usize::from(param)).unwrap_or(-1) };
        let exit = event.info.direction == Direction::Exit;
        // what the kernel copied is truer than what stood there before it did
        let begun = exit && record.begun.take(event, &mut self.begun) && !event.is_copied();
        let mut frame = Frame { event, slot, table, num, renamed: false, begun };
        if !self.is_in_snapshot(slot, event) {
            match exchange {
                Exchange::No => self.dispatch(&mut frame),
                Exchange::Plain { incoming } => self.exchange(&mut frame, None, incoming),
                Exchange::Told { incoming, tuple } => self.exchange(&mut frame, Some(tuple.into()), incoming),
            }
        }
        Subject {
            tid: event.tid,
            fd: frame.fd(),
            fd_name_changed: frame.renamed,
            slot: Some(frame.slot),
            stand_in: None,
        }
    }

    /// The event of the call's beginning, if it was seen.
    pub(crate) fn beginning<'b>(frame: &Frame<'_, '_>, begun: &'b [u8]) -> Option<Event<'b>> {
        if frame.begun { Event::decode(begun, frame.event.cpu).ok() } else { None }
    }

    #[inline(never)]
    fn dispatch(&mut self, frame: &mut Frame<'_, '_>) {
        match frame.event.ty() {
            types::SYSCALL_OPEN_E
            | types::SYSCALL_CREAT_E
            | types::SYSCALL_OPENAT_2_E
            | types::SYSCALL_OPENAT2_E
            | types::SYSCALL_EXECVE_19_E
            | types::SYSCALL_EXECVEAT_E
            | types::SOCKET_CONNECT_E => self.begin(frame),

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
        self.tables.get(frame.table?, frame.fd()?)
    }

    /// The same, to be changed.
    pub(crate) fn frame_fd_mut(&mut self, frame: &Frame<'_, '_>) -> Option<&mut Fd> {
        self.tables.get_mut(frame.table?, frame.fd()?)
    }

    /// Puts in an fd that the event made.
    pub(crate) fn add_frame_fd(&mut self, frame: &mut Frame<'_, '_>, num: i64, mut fd: Fd) {
        let Some(table) = frame.table else { return };
        fd.num = num;
        if !self.tables.insert(table, fd, self.options.max_fds) {
            self.stats.fds_refused += 1;
        }
        frame.num = num;
    }

    /// The event made an fd of which nothing is known: not what another of its number was, whose close may have been
    /// left out.
    pub(crate) fn forget_frame_fd(&mut self, frame: &mut Frame<'_, '_>, num: i64) {
        if let Some(table) = frame.table.filter(|_| self.options.closes_left_out) {
            self.tables.remove(table, num);
        }
    }

    /// Keeps a call's beginning for its end.
    fn begin(&mut self, frame: &Frame<'_, '_>) {
        if let Some(record) = self.threads.touch(frame.slot) {
            record.begun.keep(frame.event);
        }
    }
}
