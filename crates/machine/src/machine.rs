//! The whole state, and the questions that can be asked of it.

use std::net::IpAddr;

use rustc_hash::FxHashSet;

use crate::accounts::Accounts;
use crate::apply::Shape;
use crate::containers::Containers;
use crate::domains::Domains;
use crate::exits::RecentExits;
use crate::fd_table::{FdTables, TableId};
use crate::lineage::MAX_DEPTH;
use crate::quiet::QuietExchanges;
use crate::threads::{Record, Slot, Threads};
use crate::{
    CgroupContainer, Container, Fd, Group, Interface, MachineOptions, MachineStats, Subject, Text, TextList,
    Thread, User, Versions,
};

/// The state of a host.
#[derive(Debug)]
pub struct Machine {
    pub(crate) options: MachineOptions,
    pub(crate) threads: Threads,
    pub(crate) tables: FdTables,
    pub(crate) accounts: Accounts,
    pub(crate) containers: Containers,
    domains: Domains,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) boot_ts: u64,
    pub(crate) stats: MachineStats,
    /// What each event type is like.
    pub(crate) shapes: Box<[Shape]>,
    /// What the last event ends, carried out by the next.
    pub(crate) ending: Ending,
    pub(crate) exits: RecentExits,
    /// Threads of a snapshot that don't know their relatives yet.
    pub(crate) unlinked: Vec<i64>,
    /// When the last snapshot event came, ns since 1970.
    pub(crate) snapshot_end: u64,
    /// Ports that snapshot sockets listen on.
    pub(crate) server_ports: FxHashSet<u16>,
    /// Memory for putting paths and names together.
    pub(crate) scratch: Vec<u8>,
    /// The beginning of the call that an event ends.
    pub(crate) begun: Vec<u8>,
    pub(crate) quiet: QuietExchanges,
    /// Working directory of a thread whose process is not known.
    no_cwd: Text,
}

/// What an event ends; it is still there for the rules that look at this event.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    #[default]
    Nothing,
    /// A thread.
    Thread(i64),
    /// An fd of a table.
    Fd(TableId, i64),
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new(MachineOptions::default())
    }
}

impl Machine {
    /// An empty machine.
    pub fn new(options: MachineOptions) -> Machine {
        Machine {
            options,
            threads: Threads::default(),
            tables: FdTables::default(),
            accounts: Accounts::default(),
            containers: Containers::default(),
            domains: Domains::default(),
            interfaces: Vec::new(),
            boot_ts: 0,
            stats: MachineStats::default(),
            shapes: crate::apply::shapes(),
            ending: Ending::Nothing,
            exits: RecentExits::default(),
            unlinked: Vec::new(),
            snapshot_end: 0,
            server_ports: FxHashSet::default(),
            scratch: Vec::new(),
            begun: Vec::new(),
            quiet: QuietExchanges::default(),
            no_cwd: Text::from("./"),
        }
    }

    /// A thread.
    pub fn thread(&self, tid: i64) -> Option<&Thread> {
        self.threads.get(tid).map(|r| &r.thread)
    }

    /// All threads, in no order.
    pub fn threads(&self) -> impl Iterator<Item = &Thread> {
        self.threads.iter().map(|r| &r.thread)
    }

    /// The thread an event is about, without a search.
    pub fn thread_of(&self, subject: &Subject) -> Option<&Thread> {
        self.record_of(subject).map(|r| &r.thread)
    }

    /// The fd an event is about.
    pub fn fd_of(&self, subject: &Subject) -> Option<&Fd> {
        self.tables.get(self.record_of(subject)?.table?, subject.stand_in.or(subject.fd)?)
    }

    /// A number that changes whenever what is known of an event's fd does; `None` if the fd isn't known. No two
    /// fds ever have the same, but for those that a fork made two of.
    pub fn fd_version(&self, subject: &Subject) -> Option<u64> {
        self.tables.version(self.record_of(subject)?.table?, subject.stand_in.or(subject.fd)?)
    }

