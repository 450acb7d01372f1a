//! The API server: documents, and watches, which are documents one a line as they come.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::credentials::{Access, AccessError};
use super::objects::Status;
use super::tls;

/// How long connecting and a whole document may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the server is asked to watch; then it ends the watch by itself.
pub(super) const WATCH_SECONDS: u32 = 300;
/// A watch that says nothing for so long is started anew: its connection may be dead.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 30);
/// Longest document, longest line of a watch, and longest word about an error.
const MAX_DOCUMENT: usize = 32 << 20;
const MAX_LINE: usize = 4 << 20;
const MAX_ERROR: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum ApiError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("no connection: {0}")]
    Connection(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("it answers {0}")]
    Refused(Refusal),
    #[error("no answer in time")]
    Late,
    #[error("its answer is not understood: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Other(String),
}

/// The server's own word for an error, as an answer or within a watch.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{code} {message}")]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) message: String,
}

impl From<Status> for ApiError {
    fn from(Status { code, message, reason }: Status) -> ApiError {
        ApiError::Refused(Refusal { code, message: if message.is_empty() { reason } else { message } })
    }
}

impl ApiError {
    /// Whether nothing is wrong with the place from which was watched: only the way to the server was.
    pub(super) fn is_of_the_way(&self) -> bool {
        matches!(self, ApiError::Access(_) | ApiError::Connection(_) | ApiError::Http(_) | ApiError::Late)
    }

    pub(super) fn code(&self) -> Option<u16> {
        match self {
            ApiError::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }
}

/// One API server.
#[derive(Debug)]
pub(super) struct Api {
    host: String,
    port: u16,
    /// Host and port as they are written.
    authority: String,
    /// Stands before every path: servers behind a gateway have one.
    prefix: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    token: String,
    token_file: Option<PathBuf>,
    /// The namespace that the one who asks is at home in; may be empty.
    pub(super) namespace: String,
}

impl Api {
    pub(super) fn new(access: Access) -> Result<Api, AccessError> {
        let server = access.server.as_str();
        let unfit = |why: String| AccessError::unfit(server, why);
        // As for kubectl, an address without a scheme is one of TLS.
        let whole = if server.contains("://") { server.to_owned() } else { format!("https://{server}") };
        let uri: Uri = whole.parse().map_err(|error| unfit(format!("is no address: {error}")))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(unfit("is no address of http or https".to_owned())),
        };
        let written = uri.host().ok_or_else(|| unfit("names no host".to_owned()))?;
        let host = written.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure {
            let name = if access.server_name.is_empty() { &host } else { &access.server_name };
            let name = ServerName::try_from(name.clone()).map_err(|error| AccessError::unfit(name, error))?;
            Some((tls::settings(&access.trust, access.client.as_ref())?, name))
        } else {
            None
        };
        Ok(Api {
            authority: format!("{written}:{port}"),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            host,
            port,
            tls,
            token: access.token,
            token_file: access.token_file,
            namespace: access.namespace,
        })
    }

    /// A document; nothing if there is none at that path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, ApiError> {
        within(LIMIT, async {
            let answer = self.ask(path).await?;
            match answer.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(None),
                _ => return Err(refusal(answer).await),
            }
            let body = Limited::new(answer.into_body(), MAX_DOCUMENT).collect().await;
            let body = body.map_err(|error| ApiError::Other(error.to_string()))?.to_bytes();
            Ok(Some(serde_json::from_slice(&body)?))
        })
        .await
    }

    /// A watch.
    pub(super) async fn watch(&self, path: &str) -> Result<Watch, ApiError> {
        within(LIMIT, async {
            let answer = self.ask(path).await?;
            match answer.status() {
                StatusCode::OK => Ok(Watch { body: answer.into_body(), text: Vec::new(), searched: 0 }),
                _ => Err(refusal(answer).await),
            }
        })
        .await
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
        let mut request = Request::get(format!("{}{path}", self.prefix))
            .header(HOST, &self.authority)
            .header(USER_AGENT, "lanner")
            .header(ACCEPT, "application/json");
        if let Some(word) = self.authorization()? {
            request = request.header(AUTHORIZATION, word);
        }
        let request =
            request.body(Empty::<Bytes>::new()).map_err(|error| ApiError::Other(error.to_string()))?;
        Ok(sender.send_request(request).await?)
    }

    /// The token as it is now: its file's, or the one that was given.
    fn authorization(&self) -> Result<Option<HeaderValue>, ApiError> {
        let fresh = self.token_file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        let token = fresh.as_deref().map_or(self.token.as_str(), str::trim);
        if token.is_empty() {
            return Ok(None);
        }
        let mut word = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| ApiError::Other("the token has characters that none may have".to_owned()))?;
        word.set_sensitive(true);
        Ok(Some(word))
    }
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    tokio::time::timeout(limit, call).await.unwrap_or(Err(ApiError::Late))
}

/// What the server says to an answer that isn't the one asked for.
async fn refusal(answer: Response<Incoming>) -> ApiError {
    let code = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ERROR).collect().await;
    let said = body.ok().and_then(|body| serde_json::from_slice::<Status>(&body.to_bytes()).ok());
    let message = said.map(|status| status.message).filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| code.canonical_reason().unwrap_or_default().to_owned());
    ApiError::Refused(Refusal { code: code.as_u16(), message })
}

/// The documents of a watch.
pub(super) struct Watch {
    body: Incoming,
    text: Vec<u8>,
    /// So much of the text has no end of a line.
    searched: usize,
}

impl Watch {
    /// The next one; nothing when the server ends the watch.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ApiError> {
        loop {
            let end = self.text[self.searched..].iter().position(|&byte| byte == b'\n');
            if let Some(end) = end.map(|end| self.searched + end) {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                self.searched = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            self.searched = self.text.len();
            if self.text.len() > MAX_LINE {
                return Err(ApiError::Other("a line of the watch has no end".to_owned()));
            }
            let frame = tokio::time::timeout(SILENCE, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| ApiError::Late)? else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.text.extend_from_slice(&data);
            }
        }
    }
}
