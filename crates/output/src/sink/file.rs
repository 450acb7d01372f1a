//! Lines appended to a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use super::{LineRef, Sink, SinkError, SomeLines, each};

/// Bytes that are kept before they are written, when lines need not be written one by one.
const BUFFER: usize = 64 << 10;

/// Appends lines to a file, which it creates.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    keep_open: bool,
    unbuffered: bool,
    file: Option<File>,
    /// Bytes of lines taken that are not in the file yet.
    pending: Vec<u8>,
}

impl FileSink {
    /// A sink for `path`. With `keep_open` the file stays open between lines; else it is opened for each batch,
    /// so that a rotated file is noticed. With `unbuffered` lines are written at once, together only with those that have
    /// come by then.
    pub fn new(path: PathBuf, keep_open: bool, unbuffered: bool) -> FileSink {
        FileSink { path, keep_open, unbuffered, file: None, pending: Vec::new() }
    }

    fn error(&self, what: &str, cause: io::Error) -> SinkError {
        SinkError { sink: "file", what: format!("{what} {}", self.path.display()), cause, again: true }
    }

    fn open(&mut self) -> Result<&mut File, SinkError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let opened = OpenOptions::new().create(true).append(true).open(&self.path);
                opened.map_err(|cause| self.error("cannot open", cause))?
            }
        };
        Ok(self.file.insert(file))
    }

    /// Writes what is pending; what can't be written stays pending.
    fn drain(&mut self) -> Result<(), SinkError> {
        let pending = std::mem::take(&mut self.pending);
        let mut written = 0;
        let result = loop {
            if written == pending.len() {
                break Ok(());
            }
            let file = match self.open() {
                Ok(file) => file,
                Err(error) => break Err(error),
            };
            match file.write(&pending[written..]) {
                Ok(0) => break Err(self.error("cannot write to", io::ErrorKind::WriteZero.into())),
                Ok(n) => written += n,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => {
                    // What is wrong may be this very file.
                    self.file = None;
                    break Err(self.error("cannot write to", cause));
                }
            }
        };
        self.pending = pending;
        self.pending.drain(..written);
        result
    }
}

impl Sink for FileSink {
    fn name(&self) -> &'static str {
        "file"
    }

    fn write(&mut self, line: LineRef<'_>) -> Result<(), SinkError> {
        if self.pending.len() >= BUFFER {
            self.drain()?;
        }
        let length = line.text.len() + 1;
        self.pending.extend_from_slice(line.text.as_bytes());
        self.pending.push(b'\n');
        let drained = if self.unbuffered { self.drain() } else { Ok(()) };
        match drained {
            // Nothing of the line is in the file: it is the caller's again.
            Err(error) if self.pending.len() >= length => {
                self.pending.truncate(self.pending.len() - length);
                Err(error)
            }
            // A part is, and the rest goes on waiting.
            _ => Ok(()),
        }
    }

    fn write_some(&mut self, lines: SomeLines<'_>) -> (usize, Result<(), SinkError>) {
        if !self.unbuffered {
            return each(lines, |line| self.write(line));
        }
        self.pending.extend_from_slice(lines.text().as_bytes());
        let Err(error) = self.drain() else { return (lines.len(), Ok(())) };
        // Lines of which nothing is in the file are the caller's again.
        let mut taken = lines.len();
        for line in lines.iter().rev() {
            let Some(rest) = self.pending.len().checked_sub(line.text.len() + 1) else { break };
            self.pending.truncate(rest);
            taken -= 1;
        }
        (taken, if taken < lines.len() { Err(error) } else { Ok(()) })
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.drain()?;
        if !self.keep_open {
            self.file = None;
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), SinkError> {
        self.drain()?;
        self.file = None;
        self.open().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_alert::{Line, Lines, Priority};

    fn line(text: &str) -> Line {
        Line { text: text.to_owned(), priority: Priority::Notice, priority_at: None, rule: "".into() }
    }

    #[test]
    fn a_rotated_file_is_opened_anew_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts");
        let mut sink = FileSink::new(path.clone(), true, true);
        sink.write(line("one").view()).unwrap();
        let moved = dir.path().join("alerts.1");
        std::fs::rename(&path, &moved).unwrap();
        sink.write(line("two").view()).unwrap();
        sink.reopen().unwrap();
        sink.write(line("three").view()).unwrap();
        assert_eq!(std::fs::read_to_string(moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "three\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let mut sink = FileSink::new("/nowhere/alerts".into(), true, true);
        let error = sink.write(line("one").view()).unwrap_err();
        assert!(error.again);
        assert_eq!(
            error.to_string(),
            "file output: cannot open /nowhere/alerts: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn lines_wait_for_a_file_that_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("later/alerts");
        let mut buffered = FileSink::new(path.clone(), false, false);
        buffered.write(line("one").view()).unwrap();
        assert!(buffered.flush().unwrap_err().again);
        std::fs::create_dir(dir.path().join("later")).unwrap();
        buffered.write(line("two").view()).unwrap();
        buffered.flush().unwrap();
        assert!(buffered.file.is_none());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_full_disk_is_told_and_the_line_stays_the_callers() {
        let mut sink = FileSink::new("/dev/full".into(), true, true);
        let error = sink.write(line("one").view()).unwrap_err();
        assert!(error.again && error.to_string().contains("No space left"), "{error}");
        assert!(sink.pending.is_empty());
        let lines = three_lines();
        let (taken, result) = sink.write_some(lines.all());
        assert!(taken == 0 && result.is_err() && sink.pending.is_empty());
    }

    fn three_lines() -> Lines {
        let mut lines = Lines::default();
        ["one", "two", "three"].iter().for_each(|text| lines.copy(line(text).view()));
        lines
    }

    #[test]
    fn lines_that_come_together_are_written_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts");
        let lines = three_lines();
        let (taken, result) = FileSink::new(path.clone(), true, true).write_some(lines.all().part(1..3));
        assert!(taken == 2 && result.is_ok());
        assert_eq!(std::fs::read_to_string(path).unwrap(), "two\nthree\n");
    }

    #[test]
    fn what_is_left_of_a_line_comes_before_lines_that_are_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("later/alerts");
        let mut sink = FileSink::new(path.clone(), true, true);
        // the end of a line that came before
        sink.pending.extend_from_slice(b"ro\n");
        let lines = three_lines();
        let (taken, result) = sink.write_some(lines.all());
        assert!(taken == 0 && result.is_err() && sink.pending == b"ro\n");
        std::fs::create_dir(dir.path().join("later")).unwrap();
        assert!(sink.write_some(lines.all()).0 == 3);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "ro\none\ntwo\nthree\n");
    }
}
