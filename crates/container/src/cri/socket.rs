//! One socket: whether it answers, and the calls it takes.

use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    ContainerStatusRequest, ContainerStatusResponse, ImageSpec, ImageStatusRequest, ImageStatusResponse,
    PodSandboxStatusRequest, PodSandboxStatusResponse, StatusRequest, VersionRequest, VersionResponse,
};
use lanner_machine::Container;
use tokio::net::UnixStream;
use tokio::sync::{Notify, Semaphore, watch};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Response, Status};

use super::{Answer, fill};
use crate::config::Config;
use crate::runtimes::{RuntimeFound, RuntimeState, Runtimes, presumed_name};

/// Calls on their way at one time; a runtime that must answer for thousands of containers at lanner's start
/// has other work to do as well.
const CALLS_AT_ONCE: usize = 16;
/// Between looks at a socket that answers.
const CHECK: Duration = Duration::from_secs(30);
/// Between looks at one that doesn't, growing.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

pub(super) struct Socket {
    path: PathBuf,
    config: Arc<Config>,
    runtimes: Runtimes,
    channel: Channel,
    calls: Semaphore,
    state: Mutex<State>,
    up: watch::Sender<u64>,
    /// A call has failed: look at the socket now.
    doubt: Notify,
}

#[derive(Default)]
struct State {
    standing: Standing,
    /// What it calls itself.
    name: String,
    bundles: Option<PathBuf>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    /// Nobody is there, or somebody who doesn't speak CRI: nothing to wait for.
    #[default]
    Absent,
    /// It is there and says nothing.
    Silent,
    Answers,
}

impl Socket {
    pub(super) fn new(
        path: &Path,
        config: Arc<Config>,
        runtimes: Runtimes,
        up: watch::Sender<u64>,
    ) -> Socket {
        let file = config.seen(path);
        let standing = if file.exists() { Standing::Silent } else { Standing::Absent };
        Socket {
            path: path.to_path_buf(),
            channel: connect_when_used(file, config.call_timeout),
            config,
            runtimes,
            calls: Semaphore::new(CALLS_AT_ONCE),
            state: Mutex::new(State { standing, ..State::default() }),
            up,
            doubt: Notify::new(),
        }
    }

    /// Looks at the socket again and again: soon after a call has failed, at growing intervals while it
    /// doesn't answer, now and then when it does.
    pub(super) async fn keep(self: Arc<Socket>) {
        let mut retry = FIRST_RETRY;
        loop {
            let standing = self.check().await;
            let pause = if standing == Standing::Answers { CHECK } else { retry };
            retry = if standing == Standing::Answers { FIRST_RETRY } else { (retry * 2).min(LAST_RETRY) };
            let _ = tokio::time::timeout(pause, self.doubt.notified()).await;
        }
    }

    async fn check(&self) -> Standing {
        if !self.config.seen(&self.path).exists() {
            return self.settle(Standing::Absent, "its socket is gone");
        }
        match self
            .call(|mut runtime, _| async move { runtime.version(VersionRequest::default()).await })
            .await
        {
            Ok(version) => self.answers(version).await,
            Err(status) if status.code() == Code::Unimplemented => self.settle(
                Standing::Absent,
                "it does not serve CRI version 1 (is its CRI plugin switched off?)",
            ),
            Err(status) => self.settle(Standing::Silent, &reason(&status)),
        }
    }

    async fn answers(&self, version: VersionResponse) -> Standing {
        if self.lock().standing == Standing::Answers {
            return Standing::Answers;
        }
        let status = self
            .call(|mut runtime, _| async move { runtime.status(StatusRequest { verbose: true }).await })
            .await;
        let bundles = status.ok().and_then(|status| fill::bundle_folder(&status.info));
        *self.lock() = State { standing: Standing::Answers, name: version.runtime_name.clone(), bundles };
        self.runtimes.set(RuntimeFound {
            name: version.runtime_name,
            version: version.runtime_version,
            place: self.path.clone(),
            state: RuntimeState::Answers,
        });
        self.up.send_modify(|times| *times += 1);
        Standing::Answers
    }

    /// Notes that it doesn't answer. A socket that has never been there isn't worth a word.
    fn settle(&self, standing: Standing, why: &str) -> Standing {
        let mut state = self.lock();
        let known =
            state.standing != Standing::Absent || !state.name.is_empty() || standing != Standing::Absent;
        state.standing = standing;
        let name = if state.name.is_empty() { presumed_name(&self.path) } else { state.name.clone() };
        drop(state);
        if known {
            tracing::debug!(socket = %self.path.display(), why, "container runtime doesn't answer");
            self.runtimes.set(RuntimeFound {
                name,
                version: String::new(),
                place: self.path.clone(),
                state: RuntimeState::Silent(why.to_owned()),
            });
        }
        standing
    }

