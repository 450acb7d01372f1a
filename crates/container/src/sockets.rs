//! All runtimes of this host, asked in the order in which they are likely to know a container.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lanner_machine::{Container, Runtime};
use tokio::sync::{mpsc, watch};

use crate::client::{Api, News};
use crate::config::Config;
use crate::keeper::Records;
use crate::runtimes::Runtimes;
use crate::socket::{Answer, Socket};

/// Users' own runtimes are looked for so often, and so many sockets are kept at most.
const LOOK: Duration = Duration::from_secs(5);
const MAX_USER_SOCKETS: usize = 64;

/// All sockets of this host.
#[derive(Debug)]
pub(crate) struct Sockets {
    config: Arc<Config>,
    runtimes: Runtimes,
    list: Mutex<Vec<Arc<Socket>>>,
    up: watch::Sender<u64>,
    /// Counts how often a socket came to answer; lookups that wait are woken by it.
    came_up: watch::Receiver<u64>,
}

impl Sockets {
    pub(crate) fn new(config: Arc<Config>, runtimes: Runtimes) -> Sockets {
        let (up, came_up) = watch::channel(0);
        let sockets = Sockets { config, runtimes, list: Mutex::default(), up, came_up };
        let config = sockets.config.clone();
        let of = [
            (Api::Cri, &config.cri_sockets),
            (Api::Docker, &config.docker_sockets),
            (Api::Containerd, &config.containerd_sockets),
        ];
        let list = of.into_iter().flat_map(|(api, paths)| paths.iter().map(move |path| (api, path)));
        let list = list.map(|(api, path)| sockets.socket(api, path)).collect();
        *sockets.lock() = list;
        sockets
    }

    fn socket(&self, api: Api, path: &Path) -> Arc<Socket> {
        let (config, runtimes) = (self.config.clone(), self.runtimes.clone());
        Arc::new(Socket::new(api, path, config, runtimes, self.up.clone()))
    }

    /// Keeps an eye on each socket, in the background, and hands on what they say by themselves.
    pub(crate) fn watch(self: &Arc<Sockets>, news: &mpsc::Sender<News>) {
        for socket in self.lock().iter() {
            keep(socket, news);
        }
        if !self.config.user_sockets.is_empty() {
            let (sockets, news) = (self.clone(), news.clone());
            tokio::spawn(async move { sockets.find_users(news).await });
        }
    }

    /// Looks for runtimes that users run for themselves: they come and go with their sessions.
    async fn find_users(&self, news: mpsc::Sender<News>) {
        while !news.is_closed() {
            for path in self.config.present_user_sockets() {
                let mut list = self.lock();
                let known = list.iter().any(|socket| socket.path() == path);
                if !known && list.len() < MAX_USER_SOCKETS {
                    let socket = self.socket(Api::Docker, &path);
                    keep(&socket, &news);
                    list.push(socket);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Asks those that answer, one after the other, until one has the container.
    pub(crate) async fn ask(&self, container: &mut Container) -> Answer {
        let mut worst = Answer::NotFound;
        for api in order(container) {
            let sockets: Vec<_> = self.lock().iter().filter(|socket| socket.api() == *api).cloned().collect();
            for socket in sockets {
                match socket.ask(container).await {
                    Answer::Told => return Answer::Told,
                    answer => worst = worst.max(answer),
                }
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

    /// Where the runtimes say that their records are.
    pub(crate) fn records(&self) -> Vec<Records> {
        self.lock().iter().filter_map(|socket| socket.records()).collect()
    }

    /// The list is whole at every moment, so a panic elsewhere does no harm to it.
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Socket>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep(socket: &Arc<Socket>, news: &mpsc::Sender<News>) {
    tokio::spawn(socket.clone().keep());
    tokio::spawn(socket.clone().listen(news.clone()));
}

/// Who may know a container, the likeliest first. A bare id below an unknown parent counts as Docker's, though
/// containerd makes such cgroups too.
fn order(container: &Container) -> &'static [Api] {
    match container.runtime {
        _ if container.pod.is_some() => &[Api::Cri, Api::Containerd, Api::Docker],
        Runtime::Podman => &[Api::Docker],
        Runtime::Docker => &[Api::Docker, Api::Containerd, Api::Cri],
        Runtime::Containerd | Runtime::Cri | Runtime::Crio | Runtime::Unknown => {
            &[Api::Cri, Api::Containerd, Api::Docker]
        }
        // What looks like runc's alone may be of a containerd's namespace with a cgroup of its own choice.
        Runtime::Runc => &[Api::Containerd],
        // `has_no_interface`
        Runtime::Lxc | Runtime::LibvirtLxc | Runtime::SystemdNspawn | Runtime::Bpm => &[],
    }
}

/// Whether nobody can be asked about a container of such a runtime.
pub(crate) fn has_no_interface(runtime: Runtime) -> bool {
    matches!(runtime, Runtime::Lxc | Runtime::LibvirtLxc | Runtime::SystemdNspawn | Runtime::Bpm)
}
