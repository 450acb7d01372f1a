//! The containers that threads are in.

use rustc_hash::FxHashMap;

use crate::{CgroupContainer, Container, ContainerId, Text, TextList, cgroup};

/// Most new containers that wait for whoever asks about them; a replay never asks.
const MAX_NEW: usize = 4_096;

/// What is known of each container, and which are new.
#[derive(Default, Debug)]
pub(crate) struct Containers {
    known: FxHashMap<ContainerId, Container>,
    new: Vec<CgroupContainer>,
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

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&ContainerId) -> bool) {
        self.known.retain(|id, _| keep(id));
    }

    /// The container that cgroups say, empty for the host. A new one is noted.
    pub(crate) fn of_cgroups(&mut self, cgroups: &TextList) -> ContainerId {
        let Some(found) = cgroup::container_of_cgroups(cgroups) else { return ContainerId::default() };
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
