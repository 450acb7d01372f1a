//! Fd tables, shared by threads as clone flags say and copied by a fork only when one side changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHashMap;

use crate::Fd;
use crate::fd_entry::{Entry, Known, Spares};

/// Which table.
pub(crate) type TableId = u32;

/// Fds below this number stand in an array, the rare ones above in a map.
const DENSE: usize = 512;

/// The fds of one table.
#[derive(Clone, Default, Debug)]
struct FdTable {
    dense: Vec<Option<Entry>>,
    sparse: FxHashMap<i64, Entry>,
    len: usize,
}

impl FdTable {
    #[inline]
    fn get(&self, num: i64) -> Option<&Known> {
        match usize::try_from(num) {
            Ok(index) if index < DENSE => self.dense.get(index)?.as_ref(),
            _ => self.sparse.get(&num),
        }
        .map(Entry::get)
    }

    fn get_mut(&mut self, num: i64, version: u64) -> Option<&mut Fd> {
        let entry = match usize::try_from(num) {
            Ok(index) if index < DENSE => self.dense.get_mut(index)?.as_mut(),
            _ => self.sparse.get_mut(&num),
        };
        let known = entry?.to_mut();
        known.version = version;
        Some(&mut known.fd)
    }

    /// Puts in an fd; says which was there before.
    fn insert(&mut self, num: i64, entry: Entry) -> Option<Entry> {
        let before = match usize::try_from(num) {
            Ok(index) if index < DENSE => {
                if self.dense.len() <= index {
                    self.dense.resize_with(index + 1, || None);
                }
                self.dense[index].replace(entry)
            }
            _ => self.sparse.insert(num, entry),
        };
        self.len += usize::from(before.is_none());
        before
    }

    fn remove(&mut self, num: i64) -> Option<Entry> {
        let before = match usize::try_from(num) {
            Ok(index) if index < DENSE => self.dense.get_mut(index).and_then(Option::take),
            _ => self.sparse.remove(&num),
        };
        self.len -= usize::from(before.is_some());
        before
    }

    fn retain(&mut self, mut keep: impl FnMut(&Fd) -> bool) {
        for place in &mut self.dense {
            if place.as_ref().is_some_and(|entry| !keep(&entry.get().fd)) {
                *place = None;
                self.len -= 1;
            }
        }
        let before = self.sparse.len();
        self.sparse.retain(|_, entry| keep(&entry.get().fd));
        self.len -= before - self.sparse.len();
    }

    fn iter(&self) -> impl Iterator<Item = &Fd> {
        self.known().map(|known| &known.fd)
    }

    fn known(&self) -> impl Iterator<Item = &Known> {
        self.dense.iter().flatten().chain(self.sparse.values()).map(Entry::get)
    }

    /// Lets copies of the table share its fds.
    fn share(&mut self) {
        self.dense.iter_mut().flatten().chain(self.sparse.values_mut()).for_each(Entry::share);
    }
}

/// A table, or one that a fork made two users of, none of whom has changed it yet. While a table is one's own,
/// changing it asks no counter that other threads might look at.
#[derive(Debug)]
enum Kept {
    Own(FdTable),
    Forked(Arc<FdTable>),
}

impl Kept {
    #[inline]
    fn get(&self) -> &FdTable {
        match self {
            Kept::Own(table) => table,
            Kept::Forked(table) => table,
        }
    }

    #[inline]
    fn to_mut(&mut self) -> &mut FdTable {
        match self {
            Kept::Own(table) => table,
            Kept::Forked(_) => self.become_own(),
        }
    }

    #[cold]
    fn become_own(&mut self) -> &mut FdTable {
        if let Kept::Forked(table) = self {
            *self = Kept::Own(Arc::unwrap_or_clone(std::mem::take(table)));
        }
        match self {
            Kept::Own(table) => table,
            Kept::Forked(table) => Arc::make_mut(table),
        }
    }

    fn fork(&mut self) -> Kept {
        if let Kept::Own(table) = self {
            table.share();
            *self = Kept::Forked(Arc::new(std::mem::take(table)));
        }
        match self {
            Kept::Forked(table) => Kept::Forked(Arc::clone(table)),
            Kept::Own(table) => Kept::Own(table.clone()),
        }
    }
}

#[derive(Debug)]
struct Shared {
    table: Kept,
    /// Threads that use it.
    users: u32,
    /// What the clock of all tables showed when one of its fds was last changed, or when it was made.
    changed: u64,
}

/// All tables.
#[derive(Debug)]
pub(crate) struct FdTables {
    tables: Vec<Option<Shared>>,
    free: Vec<TableId>,
    /// Fds that were put into some table, and that were taken out.
    pub(crate) added: u64,
    pub(crate) removed: u64,
    /// Counts changes, so that whoever remembers an answer about an fd can tell whether it still holds.
    clock: u64,
    spares: Spares,
}

