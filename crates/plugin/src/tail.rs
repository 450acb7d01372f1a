//! A file that grows: what is appended after it was opened, through rotation and truncation.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::batch::{Batch, Writer};
use crate::documents::{Documents, Reporting};
use crate::files::now;
use crate::source::{EventSource, Given, Sink, SourceError};
use crate::stats::Refusal;

/// Between two looks at the file.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes that are read at a time.
const CHUNK: usize = 64 << 10;

/// Follows a file.
pub(crate) struct Tail {
    path: PathBuf,
    /// The file and its inode; `None` while there is none.
    file: Option<(File, u64)>,
    offset: u64,
    /// A line whose end has not come yet.
    pending: Vec<u8>,
    /// The rest of a line that is too long is left out.
    skipping: bool,
    longest: usize,
    documents: Box<dyn Documents>,
    writer: Writer,
    batch: Batch,
    reporting: Reporting,
}

impl Tail {
    /// Follows the file at a path from its present end on. It needn't be there yet.
    pub(crate) fn open(
        path: &Path,
        plugin: u32,
        documents: Box<dyn Documents>,
        longest: usize,
        reporting: Reporting,
    ) -> Result<Tail, SourceError> {
        let mut tail = Tail {
            path: path.to_owned(),
            file: None,
            offset: 0,
            pending: Vec::new(),
            skipping: false,
            longest,
            documents,
            writer: Writer::new(plugin),
            batch: Batch::default(),
            reporting,
        };
        tail.reopen().and_then(|()| tail.skip_to_end()).map_err(|cause| tail.error(cause))?;
        Ok(tail)
    }

    fn error(&self, cause: io::Error) -> SourceError {
        SourceError::File { path: self.path.clone(), cause }
    }

    fn skip_to_end(&mut self) -> io::Result<()> {
        if let Some((file, _)) = &mut self.file {
            self.offset = file.seek(SeekFrom::End(0))?;
        }
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        (self.offset, self.skipping) = (0, false);
        self.pending.clear();
        self.file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => {
                let file = opened?;
                let inode = file.metadata()?.ino();
                Some((file, inode))
            }
        };
        Ok(())
    }

    /// Reads what was appended; `false` when nothing was.
    fn read(&mut self) -> io::Result<bool> {
        let Some((file, _)) = &mut self.file else {
            self.reopen()?;
            return Ok(false);
        };
        if file.metadata()?.len() < self.offset {
            self.offset = file.seek(SeekFrom::Start(0))?;
            self.pending.clear();
        }
        let mut chunk = [0; CHUNK];
        let length = file.read(&mut chunk)?;
        self.offset += length as u64;
        if length > 0 {
            self.take(&chunk[..length]);
            return Ok(true);
        }
        // Only once the old file is read to its end does another of its name count.
        let inode = std::fs::metadata(&self.path).map(|meta| meta.ino()).ok();
        if self.file.as_ref().is_some_and(|(_, ours)| inode.is_some_and(|inode| inode != *ours)) {
            self.reopen()?;
            return Ok(true);
        }
        Ok(false)
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.append(&bytes[..end]);
            bytes = &bytes[end + 1..];
            if !std::mem::take(&mut self.skipping) {
                self.line();
            }
            self.pending.clear();
        }
        self.append(bytes);
    }

    fn append(&mut self, part: &[u8]) {
        if self.skipping {
            return;
        }
        if self.pending.len() + part.len() > self.longest {
            self.skipping = true;
            self.pending.clear();
            self.reporting.refuse(Refusal::TooLarge, 1, &"a line");
            return;
        }
        self.pending.extend_from_slice(part);
    }

    fn line(&mut self) {
        if self.pending.trim_ascii().is_empty() {
            return;
        }
        match self.documents.read(&self.pending, now(), &mut self.batch) {
            Ok(read) => self.reporting.count(read),
            Err(why) => self.reporting.refuse(Refusal::Malformed, 1, &why),
        }
    }
}

impl EventSource for Tail {
    fn give(&mut self, patience: Duration, sink: &mut Sink<'_>) -> Result<Given, SourceError> {
        let until = Instant::now() + patience;
        self.batch.clear();
        loop {
            let more = self.read().map_err(|cause| self.error(cause))?;
            match self.writer.give_all(&self.batch, sink) {
                0 if more => {}
                0 => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(Given::Nothing);
                    }
                    std::thread::sleep(left.min(LOOK));
                }
                given => return Ok(Given::Events(given)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;
    use crate::SourceStats;
    use crate::json::JsonEvents;

    #[test]
    fn appended_lines_are_given_through_rotation_and_truncation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "{\"before\":1}\n").unwrap();
        let stats = Arc::new(SourceStats::default());
        let reporting = Reporting::new(Arc::clone(&stats), Arc::new(|_| {}));
        let documents = Box::new(JsonEvents::new(100, None));
        let mut tail = Tail::open(&path, 1, documents, 30, reporting).unwrap();
        let mut given = || {
            let mut seen = Vec::new();
            let mut take = |event: &lanner_event::Event<'_>| {
                seen.push(String::from_utf8(event.param(1).unwrap().to_vec()).unwrap());
            };
            while tail.give(Duration::from_millis(150), &mut take).unwrap() != Given::Nothing {}
            seen
        };
        let append = |text: &str| {
            File::options().append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap()
        };
        assert!(given().is_empty());
        append("{\"a\":1}\n{\"b\"");
        assert_eq!(given(), ["{\"a\":1}"]);
        append(":2}\n");
        append(&format!("{}\n{{\"c\":3}}\n", "x".repeat(40)));
        assert_eq!(given(), ["{\"b\":2}", "{\"c\":3}"]);
        append("{\"last\":1}\n");
        std::fs::rename(&path, dir.path().join("log.1")).unwrap();
        std::fs::write(&path, "{\"new\":1}\n").unwrap();
        assert_eq!(given(), ["{\"last\":1}", "{\"new\":1}"]);
        std::fs::write(&path, "{}\n").unwrap();
        assert_eq!(given(), ["{}"]);
        assert_eq!((stats.taken(), stats.refused(Refusal::TooLarge)), (6, 1));
    }
}
