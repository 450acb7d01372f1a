//! One socket: whether it answers, and asking it within limits, whatever is spoken on it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lanner_machine::Container;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use crate::client::{Api, Client, Failure, Greeting, News};
use crate::config::{Config, USERS};
use crate::keeper::Records;
use crate::runtimes::{RuntimeFound, RuntimeState, Runtimes, presumed_name};

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

/// Calls on their way at one time; a runtime that must answer for thousands of containers at lanner's start
/// has other work to do as well.
const CALLS_AT_ONCE: usize = 16;
/// Between looks at a socket that answers.
const CHECK: Duration = Duration::from_secs(30);
/// Between looks at one that doesn't, growing.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// For a question whose answer some runtimes must work out.
const SLOW_CALL: Duration = Duration::from_secs(5);
/// Between two streams of news: a runtime that ends each at once isn't to be busied.
const LISTEN_AGAIN: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    /// The path as this process sees it.
    file: PathBuf,
    config: Arc<Config>,
    runtimes: Runtimes,
    client: Client,
    calls: Semaphore,
    state: Mutex<State>,
    up: watch::Sender<u64>,
    /// A call has failed, or somebody may have come: look at the socket now.
    doubt: Notify,
}

#[derive(Default, Debug)]
struct State {
    standing: Standing,
    greeting: Greeting,
    records: Option<Records>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Nobody is there: nothing to wait for.
    #[default]
    Absent,
    /// Somebody is there who doesn't speak this language.
    Foreign,
    /// It is there and says nothing.
    Silent,
    Answers,
}

impl Socket {
    pub(crate) fn new(
        api: Api,
        path: &Path,
        config: Arc<Config>,
        runtimes: Runtimes,
        up: watch::Sender<u64>,
    ) -> Socket {
        let file = config.seen(path);
        let standing = if file.exists() { Standing::Silent } else { Standing::Absent };
        Socket {
            path: path.to_path_buf(),
            client: Client::new(api, &file, config.clone()),
            file,
            config,
            runtimes,
            calls: Semaphore::new(CALLS_AT_ONCE),
            state: Mutex::new(State { standing, ..State::default() }),
            up,
            doubt: Notify::new(),
        }
    }

    pub(crate) fn api(&self) -> Api {
        self.client.api()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the socket again and again: soon after a call has failed, at growing intervals while it
    /// doesn't answer, now and then when it does.
    pub(crate) async fn keep(self: Arc<Socket>) {
        let mut retry = FIRST_RETRY;
        loop {
            let standing = self.check().await;
            if standing == Standing::Answers && self.lock().records.is_none() {
                self.learn_records().await;
            }
            let pause = if standing == Standing::Answers { CHECK } else { retry };
            retry = if standing == Standing::Answers { FIRST_RETRY } else { (retry * 2).min(LAST_RETRY) };
            let _ = tokio::time::timeout(pause, self.doubt.notified()).await;
        }
    }

    /// Hands on what the runtime says by itself, as long as lanner runs.
    pub(crate) async fn listen(self: Arc<Socket>, news: mpsc::Sender<News>) {
        let mut up = self.up.subscribe();
        while !news.is_closed() {
            up.mark_unchanged();
            if self.lock().standing == Standing::Answers {
                match self.client.listen(&news).await {
                    Ok(()) => self.doubt.notify_one(),
                    Err(Failure::Silent(why)) => {
                        tracing::debug!(socket = %self.path.display(), why, "news ended");
                        self.doubt.notify_one();
                    }
                    // Asking works all the same.
                    Err(Failure::Unserved(why)) => {
                        tracing::debug!(socket = %self.path.display(), why, "no news to be had");
                        return;
                    }
                }
                tokio::time::sleep(LISTEN_AGAIN).await;
            } else if up.changed().await.is_err() {
                return;
            }
        }
    }

    async fn check(&self) -> Standing {
        if !self.file.exists() {
            return self.settle(Standing::Absent, "its socket is gone");
        }
        match self.within_limit(self.client.greet()).await {
            Ok(greeting) => self.answers(greeting),
            Err(Failure::Unserved(why)) => self.settle(Standing::Foreign, &why),
            Err(Failure::Silent(why)) => self.settle(Standing::Silent, &why),
        }
    }

    fn answers(&self, greeting: Greeting) -> Standing {
        let found = RuntimeFound {
            name: greeting.name.clone(),
            version: greeting.version.clone(),
            place: self.path.clone(),
            state: RuntimeState::Answers,
        };
        let before = {
            let mut state = self.lock();
            state.greeting = greeting;
            std::mem::replace(&mut state.standing, Standing::Answers)
        };
        if before != Standing::Answers {
            self.runtimes.set(self.api(), found);
            self.up.send_modify(|times| *times += 1);
        }
        Standing::Answers
    }

    /// Notes that it doesn't answer. A socket that has never been there isn't worth a word.
    fn settle(&self, standing: Standing, why: &str) -> Standing {
        let mut state = self.lock();
        let named = !state.greeting.name.is_empty();
        let known = state.standing != Standing::Absent || named || standing != Standing::Absent;
        state.standing = standing;
        let name = if named { state.greeting.name.clone() } else { presumed_name(&self.path) };
        drop(state);
        if known {
            tracing::debug!(socket = %self.path.display(), why, "container runtime doesn't answer");
            let found = RuntimeFound {
                name,
                version: String::new(),
                place: self.path.clone(),
                state: RuntimeState::Silent(why.to_owned()),
            };
            self.runtimes.set(self.api(), found);
        }
        standing
    }

    /// Asks where the runtime keeps its records. What users say of theirs is not believed.
    async fn learn_records(&self) {
        if self.path.starts_with(USERS) {
            return;
        }
        let records = tokio::time::timeout(SLOW_CALL, self.client.records()).await.ok().flatten();
        if records.is_some() {
            self.lock().records = records;
            self.up.send_modify(|times| *times += 1);
        }
    }

    /// Where the runtime keeps its records, as far as it has said so.
    pub(crate) fn records(&self) -> Option<Records> {
        self.lock().records.clone()
    }

    /// Asks about a container.
    pub(crate) async fn ask(&self, container: &mut Container) -> Answer {
        // Its turn comes before the look at the state: who waited behind a call that failed need not try.
        let Ok(_turn) = self.calls.acquire().await else { return Answer::Silent };
        let standing = self.lock().standing;
        match standing {
            Standing::Absent => {
                // A runtime that has just come is worth more than the next look at its socket.
                if self.file.exists() {
                    self.doubt.notify_one();
                }
                return Answer::NotFound;
            }
            Standing::Foreign => return Answer::NotFound,
            Standing::Silent => return Answer::Silent,
            Standing::Answers => {}
        }
        match self.within_limit(self.client.describe(container)).await {
            Ok(true) => Answer::Told,
            Ok(false) => Answer::NotFound,
            Err(Failure::Silent(why) | Failure::Unserved(why)) => {
                self.settle(Standing::Silent, &why);
                self.doubt.notify_one();
                Answer::Silent
            }
        }
    }

    async fn within_limit<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let limit = self.config.call_timeout;
        tokio::time::timeout(limit, call)
            .await
            .unwrap_or_else(|_| Err(Failure::Silent(format!("no answer within {limit:?}"))))
    }

    /// The state is whole at every moment, so a panic elsewhere does no harm to it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
