//! Folders of containers are watched while one comes up, and not a moment longer than need be: a watch makes all
//! opens of its file system dearer.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lanner_container::{CgroupNews, Config, Request, Resolver};
use lanner_machine::Runtime;
use support::wait_for;

/// inotify's watches of this process (proc(5): `fdinfo`).
fn watches() -> usize {
    let fds = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let of = |text: String| text.lines().filter(|line| line.starts_with("inotify wd:")).count();
    fds.filter_map(|fd| fs::read_to_string(fd.path()).ok()).map(of).sum()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Both tests count the watches of this process.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    wait_until("nobody else watches", || watches() == 0);
    alone
}

/// Settings for a host of which only this folder of containerd's is known.
fn knowing(bundles: &Path) -> Config {
    Config {
        cri_sockets: Vec::new(),
        containerd_sockets: Vec::new(),
        docker_sockets: Vec::new(),
        user_sockets: Vec::new(),
        containerd_bundles: vec![bundles.to_path_buf()],
        storage_bundles: Vec::new(),
        docker_containers: Vec::new(),
        runc_states: Vec::new(),
        crun_states: Vec::new(),
        ..Config::default()
    }
}

fn describe(bundle: &Path, image: &str) {
    fs::create_dir_all(bundle).unwrap();
    let annotations = format!(r#"{{"io.kubernetes.cri.image-name":"{image}"}}"#);
    fs::write(bundle.join("config.json"), format!(r#"{{"annotations":{annotations}}}"#)).unwrap();
}

/// The image that is known of a container whose bundle is gone.
fn image_of(resolver: &Resolver, id: &str) -> String {
    let request = Request { id: id[..12].to_owned(), full_id: id.to_owned(), runtime: Runtime::Cri };
    assert!(resolver.ask(request));
    wait_for(resolver, |container| container.complete && container.full_id == id).image
}

#[test]
fn folders_are_watched_while_containers_come_up() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let namespace = folder.path().join("k8s.io");
    let (before, while_watched, long) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
    describe(&namespace.join(&long), "redis:7");
    fs::File::open(namespace.join(&long)).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();

    let (mut ears, mut mouth) = UnixStream::pair().unwrap();
    let news = CgroupNews::new(
        ears.try_clone().unwrap().into(),
        Box::new(move || {
            let _ = ears.read(&mut [0]);
        }),
    );
    let resolver = Resolver::start_with(knowing(folder.path()), Some(news)).unwrap();
    thread::sleep(Duration::from_millis(50));
    assert_eq!(watches(), 0, "nothing comes up");

    // one that is described before anybody watches, and one after it; both are gone when they are asked about
    describe(&namespace.join(&before), "mysql:8");
    mouth.write_all(b"!").unwrap();
    wait_until("watched", || watches() > 0);
    describe(&namespace.join(&while_watched), "nginx:1");
    thread::sleep(Duration::from_millis(20));
    for id in [&before, &while_watched, &long] {
        fs::remove_dir_all(namespace.join(id)).unwrap();
    }
    assert_eq!(image_of(&resolver, &before), "mysql:8");
    assert_eq!(image_of(&resolver, &while_watched), "nginx:1");
    assert_eq!(image_of(&resolver, &long), "", "it came up long ago, so it is read when somebody asks");

    wait_until("left alone again", || watches() == 0);
}

#[test]
fn a_host_without_word_of_cgroups_is_watched_all_the_time() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let id = "d".repeat(64);
    fs::create_dir(folder.path().join("k8s.io")).unwrap();
    let resolver = Resolver::start(knowing(folder.path())).unwrap();
    wait_until("watched", || watches() > 0);
    describe(&folder.path().join("k8s.io").join(&id), "mysql:8");
    thread::sleep(Duration::from_millis(20));
    fs::remove_dir_all(folder.path().join("k8s.io").join(&id)).unwrap();
    assert_eq!(image_of(&resolver, &id), "mysql:8");
}
