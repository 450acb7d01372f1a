//! The whole state, and the questions that can be asked of it.

use rustc_hash::FxHashMap;

use crate::accounts::Accounts;
use crate::{Container, ContainerId, Fd, Group, Text, TextList, Thread, User};

/// Limits of what the machine remembers.
#[derive(Clone, Debug)]
pub struct MachineOptions {
    /// Most threads known at a time; further ones are counted and left out.
    pub max_threads: usize,
    /// Most fds of one table known at a time; further ones are counted and left out.
    pub max_fds: usize,
    /// A thread of which nothing was heard for so long is taken for gone by a sweep, ns.
    pub thread_timeout: u64,
}

impl Default for MachineOptions {
    fn default() -> MachineOptions {
        MachineOptions { max_threads: 262_144, max_fds: 4_096, thread_timeout: 1_800_000_000_000 }
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
    /// Events of a thread that was not known.
    pub unknown_threads: u64,
}

/// What an event is about, resolved once by `apply`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject {
    /// The thread; it may be unknown to the machine.
    pub tid: i64,
    /// The fd that the event is about, where the machine knows it.
    pub fd: Option<i64>,
    /// The event gave that fd another name.
    pub fd_name_changed: bool,
}

/// The state of a host.
#[derive(Default, Debug)]
pub struct Machine {
    #[allow(dead_code, reason = "limits come with the tables")]
    options: MachineOptions,
    threads: FxHashMap<i64, Thread>,
    fds: FxHashMap<i64, FxHashMap<i64, Fd>>,
    accounts: Accounts,
    containers: FxHashMap<ContainerId, Container>,
    new_containers: Vec<ContainerId>,
    boot_ts: u64,
    stats: MachineStats,
}

impl Machine {
    /// An empty machine.
    pub fn new(options: MachineOptions) -> Machine {
        Machine { options, ..Machine::default() }
    }

    /// Changes the state as the event says. A removal that it causes (a closed fd, an ended thread) is
    /// carried out by the next call, so that rules still see what goes.
    pub fn apply(&mut self, event: &lanner_event::Event<'_>) -> Subject {
        Subject { tid: event.tid, fd: None, fd_name_changed: false }
    }

    /// A thread.
    pub fn thread(&self, tid: i64) -> Option<&Thread> {
        self.threads.get(&tid)
    }

    /// The thread an event is about.
    pub fn thread_of(&self, subject: &Subject) -> Option<&Thread> {
        self.thread(subject.tid)
    }

    /// The fd an event is about.
    pub fn fd_of(&self, subject: &Subject) -> Option<&Fd> {
        self.fd(subject.tid, subject.fd?)
    }

    /// The first thread of the thread's process, which may be the thread itself.
    pub fn main_thread<'a>(&'a self, thread: &'a Thread) -> Option<&'a Thread> {
        if thread.is_main() { Some(thread) } else { self.thread(thread.pid) }
    }

    /// The thread's parent process.
    pub fn parent(&self, thread: &Thread) -> Option<&Thread> {
        self.thread(thread.ptid)
    }

    /// Parent, its parent and so on. Ends before it would come round to where it was.
    pub fn ancestors<'a>(&'a self, thread: &Thread) -> impl Iterator<Item = &'a Thread> + use<'a> {
        let mut next = self.parent(thread);
        std::iter::from_fn(move || {
            let this = next?;
            next = self.parent(this);
            Some(this)
        })
        .take(100)
    }

    /// How many threads the thread's process has, ended ones left out.
    pub fn thread_count(&self, thread: &Thread) -> usize {
        self.threads.values().filter(|t| t.pid == thread.pid && !t.dead).count()
    }

    /// Working directory of the thread's process.
    pub fn cwd<'a>(&'a self, thread: &'a Thread) -> &'a Text {
        &self.main_thread(thread).unwrap_or(thread).cwd
    }

    /// Environment of the thread's process.
    pub fn env<'a>(&'a self, thread: &'a Thread) -> &'a TextList {
        &self.main_thread(thread).unwrap_or(thread).env
    }

    /// An fd of a thread.
    pub fn fd(&self, tid: i64, num: i64) -> Option<&Fd> {
        self.fds.get(&tid)?.get(&num)
    }

    /// All fds of a thread.
    pub fn fds(&self, tid: i64) -> impl Iterator<Item = &Fd> {
        self.fds.get(&tid).into_iter().flat_map(|t| t.values())
    }

    /// A user; the host's have the empty container id.
    pub fn user(&self, container: &[u8], uid: u32) -> Option<&User> {
        self.accounts.user(container, uid)
    }

    /// A group; the host's have the empty container id.
    pub fn group(&self, container: &[u8], gid: u32) -> Option<&Group> {
        self.accounts.group(container, gid)
    }

    /// What is known of a container.
    pub fn container(&self, id: &[u8]) -> Option<&Container> {
        self.containers.get(id)
    }

    /// Puts in what was found out about a container.
    pub fn set_container(&mut self, container: Container) {
        self.containers.insert(Text::from(container.id.as_str()), container);
    }

    /// Containers first seen since the last call.
    pub fn new_containers(&mut self) -> std::vec::Drain<'_, ContainerId> {
        self.new_containers.drain(..)
    }

    /// Puts in a thread that ran before events began.
    pub fn add_thread(&mut self, thread: Thread) {
        self.threads.insert(thread.tid, thread);
    }

    /// Puts in an fd that was open before events began.
    pub fn add_fd(&mut self, tid: i64, fd: Fd) {
        self.fds.entry(tid).or_default().insert(fd.num, fd);
    }

    /// Puts in a user.
    pub fn add_user(&mut self, container: &[u8], user: User) {
        self.accounts.add_user(container, user);
    }

    /// Puts in a group.
    pub fn add_group(&mut self, container: &[u8], group: Group) {
        self.accounts.add_group(container, group);
    }

    /// Says when the host started, ns since 1970.
    pub fn set_boot_ts(&mut self, ts: u64) {
        self.boot_ts = ts;
    }

    /// When the host started, ns since 1970; 0 when unknown.
    pub fn boot_ts(&self) -> u64 {
        self.boot_ts
    }

    /// Sizes and counters.
    pub fn stats(&self) -> MachineStats {
        MachineStats { threads: self.threads.len() as u64, ..self.stats }
    }

    /// Removes threads of which nothing was heard for long. `now`: ns since 1970.
    pub fn sweep(&mut self, now: u64) {
        let timeout = self.options.thread_timeout;
        let before = self.threads.len();
        self.threads.retain(|_, t| now.saturating_sub(t.last_seen_ts) < timeout);
        self.stats.threads_swept += (before - self.threads.len()) as u64;
    }
}
