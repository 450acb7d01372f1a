//! The Container Runtime Interface, version 1, over the unix sockets of containerd, CRI-O and others.

mod fill;
mod socket;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lanner_machine::Container;
use tokio::sync::watch;

use crate::config::Config;
use crate::runtimes::Runtimes;
use socket::Socket;

/// What came of asking about a container.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Answer {
    /// Every runtime answered that it doesn't have it.
    NotFound,
    /// A runtime that may have it did not answer.
    Silent,
    /// A runtime has told what it knows.
    Told,
}

/// All sockets of this host.
pub(crate) struct Sockets {
    sockets: Vec<Arc<Socket>>,
    /// Counts how often a socket came to answer; lookups that wait are woken by it.
    came_up: watch::Receiver<u64>,
}

impl Sockets {
    pub(crate) fn new(config: Arc<Config>, runtimes: Runtimes) -> Sockets {
        let (up, came_up) = watch::channel(0);
        let socket =
            |path: &PathBuf| Arc::new(Socket::new(path, config.clone(), runtimes.clone(), up.clone()));
        Sockets { sockets: config.cri_sockets.iter().map(socket).collect(), came_up }
    }

    /// Keeps an eye on each socket, in the background.
    pub(crate) fn watch(&self) {
        for socket in &self.sockets {
            tokio::spawn(socket.clone().keep());
        }
    }

    /// Asks those that answer, one after the other, until one has the container.
    pub(crate) async fn ask(&self, container: &mut Container) -> Answer {
        let mut worst = Answer::NotFound;
        for socket in &self.sockets {
            match socket.ask(container).await {
                Answer::Told => return Answer::Told,
                answer => worst = worst.max(answer),
            }
        }
        worst
    }

    /// Waits until a socket comes to answer, at most that long.
    pub(crate) async fn changed_within(&self, limit: Duration) {
        let mut came_up = self.came_up.clone();
        came_up.mark_unchanged();
        let _ = tokio::time::timeout(limit, came_up.changed()).await;
    }

    /// Where the runtimes say that their bundles are.
    pub(crate) fn bundles(&self) -> Vec<PathBuf> {
        self.sockets.iter().filter_map(|socket| socket.bundles()).collect()
    }
}
