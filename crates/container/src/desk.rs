//! The lookup of one container from the first request to the last answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lanner_machine::{Container, Runtime};
use tokio::sync::{Semaphore, mpsc};

use crate::bundle;
use crate::cgroups::{CgroupNews, Cgroups};
use crate::client::News;
use crate::config::Config;
use crate::early::Early;
use crate::kubernetes::Kubernetes;
use crate::request::Request;
use crate::runtimes::Runtimes;
use crate::socket::Answer;
use crate::sockets::{Sockets, has_no_interface};
use crate::watcher;

/// A container's processes may run a little before its runtime can be asked about it, so the first retry
/// comes soon.
const FIRST_RETRY: Duration = Duration::from_millis(25);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// How long a container is still asked for of which there is a description, when every runtime answers that it
/// has no such one: a sandbox is listed only after it has started.
const KNOWN_PATIENCE: Duration = Duration::from_millis(300);
/// News of runtimes that are followed at a time; beyond it containers wait until somebody asks.
const MAX_NEWS: usize = 256;

/// Digits of an id, and of the one that users see.
const FULL: usize = 64;
const SHORT: usize = 12;

/// Takes requests and spawns a lookup for each.
pub(crate) struct Desk {
    lookups: Arc<Lookups>,
}

struct Lookups {
    config: Arc<Config>,
    sockets: Arc<Sockets>,
    early: Early,
    kubernetes: Option<Arc<Kubernetes>>,
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
                kubernetes: Kubernetes::new(&config, answers.clone()),
                config,
                answers,
                urgent: Arc::new(Semaphore::new(room)),
                lingering: Arc::new(Semaphore::new(room)),
            }),
        }
    }

    /// Runs until the resolver is dropped.
    pub(crate) async fn run(self, mut incoming: mpsc::Receiver<Request>, cgroups: Option<CgroupNews>) {
        let cgroups = cgroups.and_then(|news| Cgroups::new(news).ok());
        let (sender, mut news) = mpsc::channel(MAX_NEWS);
        self.lookups.sockets.watch(&sender);
        let Lookups { config, early, sockets, .. } = &*self.lookups;
        tokio::spawn(watcher::watch(config.clone(), early.clone(), sockets.clone(), cgroups));
        if let Some(kubernetes) = &self.lookups.kubernetes {
            tokio::spawn(kubernetes.clone().run());
        }
        let listened = Arc::new(Semaphore::new(MAX_NEWS));
        loop {
            tokio::select! {
                request = incoming.recv() => match request {
                    Some(request) => self.look_up(request).await,
                    None => return,
                },
                Some(news) = news.recv() => {
                    let Ok(place) = listened.clone().try_acquire_owned() else { continue };
                    let lookups = self.lookups.clone();
                    tokio::spawn(async move {
                        lookups.hear(news).await;
                        drop(place);
                    });
                }
            }
        }
    }

    async fn look_up(&self, request: Request) {
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
        if has_no_interface(request.runtime) {
            // Its name is all that there is to know.
            container.name.clone_from(&request.full_id);
            container.complete = true;
            self.tell(&container).await;
            return None;
        }
        let mut on_disk = bundle::Found::Nothing;
        let mut retry = FIRST_RETRY;
        let asked_at = Instant::now();
        loop {
            if on_disk == bundle::Found::Nothing {
                on_disk = self.read_bundle(request, &mut container);
                if on_disk != bundle::Found::Nothing && !container.complete {
                    self.tell(&container).await;
                }
            }
            if container.complete {
                self.tell(&container).await;
                return None;
            }
            let answer = self.sockets.ask(&mut container).await;
            let waited = asked_at.elapsed();
            let settled = answer == Answer::Told
                || waited >= self.config.patience
                || (answer == Answer::NotFound && waited >= patience_with(on_disk, self.config.patience));
            if settled {
                container.complete = true;
                self.tell(&container).await;
                return (answer == Answer::Silent).then_some(container);
            }
            self.sockets.changed_within(retry.min(self.config.patience)).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    /// A runtime says by itself that there is a container, or that something about it has changed.
    async fn hear(&self, news: News) {
        let News { full_id, runtime, changed } = news;
        let id = full_id.get(..SHORT).filter(|_| full_id.len() == FULL).unwrap_or(&full_id).to_owned();
        let mut container = Container { id, full_id, runtime, ..Container::default() };
        // CRI doesn't tell a sandbox's mounts.
        let on_disk = match runtime {
            Runtime::Cri => self.read_bundle(&Request::from(&container), &mut container),
            _ => bundle::Found::Nothing,
        };
        if self.sockets.ask(&mut container).await != Answer::Told {
            if on_disk != bundle::Found::Nothing {
                self.early.keep(container);
            }
            return;
        }
        // What is told of a container that has yet to start lacks its address; CRI's have theirs by then.
        container.complete = changed || runtime == Runtime::Cri;
        if changed {
            // Whoever knows it already has to know this too; with no room now, it would have to ask again.
            let _ = self.answers.try_send(container.clone());
        }
        self.early.keep(container);
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
                Answer::Told => {
                    // What was on disk may have been read again meanwhile.
                    container.complete = true;
                    return self.tell(&container).await;
                }
                Answer::NotFound => return,
                Answer::Silent => {}
            }
        }
    }

    fn read_bundle(&self, request: &Request, container: &mut Container) -> bundle::Found {
        bundle::read(&self.config, &self.sockets.records(), &self.early, request, container)
    }

    /// A full queue holds up this lookup alone. The other end is gone only when lanner ends.
    async fn tell(&self, container: &Container) {
        let mut container = container.clone();
        if let Some(kubernetes) = self.kubernetes.as_ref().filter(|_| container.complete) {
            kubernetes.fill(&mut container).await;
        }
        let _ = self.answers.send(container).await;
    }
}

/// How long a container is asked for that every runtime denies.
fn patience_with(on_disk: bundle::Found, patience: Duration) -> Duration {
    match on_disk {
        bundle::Found::Pod => KNOWN_PATIENCE.min(patience),
        bundle::Found::Alone => Duration::ZERO,
        bundle::Found::Nothing => patience,
    }
}
