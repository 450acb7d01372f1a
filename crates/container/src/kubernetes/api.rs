//! The API server: documents, and watches, which are documents one a line as they come.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long connecting and a whole document may take.
const LIMIT: Duration = Duration::from_secs(10);
/// A watch that says nothing for so long is started anew: its connection may be dead.
const SILENCE: Duration = Duration::from_secs(330);
/// Longest document, and longest line of a watch.
const MAX_DOCUMENT: usize = 32 << 20;
const MAX_LINE: usize = 4 << 20;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum ApiError {
    #[error("no connection: {0}")]
    Connection(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("no answer in time")]
    Late,
    #[error("its answer is not understood: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Other(String),
}

/// One API server.
#[derive(Debug)]
pub(super) struct Api {
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    token_file: PathBuf,
}

impl Api {
    pub(super) fn new(server: &str, token_file: PathBuf, ca_file: &Path) -> Result<Api, String> {
        let uri: Uri = server.parse().map_err(|error| format!("{server} is no address: {error}"))?;
        let host = uri.host().ok_or_else(|| format!("{server} names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = uri.scheme_str() != Some("http");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure { Some((trusting(ca_file)?, name_of(&host)?)) } else { None };
        Ok(Api { host, port, tls, token_file })
    }

    /// A document; nothing if there is none at that path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, ApiError> {
        tokio::time::timeout(LIMIT, async {
            let answer = self.ask(path).await?;
            match answer.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(None),
                other => return Err(ApiError::Status(other)),
            }
            let body = Limited::new(answer.into_body(), MAX_DOCUMENT).collect().await;
            let body = body.map_err(|error| ApiError::Other(error.to_string()))?.to_bytes();
            Ok(Some(serde_json::from_slice(&body)?))
        })
        .await
        .unwrap_or(Err(ApiError::Late))
    }

    /// A watch.
    pub(super) async fn watch(&self, path: &str) -> Result<Watch, ApiError> {
        let answer = tokio::time::timeout(LIMIT, self.ask(path)).await.unwrap_or(Err(ApiError::Late))?;
        match answer.status() {
            StatusCode::OK => Ok(Watch { body: answer.into_body(), text: Vec::new() }),
            other => Err(ApiError::Status(other)),
        }
    }

    async fn ask(&self, path: &str) -> Result<Response<Incoming>, ApiError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        match &self.tls {
            None => self.ask_over(stream, path).await,
            Some((config, name)) => {
                let connector = TlsConnector::from(config.clone());
                self.ask_over(connector.connect(name.clone(), stream).await?, path).await
            }
        }
    }

    async fn ask_over<S>(&self, stream: S, path: &str) -> Result<Response<Incoming>, ApiError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the answer: when its body has been read or dropped.
        tokio::spawn(connection);
        let mut request = Request::get(path)
            .header(HOST, format!("{}:{}", self.host, self.port))
            .header(ACCEPT, "application/json");
        // Read each time: the kubelet puts a new one there before the old one ends.
        if let Ok(token) = fs::read_to_string(&self.token_file) {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        let request =
            request.body(Empty::<Bytes>::new()).map_err(|error| ApiError::Other(error.to_string()))?;
        Ok(sender.send_request(request).await?)
    }
}

/// The documents of a watch.
pub(super) struct Watch {
    body: Incoming,
    text: Vec<u8>,
}

impl Watch {
    /// The next one; nothing when the server ends the watch.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ApiError> {
        loop {
            if let Some(end) = self.text.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            let frame = tokio::time::timeout(SILENCE, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| ApiError::Late)? else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.text.extend_from_slice(&data);
            }
            if self.text.len() > MAX_LINE {
                return Err(ApiError::Other("a line of the watch has no end".to_owned()));
            }
        }
    }
}

fn trusting(ca_file: &Path) -> Result<Arc<ClientConfig>, String> {
    let bad = |error: &dyn std::fmt::Display| format!("{}: {error}", ca_file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file).map_err(|error| bad(&error))? {
        roots.add(certificate.map_err(|error| bad(&error))?).map_err(|error| bad(&error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn name_of(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|error| format!("{host}: {error}"))
}
