//! CRI as the kubelet speaks it: calls that wait.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use hyper_util::rt::TokioIo;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    CreateContainerRequest, ExecSyncRequest, ExecSyncResponse, RunPodSandboxRequest, StartContainerRequest,
    StatusRequest, StopContainerRequest, StopPodSandboxRequest,
};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Response, Status};

use crate::register::{Registered, register};

const LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Cri {
    event_loop: Runtime,
    channel: Channel,
}

impl Cri {
    pub(crate) fn new(socket: PathBuf) -> Result<Cri> {
        let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let _within = event_loop.enter();
        let connect = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://runtime.invalid").connect_with_connector_lazy(connect);
        drop(_within);
        Ok(Cri { event_loop, channel })
    }

    pub(crate) fn is_ready(&self) -> bool {
        let status = self.call(|mut runtime| async move { runtime.status(StatusRequest::default()).await });
        let conditions = status.ok().and_then(|status| status.status).map(|status| status.conditions);
        // The network's own condition stays false without a plugin; pods here need none.
        conditions.unwrap_or_default().iter().any(|is| is.r#type == "RuntimeReady" && is.status)
    }

    pub(crate) fn run_pod(&self, request: RunPodSandboxRequest) -> Result<String> {
        let answer = self.call(|mut runtime| async move { runtime.run_pod_sandbox(request).await });
        Ok(answer.context("RunPodSandbox")?.pod_sandbox_id)
    }

    pub(crate) fn stop_pod(&self, id: &str) -> Result<()> {
        let request = StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
        self.call(|mut runtime| async move { runtime.stop_pod_sandbox(request).await })
            .context("StopPodSandbox")?;
        Ok(())
    }

    pub(crate) fn create(&self, request: CreateContainerRequest) -> Result<String> {
        let answer = self.call(|mut runtime| async move { runtime.create_container(request).await });
        Ok(answer.context("CreateContainer")?.container_id)
    }

    pub(crate) fn start(&self, id: &str) -> Result<()> {
        let request = StartContainerRequest { container_id: id.to_owned() };
        self.call(|mut runtime| async move { runtime.start_container(request).await })
            .context("StartContainer")?;
        Ok(())
    }

    pub(crate) fn stop(&self, id: &str) -> Result<()> {
        let request = StopContainerRequest { container_id: id.to_owned(), timeout: 0 };
        self.call(|mut runtime| async move { runtime.stop_container(request).await })
            .context("StopContainer")?;
        Ok(())
    }

    pub(crate) fn exec(&self, id: &str, command: &[&str]) -> Result<ExecSyncResponse> {
        let cmd = command.iter().map(|&word| word.to_owned()).collect();
        let request = ExecSyncRequest { container_id: id.to_owned(), cmd, timeout: 20 };
        self.call(|mut runtime| async move { runtime.exec_sync(request).await }).context("ExecSync")
    }

    /// Makes a container known to containerd alone.
    pub(crate) fn register(&self, namespace: &str, container: Registered) -> Result<()> {
        let call = register(self.channel.clone(), namespace, container);
        self.event_loop.block_on(async { tokio::time::timeout(LIMIT, call).await })?
    }

    fn call<T, F>(&self, call: impl FnOnce(RuntimeServiceClient<Channel>) -> F) -> Result<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let client = RuntimeServiceClient::new(self.channel.clone());
        let answer = self.event_loop.block_on(async { tokio::time::timeout(LIMIT, call(client)).await });
        Ok(answer.context("containerd doesn't answer")??.into_inner())
    }
}
