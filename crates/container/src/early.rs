//! Bundles read the moment they are written, before their first process runs: a container that lives a few
//! milliseconds is known even when its bundle is gone by the time somebody asks.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lanner_machine::Container;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;

use crate::bundle;
use crate::config::Config;
use crate::cri::Sockets;

/// What is known early is kept that long for whoever asks.
const KEPT: Duration = Duration::from_secs(60);
/// And no more of it than this.
const MAX_KEPT: usize = 4096;
/// Folders of bundles that appear later are looked for so often.
const LOOK: Duration = Duration::from_secs(5);

/// Containers known from their bundles, by full id.
#[derive(Clone, Default)]
pub(crate) struct Early(Arc<Mutex<HashMap<String, (Instant, Container)>>>);

impl Early {
    /// What a bundle said when it was written, with the ids and the runtime of the container asked about.
    pub(crate) fn tell(&self, container: &mut Container) -> bool {
        let Some((_, early)) = self.lock().remove(&container.full_id) else { return false };
        let id = std::mem::take(&mut container.id);
        *container = Container { id, full_id: std::mem::take(&mut container.full_id), ..early };
        true
    }

    fn keep(&self, container: Container) {
        let now = Instant::now();
        let mut kept = self.lock();
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, (since, _)| now.duration_since(*since) < KEPT);
        }
        if kept.len() < MAX_KEPT {
            kept.insert(container.full_id.clone(), (now, container));
        }
    }

    /// The map is whole at every moment, so a panic elsewhere does no harm to it.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Container)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a watched folder is.
#[derive(Clone)]
enum Folder {
    /// Is the nearest above a folder of namespaces that isn't there yet.
    Above,
    /// Holds namespaces.
    Root,
    /// Holds bundles.
    Namespace,
    /// A bundle without its `config.json` yet.
    Bundle,
}

/// An inotify that the event loop can wait for.
struct Watches(Inotify);

impl AsRawFd for Watches {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Watches the folders of containerd's bundles.
pub(crate) struct Watcher {
    config: Arc<Config>,
    early: Early,
    inotify: AsyncFd<Watches>,
    folders: HashMap<WatchDescriptor, (Folder, PathBuf)>,
}

impl Watcher {
    /// Nothing where the system refuses a watch: bundles are then read when somebody asks.
    pub(crate) fn new(config: Arc<Config>, early: Early) -> Option<Watcher> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
        // SAFETY: `Watches` owns its descriptor and neither closes nor replaces it while it lives.
        let inotify = unsafe { AsyncFd::register(Watches(inotify)) }.ok()?;
        Some(Watcher { config, early, inotify, folders: HashMap::new() })
    }

    /// Runs as long as lanner does.
    pub(crate) async fn run(mut self, sockets: Arc<Sockets>) {
        loop {
            for root in self.config.containerd_bundles.clone().iter().chain(&sockets.bundles()) {
                self.watch_root(&self.config.seen(root));
            }
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

    /// Whether folders of bundles are to be looked for again.
    fn see(&mut self, event: &InotifyEvent) -> bool {
        let Some((folder, path)) = self.folders.get(&event.wd).cloned() else { return false };
        if event.mask.contains(AddWatchFlags::IN_IGNORED) {
            self.folders.remove(&event.wd);
            return matches!(folder, Folder::Above | Folder::Root);
        }
        let Some(name) = &event.name else { return false };
        match folder {
            Folder::Above => return true,
            Folder::Root => drop(self.watch(Folder::Namespace, path.join(name))),
            Folder::Namespace => drop(self.watch(Folder::Bundle, path.join(name))),
            Folder::Bundle if name == bundle::CONFIG && self.read_bundle(&path) => {
                let _ = self.inotify.get_ref().0.rm_watch(event.wd);
            }
            Folder::Bundle => {}
        }
        false
    }

    /// Watches a folder of namespaces, or until there is one the nearest folder above: containerd makes it only
    /// with its first container.
    fn watch_root(&mut self, root: &Path) {
        for above in root.ancestors().skip(1) {
            if self.watch(Folder::Root, root.to_path_buf()) {
                return;
            }
            if self.watch(Folder::Above, above.to_path_buf()) {
                // It may have come into being meanwhile.
                self.watch(Folder::Root, root.to_path_buf());
                return;
            }
        }
    }

    /// Watches a folder and looks at what is in it already, in that order, so that nothing slips between.
    /// Whether it can be watched.
    fn watch(&mut self, folder: Folder, path: PathBuf) -> bool {
        let wanted = match folder {
            Folder::Above | Folder::Root | Folder::Namespace => {
                AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO
            }
            Folder::Bundle => AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO,
        };
        let Ok(watch) = self.inotify.get_ref().0.add_watch(&path, wanted | AddWatchFlags::IN_ONLYDIR) else {
            return false;
        };
        // The same folder gives the same watch again.
        let is_new = self.folders.insert(watch, (folder.clone(), path.clone())).is_none();
        match folder {
            Folder::Root if is_new => {
                for namespace in std::fs::read_dir(&path).into_iter().flatten().flatten() {
                    self.watch(Folder::Namespace, namespace.path());
                }
            }
            // The bundles that are there already are read when somebody asks.
            Folder::Above | Folder::Root | Folder::Namespace => {}
            Folder::Bundle => {
                if self.read_bundle(&path) {
                    let _ = self.inotify.get_ref().0.rm_watch(watch);
                }
            }
        }
        true
    }

    fn read_bundle(&self, path: &Path) -> bool {
        let Some(full_id) = path.file_name().and_then(|name| name.to_str()) else { return false };
        let mut container = Container { full_id: full_id.to_owned(), ..Container::default() };
        let found = bundle::read_at(path, &self.config, &mut container);
        if found {
            self.early.keep(container);
        }
        found
    }
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
