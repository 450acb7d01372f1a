//! A web server that takes documents by POST. A request is taken as a whole or not at all, and its answer says so: once
//! it is 200 the events are in the queue. Everything it holds is bounded.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use crate::batch::Batch;
use crate::documents::{Documents, Reporting};
use crate::files::now;
use crate::pushed::Pushed;
use crate::queue::{Room, Sender, queue};
use crate::source::SourceError;
use crate::stats::Refusal;

/// Connections at a time; further ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 256;
/// Bytes of bodies that are being read, all together.
const MAX_READING: usize = 64 << 20;
/// How long the head of a request, and its body, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What is taken, and how much.
#[derive(Clone)]
pub(crate) struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// What may wait for the rules.
    pub room: Room,
}

/// Where to listen, and for what.
pub(crate) struct Listen<'a> {
    /// Host and port; without a host: on all addresses.
    pub address: &'a str,
    /// The path that is posted to; empty or `/` for any.
    pub path: &'a str,
    /// For HTTPS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// Starts a server, which runs until the source is dropped.
pub(crate) fn open(
    listen: &Listen<'_>,
    plugin: u32,
    documents: Box<dyn Documents>,
    limits: Limits,
    reporting: Reporting,
) -> Result<Pushed, SourceError> {
    let failed = |cause| SourceError::System { what: format!("can't listen on {}", listen.address), cause };
    let listener = bind(listen.address).map_err(failed)?;
    let (sender, receiver) = queue(limits.room);
    let (guard, dropped) = oneshot::channel::<()>();
    let path = Some(listen.path.to_owned()).filter(|path| !matches!(path.as_str(), "" | "/"));
    let tls = listen.tls.clone().map(TlsAcceptor::from);
    let seed = Seed { path, limits, sender: sender.clone(), reporting, documents };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let thread = std::thread::Builder::new().name("webhook".into());
    let serve = move || {
        let ended = LocalSet::new().block_on(&runtime, serve(listener, tls, seed, dropped));
        runtime.shutdown_background();
        ended
    };
    let last = sender.clone();
    thread
        .spawn(move || match serve() {
            Ok(()) => last.end(Ok(())),
            Err(error) => last.end(Err(SourceError::Failed(format!("the web server has failed: {error}")))),
        })
        .map_err(failed)?;
    Ok(Pushed::new(sender, receiver, plugin, Box::new(guard)))
}

