//! The web server: whether lanner works, which versions it stands for, and its metrics.

mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::config::{Config, MetricsConfig};
use crate::metrics::{Board, Observation, exposition};

/// Why the web server does not run.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address is taken or not this host's.
    #[error("webserver.listen_address, webserver.listen_port: cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// Certificate or key can't be used.
    #[error("webserver.ssl_certificate: cannot use {}: {cause}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: io::Error,
    },
    /// The path of the health page can't be one.
    #[error(
        "webserver.k8s_healthz_endpoint: '{0}' is no path: it must begin with / and be neither /metrics nor /versions"
    )]
    Path(String),
    /// The system refuses threads.
    #[error("cannot start the web server: {0}")]
    System(io::Error),
}

/// The server, while it runs. Dropping it ends it.
pub struct Web {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl Drop for Web {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has printed itself.
            let _ = thread.join();
        }
    }
}

/// What the pages show.
struct Site {
    board: Board,
    versions: String,
    metrics: MetricsConfig,
}

impl Web {
    /// Starts the server that the settings ask for. `versions` is what `/versions` shows.
    ///
    /// # Errors
    /// When it can't listen, or its certificate can't be used.
    pub fn start(config: &Config, board: &Board, versions: &Value) -> Result<Web, WebError> {
        let web = &config.web;
        let tls = web.certificate.as_deref().map(tls::config).transpose()?;
        let site =
            Site { board: board.clone(), versions: versions.to_string(), metrics: config.metrics.clone() };
        let with_metrics = web.prometheus && config.metrics.enabled;
        let pages = pages(site, &web.health, with_metrics)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(web.threads.max(1))
            .thread_name("web")
            .thread_stack_size(512 << 10)
            .enable_all()
            .build()
            .map_err(WebError::System)?;
        let address = SocketAddr::new(web.address, web.port);
        let listening = runtime.block_on(TcpListener::bind(address));
        let listener = listening.map_err(|cause| WebError::Listen { address, cause })?;
        let address = listener.local_addr().map_err(WebError::System)?;
        let (end, ended) = oneshot::channel::<()>();
        let serve = async move {
            let ended = async { drop(ended.await) };
            let served = async {
                match tls {
                    None => axum::serve(listener, pages).await,
                    Some(tls) => axum::serve(tls::TlsListener::new(listener, tls), pages).await,
                }
            };
            // Open connections end with it: nobody waits for answers of a program that is gone.
            tokio::select! { _ = served => {}, () = ended => {} }
        };
        let thread = std::thread::Builder::new()
            .name("web".into())
            .spawn(move || runtime.block_on(serve))
            .map_err(WebError::System)?;
        Ok(Web { end: Some(end), thread: Some(thread), address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn pages(site: Site, health: &str, with_metrics: bool) -> Result<Router, WebError> {
    let plain = health.starts_with('/') && !health.contains(['{', '}', '*', '?', '#', ':']);
    if !plain || matches!(health, "/metrics" | "/versions") {
        return Err(WebError::Path(health.to_owned()));
    }
    let mut pages = Router::new().route("/versions", get(versions)).route(health, get(self::health));
    if with_metrics {
        pages = pages.route("/metrics", get(metrics));
    }
    Ok(pages.with_state(Arc::new(site)))
}

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];
/// The format of Prometheus.
const EXPOSITION: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];

async fn versions(State(site): State<Arc<Site>>) -> Response {
    (JSON, site.versions.clone()).into_response()
}

/// `{"status": "ok"}` as Falco answers; else what is wrong. With `?detail` also what was lost.
async fn health(State(site): State<Arc<Site>>, request: axum::extract::RawQuery) -> Response {
    let health = site.board.health();
    let detailed = request.0.is_some_and(|query| query.split('&').any(|part| part == "detail"));
    if health.is_good() && !detailed {
        return (JSON, "{\"status\": \"ok\"}").into_response();
    }
    let status = if health.is_good() { "ok" } else { "error" };
    let mut body = json!({ "status": status, "faults": health.faults });
    if detailed {
        let seen = site.board.observations().await;
        body["sources"] = seen.iter().map(|seen| detail(seen)).collect();
    }
    let code = if health.is_good() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, JSON, body.to_string()).into_response()
}

fn detail(seen: &Observation) -> Value {
    let lost: serde_json::Map<String, Value> = lanner_probe::LostReason::ALL
        .iter()
        .map(|reason| (reason.to_string(), json!(seen.lost.by_reason(*reason))))
        .collect();
    let outputs = |sink: &lanner_output::ChannelStats| {
        json!({
            "name": sink.sink, "written": sink.written, "lost": sink.lost, "waiting": sink.waiting,
            "last_error": sink.last_error,
        })
    };
    json!({
        "source": seen.source,
        "events": seen.events,
        "lost": seen.lost.total(),
        "lost_by_reason": lost,
        "outputs": seen.outputs.iter().map(outputs).collect::<Vec<_>>(),
    })
}

async fn metrics(State(site): State<Arc<Site>>) -> Response {
    let seen = site.board.observations().await;
    (EXPOSITION, exposition(&seen, &site.metrics)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::WebConfig;

    fn config(port: u16) -> Config {
        let address = "127.0.0.1".parse().unwrap();
        let web = WebConfig { enabled: true, address, port, ..WebConfig::default() };
        Config { web, ..Config::default() }
    }

    #[test]
    fn a_port_in_use_is_named_with_its_setting_and_free_again_afterwards() {
        let (board, versions) = (Board::default(), json!({}));
        let first = Web::start(&config(0), &board, &versions).unwrap();
        let port = first.address().port();
        let error = Web::start(&config(port), &board, &versions).map(drop).unwrap_err().to_string();
        assert!(
            error.starts_with("webserver.listen_address, webserver.listen_port: cannot listen on 127"),
            "{error}"
        );
        assert!(error.contains("in use"), "{error}");
        drop(first);
        Web::start(&config(port), &board, &versions).unwrap();
    }

    #[test]
    fn a_path_that_is_none_and_a_certificate_that_is_absent_are_refused() {
        let (board, versions) = (Board::default(), json!({}));
        for path in ["healthz", "/metrics", "/{x}", ""] {
            let mut config = config(0);
            config.web.health = path.to_owned();
            let error = Web::start(&config, &board, &versions).map(drop).unwrap_err().to_string();
            assert!(error.starts_with("webserver.k8s_healthz_endpoint"), "{error}");
        }
        let mut config = config(0);
        config.web.certificate = Some("/nowhere/falco.pem".into());
        let error = Web::start(&config, &board, &versions).map(drop).unwrap_err().to_string();
        assert!(
            error.starts_with("webserver.ssl_certificate: cannot use /nowhere/falco.pem: No such"),
            "{error}"
        );
    }
}
