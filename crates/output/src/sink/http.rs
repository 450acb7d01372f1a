//! Lines posted to a web server, one request each.

mod certificates;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use ureq::Agent;
use ureq::tls::{TlsConfig, TlsProvider};

use super::{LineRef, Sink, SinkError};

/// How the server is recognised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trust {
    /// Not at all.
    Anyone,
    /// By the authorities in a file of PEM certificates.
    File {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// By the authorities in the files of a folder.
    Folder(PathBuf),
}

/// What a web server is told, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpOptions {
    /// Where lines are posted to; without a scheme it is `http://`.
    pub url: String,
    /// What the client calls itself.
    pub user_agent: String,
    /// Whether lines are JSON.
    pub json: bool,
    /// How the server is recognised.
    pub trust: Trust,
    /// The client's certificate and key, PEM files, where the server asks for one.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Print what the server answers.
    pub echo: bool,
    /// Send lines compressed; a server that doesn't understand gets them plain.
    pub compress: bool,
    /// Keep an idle connection open.
    pub keep_alive: bool,
    /// How often a request that took too long is tried again.
    pub max_timeouts: u8,
    /// How long a request may take.
    pub timeout: Duration,
}

/// How long an idle connection is kept when it is to be kept.
const KEPT: Duration = Duration::from_secs(600);
/// How long it is kept else: the lines of one burst share a connection.
const BURST: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER: u64 = 64 << 10;

/// Posts lines to a web server.
pub struct HttpSink {
    options: HttpOptions,
    /// Made when the first line comes, and anew after certificates could not be read.
    agent: Option<Agent>,
    compress: bool,
    timeouts: u8,
}

impl HttpSink {
    /// A sink for a server.
    pub fn new(mut options: HttpOptions) -> HttpSink {
        options.url = address(&options.url);
        HttpSink { compress: options.compress, options, agent: None, timeouts: 0 }
    }

    /// Reads the certificates, so that what is wrong with them is known before the first line comes.
    ///
    /// # Errors
    /// Names the setting and the file that can't be used.
    pub fn check(&mut self) -> Result<(), SinkError> {
        self.agent().map(drop)
    }

    fn error(&self, cause: io::Error, again: bool) -> SinkError {
        SinkError { sink: "http", what: format!("cannot post to {}", self.options.url), cause, again }
    }

    fn agent(&mut self) -> Result<&Agent, SinkError> {
        let agent = match self.agent.take() {
            Some(agent) => agent,
            None => self.new_agent().map_err(|(what, cause)| {
                // The file may be put there, or put right, while lines wait.
                SinkError { sink: "http", what, cause, again: true }
            })?,
        };
        Ok(self.agent.insert(agent))
    }

    fn new_agent(&self) -> Result<Agent, (String, io::Error)> {
        let options = &self.options;
        let mut tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        if options.url.starts_with("https://") {
            tls = match &options.trust {
                Trust::Anyone => tls.disable_verification(true),
                Trust::File { key, path } => tls.root_certs(certificates::file(key, path)?),
                Trust::Folder(path) => tls.root_certs(certificates::folder("http_output.ca_path", path)?),
            };
            if let Some((certificate, key)) = &options.client {
                tls = tls.client_cert(Some(certificates::client(certificate, key)?));
            }
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(&options.user_agent)
            .timeout_global(Some(options.timeout))
            .max_idle_age(if options.keep_alive { KEPT } else { BURST })
            .tls_config(tls.build());
        Ok(config.build().new_agent())
    }

    /// Posts a line; the server's status.
    fn post(&mut self, line: LineRef<'_>) -> Result<u16, SinkError> {
        let (compress, echo) = (self.compress, self.options.echo);
        let content = if self.options.json { "application/json" } else { "text/plain" };
        let url = self.options.url.clone();
        let mut request = self.agent()?.post(url).header("Content-Type", content);
        let sent = if compress {
            request = request.header("Content-Encoding", "gzip");
            let body = gzip(line.text.as_bytes()).map_err(|cause| self.error(cause, false))?;
            request.send(&body[..])
        } else {
            request.send(line.text.as_bytes())
        };
        let mut answer = sent.map_err(|cause| self.failed(cause))?;
        let status = answer.status().as_u16();
        // An answer that is read to its end leaves the connection free for the next line.
        let text = answer.body_mut().with_config().limit(ANSWER).read_to_vec().unwrap_or_default();
        if echo {
            let mut out = io::stdout().lock();
            // The answer is for whoever looks; if nobody does, that is no failure of this output.
            let _ = out.write_all(&text).and_then(|()| out.flush());
        }
        Ok(status)
    }

    /// What a failed request means for its line.
    fn failed(&mut self, cause: ureq::Error) -> SinkError {
        let hopeless = matches!(cause, ureq::Error::BadUri(_) | ureq::Error::Http(_));
        let timed_out = matches!(cause, ureq::Error::Timeout(_));
        self.timeouts = if timed_out { self.timeouts.saturating_add(1) } else { 0 };
        let given_up = self.timeouts > self.options.max_timeouts;
        if given_up {
            self.timeouts = 0;
        }
        self.error(io::Error::other(cause), !hopeless && !given_up)
    }
}

/// The address that a setting means: quotes around it don't count, and without a scheme it is plain HTTP.
fn address(url: &str) -> String {
    let quoted = ['"', '\''].iter().find_map(|q| url.strip_prefix(*q)?.strip_suffix(*q));
    let url = quoted.unwrap_or(url).trim();
    if url.contains("://") { url.to_owned() } else { format!("http://{url}") }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

impl Sink for HttpSink {
    fn name(&self) -> &'static str {
        "http"
    }

    fn write(&mut self, line: LineRef<'_>) -> Result<(), SinkError> {
        let mut status = self.post(line)?;
        if self.compress && matches!(status, 400 | 415) {
            // The server may not know what a compressed body is; a plain one shows whether it was that.
            self.compress = false;
            status = self.post(line)?;
        }
        self.timeouts = 0;
        match status {
            200..400 => Ok(()),
            _ => {
                let cause = io::Error::other(format!("the server answers with status {status}"));
                Err(self.error(cause, matches!(status, 408 | 425 | 429 | 500..)))
            }
        }
    }
}
