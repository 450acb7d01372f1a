//! containerd's own way to make a container, as far as its record: nothing runs, so there can be thousands.

use std::collections::HashMap;

use anyhow::{Context, Result};
use prost::Message;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, Message)]
struct Create {
    #[prost(message, optional, tag = "1")]
    container: Option<Record>,
}

/// `containerd.services.containers.v1.Container`.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(map = "string, string", tag = "2")]
    labels: HashMap<String, String>,
    #[prost(string, tag = "3")]
    image: String,
    #[prost(message, optional, tag = "4")]
    runtime: Option<Runtime>,
    #[prost(message, optional, tag = "5")]
    spec: Option<prost_types::Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Runtime {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Answer {}

/// A container that is known but doesn't run.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Its id.
    pub id: String,
    /// Its image's name; nothing of that name need exist.
    pub image: String,
    /// Its labels.
    pub labels: HashMap<String, String>,
    /// Its OCI description, JSON.
    pub spec: String,
}

pub(crate) async fn register(channel: Channel, namespace: &str, container: Registered) -> Result<()> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.context("containerd is not ready")?;
    let record = Record {
        id: container.id,
        labels: container.labels,
        image: container.image,
        runtime: Some(Runtime { name: "io.containerd.runc.v2".to_owned() }),
        spec: Some(prost_types::Any {
            type_url: "types.containerd.io/opencontainers/runtime-spec/1/Spec".to_owned(),
            value: container.spec.into_bytes(),
        }),
    };
    let mut request = Request::new(Create { container: Some(record) });
    request.metadata_mut().insert("containerd-namespace", namespace.parse()?);
    let path = PathAndQuery::from_static("/containerd.services.containers.v1.Containers/Create");
    grpc.unary(request, path, ProstCodec::<Create, Answer>::default()).await.context("Containers.Create")?;
    Ok(())
}
