//! Which cgroups are in no container and which are in one, so that the kernel need not tell of calls on the host that rules
//! about containers alone ask for, nor the other way round. A thread of its own lists them, at the start and when cgroups have come into being; the kernel is told
//! once all has been heard of that happened before.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use lanner_machine::{Machine, container_of_path};
use lanner_probe::{KnownCgroup, KnownCgroups as Known};

use crate::log::now;

/// Where the host's unified hierarchy is looked for, from the host's root on: here, and as its first process sees it.
const PLACES: [&str; 2] = ["sys/fs/cgroup", "proc/1/root/sys/fs/cgroup"];
/// What says that a file system is such a hierarchy (`CGROUP2_SUPER_MAGIC`).
const UNIFIED: u64 = 0x6367_7270;
/// The number of its root, which no cgroup has that a namespace shows as one.
const ROOT: u64 = 1;

/// Deeper and longer ones are not told whole by the kernel.
const DEEPEST: usize = 16;
const LONGEST: usize = 1024;

/// Time between two lists.
const PACE: Duration = Duration::from_secs(2);

/// All cgroups.
#[derive(Default)]
struct List {
    /// When they were listed, ns since 1970.
    at: u64,
    /// Those that are no container's by their names, nor in one, with their paths.
    others: Vec<(u64, Vec<u8>)>,
    /// Those that are.
    of_containers: Vec<u64>,
}

/// A list, or why there is none.
type Listed = Result<List, String>;

/// Lists cgroups. The thread starts when that is first needed and ends with this.
pub struct KnownCgroups {
    host_root: PathBuf,
    thread: Option<(Sender<()>, Receiver<Listed>)>,
    /// A list of which the kernel is to be told.
    waiting: Option<List>,
    /// What it was told.
    told: BTreeSet<KnownCgroup>,
    /// When a list was asked for last, and how many cgroups had come into being.
    asked: Option<(Instant, u64)>,
    /// What was last said of it.
    said: Option<String>,
}

impl KnownCgroups {
    /// Those of the host whose root is seen there.
    pub fn new(host_root: &Path) -> KnownCgroups {
        let host_root = host_root.to_path_buf();
        KnownCgroups {
            host_root,
            thread: None,
            waiting: None,
            told: BTreeSet::new(),
            asked: None,
            said: None,
        }
    }

    /// Has them listed from now on.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn want(&mut self) -> io::Result<()> {
        if self.thread.is_some() {
            return Ok(());
        }
        let (wishes, incoming) = channel::<()>();
        let (outgoing, lists) = channel();
        let host_root = self.host_root.clone();
        let serve = move || {
            // whoever asked is gone when a list can't be given
            while incoming.recv().is_ok() && outgoing.send(list(&host_root)).is_ok() {}
        };
        std::thread::Builder::new().name("cgroups".into()).stack_size(256 << 10).spawn(serve)?;
        self.thread = Some((wishes, lists));
        Ok(())
    }

    /// Goes on with it, after all events have been heard that are not later than `seen` or, if it is `idle`, all. What it
    /// gives is to be said. Never waits.
    pub fn look(&mut self, known: &Known, machine: &Machine, seen: u64, idle: bool) -> Option<String> {
        if let Some(list) = self.waiting.take_if(|list| idle || seen > list.at) {
            self.tell(known, machine, &list);
            return self.say(match known.unsure() {
                true => "Rules hear of calls on the host and in containers alike: the kernel could not keep where processes are, or hierarchies of cgroups beside the unified one came up".into(),
                false => self.counted(),
            });
        }
        self.doubt_containers(known, machine);
        let (wishes, lists) = self.thread.as_ref()?;
        let made = known.made();
        let due = self.asked.is_none_or(|(at, before)| before != made && at.elapsed() >= PACE);
        if due && self.waiting.is_none() {
            self.asked = Some((Instant::now(), made));
            // the thread ends only after this does
            let _ = wishes.send(());
        }
        match lists.try_recv().ok()? {
            Ok(list) => self.waiting = Some(list),
            Err(why) => {
                self.told.iter().for_each(|id| known.remove(*id));
                self.told.clear();
                return self.say(format!("Rules hear of calls on the host and in containers alike: {why}"));
            }
        }
        None
    }

    fn tell(&mut self, known: &Known, machine: &Machine, list: &List) {
        let of_host = list.others.iter().filter(|(_, path)| !machine.is_in_container(path));
        let of_host = of_host.map(|(id, _)| KnownCgroup::Host(*id));
        let of_containers = list.of_containers.iter().map(|id| KnownCgroup::Container(*id));
        let has_all = has_all(machine);
        let now: BTreeSet<KnownCgroup> = of_host.chain(of_containers.filter(|_| has_all)).collect();
        self.told.difference(&now).for_each(|cgroup| known.remove(*cgroup));
        self.told = now.into_iter().filter(|cgroup| known.insert(*cgroup)).collect();
    }

    /// Forgets containers once the state has had no room for a thread: that is in none to it.
    fn doubt_containers(&mut self, known: &Known, machine: &Machine) {
        if !has_all(machine) {
            let (of_containers, others): (BTreeSet<_>, _) =
                self.told.iter().partition(|cgroup| is_container(cgroup));
            self.told = others;
            of_containers.into_iter().for_each(|cgroup| known.remove(cgroup));
        }
    }

    /// How many there are, in words.
    fn counted(&self) -> String {
        let of_containers = self.told.iter().filter(|cgroup| is_container(cgroup)).count();
        let others = self.told.len() - of_containers;
        format!("The kernel knows {others} cgroups to be in no container, and {of_containers} to be in one")
    }

    /// Says what it hasn't said yet; how many they are only once.
    fn say(&mut self, what: String) -> Option<String> {
        let kind = |text: &str| text.split(|c: char| c.is_ascii_digit()).next().map(str::to_owned);
        let new = self.said.as_deref().and_then(kind) != kind(&what);
        self.said = Some(what.clone());
        new.then_some(what)
    }
}

