//! Which runtimes this host has, and how each stands.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    list: Mutex<Vec<RuntimeFound>>,
    changed: Condvar,
}

impl Runtimes {
    /// Looks for sockets and records on disk; speaks to nobody.
    pub(crate) fn find(config: &Config) -> Runtimes {
        let exists = |path: &&PathBuf| config.seen(path).exists();
        let entry = |name: &str, place: &Path, state| RuntimeFound {
            name: name.to_owned(),
            version: String::new(),
            place: place.to_path_buf(),
            state,
        };
        let mut list: Vec<RuntimeFound> = config
            .cri_sockets
            .iter()
            .filter(exists)
            .map(|socket| entry(&presumed_name(socket), socket, RuntimeState::Found))
            .collect();
        let records = [("docker", &config.docker_containers), ("podman", &config.storage_bundles)];
        for (name, places) in records {
            let places = places.iter().filter(exists);
            list.extend(places.map(|place| entry(name, place, RuntimeState::RecordsOnly)));
        }
        Runtimes(Arc::new(Shared { list: Mutex::new(list), changed: Condvar::new() }))
    }

    /// Notes how the runtime at a place stands now.
    pub(crate) fn set(&self, found: RuntimeFound) {
        let mut list = self.lock();
        match list.iter_mut().find(|old| old.place == found.place) {
            Some(old) => *old = found,
            None => list.push(found),
        }
        self.0.changed.notify_all();
    }

    pub(crate) fn list(&self) -> Vec<RuntimeFound> {
        self.lock().clone()
    }

    pub(crate) fn list_within(&self, patience: Duration) -> Vec<RuntimeFound> {
        let deadline = Instant::now() + patience;
        let mut list = self.lock();
        while list.iter().any(|found| found.state == RuntimeState::Found) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
            let waited = self.0.changed.wait_timeout(list, left);
            list = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        list.clone()
    }

    /// The list is whole at every moment, so a thread that panicked while holding it does no harm.
    fn lock(&self) -> MutexGuard<'_, Vec<RuntimeFound>> {
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
