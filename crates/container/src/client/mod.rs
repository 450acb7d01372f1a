//! The languages that runtimes speak over their sockets.

mod containerd;
mod cri;
mod cri_fill;
mod docker;
mod docker_fill;
mod grpc;
mod http;

use std::path::Path;
use std::sync::Arc;

use lanner_machine::{Container, Runtime};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::keeper::Records;

/// What is spoken on a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Api {
    /// The Container Runtime Interface, version 1.
    Cri,
    /// containerd's own services, for what isn't Kubernetes'.
    Containerd,
    /// The Docker Engine API, which Podman serves too.
    Docker,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Somebody is there who doesn't speak this language, and won't soon.
    Unserved(String),
    /// Nobody answers, or not in time.
    Silent(String),
}

/// What a runtime says of itself.
#[derive(Default, Debug)]
pub(crate) struct Greeting {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// A runtime's word that there is something to know of a container.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) full_id: String,
    pub(crate) runtime: Runtime,
    /// It is known already and something about it has changed.
    pub(crate) changed: bool,
}

/// Speaks to one socket. Every call takes as long as the runtime lets it; the caller sets the limit.
#[derive(Debug)]
pub(crate) enum Client {
    Cri(cri::Cri),
    Containerd(containerd::Containerd),
    Docker(docker::Docker),
}

impl Client {
    pub(crate) fn new(api: Api, socket: &Path, config: Arc<Config>) -> Client {
        match api {
            Api::Cri => Client::Cri(cri::Cri::new(socket, config)),
            Api::Containerd => Client::Containerd(containerd::Containerd::new(socket, config)),
            Api::Docker => Client::Docker(docker::Docker::new(socket, config)),
        }
    }

    pub(crate) fn api(&self) -> Api {
        match self {
            Client::Cri(_) => Api::Cri,
            Client::Containerd(_) => Api::Containerd,
            Client::Docker(_) => Api::Docker,
        }
    }

    /// Who is there.
    pub(crate) async fn greet(&self) -> Result<Greeting, Failure> {
        match self {
            Client::Cri(cri) => cri.greet().await,
            Client::Containerd(containerd) => containerd.greet().await,
            Client::Docker(docker) => docker.greet().await,
        }
    }

    /// Where it keeps its records, if it says so.
    pub(crate) async fn records(&self) -> Option<Records> {
        match self {
            Client::Cri(cri) => cri.records().await,
            Client::Containerd(_) => None,
            Client::Docker(docker) => docker.records().await,
        }
    }

    /// Fills in what the runtime knows of a container; `false` if it has no such one.
    pub(crate) async fn describe(&self, container: &mut Container) -> Result<bool, Failure> {
        match self {
            Client::Cri(cri) => cri.describe(container).await,
            Client::Containerd(containerd) => containerd.describe(container).await,
            Client::Docker(docker) => docker.describe(container).await,
        }
    }

    /// Hands on containers as they are made, until the runtime ends it.
    pub(crate) async fn listen(&self, news: &mpsc::Sender<News>) -> Result<(), Failure> {
        match self {
            Client::Cri(cri) => cri.listen(news).await,
            Client::Containerd(containerd) => containerd.listen(news).await,
            Client::Docker(docker) => docker.listen(news).await,
        }
    }
}
