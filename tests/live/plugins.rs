//! Plugins in shared objects beside the probe: they look at system calls, give fields of them, send events of their own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::watch::{Turn, Watch};

/// Builds a test plugin of the plugin crate.
fn build(folder: &Path, name: &str) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin/tests/c");
    let out = folder.join(format!("lib{name}.so"));
    let mut cc = Command::new("cc");
    let built = cc.args(["-shared", "-fPIC", "-o"]).arg(&out).arg(sources.join(format!("{name}.c"))).output();
    let built = built.unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    out
}

/// A watch with plugins and rules for what this process does, and the folder of both.
fn watch(plugins: &[(&str, &str)], settings: &str) -> (Watch, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    let rule = |name: &str, condition: &str, output: &str| {
        format!(
            "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: '{output}'\n  priority: NOTICE\n"
        )
    };
    let mine = format!("proc.pid = {} and fd.name = /etc/hostname", std::process::id());
    let mut text = rule("Sent", "evt.asynctype = tick", "sent over %evt.source")
        + &rule("Opened", &format!("evt.type in (open, openat) and {mine}"), "opened %fd.name");
    if plugins.len() > 1 {
        let output = "seen=%test.seen name=%test.comm inner=%inner.text";
        text += &rule("Closed", &format!("evt.type = close and {mine} and test.seen > 2"), output);
    }
    fs::write(&rules, text).unwrap();
    let plugin = |(name, init_config): &(&str, &str)| {
        let library = build(folder.path(), name);
        format!("- {{name: test_{name}, library_path: {}, init_config: {init_config}}}\n", library.display())
    };
    let plugins: String = plugins.iter().map(plugin).collect();
    let settings =
        format!("rule_matching: all\nrules_files: [{}]\nplugins:\n{plugins}{settings}\n", rules.display());
    (Watch::start(&settings), folder)
}

fn open_and_close() {
    for _ in 0..5 {
        drop(File::open("/etc/hostname").unwrap());
    }
}

#[test]
fn plugins_see_system_calls_and_rules_see_what_they_made_of_them() {
    let Some(_turn) = Turn::take() else { return };
    let all = [("parse", "''"), ("extract", "''"), ("inner", "''"), ("async", "{mode: x}")];
    let (mut watch, _folder) = watch(&all, "");
    watch.alert(&["sent over syscall"]);
    open_and_close();
    let line = watch.alert(&["seen=4 "]);
    // The thread's name, the number of threads, the file, the process' arguments, and what ran before.
    assert!(line.contains(" of ") && line.contains(" begun "), "{line}");
    let own = std::env::args().nth(1).unwrap_or_default();
    assert!(line.contains(&own), "{line}");
    let begun = line.split(" begun ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(begun.parse::<u32>().unwrap() > 1, "{line}");
    watch.stop();
}

#[test]
fn a_plugin_in_a_process_of_its_own_sends_and_its_crash_costs_nothing_else() {
    let Some(_turn) = Turn::take() else { return };
    let (mut watch, _folder) = watch(&[("async", "{mode: crash}")], "plugins_isolation: process");
    watch.alert(&["sent over syscall"]);
    watch.alert(&["plugin 'test_async' has crashed in its own process (signal 11); it sends no more events"]);
    open_and_close();
    watch.alert(&["opened /etc/hostname"]);
    watch.stop();
}
