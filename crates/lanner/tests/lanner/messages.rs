//! One clear message for what can't work: what, where, and what to do.

use insta::assert_snapshot;

use crate::stage::{RULES, Stage};

fn run_with(rules: &str) -> String {
    let run = Stage::new().with("r.yaml", rules).run(&["run", "--rules", "r.yaml"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""), "nothing is started: {}", run.shown());
    run.err
}

fn rule(condition: &str, output: &str) -> String {
    format!("- rule: r\n  desc: d\n  condition: {condition}\n  output: {output}\n  priority: NOTICE\n")
}

#[test]
fn rules_that_are_missing() {
    let stage = Stage::new().with("r.txt", RULES);
    assert_snapshot!("missing-file", stage.run(&["run", "--rules", "no.yaml"]).shown());
    assert_snapshot!("no-rules-there", stage.run(&["run", "--rules", "r.txt"]).shown());
}

#[test]
fn rules_that_are_broken() {
    assert_snapshot!("broken-yaml", run_with("- rule: r\n  desc: [d\n  output: o\n"));
    assert_snapshot!("unknown-field", run_with(&rule("proc.nmae = cat", "x")));
    assert_snapshot!("bad-condition", run_with(&rule("evt.type = open and (proc.name = cat", "x")));
    assert_snapshot!("unknown-field-in-output", run_with(&rule("evt.type = open", "by %proc.nmae")));
    assert_snapshot!(
        "missing-output",
        run_with("- rule: r\n  desc: d\n  condition: evt.type=open\n  priority: INFO\n")
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let both = format!(
        "{}{}",
        rule("proc.nmae = cat", "x"),
        rule("evt.type = open and", "x").replace("rule: r", "rule: s")
    );
    let run = Stage::new().with("r.yaml", &both).run(&["rules", "check", "r.yaml"]);
    assert_eq!(run.code, 1);
    assert_snapshot!("two-errors", run.err);
}

#[test]
fn rules_that_are_well() {
    let stage = Stage::new().with("r.yaml", RULES);
    assert_snapshot!("rules-check", stage.run(&["rules", "check", "r.yaml"]).shown());
    assert_snapshot!("rules-list", stage.run(&["rules", "list", "--rules", "r.yaml"]).shown());
}

#[test]
fn one_rule_whole() {
    let stage = Stage::new().with("r.yaml", RULES);
    let show = |name: &str| stage.run(&["rules", "show", name, "--rules", "r.yaml"]);
    assert_snapshot!("rules-show", show("Shadow read").shown());
    assert_snapshot!("rules-show-misspelt", show("Shadow raed").shown());
    let json = stage.run(&["rules", "show", "Any open", "--json", "--rules", "r.yaml"]);
    let shown: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&shown["place"], &shown["info"]["name"]), (&"r.yaml:14".into(), &"Any open".into()));
}

#[test]
fn rules_are_turned_on_and_off_in_order() {
    let stage = Stage::new().with("r.yaml", RULES);
    let listed = |options: &[&str]| {
        let args = ["rules", "list", "--rules", "r.yaml"].iter().chain(options).copied().collect::<Vec<_>>();
        let run = stage.run(&args);
        assert_eq!(run.code, 0, "{}", run.shown());
        let off = |name: &str| run.out.contains(&format!("{name} (off)"));
        [off("Shadow read"), off("Any open")]
    };
    assert_eq!(listed(&["--disable", "*open"]), [false, true]);
    assert_eq!(listed(&["--disable", "*", "--enable", "tag:host"]), [false, true]);
    assert_eq!(listed(&["--enable", "tag:host", "--disable", "*"]), [true, true]);
    assert_eq!(listed(&["--tag", "filesystem"]), [false, true]);
    let misspelt = stage.run(&["rules", "list", "--rules", "r.yaml", "--disable", "Any opne"]);
    assert_snapshot!("selection-misspelt", misspelt.shown());
}

#[test]
fn captures_that_are_none() {
    let stage = Stage::new().with("r.yaml", RULES).with("c.scap", "no capture");
    assert_snapshot!("no-capture", stage.run(&["replay", "c.scap", "--rules", "r.yaml"]).shown());
    assert_snapshot!("missing-capture", stage.run(&["replay", "no.scap", "--rules", "r.yaml"]).shown());
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let run = Stage::new().run(&["run", "--priority", "loud"]);
    assert_eq!(run.code, 2);
    assert_snapshot!("wrong-priority", run.err);
}

/// Without privileges nothing is attached, and the message says which are missing.
#[test]
fn no_privileges() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    let stage = Stage::new().with("r.yaml", RULES);
    let mut command = stage.command(&["run", "--rules", "r.yaml", "--duration", "5"]);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        // `nobody` must be able to read the rules, and to reach the executable.
        std::fs::set_permissions(stage.path("."), std::fs::Permissions::from_mode(0o755)).unwrap();
        let copy = stage.path("lanner");
        std::fs::copy(env!("CARGO_BIN_EXE_lanner"), &copy).unwrap();
        command = stage.command_of(&copy, &["run", "--rules", "r.yaml", "--duration", "5"]);
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("no permission to load BPF programs") && err.contains("run as root"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}
