//! Files of lines, read from their beginning to their end.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::batch::{Batch, Writer};
use crate::documents::{Documents, Reporting};
use crate::lines::{Line, Lines};
use crate::source::{EventSource, Given, Sink, SourceError};
use crate::stats::Refusal;

/// Lines that are read before events are handed over.
const TOGETHER: usize = 64;

/// Now, in ns since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// The file at a path, or a directory's files, the oldest first.
pub(crate) fn files_at(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let failed = |cause| SourceError::File { path: path.to_owned(), cause };
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        // A file that has just gone, or a link to nothing, is none.
        if let Some(meta) = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file) {
            files.push((meta.modified().unwrap_or(UNIX_EPOCH), path));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// Gives the events of files whose lines are documents.
pub(crate) struct FileSource {
    /// Files that are still to be read, the next one last.
    files: Vec<PathBuf>,
    open: Option<(PathBuf, Lines<BufReader<File>>)>,
    documents: Box<dyn Documents>,
    longest: usize,
    writer: Writer,
    batch: Batch,
    reporting: Reporting,
}

impl FileSource {
    /// The files at a path; lines may have up to `longest` bytes.
    pub(crate) fn open(
        path: &Path,
        plugin: u32,
        documents: Box<dyn Documents>,
        longest: usize,
        reporting: Reporting,
    ) -> Result<FileSource, SourceError> {
        let mut files = files_at(path)?;
        files.reverse();
        let (open, writer, batch) = (None, Writer::new(plugin), Batch::default());
        let mut source = FileSource { files, open, documents, longest, writer, batch, reporting };
        // What can't be opened is told now rather than when events are asked for.
        source.next_file()?;
        Ok(source)
    }

    fn next_file(&mut self) -> Result<(), SourceError> {
        self.open = match self.files.pop() {
            None => None,
            Some(path) => match File::open(&path) {
                Ok(file) => Some((path, Lines::new(BufReader::with_capacity(1 << 16, file), self.longest))),
                Err(cause) => return Err(SourceError::File { path, cause }),
            },
        };
        Ok(())
    }

    /// Reads lines; `false` when there are no more.
    fn read(&mut self) -> Result<bool, SourceError> {
        for _ in 0..TOGETHER {
            let Some((path, lines)) = &mut self.open else { return Ok(false) };
            match lines.read() {
                Err(cause) => return Err(SourceError::File { path: path.clone(), cause }),
                Ok(Line::End) => self.next_file()?,
                Ok(Line::TooLong) => self.reporting.refuse(Refusal::TooLarge, 1, &"a line"),
                Ok(Line::Text(line)) if line.trim_ascii().is_empty() => {}
                Ok(Line::Text(line)) => match self.documents.read(line, now(), &mut self.batch) {
                    Ok(read) => self.reporting.count(read),
                    Err(why) => self.reporting.refuse(Refusal::Malformed, 1, &why),
                },
            }
        }
        Ok(true)
    }
}

impl EventSource for FileSource {
    fn give(&mut self, _: Duration, sink: &mut Sink<'_>) -> Result<Given, SourceError> {
        self.batch.clear();
        let more = self.read()?;
        match self.writer.give_all(&self.batch, sink) {
            0 if !more => Ok(Given::End),
            0 => Ok(Given::Nothing),
            given => Ok(Given::Events(given)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::SourceStats;
    use crate::audit::AuditEvents;

    fn event(id: u32) -> String {
        format!(r#"{{"kind":"Event","stageTimestamp":"2018-10-25T13:58:49Z","auditID":"{id}"}}"#)
    }

    #[test]
    fn a_folder_is_read_file_by_file_and_bad_lines_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        for (name, age, text) in
            [("b", 20, event(1)), ("a", 10, format!("{}\nnonsense\n\n{}\n", event(2), event(3)))]
        {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        std::fs::write(dir.path().join("c"), "x".repeat(1000)).unwrap();
        let stats = Arc::new(SourceStats::default());
        let reporting = Reporting::new(Arc::clone(&stats), Arc::new(|_| {}));
        let documents = Box::new(AuditEvents::new(1000));
        let mut source = FileSource::open(dir.path(), 1, documents, 500, reporting).unwrap();
        let mut ids = String::new();
        let mut take = |event: &lanner_event::Event<'_>| {
            let payload = String::from_utf8(event.param(1).unwrap().to_vec()).unwrap();
            ids.push_str(payload.rsplit('"').nth(1).unwrap());
        };
        while source.give(Duration::ZERO, &mut take).unwrap() != Given::End {}
        assert_eq!(ids, "123");
        let refused = |refusal| stats.refused(refusal);
        assert_eq!((stats.taken(), refused(Refusal::Malformed), refused(Refusal::TooLarge)), (3, 1, 1));
    }

    #[test]
    fn a_file_that_is_not_there_is_told_at_once() {
        let reporting = Reporting::new(Arc::default(), Arc::new(|_| {}));
        let opened =
            FileSource::open(Path::new("/nowhere/x"), 1, Box::new(AuditEvents::new(9)), 9, reporting);
        assert!(opened.err().unwrap().to_string().starts_with("/nowhere/x: "));
    }
}