impl Default for FdTables {
    fn default() -> FdTables {
        // As with threads: no two machines ever show the same numbers.
        static BEGIN: AtomicU64 = AtomicU64::new(1 << 40);
        FdTables {
            tables: Vec::new(),
            free: Vec::new(),
            clock: BEGIN.fetch_add(1 << 40, Ordering::Relaxed),
            spares: Spares::default(),
            added: 0,
            removed: 0,
        }
    }
}

impl FdTables {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// An empty table with one user.
    pub(crate) fn create(&mut self) -> TableId {
        self.add(Kept::Own(FdTable::default()))
    }

    /// A copy with one user, which costs nothing before either side changes.
    pub(crate) fn fork(&mut self, id: TableId) -> TableId {
        let table = self.at_mut(id).map(|s| s.table.fork());
        self.add(table.unwrap_or_else(|| Kept::Own(FdTable::default())))
    }

    /// One more user of a table.
    pub(crate) fn share(&mut self, id: TableId) -> TableId {
        if let Some(shared) = self.at_mut(id) {
            shared.users += 1;
        }
        id
    }

    /// One user less; the last one takes the table along.
    pub(crate) fn release(&mut self, id: TableId) {
        let Some(place) = self.tables.get_mut(id as usize) else { return };
        if let Some(shared) = place {
            shared.users -= 1;
            if shared.users == 0 {
                *place = None;
                self.free.push(id);
            }
        }
    }

    /// How many threads use a table.
    pub(crate) fn users(&self, id: TableId) -> u32 {
        self.at(id).map_or(0, |s| s.users)
    }

    /// A number that is another one after each change to a table's fds, and that no other table ever has.
    #[inline]
    pub(crate) fn changed(&self, id: TableId) -> Option<u64> {
        self.at(id).map(|shared| shared.changed)
    }

    #[inline]
    pub(crate) fn get(&self, id: TableId, num: i64) -> Option<&Fd> {
        self.at(id)?.table.get().get(num).map(|known| &known.fd)
    }

    /// A number that no other fd has, nor this one after it is changed.
    pub(crate) fn version(&self, id: TableId, num: i64) -> Option<u64> {
        self.at(id)?.table.get().get(num).map(|known| known.version)
    }

    /// A number that no other fd has, but for those that a fork made of this one.
    pub(crate) fn birth(&self, id: TableId, num: i64) -> Option<u64> {
        self.at(id)?.table.get().get(num).map(|known| known.born)
    }

    /// These numbers of all fds.
    pub(crate) fn births(&self) -> impl Iterator<Item = u64> {
        self.tables.iter().flatten().flat_map(|shared| shared.table.get().known()).map(|known| known.born)
    }

    /// An fd to be changed.
    pub(crate) fn get_mut(&mut self, id: TableId, num: i64) -> Option<&mut Fd> {
        let version = self.tick();
        let shared = self.at_mut(id)?;
        shared.table.get().get(num)?;
        shared.changed = version;
        shared.table.to_mut().get_mut(num, version)
    }

    /// Puts in an fd, over one of the same number. `false`: the table has `max` others already.
    pub(crate) fn insert(&mut self, id: TableId, fd: Fd, max: usize) -> bool {
        let version = self.tick();
        let Some(shared) = self.tables.get_mut(id as usize).and_then(Option::as_mut) else { return false };
        let table = shared.table.get();
        if table.len >= max && table.get(fd.num).is_none() {
            return false;
        }
        shared.changed = version;
        let num = fd.num;
        let entry = self.spares.entry(fd, version);
        if let Some(before) = shared.table.to_mut().insert(num, entry) {
            self.spares.give_back(before);
        }
        self.added += 1;
        true
    }

    pub(crate) fn remove(&mut self, id: TableId, num: i64) {
        let now = self.tick();
        let Some(shared) = self.tables.get_mut(id as usize).and_then(Option::as_mut) else { return };
        let removed = match &mut shared.table {
            Kept::Own(table) => table.remove(num),
            forked if forked.get().get(num).is_some() => forked.to_mut().remove(num),
            Kept::Forked(_) => None,
        };
        if let Some(removed) = removed {
            shared.changed = now;
            self.spares.give_back(removed);
            self.removed += 1;
        }
    }

    /// Removes the fds that `keep` does not want.
    pub(crate) fn retain(&mut self, id: TableId, keep: impl Fn(&Fd) -> bool) {
        let now = self.tick();
        if let Some(shared) = self.at_mut(id).filter(|s| s.table.get().iter().any(|fd| !keep(fd))) {
            shared.changed = now;
            shared.table.to_mut().retain(keep);
        }
    }