fn is_container(cgroup: &KnownCgroup) -> bool {
    matches!(cgroup, KnownCgroup::Container(_))
}

/// Whether the state has had room for every thread.
fn has_all(machine: &Machine) -> bool {
    machine.stats().threads_refused == 0
}

/// Lists the host's cgroups.
fn list(host_root: &Path) -> Listed {
    let root = root(host_root)?;
    let mut list = List::default();
    let device = fs::metadata(&root).map_err(|error| error.to_string())?.dev();
    list.others.push((ROOT, b"/".to_vec()));
    walk(&root, device, &mut Vec::new(), 1, &mut list);
    list.at = now();
    Ok(list)
}

/// The root of the host's unified hierarchy, where no other has controllers.
fn root(host_root: &Path) -> Result<PathBuf, String> {
    let is_root = |path: &PathBuf| {
        let unified = rustix::fs::statfs(path).is_ok_and(|system| system.f_type as u64 == UNIFIED);
        unified && fs::metadata(path).is_ok_and(|metadata| metadata.ino() == ROOT)
    };
    PLACES.map(|place| host_root.join(place)).into_iter().find(is_root).ok_or_else(|| {
        format!(
            "its cgroups are not of version 2 alone, or their root isn't seen below {}",
            host_root.display()
        )
    })
}

/// Adds what is in a cgroup. What is in a container's is that container's.
fn walk(folder: &Path, device: u64, path: &mut Vec<u8>, depth: usize, found: &mut List) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|ty| ty.is_dir())) {
        let len = path.len();
        path.push(b'/');
        path.extend_from_slice(entry.file_name().as_bytes());
        if is_own(&entry, device) && path.len() <= LONGEST {
            match container_of_path(path) {
                Some(_) => found.of_containers.push(entry.ino()),
                None => found.others.push((entry.ino(), path.clone())),
            }
            if depth < DEEPEST {
                walk(&folder.join(OsStr::from_bytes(&path[len + 1..])), device, path, depth + 1, found);
            }
        }
        path.truncate(len);
    }
}

/// Whether nothing else is mounted there.
fn is_own(entry: &DirEntry, device: u64) -> bool {
    entry.metadata().is_ok_and(|metadata| metadata.dev() == device && metadata.ino() == entry.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_container_is_listed_apart() {
        let folder = tempfile::tempdir().unwrap();
        let container = format!("docker-{}.scope", "0123456789abcdef".repeat(4));
        for path in ["system.slice/a.service/below", "init.scope", &format!("system.slice/{container}/in")] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        fs::write(folder.path().join("cgroup.procs"), "").unwrap();
        let deep = vec!["d"; DEEPEST + 3].join("/");
        fs::create_dir_all(folder.path().join(&deep)).unwrap();
        let mut list = List::default();
        let device = fs::metadata(folder.path()).unwrap().dev();
        walk(folder.path(), device, &mut Vec::new(), 1, &mut list);
        let found = list.others;
        let paths: BTreeSet<String> =
            found.iter().map(|(_, path)| String::from_utf8(path.clone()).unwrap()).collect();
        let deepest = format!("/{}", vec!["d"; DEEPEST].join("/"));
        let others: Vec<&String> = paths.iter().filter(|path| !path.starts_with("/d")).collect();
        assert_eq!(
            others,
            ["/init.scope", "/system.slice", "/system.slice/a.service", "/system.slice/a.service/below"]
        );
        assert_eq!(paths.iter().filter(|path| path.starts_with("/d")).max(), Some(&deepest));
        for (id, path) in &found {
            let path = folder.path().join(OsStr::from_bytes(&path[1..]));
            assert_eq!(fs::metadata(path).unwrap().ino(), *id);
        }
        let within = [String::new(), "/in".into()].map(|below| format!("system.slice/{container}{below}"));
        let ids = within.map(|path| fs::metadata(folder.path().join(path)).unwrap().ino());
        assert_eq!(BTreeSet::from_iter(list.of_containers), BTreeSet::from(ids));
    }

    #[test]
    fn without_the_root_of_the_hierarchy_it_is_said_why() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(PLACES[0])).unwrap();
        let why = list(folder.path()).err().unwrap();
        assert!(why.contains("version 2 alone"), "{why}");
    }

    #[test]
    fn a_number_that_changes_is_no_news() {
        let mut cgroups = KnownCgroups::new(Path::new("/"));
        let said = ["The kernel knows 7 cgroups", "The kernel knows 12 cgroups", "why not", "why not"];
        let news = said.map(|what| cgroups.say(what.into()).is_some());
        assert_eq!(news, [true, false, true, false]);
    }
}