    /// How far what is known of an event's thread has changed; `None` if the thread isn't known.
    pub fn versions(&self, subject: &Subject) -> Option<Versions> {
        let slot = subject.slot.or_else(|| self.threads.slot(subject.tid))?;
        let record = self.record_of(subject)?;
        let main = match record.thread.is_main() {
            true => record.version,
            false => {
                self.threads.main_slot(slot).and_then(|main| self.threads.at(main)).map_or(0, |r| r.version)
            }
        };
        Some(Versions { slot, own: record.version, main, all: self.threads.clock() })
    }

    /// What [`Versions::all`] shows.
    #[inline]
    pub fn clock(&self) -> u64 {
        self.threads.clock()
    }

    fn record_of(&self, subject: &Subject) -> Option<&Record> {
        match subject.slot {
            Some(slot) => self.threads.at(slot).filter(|r| r.thread.tid == subject.tid),
            None => self.threads.get(subject.tid),
        }
    }

    /// The first thread of the thread's process, which may be the thread itself.
    pub fn main_thread<'a>(&'a self, thread: &'a Thread) -> Option<&'a Thread> {
        if thread.is_main() {
            return Some(thread);
        }
        let main = self.threads.main_slot(self.threads.slot(thread.tid)?)?;
        self.threads.at(main).map(|r| &r.thread)
    }

    /// The thread's parent.
    pub fn parent(&self, thread: &Thread) -> Option<&Thread> {
        self.thread(thread.ptid)
    }

