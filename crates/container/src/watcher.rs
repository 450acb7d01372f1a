//! Descriptions read the moment they are written, before the container's first process runs.

use std::collections::HashMap;
use std::fs::DirEntry;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;

use crate::bundle::read_written;
use crate::cgroups::Cgroups;
use crate::config::Config;
use crate::early::Early;
use crate::keeper::{Keeper, Records};
use crate::sockets::Sockets;

/// Folders of bundles that appear later are looked for so often.
const LOOK: Duration = Duration::from_secs(5);

/// How long folders are watched after the last cgroup has come into being: longer than a runtime takes from there to
/// its last description.
const QUIET: Duration = Duration::from_secs(5);

/// What changed longer ago is no container that is about to run.
const RECENT: Duration = Duration::from_secs(60);

/// What a watched folder is.
#[derive(Clone, Copy)]
enum Folder {
    /// The nearest above a keeper's folder that isn't there yet.
    Above,
    /// So many parts of the way to a description below its keeper's folder.
    On(Keeper, usize),
}

/// An inotify that the event loop can wait for.
struct Watches(Inotify);

impl AsRawFd for Watches {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Watches the folders in which runtimes write descriptions: while containers come up, as word of their cgroups says, or
/// all the time where there is none. A watch makes every open in its file system dearer, whoever makes it.
pub(crate) async fn watch(
    config: Arc<Config>,
    early: Early,
    sockets: Arc<Sockets>,
    mut cgroups: Option<Cgroups>,
) {
    loop {
        let broken = match &mut cgroups {
            Some(new) => new.next().await.is_err(),
            None => false,
        };
        if broken {
            cgroups = None;
        }
        let Some(watcher) = Watcher::new(config.clone(), early.clone()) else { return };
        let Some(new) = &mut cgroups else { return watcher.run(&sockets).await };
        tokio::select! {
            () = watcher.run(&sockets) => {}
            () = new.quiet(QUIET) => {}
        }
    }
}

/// The folders that are watched.
struct Watcher {
    config: Arc<Config>,
    early: Early,
    inotify: AsyncFd<Watches>,
    folders: HashMap<WatchDescriptor, (Folder, PathBuf)>,
}

impl Watcher {
    /// Nothing where the system refuses a watch: bundles are then read when somebody asks.
    fn new(config: Arc<Config>, early: Early) -> Option<Watcher> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
        // SAFETY: `Watches` owns its descriptor and neither closes nor replaces it while it lives.
        let inotify = unsafe { AsyncFd::register(Watches(inotify)) }.ok()?;
        Some(Watcher { config, early, inotify, folders: HashMap::new() })
    }

    /// Runs until the watch breaks.
    async fn run(mut self, sockets: &Sockets) {
        loop {
            self.watch_keepers(&sockets.records());
            let pause = tokio::time::sleep(LOOK);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    () = sockets.changed_within(LOOK) => break,
                    events = read(&self.inotify) => {
                        let Some(events) = events else { return };
                        // All of them have to be seen, so no `any`.
                        if events.iter().fold(false, |look, event| self.see(event) | look) {
                            break;
                        }
                    }
                }
            }
        }
    }

    fn watch_keepers(&mut self, learned: &[Records]) {
        let config = self.config.clone();
        for (keeper, root) in config.records().chain(learned.iter().cloned()) {
            self.watch_root(keeper, &config.seen(&root));
        }
    }

    /// Whether keepers' folders are to be looked for again.
    fn see(&mut self, event: &InotifyEvent) -> bool {
        let Some((folder, path)) = self.folders.get(&event.wd).cloned() else { return false };
        if event.mask.contains(AddWatchFlags::IN_IGNORED) {
            self.folders.remove(&event.wd);
            return matches!(folder, Folder::Above | Folder::On(_, 0));
        }
        let Some(name) = &event.name else { return false };
        let Folder::On(keeper, depth) = folder else { return true };
        let way = keeper.way();
        if way[depth].is_some_and(|wanted| name != wanted) {
            return false;
        }
        if depth + 1 < way.len() {
            self.watch(Folder::On(keeper, depth + 1), path.join(name));
        } else if self.read_description(keeper, &path.join(name)) {
            let _ = self.inotify.get_ref().0.rm_watch(event.wd);
        }
        false
    }

    /// Watches a keeper's folder, or until there is one the nearest folder above: runtimes make it only with
    /// their first container.
    fn watch_root(&mut self, keeper: Keeper, root: &Path) {
        for above in root.ancestors().skip(1) {
            if self.watch(Folder::On(keeper, 0), root.to_path_buf()) {
                return;
            }
            if self.watch(Folder::Above, above.to_path_buf()) {
                // It may have come into being meanwhile.
                self.watch(Folder::On(keeper, 0), root.to_path_buf());
                return;
            }
        }
    }

    /// Watches a folder and looks at what is in it already, in that order, so that nothing slips between.
    /// Whether it can be watched.
    fn watch(&mut self, folder: Folder, path: PathBuf) -> bool {
        let wanted = match folder {
            Folder::On(keeper, depth) if depth + 1 == keeper.way().len() => {
                AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO
            }
            _ => AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO,
        };
        let Ok(watch) = self.inotify.get_ref().0.add_watch(&path, wanted | AddWatchFlags::IN_ONLYDIR) else {
            return false;
        };
        // The same folder gives the same watch again.
        let is_new = self.folders.insert(watch, (folder, path.clone())).is_none();
        let Folder::On(keeper, depth) = folder else { return true };
        match keeper.way().get(depth).copied().flatten() {
            Some(name) if depth + 1 < keeper.way().len() => {
                self.watch(Folder::On(keeper, depth + 1), path.join(name));
            }
            Some(name) if self.read_description(keeper, &path.join(name)) => {
                let _ = self.inotify.get_ref().0.rm_watch(watch);
            }
            // Containers that are there for long are looked up when somebody asks; of containerd's namespaces
            // the next ones are awaited.
            None if is_new && depth + 1 < keeper.way().len() => {
                for entry in std::fs::read_dir(&path).into_iter().flatten().flatten() {
                    if (keeper == Keeper::Containerd && depth == 0) || is_recent(&entry) {
                        self.watch(Folder::On(keeper, depth + 1), entry.path());
                    }
                }
            }
            Some(_) | None => {}
        }
        true
    }

    fn read_description(&self, keeper: Keeper, file: &Path) -> bool {
        let container = read_written(keeper, file, &self.config);
        let found = container.is_some();
        container.into_iter().for_each(|container| self.early.keep(container));
        found
    }
}

fn is_recent(entry: &DirEntry) -> bool {
    let changed = entry.metadata().and_then(|metadata| metadata.modified());
    // one of the future, after the clock was set, is
    changed
        .is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age < RECENT) || changed > SystemTime::now())
}

/// What has happened; nothing when the watch is broken.
async fn read(inotify: &AsyncFd<Watches>) -> Option<Vec<InotifyEvent>> {
    loop {
        let mut ready = inotify.readable().await.ok()?;
        if let Ok(events) = ready.try_io(|inotify| inotify.get_ref().0.read_events().map_err(Into::into)) {
            return events.ok();
        }
    }
}
