//! Where documents come from: files, a file that grows, standard input, or a web server.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::batch::Batch;
use crate::documents::{Documents, Reporting};
use crate::files::{FileSource, now};
use crate::lines::{Line, Lines};
use crate::pushed::Pushed;
use crate::queue::{Room, queue};
use crate::source::{EventSource, SourceError};
use crate::stats::Refusal;
use crate::tail::Tail;
use crate::webhook::{self, Limits, Listen};
use crate::{queue, tls};

/// Bytes that may wait for the rules.
const MAX_WAITING: usize = 64 << 20;

/// What `init_config` says of inputs. The first names are those of Falco's plugin.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct InputConfig {
    /// Certificate, and unless `ssl_key` says otherwise key, of the HTTPS server.
    ssl_certificate: PathBuf,
    /// Bytes of an event.
    pub max_event_size: usize,
    /// Bytes of a request, and of a line.
    webhook_max_batch_size: usize,
    /// Key of the HTTPS server.
    ssl_key: Option<PathBuf>,
    /// Clients of the HTTPS server need a certificate that one of these has signed.
    ssl_client_ca: Option<PathBuf>,
    /// Events that may wait for the rules.
    queue_size: usize,
    /// Where events say when they happened: a JSON pointer. Only the json source asks for it.
    pub time: Option<String>,
}

impl Default for InputConfig {
    fn default() -> InputConfig {
        InputConfig {
            ssl_certificate: "/etc/falco/falco.pem".into(),
            max_event_size: 256 << 10,
            webhook_max_batch_size: 12 << 20,
            ssl_key: None,
            ssl_client_ca: None,
            queue_size: 20_000,
            time: None,
        }
    }
}

/// Opens what `open_params` name, for a plugin's number.
pub(crate) fn open(
    params: &str,
    plugin: u32,
    config: &InputConfig,
    documents: Box<dyn Documents>,
    reporting: Reporting,
) -> Result<Box<dyn EventSource>, SourceError> {
    let params = params.trim();
    let longest = config.webhook_max_batch_size;
    if params == "-" {
        return Ok(Box::new(open_stdin(plugin, config, documents, reporting)?));
    }
    let Some((scheme, rest)) = params.split_once("://") else {
        return Ok(Box::new(FileSource::open(Path::new(params), plugin, documents, longest, reporting)?));
    };
    let tls = match scheme {
        "file" => return Ok(Box::new(Tail::open(Path::new(rest), plugin, documents, longest, reporting)?)),
        "http" => None,
        "https" => Some(tls::server(&config.tls())?),
        _ => return Err(SourceError::Settings(format!("scheme \"{scheme}\" is not supported"))),
    };
    let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let limits = Limits { body: longest, room: config.room() };
    let listen = Listen { address, path, tls };
    Ok(Box::new(webhook::open(&listen, plugin, documents, limits, reporting)?))
}

impl InputConfig {
    fn room(&self) -> Room {
        Room { events: self.queue_size, bytes: MAX_WAITING }
    }

    fn tls(&self) -> tls::Files {
        let certificate = self.ssl_certificate.clone();
        let key = self.ssl_key.clone().unwrap_or_else(|| certificate.clone());
        tls::Files { certificate, key, clients: self.ssl_client_ca.clone() }
    }
}

/// Standard input has a thread of its own: nobody can say how long a line takes to come.
fn open_stdin(
    plugin: u32,
    config: &InputConfig,
    documents: Box<dyn Documents>,
    reporting: Reporting,
) -> Result<Pushed, SourceError> {
    let (sender, receiver) = queue(config.room());
    let longest = config.webhook_max_batch_size;
    let there = sender.clone();
    let read = move || {
        let ended = read_lines(Lines::new(io::stdin().lock(), longest), documents, &reporting, &there);
        there.end(ended.map_err(|cause| SourceError::System { what: "standard input".into(), cause }));
    };
    let thread = std::thread::Builder::new().name("stdin".into()).spawn(read);
    thread.map_err(|cause| SourceError::System { what: "can't start a thread".into(), cause })?;
    Ok(Pushed::new(sender, receiver, plugin, Box::new(())))
}

fn read_lines(
    mut lines: Lines<impl io::BufRead>,
    mut documents: Box<dyn Documents>,
    reporting: &Reporting,
    sender: &queue::Sender,
) -> io::Result<()> {
    loop {
        let line = match lines.read()? {
            Line::End => return Ok(()),
            Line::TooLong => {
                reporting.refuse(Refusal::TooLarge, 1, &"a line");
                continue;
            }
            Line::Text(line) if line.trim_ascii().is_empty() => continue,
            Line::Text(line) => line,
        };
        let mut batch = Batch::default();
        match documents.read(line, now(), &mut batch) {
            Ok(read) => reporting.count(read),
            Err(why) => reporting.refuse(Refusal::Malformed, 1, &why),
        }
        if !batch.is_empty() && !sender.send(batch) {
            return Ok(());
        }
    }
}
