//! One capture: written by the caller in a replay, live on a thread of its own.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;
use lanner_capture::{Snapshot, Writer};
use lanner_event::Event;

use super::TriggerError;

/// Bytes of events that go to the thread in one piece.
const BATCH: usize = 64 << 10;
/// Pieces that may wait for the thread.
const WAITING: usize = 128;

/// A file that counts what is written to it.
struct Counted {
    file: BufWriter<fs::File>,
    bytes: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

type Capture = Writer<GzEncoder<Counted>>;

/// Events one behind another, each with the CPU that it happened on before it.
type Batch = Vec<u8>;

/// What became of a capture.
#[derive(Debug)]
pub struct Closed {
    /// The file.
    pub path: PathBuf,
    /// Bytes in it.
    pub written: u64,
    /// Events in it.
    pub events: u64,
    /// Events that are not, because the disk was too slow.
    pub lost: u64,
    /// Why it is not complete.
    pub error: Option<io::Error>,
}

/// A capture under way.
pub(super) struct File {
    path: PathBuf,
    bytes: Arc<AtomicU64>,
    events: u64,
    lost: u64,
    way: Way,
}

enum Way {
    Direct(Option<Box<Capture>>),
    Thread { batch: Batch, pending: u64, sender: SyncSender<Batch>, thread: JoinHandle<io::Result<()>> },
}

fn create(path: &PathBuf, bytes: &Arc<AtomicU64>) -> io::Result<GzEncoder<Counted>> {
    // Only its owner may read a capture: it holds what programs read and write.
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let counted = Counted { file: BufWriter::new(file), bytes: Arc::clone(bytes) };
    Ok(GzEncoder::new(counted, Compression::fast()))
}

fn finish(capture: Capture) -> io::Result<()> {
    capture.finish()?.finish()?.flush()
}

/// The thread: events as they come, until there are no more.
fn write(target: GzEncoder<Counted>, snapshot: &Snapshot, batches: &Receiver<Batch>) -> io::Result<()> {
    let mut capture = Writer::new(target, snapshot)?;
    while let Ok(batch) = batches.recv() {
        let mut rest = &batch[..];
        while let Some((cpu, bytes)) = rest.split_first_chunk() {
            let event = Event::decode(bytes, u16::from_ne_bytes(*cpu));
            let event =
                event.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            rest = &bytes[event.as_bytes().len()..];
            capture.write(&event)?;
        }
    }
    finish(capture)
}

impl File {
    /// Creates the file, which begins with what runs now.
    pub fn create(path: PathBuf, snapshot: &Snapshot, on_thread: bool) -> Result<File, TriggerError> {
        let bytes = Arc::new(AtomicU64::new(0));
        let begun = create(&path, &bytes).and_then(|target| {
            if !on_thread {
                return Ok(Way::Direct(Some(Box::new(Writer::new(target, snapshot)?))));
            }
            let (sender, batches) = sync_channel(WAITING);
            let snapshot = snapshot.clone();
            let thread = std::thread::Builder::new().name("capture".into());
            let thread = thread.spawn(move || write(target, &snapshot, &batches))?;
            Ok(Way::Thread { batch: Vec::with_capacity(BATCH), pending: 0, sender, thread })
        });
        match begun {
            Ok(way) => Ok(File { path, bytes, events: 0, lost: 0, way }),
            Err(cause) => Err(TriggerError { path, cause }),
        }
    }

    /// Bytes in the file so far; what is not handed on yet doesn't count.
    pub fn written(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Appends an event.
    pub fn write(&mut self, event: &Event<'_>) -> Result<(), TriggerError> {
        match &mut self.way {
            Way::Direct(capture) => {
                if let Some(capture) = capture {
                    capture.write(event).map_err(|cause| TriggerError { path: self.path.clone(), cause })?;
                }
                self.events += 1;
            }
            Way::Thread { batch, pending, .. } => {
                batch.extend(event.cpu.to_ne_bytes());
                batch.extend_from_slice(event.as_bytes());
                *pending += 1;
                if batch.len() >= BATCH {
                    self.hand_on();
                }
            }
        }
        Ok(())
    }

    /// Hands what has come to the thread.
    pub fn hand_on(&mut self) {
        let Way::Thread { batch, pending, sender, .. } = &mut self.way else { return };
        if batch.is_empty() {
            return;
        }
        let full = std::mem::replace(batch, Vec::with_capacity(BATCH));
        match sender.try_send(full) {
            Ok(()) => self.events += *pending,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.lost += *pending,
        }
        *pending = 0;
    }

    /// Ends it and waits until it is written.
    pub fn close(mut self) -> Closed {
        self.hand_on();
        let ended = match self.way {
            Way::Direct(capture) => capture.map_or(Ok(()), |capture| finish(*capture)),
            Way::Thread { sender, thread, .. } => {
                drop(sender);
                // A panic there has printed itself.
                thread.join().unwrap_or_else(|_| Err(io::Error::other("its thread has panicked")))
            }
        };
        let (written, error) = (self.bytes.load(Ordering::Relaxed), ended.err());
        Closed { path: self.path, written, events: self.events, lost: self.lost, error }
    }
}
