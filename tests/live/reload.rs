//! Rules that change while lanner watches: what it knows stays, nothing is lost, and what is broken is refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::watch::{Turn, Watch};

const OPENED: &str = "\
- rule: Opened
  desc: A marked file was opened.
  condition: evt.type in (open, openat) and fd.name contains lanner-reload-mark
  output: opened %fd.name
  priority: WARNING
";

/// It asks for a call that `OPENED` and the state don't need.
const MADE: &str = "\
- rule: Made
  desc: A marked directory was made.
  condition: evt.type in (mkdir, mkdirat) and evt.arg.path contains lanner-reload-mark
  output: made %evt.arg.path
  priority: WARNING
";

/// Puts a version of the rules in force as Kubernetes does with the files of a ConfigMap.
fn swap(folder: &Path, version: &str, rules: &str) {
    let own = folder.join(format!("..{version}"));
    fs::create_dir(&own).unwrap();
    fs::write(own.join("rules.yaml"), rules).unwrap();
    symlink(format!("..{version}"), folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

#[test]
fn rules_are_swapped_while_events_flow() {
    let Some(_turn) = Turn::take() else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    swap(folder.path(), "1", OPENED);
    symlink("..data/rules.yaml", at("rules.yaml")).unwrap();
    let mut watch = Watch::start(&format!("rules_files: [{}]", at("rules.yaml").display()));
    let mark = at("lanner-reload-mark");
    let open = |n: usize| fs::write(format!("{}-{n}", mark.display()), "").unwrap();
    let make = |n: usize| fs::create_dir(format!("{}-dir-{n}", mark.display())).unwrap();
    open(0);
    make(0);
    watch.alert(&["opened", "lanner-reload-mark-0"]);

    swap(folder.path(), "2", &format!("{OPENED}{MADE}"));
    let end = Instant::now() + Duration::from_secs(10);
    for n in 1.. {
        assert!(Instant::now() < end, "the new rule never fired: {:?}", watch.seen);
        make(n);
        thread::sleep(Duration::from_millis(50));
        if !watch.alerts_with(&["made"]).is_empty() {
            break;
        }
    }
    // What happened before the rule was there is not told.
    assert!(watch.alerts_with(&["made", "mark-dir-0"]).is_empty());

    swap(folder.path(), "3", "- rule: [broken");
    watch.alert(&["Critical Falco internal: hot restart failure: "]);
    open(1);
    watch.alert(&["opened", "lanner-reload-mark-1"]);
    swap(folder.path(), "4", OPENED);

    let files = 3000;
    for n in 2..files {
        open(n);
        if n % 100 == 0 {
            watch.signal(Signal::SIGHUP);
            thread::sleep(Duration::from_millis(60));
        }
    }
    watch.alert(&["opened", &format!("mark-{}", files - 1)]);
    let opened = watch.alerts_with(&["opened"]).len();
    let summary = watch.stop();
    assert_eq!((opened, summary.lost), (files, 0), "{summary:?}");
}
