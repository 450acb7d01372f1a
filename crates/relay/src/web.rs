//! Alerts for web clients: `GET /alerts` gives the latest, `GET /alerts/stream` each as it comes, one a line;
//! `GET /healthz` says whether the source is being read.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use lanner_alert::LineRef;
use lanner_output::{Sink, SinkError};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, broadcast};

/// Alerts that are remembered for those who ask, and their bytes.
const MAX_KEPT: usize = 1000;
const MAX_KEPT_BYTES: usize = 4 << 20;
/// Alerts that a slow reader of the stream may lag behind before it loses some.
const MAX_LAG: usize = 256;
/// Clients at a time; the others wait.
const MAX_CLIENTS: usize = 64;
/// How long a client may take for what it asks.
const REQUEST: Duration = Duration::from_secs(10);

type Body = BoxBody<Bytes, Infallible>;

/// Gives lines to web clients.
#[derive(Debug)]
pub(crate) struct WebSink(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    kept: Mutex<(VecDeque<Bytes>, usize)>,
    news: broadcast::Sender<Bytes>,
    /// The source is being read.
    live: Arc<AtomicBool>,
}

/// Starts the server on a thread of its own. It ends with the process.
pub(crate) fn serve(address: SocketAddr, live: Arc<AtomicBool>) -> io::Result<WebSink> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let shared = Arc::new(Shared { kept: Mutex::default(), news: broadcast::channel(MAX_LAG).0, live });
    let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = Arc::clone(&shared);
    thread::Builder::new().name("lanner-web".into()).spawn(move || {
        event_loop.block_on(async {
            if let Ok(listener) = TcpListener::from_std(listener) {
                welcome(listener, served).await;
            }
        });
    })?;
    Ok(WebSink(shared))
}

impl Sink for WebSink {
    fn name(&self) -> &'static str {
        "web"
    }

    fn write(&mut self, line: LineRef<'_>) -> Result<(), SinkError> {
        let bytes = Bytes::from(format!("{}\n", line.text));
        // Nobody listens: then nobody is told.
        let _ = self.0.news.send(bytes.clone());
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.1 += bytes.len();
        kept.0.push_back(bytes);
        while kept.0.len() > MAX_KEPT || kept.1 > MAX_KEPT_BYTES {
            let Some(oldest) = kept.0.pop_front() else { break };
            kept.1 -= oldest.len();
        }
        Ok(())
    }
}

async fn welcome(listener: TcpListener, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, most likely; that passes.
            tokio::time::sleep(REQUEST / 10).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &shared);
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(REQUEST);
            // A client that goes away is no failure.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, shared: &Arc<Shared>) -> Response<Body> {
    if request.method() != Method::GET {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "alerts are read here, with GET\n");
        refusal.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET"));
        return refusal;
    }
    match request.uri().path() {
        "/healthz" if shared.live.load(Ordering::Relaxed) => text(StatusCode::OK, "ok\n"),
        "/healthz" => text(StatusCode::SERVICE_UNAVAILABLE, "the host's alerts can't be read\n"),
        "/alerts" => {
            let kept = shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
            lines(Full::new(Bytes::from(kept.0.iter().flatten().copied().collect::<Vec<u8>>())).boxed())
        }
        "/alerts/stream" => stream(shared),
        _ => text(StatusCode::NOT_FOUND, "there are /alerts, /alerts/stream and /healthz\n"),
    }
}

/// Each alert from now on. A reader that lags too far behind is told how many it has missed.
fn stream(shared: &Arc<Shared>) -> Response<Body> {
    let mut news = shared.news.subscribe();
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    tokio::spawn(async move {
        loop {
            let next = match news.recv().await {
                Ok(line) => line,
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    Bytes::from(format!("{{\"lanner_relay\":\"{missed} alerts missed by this reader\"}}\n"))
                }
                Err(broadcast::error::RecvError::Closed) => return,
            };
            if sender.send_data(next).await.is_err() {
                return;
            }
        }
    });
    lines(body.boxed())
}

fn lines(body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    let kind = hyper::header::HeaderValue::from_static("application/x-ndjson");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())).boxed());
    *answer.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("text/plain");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
