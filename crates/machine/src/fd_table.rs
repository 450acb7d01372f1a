//! Fd tables, shared by threads as clone flags say and copied by a fork only when one side changes.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::Fd;

/// Which table.
pub(crate) type TableId = u32;

/// Fds below this number stand in an array, the rare ones above in a map.
const DENSE: usize = 512;

/// The fds of one table.
#[derive(Clone, Default, Debug)]
struct FdTable {
    dense: Vec<Option<Arc<Fd>>>,
    sparse: FxHashMap<i64, Arc<Fd>>,
    len: usize,
}

impl FdTable {
    fn get(&self, num: i64) -> Option<&Arc<Fd>> {
        match usize::try_from(num) {
            Ok(index) if index < DENSE => self.dense.get(index)?.as_ref(),
            _ => self.sparse.get(&num),
        }
    }

    fn get_mut(&mut self, num: i64) -> Option<&mut Arc<Fd>> {
        match usize::try_from(num) {
            Ok(index) if index < DENSE => self.dense.get_mut(index)?.as_mut(),
            _ => self.sparse.get_mut(&num),
        }
    }

    fn insert(&mut self, fd: Fd) {
        let num = fd.num;
        let before = match usize::try_from(num) {
            Ok(index) if index < DENSE => {
                if self.dense.len() <= index {
                    self.dense.resize_with(index + 1, || None);
                }
                self.dense[index].replace(Arc::new(fd))
            }
            _ => self.sparse.insert(num, Arc::new(fd)),
        };
        self.len += usize::from(before.is_none());
    }

    fn remove(&mut self, num: i64) {
        let before = match usize::try_from(num) {
            Ok(index) if index < DENSE => self.dense.get_mut(index).and_then(Option::take),
            _ => self.sparse.remove(&num),
        };
        self.len -= usize::from(before.is_some());
    }

    fn retain(&mut self, mut keep: impl FnMut(&Fd) -> bool) {
        for place in &mut self.dense {
            if place.as_ref().is_some_and(|fd| !keep(fd)) {
                *place = None;
                self.len -= 1;
            }
        }
        let before = self.sparse.len();
        self.sparse.retain(|_, fd| keep(fd));
        self.len -= before - self.sparse.len();
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Fd>> {
        self.dense.iter().flatten().chain(self.sparse.values())
    }
}

#[derive(Debug)]
struct Shared {
    table: Arc<FdTable>,
    /// Threads that use it.
    users: u32,
}

/// All tables.
#[derive(Default, Debug)]
pub(crate) struct FdTables {
    tables: Vec<Option<Shared>>,
    free: Vec<TableId>,
    /// Fds that were put into some table, and that were taken out.
    pub(crate) added: u64,
    pub(crate) removed: u64,
}

impl FdTables {
    /// An empty table with one user.
    pub(crate) fn create(&mut self) -> TableId {
        self.add(Arc::default())
    }

    /// A copy with one user, which costs nothing before either side changes.
    pub(crate) fn fork(&mut self, id: TableId) -> TableId {
        let table = self.at(id).map(|s| Arc::clone(&s.table)).unwrap_or_default();
        self.add(table)
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

    pub(crate) fn get(&self, id: TableId, num: i64) -> Option<&Fd> {
        self.at(id)?.table.get(num).map(|fd| &**fd)
    }

    /// An fd to be changed.
    pub(crate) fn get_mut(&mut self, id: TableId, num: i64) -> Option<&mut Fd> {
        let table = &mut self.at_mut(id)?.table;
        table.get(num)?;
        Arc::make_mut(table).get_mut(num).map(Arc::make_mut)
    }

    /// Puts in an fd, over one of the same number. `false`: the table has `max` others already.
    pub(crate) fn insert(&mut self, id: TableId, fd: Fd, max: usize) -> bool {
        let Some(shared) = self.at_mut(id) else { return false };
        if shared.table.len >= max && shared.table.get(fd.num).is_none() {
            return false;
        }
        Arc::make_mut(&mut shared.table).insert(fd);
        self.added += 1;
        true
    }

    pub(crate) fn remove(&mut self, id: TableId, num: i64) {
        if let Some(shared) = self.at_mut(id).filter(|s| s.table.get(num).is_some()) {
            Arc::make_mut(&mut shared.table).remove(num);
            self.removed += 1;
        }
    }

    /// Removes the fds that `keep` does not want.
    pub(crate) fn retain(&mut self, id: TableId, keep: impl Fn(&Fd) -> bool) {
        if let Some(shared) = self.at_mut(id).filter(|s| s.table.iter().any(|fd| !keep(fd))) {
            Arc::make_mut(&mut shared.table).retain(keep);
        }
    }

    /// Changes every fd that `wanted` picks.
    pub(crate) fn change(&mut self, id: TableId, wanted: impl Fn(&Fd) -> bool, change: impl Fn(&mut Fd)) {
        let Some(shared) = self.at_mut(id) else { return };
        let nums: Vec<i64> = shared.table.iter().filter(|fd| wanted(fd)).map(|fd| fd.num).collect();
        for num in nums {
            if let Some(fd) = Arc::make_mut(&mut shared.table).get_mut(num) {
                change(Arc::make_mut(fd));
            }
        }
    }

    pub(crate) fn iter(&self, id: TableId) -> impl Iterator<Item = &Fd> {
        self.at(id).into_iter().flat_map(|s| s.table.iter().map(|fd| &**fd))
    }

    pub(crate) fn len(&self, id: TableId) -> usize {
        self.at(id).map_or(0, |s| s.table.len)
    }

    /// Fds of all tables.
    pub(crate) fn total(&self) -> usize {
        self.tables.iter().flatten().map(|s| s.table.len).sum()
    }

    fn add(&mut self, table: Arc<FdTable>) -> TableId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.tables.push(None);
            (self.tables.len() - 1) as TableId
        });
        self.tables[id as usize] = Some(Shared { table, users: 1 });
        id
    }

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
