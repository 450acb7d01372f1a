//! Lines for whoever connects to a unix socket. Nothing is read from there: a reader can neither stop nor
//! change what is written for others.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::{LineRef, Sink, SinkError};

/// A reader that takes no line for so long is let go of; it may come again.
const SLOW: Duration = Duration::from_millis(200);
/// Readers at one time.
const MAX_READERS: usize = 16;
/// Lines that are kept for the first reader while there is none, and their bytes.
const MAX_KEPT: usize = 1024;
const MAX_KEPT_BYTES: usize = 1 << 20;
/// How often a socket whose sink is gone is noticed.
const LOOK: Duration = Duration::from_millis(200);

/// Where the socket is, and who may connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketOptions {
    /// Its path; the folder must exist.
    pub path: PathBuf,
    /// Permissions, as chmod takes them: who may write to it may read alerts.
    pub mode: u32,
    /// The group it belongs to, by number; lanner's own where there is none.
    pub group: Option<u32>,
}

/// Gives lines to everyone who is connected.
#[derive(Debug)]
pub struct SocketSink {
    options: SocketOptions,
    readers: Arc<Mutex<Readers>>,
    /// Set when the sink ends. There is one as long as the socket is open.
    open: Option<Arc<AtomicBool>>,
}

#[derive(Default, Debug)]
struct Readers {
    streams: Vec<UnixStream>,
    kept: VecDeque<Arc<[u8]>>,
    kept_bytes: usize,
}

impl SocketSink {
    /// A sink for a socket, which is made with the first line, or by [`SocketSink::open`].
    pub fn new(options: SocketOptions) -> SocketSink {
        SocketSink { options, readers: Arc::default(), open: None }
    }

    /// Makes the socket, so that readers may come before the first line.
    ///
    /// # Errors
    /// When the system refuses it; the next line tries again.
    pub fn open(&mut self) -> Result<(), SinkError> {
        if self.open.is_some() {
            return Ok(());
        }
        let listener = listen(&self.options).map_err(|cause| self.error("can't open", cause))?;
        let (open, readers) = (Arc::new(AtomicBool::new(true)), Arc::clone(&self.readers));
        let until = Arc::clone(&open);
        let started = thread::Builder::new()
            .name("lanner-socket".into())
            .spawn(move || welcome(&listener, &readers, &until));
        started.map_err(|cause| self.error("can't serve", cause))?;
        self.open = Some(open);
        Ok(())
    }

    fn error(&self, what: &str, cause: io::Error) -> SinkError {
        let what = format!("{what} {}", self.options.path.display());
        SinkError { sink: "socket", what, cause, again: true }
    }
}

impl Sink for SocketSink {
    fn name(&self) -> &'static str {
        "socket"
    }

    fn write(&mut self, line: LineRef<'_>) -> Result<(), SinkError> {
        self.open()?;
        let mut bytes = line.text.as_bytes().to_vec();
        bytes.push(b'\n');
        lock(&self.readers).give(bytes.into());
        Ok(())
    }
}

impl Drop for SocketSink {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.store(false, Ordering::Relaxed);
        }
    }
}

impl Readers {
    fn give(&mut self, line: Arc<[u8]>) {
        self.streams.retain_mut(|stream| stream.write_all(&line).is_ok());
        if self.streams.is_empty() {
            self.keep(line);
        }
    }

    /// Keeps a line for the next reader, at the cost of the oldest.
    fn keep(&mut self, line: Arc<[u8]>) {
        self.kept_bytes += line.len();
        self.kept.push_back(line);
        while self.kept.len() > MAX_KEPT || self.kept_bytes > MAX_KEPT_BYTES {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.len();
        }
    }

    fn add(&mut self, mut stream: UnixStream) {
        if self.streams.len() >= MAX_READERS || stream.set_write_timeout(Some(SLOW)).is_err() {
            return;
        }
        while let Some(line) = self.kept.pop_front() {
            if stream.write_all(&line).is_err() {
                self.kept.push_front(line);
                return;
            }
            self.kept_bytes -= line.len();
        }
        self.streams.push(stream);
    }
}

fn lock(readers: &Mutex<Readers>) -> MutexGuard<'_, Readers> {
    // Whole at every moment, so a panic elsewhere does no harm to it.
    readers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes in readers until the sink ends.
fn welcome(listener: &UnixListener, readers: &Mutex<Readers>, open: &AtomicBool) {
    while open.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) if stream.set_nonblocking(false).is_ok() => lock(readers).add(stream),
            Ok(_) => {}
            // Nobody is there, or there are too many files: both pass.
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// The socket, in the place of one that an earlier run has left.
fn listen(options: &SocketOptions) -> io::Result<UnixListener> {
    remove_socket(&options.path)?;
    let listener = UnixListener::bind(&options.path)?;
    listener.set_nonblocking(true)?;
    if let Some(group) = options.group {
        chown(&options.path, None, Some(group))?;
    }
    fs::set_permissions(&options.path, fs::Permissions::from_mode(options.mode))?;
    Ok(listener)
}

/// Removes a socket; anything else of that name is not ours to remove.
fn remove_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;
    use lanner_alert::{Line, Priority};

    fn line(text: &str) -> Line {
        Line { text: text.into(), priority: Priority::Notice, priority_at: None, rule: "".into() }
    }

    fn sink(folder: &Path) -> SocketSink {
        SocketSink::new(SocketOptions { path: folder.join("alerts.sock"), mode: 0o640, group: None })
    }

    fn reader(folder: &Path) -> BufReader<UnixStream> {
        let stream = UnixStream::connect(folder.join("alerts.sock")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        BufReader::new(stream)
    }

    fn next(reader: &mut BufReader<UnixStream>) -> String {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line
    }

    fn wait_for_readers(sink: &SocketSink, number: usize) {
        while lock(&sink.readers).streams.len() < number {
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_nobody_read_is_kept_for_the_first_reader() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = sink(folder.path());
        sink.write(line("one").view()).unwrap();
        sink.write(line("two").view()).unwrap();
        let mut first = reader(folder.path());
        assert_eq!((next(&mut first), next(&mut first)), ("one\n".into(), "two\n".into()));
        let mut second = reader(folder.path());
        wait_for_readers(&sink, 2);
        sink.write(line("three").view()).unwrap();
        assert_eq!((next(&mut first), next(&mut second)), ("three\n".into(), "three\n".into()));
        let mode = fs::metadata(folder.path().join("alerts.sock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }

    #[test]
    fn a_reader_that_does_not_read_is_let_go_of_and_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = sink(folder.path());
        sink.open().unwrap();
        let _stuck = reader(folder.path());
        wait_for_readers(&sink, 1);
        let long = line(&"x".repeat(1 << 20));
        let begin = std::time::Instant::now();
        while !lock(&sink.readers).streams.is_empty() {
            sink.write(long.view()).unwrap();
        }
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
        sink.write(line("for the next").view()).unwrap();
        assert_eq!(next(&mut reader(folder.path())), "for the next\n");
    }

    #[test]
    fn a_file_in_its_place_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("alerts.sock"), "mine").unwrap();
        let error = sink(folder.path()).open().unwrap_err();
        assert!(error.to_string().starts_with("socket output: can't open "), "{error}");
        assert_eq!(fs::read(folder.path().join("alerts.sock")).unwrap(), b"mine");
    }
}
