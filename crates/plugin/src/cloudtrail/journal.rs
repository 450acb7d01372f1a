//! What was read, written down, so that a run goes on where the one before stopped: a line for each file, behind a tab
//! the number of its entries that were given if it was not read whole.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::source::SourceError;

/// Files that are remembered; the oldest are forgotten beyond that.
const KEPT: usize = 200_000;

/// What was read so far.
pub(super) struct Journal {
    file: Option<(PathBuf, File)>,
    /// `None`: read whole.
    files: HashMap<String, Option<usize>>,
}

impl Journal {
    /// Remembers nothing.
    pub(super) fn none() -> Journal {
        Journal { file: None, files: HashMap::new() }
    }

    /// Goes on with the file at a path, which needn't be there yet.
    pub(super) fn open(path: &Path) -> Result<Journal, SourceError> {
        let failed = |cause| SourceError::File { path: path.to_owned(), cause };
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(failed)?,
        };
        let lines: Vec<&str> = text.lines().collect();
        let kept = &lines[lines.len().saturating_sub(KEPT)..];
        if kept.len() < lines.len() {
            let new = path.with_extension("new");
            std::fs::write(&new, kept.join("\n") + "\n").map_err(failed)?;
            std::fs::rename(&new, path).map_err(failed)?;
        }
        let file = File::options().append(true).create(true).open(path).map_err(failed)?;
        let entry = |line: &&str| match line.split_once('\t') {
            Some((name, given)) => (name.to_owned(), given.parse().ok()),
            None => ((*line).to_owned(), None),
        };
        Ok(Journal { file: Some((path.to_owned(), file)), files: kept.iter().map(entry).collect() })
    }

    /// Whether a file was read whole.
    pub(super) fn is_done(&self, name: &str) -> bool {
        self.files.get(name).is_some_and(Option::is_none)
    }

    /// How many entries of a file were given.
    pub(super) fn given(&self, name: &str) -> usize {
        self.files.get(name).copied().flatten().unwrap_or(0)
    }

    /// A file was read whole.
    pub(super) fn done(&mut self, name: &str) -> Result<(), SourceError> {
        self.write(name, None)
    }

    /// So many entries of a file were given, and the run ends.
    pub(super) fn partly(&mut self, name: &str, given: usize) -> Result<(), SourceError> {
        self.write(name, Some(given))
    }

    fn write(&mut self, name: &str, given: Option<usize>) -> Result<(), SourceError> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let line = match given {
            None => format!("{name}\n"),
            Some(given) => format!("{name}\t{given}\n"),
        };
        file.write_all(line.as_bytes()).map_err(|cause| SourceError::File { path: path.clone(), cause })?;
        self.files.insert(name.to_owned(), given);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_where_the_one_before_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.done("a").unwrap();
        journal.partly("b", 7).unwrap();
        journal.partly("c", 1).unwrap();
        drop(journal);
        let mut journal = Journal::open(&path).unwrap();
        assert!(journal.is_done("a") && !journal.is_done("b") && !journal.is_done("z"));
        assert_eq!((journal.given("b"), journal.given("z")), (7, 0));
        journal.done("c").unwrap();
        assert!(Journal::open(&path).unwrap().is_done("c"));
        let mut none = Journal::none();
        none.done("a").unwrap();
        assert!(!none.is_done("a"));
    }
}
