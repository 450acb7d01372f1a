//! Captures that rules trigger on this very kernel: they hold every event for their time, and before and after it the
//! kernel drops what nobody needs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use lanner_capture::{FdObject, Reader};

use crate::watch::{Turn, Watch};

const RULES: &str = "\
- rule: Shadow
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow
  output: shadow is read
  priority: INFO
  capture: true
  capture_duration: 1500
";

/// Opens a file so often.
fn open(path: &Path, times: usize) {
    (0..times).for_each(|_| drop(File::create(path).unwrap()));
}

/// The only capture in a folder.
fn capture(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|of| of == "scap")).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[test]
fn a_capture_holds_every_event_of_its_time_and_no_other_is_told() {
    const MANY: usize = 40_000;
    let Some(_turn) = Turn::take() else { return };
    let [folder, captures] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let place = |name: &str| folder.path().join(name);
    fs::write(place("rules.yaml"), RULES).unwrap();
    let mut watch = Watch::start(&format!(
        "rules_files: [{}]\ncapture: {{enabled: true, mode: rules, path_prefix: {}}}",
        place("rules.yaml").display(),
        captures.path().join("captured").display()
    ));
    open(&place("before"), MANY);
    let unseen = File::create(place("unseen")).unwrap();
    File::open("/etc/shadow").unwrap();
    watch.alert(&["shadow is read"]);
    sleep(Duration::from_millis(300));
    open(&place("during"), 50);
    // its time, and as long as events may come late
    sleep(Duration::from_millis(3000));
    open(&place("after"), MANY);
    drop(unseen);
    let summary = watch.stop();
    assert!(summary.events < MANY as u64, "{summary:?}");

    let mut reader = Reader::open(capture(captures.path())).unwrap();
    let mut opened: Vec<Vec<u8>> = Vec::new();
    while reader.advance().unwrap() {
        let event = reader.event().unwrap();
        let name = event.info.params.iter().position(|param| param.name == "name");
        opened.extend(name.and_then(|at| event.text(at)).map(Vec::from));
    }
    let snapshot = reader.take_snapshot();
    let times = |name: &str| {
        let path = place(name).into_os_string().into_encoded_bytes();
        opened.iter().filter(|name| **name == path).count()
    };
    assert_eq!(opened.first().map(Vec::as_slice), Some(b"/etc/shadow".as_slice()));
    assert_eq!([times("before"), times("during"), times("after")], [0, 50, 0]);
    let own = i64::from(std::process::id());
    let files = &snapshot.fds.iter().find(|list| list.tid == own).unwrap().fds;
    let is_unseen =
        |object: &FdObject| matches!(object, FdObject::File { name, .. } if name.ends_with(b"/unseen"));
    assert!(files.iter().any(|fd| is_unseen(&fd.object)), "{files:?}");
}
