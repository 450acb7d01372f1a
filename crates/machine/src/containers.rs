//! The containers that threads are in.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{CgroupContainer, Container, ContainerId, Text, TextList, cgroup};

/// Most new containers that wait for whoever asks about them; a replay never asks.
const MAX_NEW: usize = 4_096;

/// What is known of a container stays so long after its last thread, nanoseconds: alerts may still wait for it.
const KEPT: u64 = 60_000_000_000;
/// And no more of them than this, so that a storm of short containers doesn't fill the memory.
const MAX_KEPT: usize = 4_096;

/// What is known of each container, and which are new.
#[derive(Default, Debug)]
pub(crate) struct Containers {
    known: FxHashMap<ContainerId, Container>,
    new: Vec<CgroupContainer>,
    /// Those no thread is in, and since when.
    empty: FxHashMap<ContainerId, u64>,
    /// Cgroups, by path, that are a container's without a runtime's mark.
    named: FxHashMap<Text, CgroupContainer>,
}

impl Containers {
    pub(crate) fn get(&self, id: &[u8]) -> Option<&Container> {
        self.known.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Container> {
        self.known.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn set(&mut self, container: Container) {
        self.known.insert(Text::from(container.id.as_str()), container);
    }

    pub(crate) fn take_new(&mut self) -> Vec<CgroupContainer> {
        std::mem::take(&mut self.new)
    }

    /// Forgets what has been empty for long, and of too many empty ones those that have been so longest.
    /// `now`: ns since 1970.
    pub(crate) fn sweep(&mut self, now: u64, used: &FxHashSet<ContainerId>) {
        self.empty.retain(|id, _| !used.contains(id));
        for id in self.known.keys().filter(|id| !used.contains(*id)) {
            self.empty.entry(id.clone()).or_insert(now);
        }
        let mut times: Vec<u64> = self.empty.values().copied().collect();
        let oldest = match times.len().checked_sub(MAX_KEPT) {
            None | Some(0) => 0,
            Some(excess) => *times.select_nth_unstable(excess - 1).1 + 1,
        };
        let (known, limit) = (&mut self.known, oldest.max(now.saturating_sub(KEPT)));
        self.empty.retain(|id, since| {
            let kept = *since >= limit;
            if !kept {
                known.remove(id);
            }
            kept
        });
        self.named.retain(|_, container| known.contains_key(&container.id));
    }

    /// Says whose a cgroup is from now on.
    pub(crate) fn name(&mut self, path: Text, container: CgroupContainer) {
        if self.named.len() < MAX_KEPT || self.named.contains_key(&path) {
            self.named.insert(path, container);
        }
    }

    /// The container whose cgroup, or one below, is among these by a name that was given to it.
    fn by_name(&self, cgroups: &TextList) -> Option<CgroupContainer> {
        if self.named.is_empty() {
            return None;
        }
        cgroups.iter().find_map(|cgroup| self.named_above(cgroup::path_of(cgroup)).cloned())
    }

    /// The container whose cgroup is this, or one that it is in, by a name that was given to it.
    fn named_above(&self, mut path: &[u8]) -> Option<&CgroupContainer> {
        loop {
            if let Some(container) = self.named.get(path) {
                return Some(container);
            }
            path = &path[..memchr::memrchr(b'/', path).filter(|&at| at > 0)?];
        }
    }

    /// Whether a thread that is told with this cgroup is in a container.
    pub(crate) fn has_path(&self, path: &[u8]) -> bool {
        cgroup::container_of_path(path).is_some() || self.named_above(path).is_some()
    }

    pub(crate) fn has_new(&self) -> bool {
        !self.new.is_empty()
    }

    /// The container that cgroups say, empty for the host. A new one is noted.
    pub(crate) fn of_cgroups(&mut self, cgroups: &TextList) -> ContainerId {
        let found = cgroup::container_of_cgroups(cgroups).or_else(|| self.by_name(cgroups));
        let Some(found) = found else { return ContainerId::default() };
        if let Some((id, _)) = self.known.get_key_value(&*found.id) {
            return id.clone();
        }
        let container = Container {
            id: found.id.to_string(),
            full_id: found.full_id.to_string(),
            runtime: found.runtime,
            ..Container::default()
        };
        self.known.insert(found.id.clone(), container);
        let id = found.id.clone();
        if self.new.len() < MAX_NEW {
            self.new.push(found);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    #[test]
    fn what_is_known_of_a_container_stays_a_minute_after_its_end() {
        let mut containers = Containers::default();
        containers.set(Container { id: "a".into(), ..Container::default() });
        let now = 100 * MINUTE;
        containers.sweep(now, &FxHashSet::from_iter([Text::from("a")]));
        for later in [1, MINUTE / 2, MINUTE] {
            containers.sweep(now + later, &FxHashSet::default());
            assert!(containers.get(b"a").is_some(), "{later}");
        }
        containers.sweep(now + MINUTE + 2, &FxHashSet::default());
        assert!(containers.get(b"a").is_none());
    }

    #[test]
    fn of_many_ended_ones_the_latest_stay() {
        let mut containers = Containers::default();
        for number in 0..MAX_KEPT + 10 {
            containers.set(Container { id: number.to_string(), ..Container::default() });
            if number == 9 {
                containers.sweep(MINUTE, &FxHashSet::default());
            }
        }
        containers.sweep(MINUTE + 1, &FxHashSet::default());
        assert_eq!(containers.len(), MAX_KEPT);
        assert!(containers.get(b"9").is_none() && containers.get(b"10").is_some());
    }
}