fn bind(address: &str) -> io::Result<TcpListener> {
    let everywhere = |port: &str| {
        let port =
            port.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the port is no number"))?;
        let v6 = TcpListener::bind(SocketAddr::from(([0u16; 8], port)));
        // Where there is no IPv6.
        v6.or_else(|_| TcpListener::bind(SocketAddr::from(([0u8; 4], port))))
    };
    let listener = match address.strip_prefix(':') {
        Some(port) => everywhere(port)?,
        None => TcpListener::bind(&*address.to_socket_addrs()?.collect::<Vec<_>>())?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What the server's thread starts with.
struct Seed {
    path: Option<String>,
    limits: Limits,
    sender: Sender,
    reporting: Reporting,
    documents: Box<dyn Documents>,
}

struct Server {
    path: Option<String>,
    limits: Limits,
    sender: Sender,
    reporting: Reporting,
    documents: RefCell<Box<dyn Documents>>,
    reading: Semaphore,
}

async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    seed: Seed,
    mut dropped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let Seed { path, limits, sender, reporting, documents } = seed;
    let (documents, reading) = (RefCell::new(documents), Semaphore::new(MAX_READING));
    let server = Rc::new(Server { path, limits, sender, reporting, documents, reading });
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut dropped => return Ok(()),
        };
        match accepted {
            Ok((stream, _)) => {
                let (server, tls) = (Rc::clone(&server), tls.clone());
                tokio::task::spawn_local(async move { server.connection(stream, tls, place).await });
            }
            // Out of file descriptors, or the peer has already gone: neither lasts.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn answer(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    response
}

fn try_again(text: &str) -> Response<Full<Bytes>> {
    let mut response = answer(StatusCode::TOO_MANY_REQUESTS, text);
    response.headers_mut().insert(RETRY_AFTER, hyper::header::HeaderValue::from_static("1"));
    response
}

impl Server {
    async fn connection(
        self: Rc<Server>,
        stream: tokio::net::TcpStream,
        tls: Option<TlsAcceptor>,
        _place: OwnedSemaphorePermit,
    ) {
        // Without it answers may be held back; where it is refused they just are.
        let _ = stream.set_nodelay(true);
        match tls {
            None => self.requests(stream).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.requests(stream).await,
                Ok(Err(error)) => {
                    self.reporting.refuse(Refusal::Malformed, 1, &format_args!("a TLS handshake: {error}"));
                }
                Err(_) => self.reporting.refuse(Refusal::Malformed, 1, &"a TLS handshake that took too long"),
            },
        }
    }

    async fn requests(self: Rc<Server>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| {
            let server = Rc::clone(&self);
            async move { Ok::<_, Infallible>(server.request(request).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        // A connection that breaks is its peer's loss: what was answered with 200 is in the queue.
        let _ = http.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn request(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if self.path.as_deref().is_some_and(|path| path != request.uri().path()) {
            return answer(StatusCode::NOT_FOUND, "nothing is taken here");
        }
        if request.method() != Method::POST {
            return answer(StatusCode::METHOD_NOT_ALLOWED, "only POST is taken");
        }
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !kind.is_some_and(|kind| kind.contains("application/json")) {
            self.reporting.refuse(
                Refusal::Malformed,
                1,
                &"a request whose Content-Type is not application/json",
            );
            return answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the Content-Type must be application/json");
        }
        match self.body(request.into_body()).await {
            Ok(body) => self.document(&body),
            Err(refused) => refused,
        }
    }

    fn too_large(&self) -> Response<Full<Bytes>> {
        let text = format!("more than {} bytes", self.limits.body);
        self.reporting.refuse(Refusal::TooLarge, 1, &format_args!("a request of {text}"));
        answer(StatusCode::PAYLOAD_TOO_LARGE, &text)
    }

    async fn body(&self, body: Incoming) -> Result<Bytes, Response<Full<Bytes>>> {
        let hint = body.size_hint();
        if hint.lower() > self.limits.body as u64 {
            return Err(self.too_large());
        }
        let most = hint.upper().map_or(self.limits.body, |upper| self.limits.body.min(upper as usize));
        let Ok(_room) = self.reading.try_acquire_many(most.clamp(1, MAX_READING) as u32) else {
            self.reporting.refuse(Refusal::Full, 1, &"a request while many others were being read");
            return Err(try_again("too many requests at once"));
        };
        let read = Limited::new(body, self.limits.body).collect();
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(self.too_large()),
            Ok(Err(error)) => {
                Err(answer(StatusCode::BAD_REQUEST, &format!("the body can't be read: {error}")))
            }
            Err(_) => Err(answer(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
        }
    }

    /// Takes a body's events, or none of them.
    fn document(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let malformed = |why: &str| {
            self.reporting.refuse(Refusal::Malformed, 1, &why);
            answer(StatusCode::BAD_REQUEST, why)
        };
        if std::str::from_utf8(body).is_err() {
            return malformed("the body is not UTF-8");
        }
        let mut batch = Batch::default();
        let read = match self.documents.borrow_mut().read(body, now(), &mut batch) {
            Ok(read) => read,
            Err(why) => return malformed(&why),
        };
        if read.taken > 0 && !self.sender.try_send(batch) {
            self.reporting.refuse(Refusal::Full, 1, &"a request while too many events waited for the rules");
            return try_again("too many events wait; send them again");
        }
        self.reporting.count(read);
        match read {
            read if read.taken > 0 || read.malformed + read.too_large == 0 => answer(StatusCode::OK, "taken"),
            read if read.too_large > 0 => {
                answer(StatusCode::PAYLOAD_TOO_LARGE, "each event is larger than allowed")
            }
            _ => answer(StatusCode::BAD_REQUEST, "no event says when it happened"),
        }
    }
}