    pub(super) fn bundles(&self) -> Option<PathBuf> {
        self.lock().bundles.clone()
    }

    /// Asks about a container or a sandbox of that id.
    pub(super) async fn ask(&self, container: &mut Container) -> Answer {
        let (standing, name) = {
            let state = self.lock();
            (state.standing, state.name.clone())
        };
        match standing {
            Standing::Absent => return Answer::NotFound,
            Standing::Silent => return Answer::Silent,
            Standing::Answers => {}
        }
        match self.tell(container, &name).await {
            Ok(()) => Answer::Told,
            Err(status) if is_absence(&status) => Answer::NotFound,
            Err(status) => {
                self.lock().standing = Standing::Silent;
                tracing::debug!(socket = %self.path.display(), why = reason(&status), "call failed");
                self.doubt.notify_one();
                Answer::Silent
            }
        }
    }

    async fn tell(&self, container: &mut Container, runtime_name: &str) -> Result<(), Status> {
        // Filled in a copy, so that a failure half-way leaves nothing half-told.
        let mut told = container.clone();
        let leads = match present(self.container_status(&container.full_id).await)? {
            Some(answer) => fill::container(&mut told, &answer, &self.config),
            None => {
                let answer = self.sandbox_status(&container.full_id).await?;
                fill::sandbox(&mut told, &answer, &self.config)
            }
        };
        if let Some(sandbox) = leads.sandbox {
            if let Some(answer) = present(self.sandbox_status(&sandbox).await)? {
                fill::pod(&mut told, &answer, &self.config);
            }
        }
        for image in leads.images.into_iter().filter(|image| !image.is_empty()) {
            if let Some(image) = present(self.image_status(image).await)?.and_then(|answer| answer.image) {
                fill::image(&mut told, &image);
                break;
            }
        }
        fill::runtime(&mut told, runtime_name);
        *container = told;
        Ok(())
    }

    async fn container_status(&self, id: &str) -> Result<ContainerStatusResponse, Status> {
        let request = ContainerStatusRequest { container_id: id.to_owned(), verbose: true };
        self.call(|mut runtime, _| async move { runtime.container_status(request).await }).await
    }

    async fn sandbox_status(&self, id: &str) -> Result<PodSandboxStatusResponse, Status> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: true };
        self.call(|mut runtime, _| async move { runtime.pod_sandbox_status(request).await }).await
    }

    async fn image_status(&self, image: String) -> Result<ImageStatusResponse, Status> {
        let request =
            ImageStatusRequest { image: Some(ImageSpec { image, ..ImageSpec::default() }), verbose: false };
        self.call(|_, mut images| async move { images.image_status(request).await }).await
    }

    /// One call, within its time.
    async fn call<T, F>(
        &self,
        call: impl FnOnce(RuntimeServiceClient<Channel>, ImageServiceClient<Channel>) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let _turn = self.calls.acquire().await.map_err(|closed| Status::cancelled(closed.to_string()))?;
        let clients =
            (RuntimeServiceClient::new(self.channel.clone()), ImageServiceClient::new(self.channel.clone()));
        match tokio::time::timeout(self.config.call_timeout, call(clients.0, clients.1)).await {
            Ok(answer) => answer.map(Response::into_inner),
            Err(_) => {
                Err(Status::deadline_exceeded(format!("no answer within {:?}", self.config.call_timeout)))
            }
        }
    }

    /// The state is whole at every moment, so a panic elsewhere does no harm to it.
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel that connects at the first call, and again when the connection is lost. The address is a
/// formality of HTTP/2; no name is looked up.
fn connect_when_used(socket: PathBuf, patience: Duration) -> Channel {
    Endpoint::from_static("http://runtime.invalid").connect_timeout(patience).connect_with_connector_lazy(
        tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        }),
    )
}

/// An answer that there is no such thing is no failure.
fn present<T>(answer: Result<T, Status>) -> Result<Option<T>, Status> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(status) if is_absence(&status) => Ok(None),
        Err(status) => Err(status),
    }
}

/// Whether a runtime has answered that it has no such thing. Some say so with a code of their own making.
fn is_absence(status: &Status) -> bool {
    match status.code() {
        Code::NotFound | Code::InvalidArgument => true,
        Code::Unknown => status.message().contains("not found") || status.message().contains("no such"),
        _ => false,
    }
}

/// Why a call failed, down to the operating system's word for it.
fn reason(status: &Status) -> String {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                ErrorKind::ConnectionRefused => "nobody listens on its socket".to_owned(),
                _ => io.to_string(),
            };
        }
        cause = error.source();
    }
    status.message().to_owned()
}
