//! Which runtimes this host has, and how each stands.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::Api;
use crate::config::Config;

/// A runtime on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeFound {
    /// What it calls itself: `containerd`, `cri-o`, `docker`, `podman`. Until it has said so, what its socket
    /// is called.
    pub name: String,
    /// Its version; empty where it was not asked.
    pub version: String,
    /// Its socket, or where its records are read.
    pub place: PathBuf,
    /// Whether it answers.
    pub state: RuntimeState,
}

/// How a runtime stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeState {
    /// Its socket is there; it has not answered yet.
    Found,
    /// It answers.
    Answers,
    /// Nothing is asked of it; its records on disk are read.
    RecordsOnly,
    /// It doesn't answer, and why.
    Silent(String),
}

/// `containerd` of `/run/containerd/containerd.sock`.
pub(crate) fn presumed_name(socket: &Path) -> String {
    socket.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The list, shared by the thread that asks and the one that shows it.
#[derive(Clone, Debug)]
pub(crate) struct Runtimes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    list: Mutex<Vec<Entry>>,
    changed: Condvar,
}

/// What is known of one language at one place; `None` where records on disk are read.
type Entry = (Option<Api>, RuntimeFound);

impl Runtimes {
    /// Looks for sockets and records on disk; speaks to nobody.
    pub(crate) fn find(config: &Config) -> Runtimes {
        let exists = |path: &&PathBuf| config.seen(path).exists();
        let entry = |name: &str, place: &Path, api: Option<Api>| {
            let state = if api.is_some() { RuntimeState::Found } else { RuntimeState::RecordsOnly };
            let place = place.to_path_buf();
            (api, RuntimeFound { name: name.to_owned(), version: String::new(), place, state })
        };
        let sockets = [
            (Api::Cri, &config.cri_sockets),
            (Api::Docker, &config.docker_sockets),
            (Api::Containerd, &config.containerd_sockets),
        ];
        let mut list = Vec::new();
        for (api, places) in sockets {
            let places = places.iter().filter(exists);
            list.extend(places.map(|socket| entry(&presumed_name(socket), socket, Some(api))));
        }
        let users = config.present_user_sockets();
        list.extend(users.iter().map(|socket| entry(&presumed_name(socket), socket, Some(Api::Docker))));
        let records = [("docker", &config.docker_containers), ("podman", &config.storage_bundles)];
        for (name, places) in records {
            let places = places.iter().filter(exists);
            list.extend(places.map(|place| entry(name, place, None)));
        }
        Runtimes(Arc::new(Shared { list: Mutex::new(list), changed: Condvar::new() }))
    }

    /// Notes how what is spoken at a place stands now.
    pub(crate) fn set(&self, api: Api, found: RuntimeFound) {
        let mut list = self.lock();
        match list.iter_mut().find(|(old, at)| *old == Some(api) && at.place == found.place) {
            Some((_, old)) => *old = found,
            None => list.push((Some(api), found)),
        }
        self.0.changed.notify_all();
    }

    pub(crate) fn list(&self) -> Vec<RuntimeFound> {
        once_each(&self.lock())
    }

    pub(crate) fn list_within(&self, patience: Duration) -> Vec<RuntimeFound> {
        let deadline = Instant::now() + patience;
        let mut list = self.lock();
        while list.iter().any(|(_, found)| found.state == RuntimeState::Found) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
            let waited = self.0.changed.wait_timeout(list, left);
            list = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        once_each(&list)
    }

    /// The list is whole at every moment, so a thread that panicked while holding it does no harm.
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each place once, though several languages may be spoken there: what answers stands for it.
fn once_each(list: &[Entry]) -> Vec<RuntimeFound> {
    let mut once: Vec<RuntimeFound> = Vec::with_capacity(list.len());
    for (_, found) in list {
        match once.iter_mut().find(|other| other.place == found.place) {
            Some(other) if other.state != RuntimeState::Answers && found.state == RuntimeState::Answers => {
                *other = found.clone();
            }
            Some(_) => {}
            None => once.push(found.clone()),
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_listed_once_and_by_what_answers_there() {
        let found = |state| RuntimeFound {
            name: "containerd".into(),
            version: String::new(),
            place: "/run/c.sock".into(),
            state,
        };
        let silent = || found(RuntimeState::Silent("no CRI".into()));
        let list = [(Some(Api::Cri), silent()), (Some(Api::Containerd), found(RuntimeState::Answers))];
        assert_eq!(once_each(&list), [found(RuntimeState::Answers)]);
        let list = [(Some(Api::Cri), found(RuntimeState::Answers)), (Some(Api::Containerd), silent())];
        assert_eq!(once_each(&list), [found(RuntimeState::Answers)]);
    }
}
