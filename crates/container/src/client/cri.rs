//! The Container Runtime Interface, version 1: containerd, CRI-O and others.

use std::path::Path;
use std::sync::Arc;

use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    ContainerEventType, ContainerStatusRequest, GetEventsRequest, ImageSpec, ImageStatusRequest,
    PodSandboxStatusRequest, PodSandboxStatusResponse, StatusRequest, VersionRequest,
};
use lanner_machine::{Container, Runtime};
use tokio::sync::mpsc;
use tonic::transport::Channel;

use super::cri_fill as fill;
use super::grpc::{connect_when_used, failure, present};
use super::{Failure, Greeting, News, Records};
use crate::config::Config;
use crate::keeper::Keeper;

#[derive(Debug)]
pub(crate) struct Cri {
    config: Arc<Config>,
    channel: Channel,
    name: std::sync::OnceLock<String>,
}

impl Cri {
    pub(super) fn new(socket: &Path, config: Arc<Config>) -> Cri {
        let channel = connect_when_used(socket.to_path_buf(), config.call_timeout);
        Cri { config, channel, name: Default::default() }
    }

    fn runtime(&self) -> RuntimeServiceClient<Channel> {
        RuntimeServiceClient::new(self.channel.clone())
    }

    pub(super) async fn greet(&self) -> Result<Greeting, Failure> {
        let version =
            self.runtime().version(VersionRequest::default()).await.map_err(|status| failure(&status));
        let version = match version {
            Ok(version) => version.into_inner(),
            Err(Failure::Unserved(_)) => {
                let why = "it does not serve CRI version 1 (is its CRI plugin switched off?)";
                return Err(Failure::Unserved(why.to_owned()));
            }
            Err(other) => return Err(other),
        };
        // Another runtime at the same socket would be another installation: the first word stands.
        let _ = self.name.set(version.runtime_name.clone());
        Ok(Greeting { name: version.runtime_name, version: version.runtime_version })
    }

    pub(super) async fn records(&self) -> Option<Records> {
        let status = self.runtime().status(StatusRequest { verbose: true }).await.ok()?;
        Some((Keeper::Containerd, fill::bundle_folder(&status.into_inner().info)?))
    }

    pub(super) async fn describe(&self, container: &mut Container) -> Result<bool, Failure> {
        // Filled in a copy, so that a failure half-way leaves nothing half-told.
        let mut told = container.clone();
        let request = ContainerStatusRequest { container_id: told.full_id.clone(), verbose: true };
        let leads = match present(self.runtime().container_status(request).await)? {
            Some(answer) => fill::container(&mut told, answer.get_ref(), &self.config),
            None => match self.sandbox(&told.full_id).await? {
                Some(answer) => fill::sandbox(&mut told, &answer, &self.config),
                None => return Ok(false),
            },
        };
        if let Some(sandbox) = leads.sandbox {
            if let Some(answer) = self.sandbox(&sandbox).await? {
                fill::pod(&mut told, &answer, &self.config);
            }
        }
        for image in leads.images.into_iter().filter(|image| !image.is_empty()) {
            let image = Some(ImageSpec { image, ..ImageSpec::default() });
            let request = ImageStatusRequest { image, verbose: false };
            let answer = ImageServiceClient::new(self.channel.clone()).image_status(request).await;
            if let Some(image) = present(answer)?.and_then(|answer| answer.into_inner().image) {
                fill::image(&mut told, &image);
                break;
            }
        }
        fill::runtime(&mut told, self.name.get().map_or("", String::as_str));
        *container = told;
        Ok(true)
    }

    async fn sandbox(&self, id: &str) -> Result<Option<PodSandboxStatusResponse>, Failure> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: true };
        Ok(present(self.runtime().pod_sandbox_status(request).await)?.map(tonic::Response::into_inner))
    }

    /// containerd from 1.7 and CRI-O from 1.26 on have such a stream.
    pub(super) async fn listen(&self, news: &mpsc::Sender<News>) -> Result<(), Failure> {
        let answer = self.runtime().get_container_events(GetEventsRequest {}).await;
        let mut events = answer.map_err(|status| failure(&status))?.into_inner();
        while let Some(event) = events.message().await.map_err(|status| failure(&status))? {
            let (kind, full_id) = (event.container_event_type(), event.container_id);
            if matches!(
                kind,
                ContainerEventType::ContainerCreatedEvent | ContainerEventType::ContainerStartedEvent
            ) {
                // Nobody reads any more only when lanner ends.
                let _ = news.send(News { full_id, runtime: Runtime::Cri, changed: false }).await;
            }
        }
        Ok(())
    }
}
