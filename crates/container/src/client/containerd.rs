//! containerd's own services, for containers outside Kubernetes (`nerdctl`, `ctr`, build tools). Its messages
//! are written down here as far as they are read, by containerd's `api/services/*.proto` and `api/types`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use lanner_machine::{Container, Pod, Runtime};
use prost::Message;
use tokio::sync::mpsc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::grpc::{connect_when_used, failure, present};
use super::{Failure, Greeting, News};
use crate::bundle::spec;
use crate::config::Config;
use crate::{image, labels};

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

#[derive(Clone, PartialEq, Message)]
struct Version {
    #[prost(string, tag = "1")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Namespaces {
    #[prost(message, repeated, tag = "1")]
    namespaces: Vec<Name>,
}

/// A namespace, and the request for a container or an image.
#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerAnswer {
    #[prost(message, optional, tag = "1")]
    container: Option<Record>,
}

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(map = "string, string", tag = "2")]
    labels: HashMap<String, String>,
    #[prost(string, tag = "3")]
    image: String,
    #[prost(message, optional, tag = "5")]
    spec: Option<prost_types::Any>,
    #[prost(message, optional, tag = "8")]
    created_at: Option<prost_types::Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct ImageAnswer {
    #[prost(message, optional, tag = "1")]
    image: Option<Image>,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(message, optional, tag = "3")]
    target: Option<Descriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct Descriptor {
    #[prost(string, tag = "2")]
    digest: String,
}

#[derive(Clone, PartialEq, Message)]
struct Subscription {
    #[prost(string, repeated, tag = "1")]
    filters: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(message, optional, tag = "4")]
    event: Option<prost_types::Any>,
}

const CREATED: &str = r#"topic=="/containers/create""#;
/// Docker's own, about which Docker is asked.
const DOCKER_NAMESPACE: &str = "moby";

#[derive(Debug)]
pub(crate) struct Containerd {
    config: Arc<Config>,
    channel: Channel,
}

impl Containerd {
    pub(super) fn new(socket: &Path, config: Arc<Config>) -> Containerd {
        let channel = connect_when_used(socket.to_path_buf(), config.call_timeout);
        Containerd { config, channel }
    }

    pub(super) async fn greet(&self) -> Result<Greeting, Failure> {
        let version: Version =
            self.call("version.v1.Version/Version", "", Nothing {}).await.map_err(refused)?;
        Ok(Greeting { name: "containerd".to_owned(), version: version.version })
    }

    pub(super) async fn describe(&self, container: &mut Container) -> Result<bool, Failure> {
        let namespaces: Namespaces =
            self.call("namespaces.v1.Namespaces/List", "", Nothing {}).await.map_err(|e| failure(&e))?;
        let names = namespaces.namespaces.into_iter().map(|namespace| namespace.name);
        for namespace in names.filter(|name| name != DOCKER_NAMESPACE) {
            let request = Name { name: container.full_id.clone() };
            let answer = self.call("containers.v1.Containers/Get", &namespace, request).await;
            let Some(ContainerAnswer { container: Some(record) }) = present(answer)? else { continue };
            let request = Name { name: record.image.clone() };
            let image: Option<ImageAnswer> = match record.image.as_str() {
                "" => None,
                _ => present(self.call("images.v1.Images/Get", &namespace, request).await)?,
            };
            fill(container, record, image.and_then(|answer| answer.image), &self.config);
            return Ok(true);
        }
        Ok(false)
    }

    pub(super) async fn listen(&self, news: &mpsc::Sender<News>) -> Result<(), Failure> {
        let mut grpc = self.ready().await.map_err(|status| failure(&status))?;
        let request = Request::new(Subscription { filters: vec![CREATED.to_owned()] });
        let path = PathAndQuery::from_static("/containerd.services.events.v1.Events/Subscribe");
        let codec = ProstCodec::<Subscription, Envelope>::default();
        let answer = grpc.server_streaming(request, path, codec).await.map_err(|status| failure(&status))?;
        let mut events = answer.into_inner();
        while let Some(envelope) = events.message().await.map_err(|status| failure(&status))? {
            // `ContainerCreate`: its first part is the id.
            let created = envelope.event.and_then(|any| Name::decode(&*any.value).ok());
            if let Some(Name { name: full_id }) = created {
                // Nobody reads any more only when lanner ends.
                let _ = news.send(News { full_id, runtime: Runtime::Containerd, changed: false }).await;
            }
        }
        Ok(())
    }

    async fn ready(&self) -> Result<tonic::client::Grpc<Channel>, Status> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
        Ok(grpc)
    }

    async fn call<Q, A>(&self, method: &'static str, namespace: &str, message: Q) -> Result<A, Status>
    where
        Q: Message + Default + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut grpc = self.ready().await?;
        let mut request = Request::new(message);
        if let Ok(namespace) = AsciiMetadataValue::try_from(namespace) {
            request.metadata_mut().insert("containerd-namespace", namespace);
        }
        let path = format!("/containerd.services.{method}");
        let path = PathAndQuery::try_from(path).map_err(|error| Status::internal(error.to_string()))?;
        grpc.unary(request, path, ProstCodec::<Q, A>::default()).await.map(Response::into_inner)
    }
}

fn refused(status: Status) -> Failure {
    match failure(&status) {
        Failure::Unserved(_) => Failure::Unserved("it does not serve containerd's own API".to_owned()),
        other => other,
    }
}

fn fill(container: &mut Container, record: Record, image: Option<Image>, config: &Config) {
    if let Some(spec) = &record.spec {
        spec::read_bytes(&spec.value, config, container);
    }
    if container.name.is_empty() {
        // As `nerdctl ps` and `ctr containers ls` name it.
        let named = record.labels.get("nerdctl/name").or(record.labels.get("io.kubernetes.container.name"));
        container.name = named.cloned().unwrap_or_else(|| container.id.clone());
    }
    image::set_name(container, &record.image);
    if let Some(target) = image.and_then(|image| image.target) {
        container.image_digest = target.digest;
    }
    if let Some(at) = record.created_at {
        let nanoseconds = i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos);
        container.created_ts = u64::try_from(nanoseconds).unwrap_or_default();
    }
    if container.pod.is_none() {
        container.pod = pod(&record.labels);
    }
    container.is_sandbox |= record.labels.get("io.cri-containerd.kind").is_some_and(|kind| kind == "sandbox");
    container.labels = labels::kept(record.labels, config);
    if matches!(container.runtime, Runtime::Unknown | Runtime::Cri) {
        container.runtime = Runtime::Containerd;
    }
}

/// The pod by the labels that a kubelet gives.
fn pod(labels: &HashMap<String, String>) -> Option<Pod> {
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    let name = labels.get("io.kubernetes.pod.name")?.clone();
    Some(Pod {
        name,
        namespace: label("io.kubernetes.pod.namespace"),
        uid: label("io.kubernetes.pod.uid"),
        ..Pod::default()
    })
}
