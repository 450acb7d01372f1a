//! Whether files have changed since they were read.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// Looks after which a file that still changes is taken as it is.
const PATIENCE: u32 = 8;

/// What a look at a file tells: device, inode, length, modification and change time. A file that Kubernetes swaps
/// by a symbolic link (`..data`) changes its inode.
type Look = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// Files and directories that are looked at from time to time.
#[derive(Default)]
pub struct FileWatch {
    files: Vec<(PathBuf, Look)>,
    next: Option<Instant>,
    /// What the last look saw, if that was a change, and how many looks saw one.
    changing: Option<(Vec<Look>, u32)>,
}

fn look(path: &Path) -> Look {
    let meta = std::fs::metadata(path).ok()?;
    Some((
        meta.dev(),
        meta.ino(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    ))
}

impl FileWatch {
    /// Takes the files as they are now.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> FileWatch {
        let mut watch = FileWatch::default();
        watch.follow(files);
        watch
    }

    /// Looks at these files from now on. Those that were looked at before keep what was seen of them, so that no
    /// change falls between.
    pub fn follow(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let known = std::mem::take(&mut self.files);
        for path in files {
            let before = known.iter().find(|(known, _)| *known == path).map(|(_, seen)| *seen);
            let seen = before.unwrap_or_else(|| look(&path));
            self.files.push((path, seen));
        }
    }

    /// Takes the files as they are now.
    pub fn look(&mut self) {
        self.changing = None;
        self.files.iter_mut().for_each(|(path, seen)| *seen = look(path));
    }

    /// Whether one has changed and is at rest again, so that a file which is just being written isn't read. True
    /// once for each change; it is only looked a few times a second.
    pub fn changed(&mut self, now: Instant) -> bool {
        if self.files.is_empty() || self.next.is_some_and(|next| now < next) {
            return false;
        }
        self.next = Some(now + INTERVAL);
        let seen: Vec<Look> = self.files.iter().map(|(path, _)| look(path)).collect();
        if self.files.iter().map(|(_, known)| known).eq(&seen) {
            self.changing = None;
            return false;
        }
        let looks = match &self.changing {
            Some((before, looks)) if *before == seen || *looks >= PATIENCE => {
                self.files.iter_mut().zip(seen).for_each(|((_, known), seen)| *known = seen);
                self.changing = None;
                return true;
            }
            Some((_, looks)) => looks + 1,
            None => 1,
        };
        self.changing = Some((seen, looks));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(watch: &mut FileWatch, count: u32) -> bool {
        let start = watch.next.unwrap_or_else(Instant::now);
        (0..count).any(|n| watch.changed(start + n * INTERVAL))
    }

    #[test]
    fn a_written_a_replaced_and_a_removed_file_have_changed_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let changed = |change: &dyn Fn()| {
            std::fs::write(&path, "one").unwrap();
            let mut watch = FileWatch::new([path.clone()]);
            assert!(!looks(&mut watch, 1));
            change();
            let changed = looks(&mut watch, 2);
            assert!(!looks(&mut watch, 4));
            changed
        };
        assert!(!changed(&|| {}));
        assert!(changed(&|| std::fs::write(&path, "longer").unwrap()));
        assert!(changed(&|| {
            std::fs::write(dir.path().join("g"), "one").unwrap();
            std::fs::rename(dir.path().join("g"), &path).unwrap();
        }));
        assert!(changed(&|| std::fs::remove_file(&path).unwrap()));
        assert!(!looks(&mut FileWatch::default(), 4));
    }

    /// Kubernetes puts a new version into a directory of its own and renames the link `..data` over the old one.
    #[test]
    fn a_swapped_link_above_the_file_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let version = |name: &str, link: &str| {
            std::fs::create_dir(at(name)).unwrap();
            std::fs::write(at(name).join("r.yaml"), "same").unwrap();
            std::os::unix::fs::symlink(name, at(link)).unwrap();
        };
        version("..1", "..data");
        std::os::unix::fs::symlink("..data/r.yaml", at("r.yaml")).unwrap();
        let mut watch = FileWatch::new([at("r.yaml")]);
        version("..2", "..data_tmp");
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert!(looks(&mut watch, 2));
    }

    #[test]
    fn a_file_that_keeps_changing_is_taken_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut watch = FileWatch::new([path.clone()]);
        let mut now = Instant::now();
        let mut look_after_write = |n: usize| {
            std::fs::write(&path, "x".repeat(n)).unwrap();
            now += INTERVAL;
            watch.changed(now)
        };
        assert!(!look_after_write(1));
        assert!((2..20).any(look_after_write));
    }

    #[test]
    fn what_is_followed_on_keeps_what_was_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&a, "one").unwrap();
        let mut watch = FileWatch::new([a.clone()]);
        std::fs::write(&a, "three").unwrap();
        watch.follow([a, b]);
        assert!(looks(&mut watch, 2));
    }
}
