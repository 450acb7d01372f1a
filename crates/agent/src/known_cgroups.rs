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

/// Which cgroups are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Wanted {
    /// Those in no container.
    pub others: bool,
    /// Those in one.
    pub of_containers: bool,
}

impl Wanted {
    fn or(self, more: Wanted) -> Wanted {
        let Wanted { others, of_containers } = more;
        Wanted { others: self.others || others, of_containers: self.of_containers || of_containers }
    }
}

/// All cgroups that are wanted.
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
    thread: Option<(Sender<Wanted>, Receiver<Listed>)>,
    /// What has ever been wanted.
    wanted: Wanted,
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
            wanted: Wanted::default(),
            waiting: None,
            told: BTreeSet::new(),
            asked: None,
            said: None,
        }
    }

    /// Has these listed too from now on.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn want(&mut self, wanted: Wanted) -> io::Result<()> {
        let wanted = self.wanted.or(wanted);
        if wanted != self.wanted {
            (self.wanted, self.asked) = (wanted, None);
        }
        if wanted == Wanted::default() || self.thread.is_some() {
            return Ok(());
        }
        let (wishes, incoming) = channel::<Wanted>();
        let (outgoing, lists) = channel();
        let host_root = self.host_root.clone();
        let serve = move || {
            // whoever asked is gone when a list can't be given
            while incoming.recv().is_ok_and(|wanted| outgoing.send(list(&host_root, wanted)).is_ok()) {}
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
        if !machine.has_room() && self.told.iter().any(is_container) {
            self.replace(known, self.told.iter().copied().filter(|cgroup| !is_container(cgroup)).collect());
            return self.say(
                "Calls in containers are told to rules about the host too: there may be no room to know all their threads"
                    .into(),
            );
        }
        let (wishes, lists) = self.thread.as_ref()?;
        let made = known.made();
        let due = self.asked.is_none_or(|(at, before)| before != made && at.elapsed() >= PACE);
        if due && self.waiting.is_none() {
            self.asked = Some((Instant::now(), made));
            // the thread ends only after this does
            let _ = wishes.send(self.wanted);
        }
        match lists.try_recv().ok()? {
            Ok(list) => self.waiting = Some(list),
            Err(why) => {
                self.replace(known, BTreeSet::new());
                return self.say(format!("Rules hear of calls on the host and in containers alike: {why}"));
            }
        }
        None
    }

    fn tell(&mut self, known: &Known, machine: &Machine, list: &List) {
        let of_host = list.others.iter().filter(|(_, path)| !machine.is_in_container(path));
        let of_host = of_host.map(|(id, _)| KnownCgroup::Host(*id));
        let of_containers = list.of_containers.iter().map(|id| KnownCgroup::Container(*id));
        // a thread for which there was none is the host's when it is heard of again
        let has_room = machine.has_room();
        self.replace(known, of_host.chain(of_containers.filter(|_| has_room)).collect());
    }

    /// Has the kernel know these and no others.
    fn replace(&mut self, known: &Known, now: BTreeSet<KnownCgroup>) {
        self.told.difference(&now).for_each(|cgroup| known.remove(*cgroup));
        self.told = now.into_iter().filter(|cgroup| known.insert(*cgroup)).collect();
    }

    /// How many there are, in words.
    fn counted(&self) -> String {
        let of_containers = self.told.iter().filter(|cgroup| is_container(cgroup)).count();
        let others = self.told.len() - of_containers;
        let others = self.wanted.others.then(|| format!("{others} cgroups to be in no container"));
        let of_containers =
            self.wanted.of_containers.then(|| format!("{of_containers} cgroups to be in containers"));
        let said = others.into_iter().chain(of_containers).collect::<Vec<_>>();
        format!("The kernel knows {}", said.join(" and "))
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

/// Lists cgroups.
fn list(host_root: &Path, wanted: Wanted) -> Listed {
    let root = root(host_root)?;
    let mut list = List::default();
    let device = fs::metadata(&root).map_err(|error| error.to_string())?.dev();
    if wanted.others {
        list.others.push((ROOT, b"/".to_vec()));
    }
    walk(&root, device, wanted, &mut Vec::new(), 1, &mut list);
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
fn walk(folder: &Path, device: u64, wanted: Wanted, path: &mut Vec<u8>, depth: usize, found: &mut List) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|ty| ty.is_dir())) {
        let len = path.len();
        path.push(b'/');
        path.extend_from_slice(entry.file_name().as_bytes());
        if is_own(&entry, device) && path.len() <= LONGEST {
            let in_container = container_of_path(path).is_some();
            if in_container && wanted.of_containers {
                found.of_containers.push(entry.ino());
            } else if !in_container && wanted.others {
                found.others.push((entry.ino(), path.clone()));
            }
            if depth < DEEPEST && (!in_container || wanted.of_containers) {
                let below = folder.join(OsStr::from_bytes(&path[len + 1..]));
                walk(&below, device, wanted, path, depth + 1, found);
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
        let device = fs::metadata(folder.path()).unwrap().dev();
        let list = |others, of_containers| {
            let mut list = List::default();
            walk(folder.path(), device, Wanted { others, of_containers }, &mut Vec::new(), 1, &mut list);
            list
        };
        let List { others: found, of_containers, .. } = list(true, true);
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
        assert_eq!(BTreeSet::from_iter(of_containers), BTreeSet::from(ids));
        let counts = |list: List| (list.others.len(), list.of_containers.len());
        assert_eq!(counts(list(true, false)), (found.len(), 0));
        assert_eq!(counts(list(false, true)), (0, 2));
    }

    #[test]
    fn without_the_root_of_the_hierarchy_it_is_said_why() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(PLACES[0])).unwrap();
        let why = list(folder.path(), Wanted::default()).err().unwrap();
        assert!(why.contains("version 2 alone"), "{why}");
    }

    #[test]
    fn it_is_said_of_what_is_wanted() {
        let mut cgroups = KnownCgroups::new(Path::new("/"));
        cgroups.told = [KnownCgroup::Host(1), KnownCgroup::Container(7), KnownCgroup::Container(8)].into();
        cgroups.wanted.others = true;
        assert_eq!(cgroups.counted(), "The kernel knows 1 cgroups to be in no container");
        cgroups.wanted.of_containers = true;
        let both = "The kernel knows 1 cgroups to be in no container and 2 cgroups to be in containers";
        assert_eq!(cgroups.counted(), both);
    }

    #[test]
    fn what_is_wanted_later_is_listed_too() {
        let mut cgroups = KnownCgroups::new(Path::new("/"));
        cgroups.want(Wanted::default()).unwrap();
        assert!(cgroups.thread.is_none());
        for wanted in
            [Wanted { others: true, of_containers: false }, Wanted { others: false, of_containers: true }]
        {
            cgroups.asked = Some((Instant::now(), 0));
            cgroups.want(wanted).unwrap();
            assert!(cgroups.thread.is_some() && cgroups.asked.is_none(), "{wanted:?}");
        }
        cgroups.asked = Some((Instant::now(), 0));
        cgroups.want(Wanted { others: true, of_containers: false }).unwrap();
        assert!(cgroups.asked.is_some());
        assert_eq!(cgroups.wanted, Wanted { others: true, of_containers: true });
    }

    #[test]
    fn a_number_that_changes_is_no_news() {
        let mut cgroups = KnownCgroups::new(Path::new("/"));
        let said = ["The kernel knows 7 cgroups", "The kernel knows 12 cgroups", "why not", "why not"];
        let news = said.map(|what| cgroups.say(what.into()).is_some());
        assert_eq!(news, [true, false, true, false]);
    }
}
