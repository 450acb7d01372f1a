//! The lookup of one container from the first request to the last answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lanner_machine::{Container, Runtime};
use tokio::sync::{Semaphore, mpsc};

use crate::bundle;
use crate::config::Config;
use crate::cri::{Answer, Sockets};
use crate::early::{Early, Watcher};
use crate::resolver::Request;
use crate::runtimes::Runtimes;

/// A container's processes may run a little before its runtime can be asked about it, so the first retry
/// comes soon.
const FIRST_RETRY: Duration = Duration::from_millis(25);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// Takes requests and spawns a lookup for each.
pub(crate) struct Desk {
    lookups: Arc<Lookups>,
}

struct Lookups {
    config: Arc<Config>,
    sockets: Arc<Sockets>,
    early: Early,
    answers: mpsc::Sender<Container>,
    /// Lookups that somebody waits for.
    urgent: Arc<Semaphore>,
    /// Those answered for now, for which a silent runtime is still asked.
    lingering: Arc<Semaphore>,
}

impl Desk {
    pub(crate) fn new(config: Config, runtimes: Runtimes, answers: mpsc::Sender<Container>) -> Desk {
        let config = Arc::new(config);
        let room = config.max_pending.clamp(1, Semaphore::MAX_PERMITS);
        Desk {
            lookups: Arc::new(Lookups {
                sockets: Arc::new(Sockets::new(config.clone(), runtimes)),
                early: Early::default(),
                config,
                answers,
                urgent: Arc::new(Semaphore::new(room)),
                lingering: Arc::new(Semaphore::new(room)),
            }),
        }
    }

    /// Runs until the resolver is dropped.
    pub(crate) async fn run(self, mut incoming: mpsc::Receiver<Request>) {
        self.lookups.sockets.watch();
        if let Some(watcher) = Watcher::new(self.lookups.config.clone(), self.lookups.early.clone()) {
            tokio::spawn(watcher.run(self.lookups.sockets.clone()));
        }
        while let Some(request) = incoming.recv().await {
            let Ok(place) = self.lookups.urgent.clone().acquire_owned().await else { return };
            let lookups = self.lookups.clone();
            tokio::spawn(async move {
                let late = lookups.answer(&request).await;
                drop(place);
                if let Some(container) = late {
                    lookups.linger(&request, container).await;
                }
            });
        }
    }
}

impl Lookups {
    /// Answers a request within the patience; hands the container back when a silent runtime might still
    /// know more of it.
    async fn answer(&self, request: &Request) -> Option<Container> {
        let mut container = Container {
            id: request.id.clone(),
            full_id: request.full_id.clone(),
            runtime: request.runtime,
            ..Container::default()
        };
        let mut on_disk = bundle::Found::Nothing;
        let mut retry = FIRST_RETRY;
        let asked_at = Instant::now();
        loop {
            if on_disk == bundle::Found::Nothing {
                on_disk = self.read_bundle(request, &mut container);
                if on_disk == bundle::Found::Pod {
                    self.tell(&container).await;
                }
            }
            let answer = match worth_asking(request.runtime, on_disk) {
                true => self.sockets.ask(&mut container).await,
                false => Answer::Told,
            };
            let late = asked_at.elapsed() >= self.config.patience;
            if answer == Answer::Told || late {
                container.complete = true;
                self.tell(&container).await;
                return (answer == Answer::Silent).then_some(container);
            }
            self.sockets.changed_within(retry.min(self.config.patience)).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    /// Goes on asking for a container whose runtime was silent, as long as there is room for it.
    async fn linger(&self, request: &Request, mut container: Container) {
        let Ok(_place) = self.lingering.try_acquire() else { return };
        let asked_at = Instant::now();
        let mut retry = FIRST_RETRY;
        while asked_at.elapsed() < self.config.give_up && !self.answers.is_closed() {
            retry = (retry * 2).min(LAST_RETRY);
            self.sockets.changed_within(retry).await;
            self.read_bundle(request, &mut container);
            match self.sockets.ask(&mut container).await {
                Answer::Told => return self.tell(&container).await,
                Answer::NotFound => return,
                Answer::Silent => {}
            }
        }
    }

    fn read_bundle(&self, request: &Request, container: &mut Container) -> bundle::Found {
        bundle::read(&self.config, &self.sockets.bundles(), &self.early, request, container)
    }

    /// A full queue holds up this lookup alone. The other end is gone only when lanner ends.
    async fn tell(&self, container: &Container) {
        let _ = self.answers.send(container.clone()).await;
    }
}

/// Whether a CRI runtime may know of a container, going by its cgroup and what is on disk.
fn worth_asking(runtime: Runtime, on_disk: bundle::Found) -> bool {
    match on_disk {
        bundle::Found::Pod => true,
        bundle::Found::Alone => false,
        bundle::Found::Nothing => {
            matches!(runtime, Runtime::Containerd | Runtime::Cri | Runtime::Crio | Runtime::Unknown)
        }
    }
}
