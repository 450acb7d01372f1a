//! Rules that only processes of certain names can match: of others the kernel tells less.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::watch::{Turn, Watch};

/// A script of this name, run once.
fn run(folder: &Path, name: &str, script: &str) {
    let program = folder.join(name);
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Command::new(&program).current_dir(folder).status().unwrap().success(), "{script}");
}

#[test]
fn a_process_is_known_by_what_was_run_whatever_it_calls_itself() {
    let Some(_turn) = Turn::take() else { return };
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let rules = place.join("rules.yaml");
    let mark = |number: u32| place.join(format!("mark-{number}")).display().to_string();
    (0..4).for_each(|number| fs::write(mark(number), "").unwrap());
    fs::write(
        &rules,
        format!(
            "- rule: Opened by name\n  desc: d\n  priority: INFO\n  output: \"%fd.name by %proc.name\"\n  \
             condition: evt.type in (open, openat) and fd.name startswith {}/mark and proc.name = asked\n",
            place.display()
        ),
    )
    .unwrap();
    let mut watch = Watch::start(&format!("rules_files: [{}]", rules.display()));
    run(place, "other", &format!(": < {}", mark(0)));
    run(place, "other", &format!("printf asked > /proc/$$/comm && : < {}", mark(1)));
    run(place, "asked", &format!("printf other > /proc/$$/comm && : < {}", mark(2)));
    run(place, "asked", &format!(": < {}", mark(3)));
    for number in [2, 3] {
        watch.alert(&[&format!("{} by asked", mark(number))]);
    }
    let summary = watch.stop();
    assert_eq!((summary.alerts, summary.lost), (2, 0));
}
