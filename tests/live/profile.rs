//! `lanner rules profile --live` on this very kernel: what happens while it records is what it counts.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::watch::Turn;

const RULES: &str = "\
- rule: Marked file read
  desc: A file of this test was opened.
  condition: evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.name endswith MARK
  output: read
  priority: INFO

- rule: Never
  desc: No file is called so.
  condition: evt.type in (open, openat, openat2) and fd.name endswith MARK.not
  output: never
  priority: INFO
";

/// How often the file is read.
const READS: u64 = 7;

/// The entry of a list whose `key` begins so.
fn entry<'v>(profile: &'v Value, list: &str, key: &str, begin: &str) -> &'v Value {
    let entries = profile[list].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry[key].as_str().unwrap().starts_with(begin));
    entry.unwrap_or_else(|| panic!("no {begin} in {profile:#}"))
}

fn count(entry: &Value, what: &str) -> u64 {
    entry["work"][what].as_u64().unwrap()
}

fn read_often(file: &Path) {
    for _ in 0..READS {
        assert!(Command::new("cat").arg(file).stdin(Stdio::null()).output().unwrap().status.success());
    }
}

#[test]
fn what_happens_now_is_counted_by_rule_and_by_comparison() {
    let Some(_turn) = Turn::take() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join(format!("marked-{}", std::process::id()));
    std::fs::write(&mark, "x").unwrap();
    let rules = folder.path().join("r.yaml");
    let name = mark.file_name().unwrap().to_str().unwrap();
    std::fs::write(&rules, RULES.replace("MARK", name)).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_lanner"))
        .args(["rules", "profile", "--live", "--duration", "4", "--json", "-r"])
        .arg(&rules)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert_eq!(line, "recording this host for 4 seconds\n");
    read_often(&mark);
    let output = process.wait_with_output().unwrap();
    let told = std::io::read_to_string(errors).unwrap();
    assert!(output.status.success(), "{told}");
    let profile: Value = serde_json::from_slice(&output.stdout).unwrap();
    let read = entry(&profile, "rules", "rule", "Marked file read");
    assert_eq!(count(read, "hits"), READS, "{profile:#}\n{told}");
    assert!(read["events"].as_u64().unwrap() >= READS && count(read, "nanoseconds") > 0, "{read:#}");
    let never = entry(&profile, "rules", "rule", "Never");
    assert_eq!(count(never, "hits"), 0, "{never:#}");
    let by_mode = entry(&profile, "comparisons", "comparison", "evt.is_open_read");
    assert!(count(by_mode, "evaluations") >= READS && count(by_mode, "hits") >= READS, "{by_mode:#}");
    assert!(by_mode["rules"].as_array().unwrap().contains(&"Marked file read".into()), "{by_mode:#}");
}
