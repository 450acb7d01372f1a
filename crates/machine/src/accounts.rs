//! Users and groups of the host and of containers.

use rustc_hash::FxHashMap;

use crate::{ContainerId, Text};

/// A user.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct User {
    /// Id.
    pub uid: u32,
    /// Id of the main group.
    pub gid: u32,
    /// Name; empty when only the id is known.
    pub name: Text,
    /// Home directory.
    pub home: Text,
    /// Login shell.
    pub shell: Text,
}

/// A group.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Group {
    /// Id.
    pub gid: u32,
    /// Name; empty when only the id is known.
    pub name: Text,
}

/// What ids mean, per container; the host is the empty container id.
#[derive(Default, Debug)]
pub(crate) struct Accounts {
    users: FxHashMap<ContainerId, FxHashMap<u32, User>>,
    groups: FxHashMap<ContainerId, FxHashMap<u32, Group>>,
}

impl Accounts {
    pub(crate) fn user(&self, container: &[u8], uid: u32) -> Option<&User> {
        self.users.get(container)?.get(&uid)
    }

    pub(crate) fn group(&self, container: &[u8], gid: u32) -> Option<&Group> {
        self.groups.get(container)?.get(&gid)
    }

    pub(crate) fn add_user(&mut self, container: &[u8], user: User) {
        entry(&mut self.users, container).insert(user.uid, user);
    }

    pub(crate) fn add_group(&mut self, container: &[u8], group: Group) {
        entry(&mut self.groups, container).insert(group.gid, group);
    }

    /// Forgets what containers had that are gone.
    pub(crate) fn retain(&mut self, keep: impl Fn(&ContainerId) -> bool) {
        self.users.retain(|id, _| keep(id));
        self.groups.retain(|id, _| keep(id));
    }

    pub(crate) fn remove_user(&mut self, container: &[u8], uid: u32) {
        if let Some(users) = self.users.get_mut(container) {
            users.remove(&uid);
        }
    }

    pub(crate) fn remove_group(&mut self, container: &[u8], gid: u32) {
        if let Some(groups) = self.groups.get_mut(container) {
            groups.remove(&gid);
        }
    }
}

fn entry<'a, T>(
    map: &'a mut FxHashMap<ContainerId, FxHashMap<u32, T>>,
    container: &[u8],
) -> &'a mut FxHashMap<u32, T> {
    map.entry(Text::from(container)).or_default()
}
