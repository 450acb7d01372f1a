//! Where alerts are read: a socket that is connected to, or a file that grows.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use lanner_alert::Priority;
use lanner_output::Say;

/// A line longer than this is cut: alerts are shorter.
const MAX_LINE: usize = 1 << 20;
/// Between attempts to reach a source, growing.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// A source that may come and go.
pub(crate) struct Source {
    path: PathBuf,
    from_start: bool,
    say: Say,
    open: Option<Open>,
    /// What has come of a line that isn't whole.
    partial: Vec<u8>,
    retry: Duration,
    /// Why it can't be opened was said.
    told: bool,
}

enum Open {
    Socket(UnixStream),
    File { file: File, inode: u64, at: u64 },
}

impl Source {
    pub(crate) fn new(path: PathBuf, from_start: bool, say: Say) -> Source {
        Source { path, from_start, say, open: None, partial: Vec::new(), retry: FIRST_RETRY, told: false }
    }

    /// Reads what there is, waiting at most so long for it (longer while the source can't be opened), and hands on
    /// whole lines. Whether the source is open.
    pub(crate) fn read(&mut self, wait: Duration, line: &mut dyn FnMut(String)) -> bool {
        if self.open.is_none() {
            self.open(wait);
        }
        let Some(open) = &mut self.open else { return false };
        let mut buffer = [0; 16 << 10];
        let got = match open {
            Open::Socket(stream) => stream.read(&mut buffer),
            Open::File { file, .. } => file.read(&mut buffer),
        };
        match (got, open) {
            (Ok(0), Open::Socket(_)) => self.lose("it was closed; connecting again"),
            (Ok(0), Open::File { .. }) => self.at_end(wait),
            (Ok(length), open) => {
                if let Open::File { at, .. } = open {
                    *at += length as u64;
                }
                self.take(&buffer[..length], line);
            }
            (Err(error), _) if is_nothing(&error) => {}
            (Err(error), _) => self.lose(&error.to_string()),
        }
        self.open.is_some()
    }

    fn open(&mut self, wait: Duration) {
        match self.try_open(wait) {
            Ok(open) => {
                (self.say)(Priority::Informational, &format!("reading {}", self.path.display()));
                (self.open, self.retry, self.told) = (Some(open), FIRST_RETRY, false);
            }
            Err(error) => {
                if !self.told {
                    let text = format!("{} can't be read yet: {error}", self.path.display());
                    (self.say)(Priority::Warning, &text);
                    self.told = true;
                }
                thread::sleep(self.retry);
                self.retry = (self.retry * 2).min(LAST_RETRY);
            }
        }
        // What comes to be later is read whole.
        self.from_start = true;
    }

    fn try_open(&self, wait: Duration) -> io::Result<Open> {
        if fs::metadata(&self.path)?.file_type().is_socket() {
            let stream = UnixStream::connect(&self.path)?;
            stream.set_read_timeout(Some(wait))?;
            return Ok(Open::Socket(stream));
        }
        let mut file = File::open(&self.path)?;
        let at = if self.from_start { 0 } else { file.seek(SeekFrom::End(0))? };
        let inode = file.metadata()?.ino();
        Ok(Open::File { file, inode, at })
    }

    /// At the end of a file: it may grow, have been emptied, or another may stand in its place.
    fn at_end(&mut self, wait: Duration) {
        let Some(Open::File { file, inode, at }) = &mut self.open else { return };
        match fs::metadata(&self.path) {
            Ok(now) if now.ino() != *inode => self.open = None,
            Ok(now) if now.len() < *at => {
                *at = 0;
                if file.rewind().is_err() {
                    self.open = None;
                }
            }
            // Moved away, the next one not there yet: what is still written to it is read.
            Ok(_) | Err(_) => thread::sleep(wait),
        }
    }

    fn lose(&mut self, why: &str) {
        (self.say)(Priority::Warning, &format!("{}: {why}", self.path.display()));
        self.open = None;
        self.partial.clear();
        thread::sleep(FIRST_RETRY);
    }

    fn take(&mut self, bytes: &[u8], line: &mut dyn FnMut(String)) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = MAX_LINE.saturating_sub(self.partial.len());
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    self.partial.extend_from_slice(&end[..end.len().min(room)]);
                    let text = String::from_utf8_lossy(&self.partial).into_owned();
                    self.partial.clear();
                    if !text.is_empty() {
                        line(text);
                    }
                }
                None => self.partial.extend_from_slice(&part[..part.len().min(room)]),
            }
        }
    }
}

/// Nothing came in time.
fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    const WAIT: Duration = Duration::from_millis(1);

    fn lines(source: &mut Source, rounds: usize) -> Vec<String> {
        let mut got = Vec::new();
        for _ in 0..rounds {
            source.read(WAIT, &mut |line| got.push(line));
        }
        got
    }

    #[test]
    fn a_file_is_followed_through_growth_emptying_and_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.txt");
        fs::write(&path, "old\n").unwrap();
        let mut source = Source::new(path.clone(), false, Arc::new(|_, _| {}));
        assert!(lines(&mut source, 2).is_empty());
        let add = |text: &str| File::options().append(true).open(&path).unwrap().write_all(text.as_bytes());
        add("one\ntw").unwrap();
        assert_eq!(lines(&mut source, 2), ["one"]);
        add("o\n").unwrap();
        assert_eq!(lines(&mut source, 2), ["two"]);
        fs::write(&path, "").unwrap();
        assert!(lines(&mut source, 2).is_empty());
        add("three\n").unwrap();
        assert_eq!(lines(&mut source, 2), ["three"]);
        fs::rename(&path, folder.path().join("events.txt.1")).unwrap();
        assert!(lines(&mut source, 2).is_empty());
        fs::write(&path, "four\n").unwrap();
        assert_eq!(lines(&mut source, 4), ["four"]);
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_its_room() {
        let mut source = Source::new(PathBuf::new(), false, Arc::new(|_, _| {}));
        let mut got = Vec::new();
        for _ in 0..80 {
            source.take(&[b'x'; 16 << 10], &mut |line| got.push(line.len()));
        }
        assert!(source.partial.len() == MAX_LINE && got.is_empty());
        source.take(b"end\nnext\n", &mut |line| got.push(line.len()));
        assert_eq!(got, [MAX_LINE, 4]);
    }
}
