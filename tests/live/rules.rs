//! Default rules by tables: for each the act that it is about, done for real, and near misses, which stay silent.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::watch::Watch;

/// Longer than an alert waits for its container's names.
const LATE: Duration = Duration::from_millis(1500);

/// One rule's test.
pub struct Case {
    pub rule: &'static str,
    /// Each raises an alert of the rule.
    pub acts: &'static [Act],
    /// None raises any alert.
    pub near_misses: &'static [Act],
}

/// Where it is done, and bash's words for it. `$M` is a mark that is the act's own, by which its alerts are
/// known: it has to be among the arguments of each program that matters. `$T` is an empty folder whose name is the
/// mark, `$PORT` a port on which a neighbour listens. What ends with an error wasn't done, and fails the test.
pub type Act = (Place, &'static str);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Host,
    /// A container as Kubernetes starts it unless told otherwise.
    Container,
    Privileged,
    /// Such containers, started for the act, which is their first program.
    NewContainer,
    NewPrivileged,
}

/// Does everything in the tables and says what the watch told too much and too little.
pub fn check(watch: &mut Watch, cases: &[&Case], perform: impl Fn(Place, &str, &str) -> bool) {
    let marks = |case: usize, kind: &'static str, acts: &'static [Act]| {
        acts.iter().enumerate().map(move |(number, act)| (format!("lanner-{case}-{number}-{kind}"), act))
    };
    for (number, case) in cases.iter().enumerate() {
        assert!(!case.acts.is_empty() && case.near_misses.len() >= 2, "{}: too little is done", case.rule);
        for (mark, &(place, script)) in marks(number, "near", case.near_misses) {
            assert!(perform(place, &mark, script), "{}: can't be done: {place:?}: {script}", case.rule);
        }
        for (mark, &(place, script)) in marks(number, "act", case.acts) {
            assert!(perform(place, &mark, script), "{}: can't be done: {place:?}: {script}", case.rule);
        }
    }
    // Alerts keep the order of events: after this one there is none to come.
    Command::new("cat").args(["/etc/shadow", "/lanner-all-done"]).output().unwrap();
    watch.alert(&["Read sensitive file untrusted", "lanner-all-done"]);
    thread::sleep(LATE);

    let mut faults = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let rule = format!("\"rule\":\"{}\"", case.rule);
        for (mark, (place, script)) in marks(number, "act", case.acts) {
            if watch.alerts_with(&[&rule, &mark]).is_empty() {
                let told = watch.alerts_with(&[&mark]);
                faults.push(format!("{}: not told: {place:?}: {script}; but: {told:#?}", case.rule));
            }
        }
        for (mark, (place, script)) in marks(number, "near", case.near_misses) {
            let told = watch.alerts_with(&[&mark]);
            if !told.is_empty() {
                faults.push(format!("{}: not silent at: {place:?}: {script}: {told:#?}", case.rule));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What bash is to run for an act: mark and names first, so that the mark is in its command line.
pub fn words(folder: &Path, port: u16, mark: &str, script: &str) -> String {
    let folder = folder.join(mark);
    let folder = folder.display();
    format!(": {mark}; set -e; M={mark}; T={folder}; PORT={port}; mkdir -p $T; cd $T; {script}")
}

/// Runs bash on the host; whether it succeeds.
pub fn on_host(programs: Option<&Path>, words: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let path = programs.map_or_else(|| path.clone(), |folder| format!("{path}:{}", folder.display()));
    Command::new("bash").args(["-c", words]).env("PATH", path).output().unwrap().status.success()
}

/// Rules whose tests are written out in `attacks.rs`.
const WRITTEN_OUT: &[&str] = &[
    "Terminal shell in container",
    "Kubernetes Client Tool Launched in Container",
    "Contact K8S API Server From Container",
    "Change thread namespace",
    "Read sensitive file untrusted",
];

#[test]
fn every_default_rule_has_a_live_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let mut without = Vec::new();
    for file in std::fs::read_dir(folder).unwrap().flatten() {
        // Rules over Kubernetes audit events are tested with such events, not on a kernel.
        if file.file_name().to_string_lossy().contains("_k8s_audit_") {
            continue;
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("- rule: "));
        without.extend(names.filter(|name| !is_tested(name)).map(str::to_owned));
    }
    assert_eq!(without, Vec::<String>::new(), "rules without a live test");
}

fn is_tested(name: &str) -> bool {
    let tables = [crate::rules_host::CASES, crate::rules_container::CASES];
    WRITTEN_OUT.contains(&name) || tables.into_iter().flatten().any(|case| case.rule == name)
}