    /// Changes every fd that `wanted` picks.
    pub(crate) fn change(&mut self, id: TableId, wanted: impl Fn(&Fd) -> bool, change: impl Fn(&mut Fd)) {
        let version = self.tick();
        let Some(shared) = self.at_mut(id) else { return };
        shared.changed = version;
        let nums: Vec<i64> = shared.table.get().iter().filter(|fd| wanted(fd)).map(|fd| fd.num).collect();
        for num in nums {
            if let Some(fd) = shared.table.to_mut().get_mut(num, version) {
                change(fd);
            }
        }
    }

    pub(crate) fn iter(&self, id: TableId) -> impl Iterator<Item = &Fd> {
        self.at(id).into_iter().flat_map(|s| s.table.get().iter())
    }

    pub(crate) fn len(&self, id: TableId) -> usize {
        self.at(id).map_or(0, |s| s.table.get().len)
    }

    /// Fds of all tables.
    pub(crate) fn total(&self) -> usize {
        self.tables.iter().flatten().map(|s| s.table.get().len).sum()
    }

    fn add(&mut self, table: Kept) -> TableId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.tables.push(None);
            (self.tables.len() - 1) as TableId
        });
        let changed = self.tick();
        self.tables[id as usize] = Some(Shared { table, users: 1, changed });
        id
    }

    #[inline]
    fn at(&self, id: TableId) -> Option<&Shared> {
        self.tables.get(id as usize)?.as_ref()
    }

    fn at_mut(&mut self, id: TableId) -> Option<&mut Shared> {
        self.tables.get_mut(id as usize)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fd(num: i64, name: &str) -> Fd {
        Fd { num, name: name.into(), ..Fd::default() }
    }

    fn names(tables: &FdTables, id: TableId) -> Vec<(i64, String)> {
        let mut all: Vec<_> = tables.iter(id).map(|fd| (fd.num, fd.name.to_string())).collect();
        all.sort();
        all
    }

    #[test]
    fn a_fork_copies_when_a_side_changes() {
        let mut tables = FdTables::default();
        let parent = tables.create();
        for (num, name) in [(0, "in"), (700, "far")] {
            assert!(tables.insert(parent, fd(num, name), 10));
        }
        let child = tables.fork(parent);
        tables.remove(child, 0);
        tables.get_mut(child, 700).unwrap().name = "changed".into();
        assert_eq!(names(&tables, parent), [(0, "in".to_owned()), (700, "far".to_owned())]);
        assert_eq!(names(&tables, child), [(700, "changed".to_owned())]);
        assert_eq!((tables.len(parent), tables.len(child), tables.total()), (2, 1, 3));
    }

    #[test]
    fn an_fd_keeps_its_birth_until_it_is_closed() {
        let mut tables = FdTables::default();
        let parent = tables.create();
        tables.insert(parent, fd(3, "x"), 10);
        let born = tables.birth(parent, 3);
        let child = tables.fork(parent);
        tables.get_mut(parent, 3).unwrap().name = "y".into();
        assert!(born.is_some() && tables.birth(parent, 3) == born && tables.birth(child, 3) == born);
        tables.remove(parent, 3);
        tables.insert(parent, fd(3, "x"), 10);
        assert!(tables.birth(parent, 3) > born);
        assert_eq!(tables.births().count(), 2);
    }

    #[test]
    fn a_shared_table_lives_as_long_as_its_users() {
        let mut tables = FdTables::default();
        let one = tables.create();
        let two = tables.share(one);
        tables.insert(two, fd(3, "x"), 10);
        tables.release(one);
        assert!(tables.get(two, 3).is_some());
        tables.release(two);
        assert!(tables.get(two, 3).is_none());
        assert_eq!(tables.create(), one, "its place is used again");
    }

    #[test]
    fn the_limit_is_kept_but_replacing_is_free() {
        let mut tables = FdTables::default();
        let id = tables.create();
        assert!(tables.insert(id, fd(1, "a"), 1));
        assert!(!tables.insert(id, fd(2, "b"), 1));
        assert!(tables.insert(id, fd(1, "c"), 1));
        assert_eq!(names(&tables, id), [(1, "c".to_owned())]);
    }

    #[test]
    fn retain_and_change_touch_what_they_name() {
        let mut tables = FdTables::default();
        let id = tables.create();
        for num in [1, 2, 600] {
            tables.insert(id, fd(num, "x"), 10);
        }
        tables.change(id, |fd| fd.num > 1, |fd| fd.set_cloexec(true));
        tables.retain(id, |fd| !fd.is_cloexec());
        assert_eq!(names(&tables, id), [(1, "x".to_owned())]);
        assert_eq!(tables.len(id), 1);
    }
}
