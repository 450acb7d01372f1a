//! A host's alerts, shown elsewhere: read from the socket or file that lanner on the host writes, and handed on
//! to standard output, a small web server and a collector of OpenTelemetry. The one who relays needs no privilege
//! and has no way to the host but to read.
//!
//! This crate must not know rules, events or the machine: an alert is a line.

mod otlp;
mod source;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lanner_alert::{Line, Priority};
use lanner_output::{OutputOptions, Outputs, Overflow, Say, Sink, StdoutSink};

pub use otlp::OtlpSink;
use source::Source;

/// What is relayed, and to where.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// The socket that lanner serves alerts on, or the file that it writes them to.
    pub source: PathBuf,
    /// Begin with what a file holds already; else with its next line.
    pub from_start: bool,
    /// Serve alerts to web clients here.
    pub http: Option<SocketAddr>,
    /// Send alerts to the OpenTelemetry collector at this address, as log records.
    pub otlp: Option<String>,
    /// The host's name, for the collector.
    pub hostname: String,
}

/// Why nothing is relayed.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The web server's address can't be had.
    #[error("can't serve alerts at {address}: {cause}")]
    Web {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// The system refuses a thread.
    #[error("can't start: {0}")]
    Thread(#[from] std::io::Error),
}

/// How often a source is looked at that says nothing.
const LOOK: Duration = Duration::from_millis(200);
/// How long what is left may take at the end.
const CLOSE: Duration = Duration::from_secs(2);

/// Relays until `ended` says so.
///
/// # Errors
/// When the web server or a thread can't be started. A source that is not there is waited for.
pub fn run(options: RelayOptions, say: Say, ended: &dyn Fn() -> bool) -> Result<(), RelayError> {
    let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(StdoutSink::new(Default::default(), true))];
    let live = Arc::new(AtomicBool::new(false));
    if let Some(address) = options.http {
        let served = web::serve(address, Arc::clone(&live));
        sinks.push(Box::new(served.map_err(|cause| RelayError::Web { address, cause })?));
    }
    if let Some(url) = options.otlp {
        sinks.push(Box::new(OtlpSink::new(&url, options.hostname)));
    }
    let output =
        OutputOptions { overflow: Overflow::Lose, say: Arc::clone(&say), ..OutputOptions::default() };
    let outputs = Outputs::start(sinks, output)?;
    let mut source = Source::new(options.source, options.from_start, say);
    while !ended() {
        let open = source.read(LOOK, &mut |text| outputs.send(line(text)));
        live.store(open, Ordering::Relaxed);
        outputs.watch();
    }
    outputs.close(CLOSE);
    Ok(())
}

/// A line as it came; its priority matters to none of these sinks.
fn line(text: String) -> Line {
    Line { text, priority: Priority::Notice, priority_at: None, rule: "".into() }
}
