//! gRPC over a unix socket, and what its failures mean.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

use super::{Failure, http};

/// A channel that connects at the first call, and again when the connection is lost. The address is a
/// formality of HTTP/2; no name is looked up.
pub(super) fn connect_when_used(socket: PathBuf, patience: Duration) -> Channel {
    Endpoint::from_static("http://runtime.invalid").connect_timeout(patience).connect_with_connector_lazy(
        tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        }),
    )
}

/// An answer that there is no such thing is no failure.
pub(super) fn present<T>(answer: Result<T, Status>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(status) if is_absence(&status) => Ok(None),
        Err(status) => Err(failure(&status)),
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
pub(super) fn failure(status: &Status) -> Failure {
    if status.code() == Code::Unimplemented {
        return Failure::Unserved(status.message().to_owned());
    }
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Failure::Silent(http::refusal(io));
        }
        cause = error.source();
    }
    Failure::Silent(status.message().to_owned())
}
