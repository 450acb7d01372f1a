//! Whether files have changed since they were read.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// Looks after which a file that still changes is taken as it is.
const PATIENCE: u32 = 8;

/// The kernel stamps files by a clock that lags behind by this much at most.
const LAG: Duration = Duration::from_millis(10);

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

/// The look at a file that has changed since it was read.
const OUTDATED: Look = Some((0, 0, 0, 0, 0, 0, 0));

/// The look at a file that was read no earlier than at `since`, as it was then.
fn look_at_read(path: &Path, since: SystemTime) -> Look {
    let Some(seen) = look(path) else { return OUTDATED };
    let changed = Duration::new(u64::try_from(seen.5).unwrap_or(0), u32::try_from(seen.6).unwrap_or(0));
    if UNIX_EPOCH + changed + LAG < since { Some(seen) } else { OUTDATED }
}

impl FileWatch {
    /// Takes files as they were when they were read, at `since` or later: one that may have changed after it counts as
    /// changed, so that no change falls between. Those that were `missed` may come.
    pub fn new(
        read: impl IntoIterator<Item = PathBuf>,
        missed: impl IntoIterator<Item = PathBuf>,
        since: SystemTime,
    ) -> FileWatch {
        let mut watch = FileWatch::default();
        let read = read.into_iter().map(|path| (look_at_read(&path, since), path));
        for (seen, path) in read.chain(missed.into_iter().map(|path| (None, path))) {
            watch.add(path, seen);
        }
        watch
    }

    fn add(&mut self, path: PathBuf, seen: Look) {
        if self.seen(&path).is_none() {
            self.files.push((path, seen));
        }
    }

    fn seen(&self, path: &Path) -> Option<Look> {
        self.files.iter().find(|(known, _)| known == path).map(|(_, seen)| *seen)
    }

    /// Looks at these files from now on. Those that were looked at before keep what was seen of them.
    pub fn follow(&mut self, new: FileWatch) {
        let keep = |(path, seen): (PathBuf, Look)| {
            let seen = self.seen(&path).unwrap_or(seen);
            (path, seen)
        };
        self.files = new.files.into_iter().map(keep).collect();
    }

    /// Looks at these files too, if there are any that it looks at.
    pub fn follow_also(&mut self, new: FileWatch) {
        if !self.files.is_empty() {
            new.files.into_iter().for_each(|(path, seen)| self.add(path, seen));
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

    /// A time at which nothing that was just written changes any more.
    fn at_rest() -> SystemTime {
        SystemTime::now() + Duration::from_secs(60)
    }

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
            let mut watch = FileWatch::new([path.clone()], [], at_rest());
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
        let mut watch = FileWatch::new([at("r.yaml")], [], at_rest());
        version("..2", "..data_tmp");
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert!(looks(&mut watch, 2));
    }

    #[test]
    fn a_file_that_keeps_changing_is_taken_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut watch = FileWatch::new([path.clone()], [], at_rest());
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
        let mut watch = FileWatch::new([a.clone()], [], at_rest());
        std::fs::write(&a, "three").unwrap();
        watch.follow(FileWatch::new([a], [b], at_rest()));
        assert!(looks(&mut watch, 2));
    }

    #[test]
    fn what_changes_while_it_is_read_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let since = SystemTime::now();
        std::fs::write(&a, "one").unwrap();
        let mut watch = FileWatch::new([a.clone()], [], since);
        assert!(looks(&mut watch, 2) && !looks(&mut watch, 4));
        std::fs::remove_file(&a).unwrap();
        assert!(looks(&mut FileWatch::new([a], [], since), 2));
        assert!(looks(&mut watch, 2));
        watch.follow_also(FileWatch::new([], [b.clone()], since));
        assert!(!looks(&mut watch, 4));
        std::fs::write(&b, "two").unwrap();
        assert!(looks(&mut watch, 2) && !looks(&mut watch, 4));
        let mut none = FileWatch::default();
        none.follow_also(FileWatch::new([b], [], since));
        assert!(!looks(&mut none, 4), "changes are not to be followed");
    }
}
