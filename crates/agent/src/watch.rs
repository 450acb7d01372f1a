//! Whether files have changed since they were read.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// What a look at a file tells: inode, length, modification and change time. A file that Kubernetes swaps by
/// a symbolic link changes its inode.
type Look = Option<(u64, u64, i64, i64, i64)>;

/// Files and directories that are looked at from time to time; none unless it is asked for.
#[derive(Default)]
pub struct FileWatch {
    files: Vec<(PathBuf, Look)>,
    next: Option<Instant>,
    usable: Option<Box<dyn Fn() -> bool>>,
}

fn look(path: &PathBuf) -> Look {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec(), meta.ctime_nsec()))
}

impl FileWatch {
    /// Takes the files as they are now.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> FileWatch {
        let files = files.into_iter().map(|path| {
            let now = look(&path);
            (path, now)
        });
        FileWatch { files: files.collect(), next: None, usable: None }
    }

    /// Asks `usable`, when files have changed or a restart is wanted, whether a restart would succeed; if not,
    /// what runs goes on.
    #[must_use]
    pub fn only_if(mut self, usable: impl Fn() -> bool + 'static) -> FileWatch {
        self.usable = Some(Box::new(usable));
        self
    }

    /// Whether to start again: because a signal `wanted` it, or a file has changed.
    pub fn restarts(&mut self, wanted: bool, now: Instant) -> bool {
        if !wanted && !self.changed(now) {
            return false;
        }
        for (path, known) in &mut self.files {
            *known = look(path);
        }
        self.usable.as_ref().is_none_or(|usable| usable())
    }

    /// Whether one has changed; it is only looked twice a second.
    fn changed(&mut self, now: Instant) -> bool {
        if self.files.is_empty() || self.next.is_some_and(|next| now < next) {
            return false;
        }
        self.next = Some(now + INTERVAL);
        self.files.iter().any(|(path, before)| look(path) != *before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_a_replaced_and_a_removed_file_have_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let changed = |change: &dyn Fn()| {
            std::fs::write(&path, "one").unwrap();
            let mut watch = FileWatch::new([path.clone()]);
            assert!(!watch.changed(Instant::now()));
            change();
            watch.changed(Instant::now() + INTERVAL)
        };
        assert!(!changed(&|| {}));
        assert!(changed(&|| std::fs::write(&path, "longer").unwrap()));
        assert!(changed(&|| {
            std::fs::write(dir.path().join("g"), "one").unwrap();
            std::fs::rename(dir.path().join("g"), &path).unwrap();
        }));
        assert!(changed(&|| std::fs::remove_file(&path).unwrap()));
        assert!(!FileWatch::default().changed(Instant::now()));
    }

    #[test]
    fn a_restart_that_would_fail_is_not_begun() {
        let start = Instant::now();
        assert!(FileWatch::default().restarts(true, start) && !FileWatch::default().restarts(false, start));
        assert!(!FileWatch::default().only_if(|| false).restarts(true, start));
    }
}
