//! HTTP over a unix socket: one connection per request, which costs little there and leaves nothing behind.

use std::path::Path;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::Failure;

/// Longest answer that is read. A container's description has a few KiB.
const MAX_ANSWER: usize = 4 << 20;

fn silent(error: impl std::fmt::Display) -> Failure {
    Failure::Silent(error.to_string())
}

/// Why a socket can't be connected to, in words.
pub(super) fn refusal(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "nobody listens on its socket".to_owned(),
        _ => error.to_string(),
    }
}

/// Asks for a path; the answer's body is yet to be read.
pub(super) async fn get(socket: &Path, path: &str) -> Result<Response<Incoming>, Failure> {
    let stream = UnixStream::connect(socket).await.map_err(|error| silent(refusal(&error)))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(silent)?;
    // Ends with the answer: when its body has been read or dropped.
    tokio::spawn(connection);
    let request = Request::get(path).header(HOST, "runtime").body(Empty::<Bytes>::new()).map_err(silent)?;
    sender.send_request(request).await.map_err(silent)
}

/// Asks for a JSON document; nothing if there is none at that path.
pub(super) async fn get_json<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<Option<T>, Failure> {
    let answer = get(socket, path).await?;
    let status = answer.status();
    if status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    if !status.is_success() {
        return Err(Failure::Silent(format!("it answers {status}")));
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(silent)?.to_bytes();
    let document = serde_json::from_slice(&body)
        .map_err(|error| Failure::Unserved(format!("its answer isn't the expected JSON: {error}")))?;
    Ok(Some(document))
}

/// Text as part of a path or query.
pub(super) fn quoted(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