    /// Parent, its parent and so on. It ends where it would come round to where it was.
    pub fn ancestors<'a>(&'a self, thread: &Thread) -> impl Iterator<Item = &'a Thread> + use<'a> {
        // Brent's way to find a loop: remember one thread, a later one each time the distance doubles.
        let (mut mark, mut steps, mut limit) = (thread.tid, 0usize, 1usize);
        let mut next = self.parent(thread);
        std::iter::from_fn(move || {
            let this = next.filter(|t| t.tid != mark && steps < MAX_DEPTH)?;
            steps += 1;
            if steps == limit {
                (mark, limit) = (this.tid, limit * 2);
            }
            next = self.parent(this);
            Some(this)
        })
    }

    /// How many threads the thread's process has, ended ones left out.
    pub fn thread_count(&self, thread: &Thread) -> usize {
        let linked = self.threads.get(thread.tid).is_some_and(|r| r.linked);
        self.threads.processes.get(&thread.pid).filter(|_| linked).map_or(0, |p| p.alive)
    }

    /// Working directory of the thread's process, with a closing slash.
    pub fn cwd<'a>(&'a self, thread: &'a Thread) -> &'a Text {
        self.main_thread(thread).map_or(&self.no_cwd, |main| &main.cwd)
    }

    /// Environment of the thread's process.
    pub fn env<'a>(&'a self, thread: &'a Thread) -> &'a TextList {
        &self.main_thread(thread).unwrap_or(thread).env
    }

    /// An fd of a thread.
    pub fn fd(&self, tid: i64, num: i64) -> Option<&Fd> {
        self.tables.get(self.threads.get(tid)?.table?, num)
    }

    /// All fds of a thread, in no order.
    pub fn fds(&self, tid: i64) -> impl Iterator<Item = &Fd> {
        let table = self.threads.get(tid).and_then(|r| r.table);
        table.into_iter().flat_map(|table| self.tables.iter(table))
    }

    /// A number that no other thread ever has; `None` if the thread isn't known.
    pub fn thread_birth(&self, tid: i64) -> Option<u64> {
        self.threads.get(tid).map(|r| r.born)
    }

    /// The numbers of all threads.
    pub fn thread_births(&self) -> impl Iterator<Item = u64> {
        self.threads.iter().map(|r| r.born)
    }

    /// A number that stays while an fd is open, and that no other one ever has but those that a fork made of it.
    pub fn fd_birth(&self, tid: i64, num: i64) -> Option<u64> {
        self.tables.birth(self.threads.get(tid)?.table?, num)
    }

    /// The numbers of all fds.
    pub fn fd_births(&self) -> impl Iterator<Item = u64> {
        self.tables.births()
    }

    /// How many fds a thread's process has open.
    pub fn fd_count(&self, thread: &Thread) -> usize {
        let main = self.main_thread(thread).and_then(|main| self.threads.get(main.tid));
        main.and_then(|r| r.table).map_or(0, |table| self.tables.len(table))
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
        self.threads.tick();
        self.containers.set(container);
    }

    /// The domain names, of those that were put in, that stand for an address, in alphabetical order.
    pub fn domains_of(&self, address: IpAddr) -> &[Text] {
        self.domains.of(address)
    }

    /// Puts in what a domain name stands for, in place of what it did.
    pub fn set_domain(&mut self, name: &Text, addresses: &[IpAddr]) {
        self.domains.set(name, addresses);
    }

    /// The containers that are known.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter()
    }

    /// Whether there are containers that [`Machine::new_containers`] would give.
    pub fn has_new_containers(&self) -> bool {
        self.containers.has_new()
    }

    /// Containers first seen since the last call.
    pub fn new_containers(&mut self) -> Vec<CgroupContainer> {
        self.containers.take_new()
    }

    /// Puts in a user.
    pub fn add_user(&mut self, container: &[u8], user: User) {
        self.threads.tick();
        self.accounts.add_user(container, user);
    }

    /// Puts in a group.
    pub fn add_group(&mut self, container: &[u8], group: Group) {
        self.threads.tick();
        self.accounts.add_group(container, group);
    }

    /// Says which addresses the host has: they complete sockets of which only one end is known.
    pub fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        self.threads.tick();
        self.interfaces = interfaces;
    }

    /// Says when the host started, ns since 1970.
    pub fn set_boot_ts(&mut self, ts: u64) {
        self.boot_ts = ts;
    }

    /// When the host started, ns since 1970; 0 when unknown.
    pub fn boot_ts(&self) -> u64 {
        self.boot_ts
    }

    /// Whether there has been room for every thread, and is for as many again.
    pub fn has_room(&self) -> bool {
        self.stats.threads_refused == 0 && self.threads.len() * 2 <= self.options.max_threads
    }

    /// Sizes and counters.
    pub fn stats(&self) -> MachineStats {
        MachineStats {
            threads: self.threads.len() as u64,
            fds: self.tables.total() as u64,
            containers: self.containers.len() as u64,
            threads_added: self.threads.added,
            threads_removed: self.threads.added - self.threads.len() as u64,
            fds_added: self.tables.added,
            fds_removed: self.tables.removed,
            ..self.stats
        }
    }

    /// Removes threads of which nothing is known, those of which nothing was heard for the time that the
    /// options say and that are not `alive` any more (their ids are asked about), and containers in
    /// which no thread has been for a minute. `now`: ns since 1970.
    pub fn sweep(&mut self, now: u64, alive: impl FnMut(i64) -> bool) {
        self.sweep_quiet(now, self.options.thread_timeout, alive);
    }

    /// Forgets the containers in which no thread has been for a minute, as of the last call. Much is known of each, so a
    /// host where short ones come and go wants this oftener than a whole sweep. `now`: ns since 1970.
    pub fn sweep_containers(&mut self, now: u64) {
        let used: FxHashSet<Text> = self.threads().map(|t| t.container.clone()).collect();
        self.containers.sweep(now, &used);
        self.accounts.retain(|id| id.is_empty() || used.contains(id));
    }

    /// The same for all threads that are not `alive`, whenever they were last heard of: for when memory is short.
    pub fn shed(&mut self, now: u64, alive: impl FnMut(i64) -> bool) {
        self.sweep_quiet(now, 0, alive);
    }

    /// Takes in no more threads than these from now on; those that are known stay.
    pub fn limit_threads(&mut self, most: usize) {
        self.options.max_threads = most;
    }

    fn sweep_quiet(&mut self, now: u64, timeout: u64, mut alive: impl FnMut(i64) -> bool) {
        let gone: Vec<i64> = self
            .threads()
            .filter(|t| {
                let quiet = now.saturating_sub(t.last_seen_ts) > timeout;
                t.is_unknown() || (quiet && !alive(t.tid))
            })
            .map(|t| t.tid)
            .collect();
        self.stats.threads_swept += gone.len() as u64;
        for tid in gone {
            self.remove_thread(tid);
        }
        self.threads.tick();
        self.sweep_containers(now);
    }

    pub(crate) fn at(&self, slot: Slot) -> Option<&Record> {
        self.threads.at(slot)
    }
}
