//! Lines appended to a file.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::{Line, Sink, SinkError};

/// Appends lines to a file, which it creates.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    keep_open: bool,
    unbuffered: bool,
    file: Option<BufWriter<File>>,
}

impl FileSink {
    /// A sink for `path`. With `keep_open` the file stays open between lines; else it is opened for each batch,
    /// so that a rotated file is noticed. With `unbuffered` every line is written at once.
    pub fn new(path: PathBuf, keep_open: bool, unbuffered: bool) -> FileSink {
        FileSink { path, keep_open, unbuffered, file: None }
    }

    fn error(&self, what: &str, cause: std::io::Error) -> SinkError {
        SinkError { sink: "file".into(), what: format!("{what} {}", self.path.display()), cause }
    }

    fn open(&mut self) -> Result<&mut BufWriter<File>, SinkError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let opened = OpenOptions::new().create(true).append(true).open(&self.path);
                BufWriter::new(opened.map_err(|cause| self.error("cannot open", cause))?)
            }
        };
        Ok(self.file.insert(file))
    }
}

impl Sink for FileSink {
    fn name(&self) -> &str {
        "file"
    }

    fn write(&mut self, line: &Line) -> Result<(), SinkError> {
        let unbuffered = self.unbuffered;
        let file = self.open()?;
        let mut written = file.write_all(line.text.as_bytes()).and_then(|()| file.write_all(b"\n"));
        if unbuffered {
            written = written.and_then(|()| file.flush());
        }
        written.map_err(|cause| self.error("cannot write to", cause))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let flushed = file.flush();
        if !self.keep_open {
            self.file = None;
        }
        flushed.map_err(|cause| self.error("cannot write to", cause))
    }

    fn reopen(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        self.file = None;
        self.open().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Priority;

    fn line(text: &str) -> Line {
        Line { text: text.to_owned(), priority: Priority::Notice, priority_at: None }
    }

    #[test]
    fn a_rotated_file_is_opened_anew_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts");
        let mut sink = FileSink::new(path.clone(), true, true);
        sink.write(&line("one")).unwrap();
        let moved = dir.path().join("alerts.1");
        std::fs::rename(&path, &moved).unwrap();
        sink.write(&line("two")).unwrap();
        sink.reopen().unwrap();
        sink.write(&line("three")).unwrap();
        assert_eq!(std::fs::read_to_string(moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "three\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let mut sink = FileSink::new("/nowhere/alerts".into(), true, true);
        let error = sink.write(&line("one")).unwrap_err().to_string();
        assert_eq!(error, "file output: cannot open /nowhere/alerts: No such file or directory (os error 2)");
    }
}
