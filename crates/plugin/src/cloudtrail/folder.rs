//! Log files in a folder and those below it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::Store;
use crate::source::SourceError;

/// Whether a file is one of entries, by its name.
pub(super) fn is_log(name: &str) -> bool {
    name.ends_with(".json") || name.ends_with(".json.gz")
}

/// A folder, or a single file.
pub(super) struct Folder {
    path: PathBuf,
    /// Files that were told of.
    told: HashSet<String>,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Folder, SourceError> {
        if path.as_os_str().is_empty() {
            let missing = "cloudtrail plugin error: missing input directory argument";
            return Err(SourceError::Settings(missing.to_owned()));
        }
        let folder = Folder { path: path.to_owned(), told: HashSet::new() };
        if folder.files()?.is_empty() {
            let none = format!("cloudtrail plugin error: no json files found in {}", path.display());
            return Err(SourceError::Settings(none));
        }
        Ok(folder)
    }

    fn files(&self) -> Result<Vec<String>, SourceError> {
        let mut files = Vec::new();
        gather(&self.path, &mut files)
            .map_err(|cause| SourceError::File { path: self.path.clone(), cause })?;
        files.sort();
        Ok(files)
    }
}

fn gather(path: &Path, files: &mut Vec<String>) -> std::io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        for entry in std::fs::read_dir(path)? {
            let path = entry?.path();
            // Links to folders may lead in circles.
            if !path.is_symlink() || path.is_file() {
                gather(&path, files)?;
            }
        }
    } else if let Some(name) = path.to_str().filter(|name| is_log(name)) {
        files.push(name.to_owned());
    }
    Ok(())
}

impl Store for Folder {
    fn more(&mut self, _: Duration) -> Result<Option<Vec<String>>, SourceError> {
        let files = self.files()?;
        let new: Vec<String> = files.into_iter().filter(|name| self.told.insert(name.clone())).collect();
        Ok(Some(new).filter(|new| !new.is_empty()))
    }

    fn fetch(&mut self, names: &[String]) -> Vec<Result<Vec<u8>, String>> {
        names.iter().map(|name| std::fs::read(name).map_err(|error| error.to_string())).collect()
    }

    fn read(&mut self, _: &str) -> Result<(), SourceError> {
        Ok(())
    }
}
