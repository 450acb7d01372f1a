//! What lanner leaves in the kernel when it ends, however it ends, and that two of it don't disturb each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use libbpf_rs::query::{LinkInfoIter, MapInfoIter, ProgInfoIter, ProgInfoQueryOptions};
use nix::sys::signal::Signal;

use crate::watch::{Turn, Watch};

/// The kernel frees what nobody holds any more a little later.
const FREED_WITHIN: Duration = Duration::from_secs(20);

/// What the kernel holds for BPF, by number.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    programs: BTreeSet<u32>,
    maps: BTreeSet<u32>,
    links: BTreeSet<u32>,
}

impl Held {
    /// What a process has a descriptor of, and the maps that those programs use.
    fn by(process: u32) -> Held {
        let mut held = Held::default();
        for file in fs::read_dir(format!("/proc/{process}/fdinfo")).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap_or_default();
            let ids = |name: &str| {
                let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                lines.map(|id| id.trim().parse::<u32>().unwrap()).collect::<Vec<_>>()
            };
            held.programs.extend(ids("prog_id"));
            held.maps.extend(ids("map_id"));
            held.links.extend(ids("link_id"));
        }
        let options = ProgInfoQueryOptions::default().include_map_ids(true);
        let programs = ProgInfoIter::with_query_opts(options);
        for program in programs.filter(|program| held.programs.contains(&program.id)) {
            held.maps.extend(program.map_ids);
        }
        held
    }

    /// What of it there still is.
    fn left(&self) -> Held {
        let of = |ids: &BTreeSet<u32>, all: BTreeSet<u32>| ids.intersection(&all).copied().collect();
        Held {
            programs: of(&self.programs, ProgInfoIter::default().map(|program| program.id).collect()),
            maps: of(&self.maps, MapInfoIter::default().map(|map| map.id).collect()),
            links: of(&self.links, LinkInfoIter::default().map(|link| link.id).collect()),
        }
    }

    fn assert_freed(&self) {
        assert!(self.programs.len() > 4 && self.maps.len() > 4 && self.links.len() > 3, "{self:?}");
        let end = Instant::now() + FREED_WITHIN;
        while self.left() != Held::default() && Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(self.left(), Held::default());
    }
}

/// What is pinned in the BPF file system, where there is one.
fn pinned(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all = BTreeSet::new();
    for path in entries.map(|entry| entry.path()) {
        all.extend(pinned(&path));
        all.insert(path);
    }
    all
}

#[test]
fn however_it_ends_it_leaves_nothing_in_the_kernel() {
    let Some(_turn) = Turn::take() else { return };
    let pins = Path::new("/sys/fs/bpf");
    let before = pinned(pins);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL, Signal::SIGKILL] {
        let mut watch = Watch::start("");
        Command::new("cat").arg("/etc/shadow").output().unwrap();
        watch.alert(&["cat /etc/shadow"]);
        let held = Held::by(watch.pid());
        assert_eq!(held.left(), held, "all of it is there while it watches");
        watch.signal(signal);
        watch.wait();
        held.assert_freed();
    }
    assert_eq!(pinned(pins).difference(&before).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
}

#[test]
fn two_of_it_both_tell_and_the_end_of_one_is_nothing_to_the_other() {
    let Some(_turn) = Turn::take() else { return };
    let mut first = Watch::start("");
    let mut second = Watch::start("");
    let folder = first.folder();
    let read = |name: &str| {
        let copy = folder.join(name);
        fs::copy("/bin/cat", &copy).unwrap();
        Command::new(copy).arg("/etc/shadow").output().unwrap();
    };
    read("reads-before");
    first.alert(&["reads-before", "/etc/shadow"]);
    second.alert(&["reads-before", "/etc/shadow"]);
    let (of_first, of_second) = (Held::by(first.pid()), Held::by(second.pid()));
    assert!(of_first.programs.is_disjoint(&of_second.programs) && of_first.maps.is_disjoint(&of_second.maps));

    second.signal(Signal::SIGKILL);
    second.wait();
    of_second.assert_freed();
    assert_eq!(of_first.left(), of_first);
    read("reads-after");
    first.alert(&["reads-after", "/etc/shadow"]);
    first.stop();
}
