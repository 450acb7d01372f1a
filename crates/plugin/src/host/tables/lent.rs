//! What the tables of a loop have in common: the machine while it is lent, the tables inside of entries, what plugins have
//! added, and the last error.

use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread::{self, ThreadId};

use lanner_machine::Machine;

use super::columns::Kind;
use super::grown::Grown;
use super::lock;
use super::own::Own;
use crate::host::abi;

/// Tables inside of entries that a plugin was shown in this call.
#[derive(Default)]
struct Inner {
    /// Kept and used again, so that a plugin that holds a pointer for too long never reads what isn't there.
    #[allow(clippy::vec_box, reason = "addresses must not change")]
    tables: Vec<Box<Own>>,
    used: usize,
}

// SAFETY: the tables point to what owns them, and are used by the thread that looks at events.
unsafe impl Send for Inner {}

/// See the module.
#[derive(Default)]
pub(super) struct Lent {
    machine: AtomicPtr<Machine>,
    thread: Mutex<Option<ThreadId>>,
    inner: Mutex<Inner>,
    threads: Grown,
    containers: Grown,
    fds: Grown,
    error: Mutex<Option<String>>,
}

impl Lent {
    /// Lends the machine to what this thread calls meanwhile.
    pub(super) fn lend<T>(&self, machine: &Machine, call: impl FnOnce() -> T) -> T {
        let mine = thread::current().id();
        let mut owner = lock(&self.thread);
        if *owner != Some(mine) {
            *owner = Some(mine);
        }
        drop(owner);
        self.machine.store(ptr::from_ref(machine).cast_mut(), Ordering::Release);
        let answer = call();
        self.machine.store(ptr::null_mut(), Ordering::Release);
        lock(&self.inner).used = 0;
        answer
    }

    /// The machine, for the thread that it was lent to.
    pub(super) fn machine(&self) -> Option<&Machine> {
        if *lock(&self.thread) != Some(thread::current().id()) {
            return None;
        }
        // SAFETY: it is not null only while `lend`, on this very thread, holds a reference to it.
        unsafe { self.machine.load(Ordering::Acquire).as_ref() }
    }

    /// The table of a kind inside of a thread's entry.
    pub(super) fn inner(&self, kind: Kind, of: Option<i64>) -> abi::Table {
        let mut inner = lock(&self.inner);
        let used = inner.used;
        let recent = &inner.tables[used.saturating_sub(4)..used];
        if let Some(table) = recent.iter().find(|table| table.kind == kind && table.of == of) {
            return table.as_table();
        }
        inner.used += 1;
        match inner.tables.get_mut(used) {
            Some(table) => table.become_other(kind, of),
            None => inner.tables.push(Own::new(kind, of, self)),
        }
        inner.tables[used].as_table()
    }

    /// What plugins have added to a kind of tables; `None`: nothing can be added.
    pub(super) fn grown(&self, kind: Kind) -> Option<&Grown> {
        match kind {
            Kind::Threads => Some(&self.threads),
            Kind::Containers => Some(&self.containers),
            Kind::Fds => Some(&self.fds),
            Kind::Args | Kind::Env | Kind::Cgroups => None,
        }
    }

    pub(super) fn fail(&self, why: String) {
        *lock(&self.error) = Some(why);
    }

    pub(super) fn take_error(&self) -> Option<String> {
        lock(&self.error).take()
    }

    /// Forgets what plugins kept about threads, fds and containers that are gone.
    pub(super) fn sweep(&self, machine: &Machine) {
        self.threads.keep_born(|| machine.thread_births());
        self.fds.keep_born(|| machine.fd_births());
        self.containers.keep_named(|id| machine.container(id).is_some());
    }
}
