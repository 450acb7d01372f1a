//! Log files one after the other, wherever they are.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read as _};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;

use super::journal::Journal;
use super::{TrailConfig, records};
use crate::batch::{Batch, Writer};
use crate::documents::Reporting;
use crate::source::{EventSource, Given, Sink, SourceError};
use crate::stats::Refusal;

/// Events that are handed over at a time.
const TOGETHER: usize = 256;

/// Where log files are.
pub(super) trait Store: Send {
    /// Files that were not told of before, waiting for at most `patience`. `None`: there will never be more.
    fn more(&mut self, patience: Duration) -> Result<Option<Vec<String>>, SourceError>;

    /// The contents of files, in their order; one that can't be had says why.
    fn fetch(&mut self, names: &[String]) -> Vec<Result<Vec<u8>, String>>;

    /// A file was read whole.
    fn read(&mut self, name: &str) -> Result<(), SourceError>;
}

/// A file whose events are being given.
struct Reading {
    name: String,
    batch: Batch,
    at: usize,
}

/// Gives the entries of log files.
pub(super) struct LogFiles {
    store: Box<dyn Store>,
    journal: Journal,
    files: VecDeque<String>,
    fetched: VecDeque<(String, Result<Vec<u8>, String>)>,
    reading: Option<Reading>,
    writer: Writer,
    together: usize,
    max_file_size: u64,
    /// Between two looks for more.
    poll: Option<Duration>,
    next_look: Option<Instant>,
    /// Files that could not be had, to be tried again at the next look, with how often they were tried.
    failed: HashMap<String, u32>,
    reporting: Reporting,
}

/// How often a file is tried before it is given up.
const TRIES: u32 = 5;

impl LogFiles {
    pub(super) fn new(
        store: Box<dyn Store>,
        journal: Journal,
        config: &TrailConfig,
        plugin: u32,
        reporting: Reporting,
    ) -> LogFiles {
        LogFiles {
            store,
            journal,
            files: VecDeque::new(),
            fetched: VecDeque::new(),
            reading: None,
            writer: Writer::new(plugin),
            together: config.s3_download_concurrency,
            max_file_size: config.max_file_size,
            poll: (config.poll_interval > 0).then(|| Duration::from_secs(config.poll_interval)),
            next_look: None,
            failed: HashMap::new(),
            reporting,
        }
    }

    /// Looks for files; `false` when there will never be more.
    fn look(&mut self, patience: Duration) -> Result<bool, SourceError> {
        if let Some(left) = self.next_look.map(|at| at.saturating_duration_since(Instant::now())) {
            if !left.is_zero() {
                std::thread::sleep(left.min(patience));
                return Ok(true);
            }
        }
        let more = match self.store.more(patience)? {
            Some(more) => more,
            None if self.poll.is_some() || !self.failed.is_empty() => Vec::new(),
            None => return Ok(false),
        };
        let pause = self.poll.or((!self.failed.is_empty()).then_some(Duration::from_secs(1)));
        self.next_look = pause.map(|pause| Instant::now() + pause);
        let again = self.failed.keys().cloned().collect::<Vec<_>>();
        for name in more.into_iter().chain(again) {
            if self.journal.is_done(&name) {
                self.store.read(&name)?;
            } else {
                self.files.push_back(name);
            }
        }
        Ok(true)
    }

    /// Begins the next file, if there is one.
    fn begin(&mut self) -> Result<bool, SourceError> {
        if self.fetched.is_empty() && !self.files.is_empty() {
            let names: Vec<String> = self.files.drain(..self.files.len().min(self.together)).collect();
            let contents = self.store.fetch(&names);
            self.fetched = names.into_iter().zip(contents).collect();
        }
        let Some((name, content)) = self.fetched.pop_front() else { return Ok(false) };
        let content = match content {
            Ok(content) => content,
            Err(why) => {
                self.give_up(name, &why);
                return Ok(true);
            }
        };
        self.failed.remove(&name);
        let mut batch = Batch::default();
        let read = unpacked(&name, content, self.max_file_size)
            .map_err(|error| error.to_string())
            .and_then(|text| records::read(&text, &mut batch));
        match read {
            Ok(read) => self.reporting.count(read),
            Err(why) => self.reporting.refuse(Refusal::Malformed, 1, &format_args!("{name}: {why}")),
        }
        let at = self.journal.given(&name).min(batch.len());
        self.reading = Some(Reading { name, batch, at });
        Ok(true)
    }

    /// A file that can't be had is tried again later, a few times.
    fn give_up(&mut self, name: String, why: &str) {
        self.reporting.refuse(Refusal::Malformed, 1, &format_args!("{name}: {why}"));
        let tried = self.failed.entry(name.clone()).or_default();
        *tried += 1;
        if *tried >= TRIES {
            self.failed.remove(&name);
        }
    }

    /// Gives some events of the file that is being read.
    fn go_on(&mut self, sink: &mut Sink<'_>) -> Result<usize, SourceError> {
        let Some(reading) = &mut self.reading else { return Ok(0) };
        let given = self.writer.give_some(&reading.batch, reading.at, TOGETHER, sink);
        reading.at += given;
        if reading.at >= reading.batch.len() {
            self.journal.done(&reading.name)?;
            self.store.read(&reading.name)?;
            self.reading = None;
        }
        Ok(given)
    }
}

impl EventSource for LogFiles {
    fn give(&mut self, patience: Duration, sink: &mut Sink<'_>) -> Result<Given, SourceError> {
        loop {
            if self.reading.is_some() {
                match self.go_on(sink)? {
                    0 => continue,
                    given => return Ok(Given::Events(given)),
                }
            }
            if self.begin()? {
                continue;
            }
            if !self.look(patience)? {
                return Ok(Given::End);
            }
            if self.files.is_empty() {
                return Ok(Given::Nothing);
            }
        }
    }
}

impl Drop for LogFiles {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            // At worst the file is read again from its start.
            let _ = self.journal.partly(&reading.name, reading.at);
        }
    }
}

/// A file's text: unpacked where its name or its first bytes say that it is packed.
fn unpacked(name: &str, content: Vec<u8>, limit: u64) -> io::Result<Vec<u8>> {
    let packed = name.ends_with(".gz") || content.starts_with(&[0x1f, 0x8b]);
    let too_large = || io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {limit} bytes"));
    if !packed {
        return if content.len() as u64 > limit { Err(too_large()) } else { Ok(content) };
    }
    let mut text = Vec::new();
    MultiGzDecoder::new(&*content).take(limit + 1).read_to_end(&mut text)?;
    if text.len() as u64 > limit { Err(too_large()) } else { Ok(text) }
}
