//! The handle by which the agent asks and is answered, and the thread behind it.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use lanner_machine::Container;
use thiserror::Error;
use tokio::sync::mpsc;

use crate::cgroups::CgroupNews;
use crate::config::Config;
use crate::desk::Desk;
use crate::request::Request;
use crate::runtimes::{RuntimeFound, Runtimes};

/// Why the resolver can't start.
#[derive(Debug, Error)]
pub enum ResolverError {
    /// The thread or its event loop was refused by the system.
    #[error("can't start the thread that asks container runtimes: {0}")]
    Thread(#[from] std::io::Error),
}

/// Finds out who containers are, on its own thread. Neither [`ask`](Resolver::ask) nor
/// [`drain`](Resolver::drain) ever waits.
#[derive(Debug)]
pub struct Resolver {
    requests: mpsc::Sender<Request>,
    answers: Mutex<mpsc::Receiver<Container>>,
    runtimes: Runtimes,
}

impl Resolver {
    /// Starts the thread. It ends when the resolver is dropped.
    pub fn start(config: Config) -> Result<Resolver, ResolverError> {
        Resolver::start_with(config, None)
    }

    /// The same, where there is word of new cgroups: the folders in which runtimes describe containers are watched only
    /// when one has come into being, not all the time.
    pub fn start_with(config: Config, cgroups: Option<CgroupNews>) -> Result<Resolver, ResolverError> {
        let (requests, incoming) = mpsc::channel(config.max_pending.max(1));
        let (outgoing, answers) = mpsc::channel(config.max_pending.max(1));
        let runtimes = Runtimes::find(&config);
        let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let known = runtimes.clone();
        // The kernel keeps 15 bytes of a thread's name.
        thread::Builder::new().name("lanner-runtimes".into()).spawn(move || {
            event_loop.block_on(async { Desk::new(config, known, outgoing).run(incoming, cgroups).await })
        })?;
        Ok(Resolver { requests, answers: Mutex::new(answers), runtimes })
    }

    /// Asks who a container is. `false` when too much is being asked already; ask again later.
    ///
    /// Every request that is taken is answered from [`drain`](Resolver::drain): perhaps at once with what is
    /// on disk, later with `complete` set, and once more should a silent runtime come back after that.
    #[must_use]
    pub fn ask(&self, request: Request) -> bool {
        self.requests.try_send(request).is_ok()
    }

    /// Hands over what has become known since the last call.
    pub fn drain(&self, sink: &mut dyn FnMut(Container)) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(container) = answers.try_recv() {
            sink(container);
        }
    }

    /// The runtimes of this host as far as they are known now.
    pub fn runtimes(&self) -> Vec<RuntimeFound> {
        self.runtimes.list()
    }

    /// The same, after waiting, at most `patience`, for those whose socket is there to answer once: for the
    /// screen that says what lanner found at its start.
    pub fn runtimes_within(&self, patience: Duration) -> Vec<RuntimeFound> {
        self.runtimes.list_within(patience)
    }
}
