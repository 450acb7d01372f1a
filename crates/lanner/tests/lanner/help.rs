//! What a user reads first.

use insta::assert_snapshot;

use crate::stage::Stage;

fn help(args: &[&str]) -> String {
    let run = Stage::new().run(args);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    run.out
}

#[test]
fn help_of_lanner_and_its_commands() {
    assert_snapshot!("help", help(&["--help"]));
    for command in ["run", "replay", "record", "fields", "events", "doctor"] {
        assert_snapshot!(format!("help-{command}"), help(&[command, "--help"]));
    }
    assert_snapshot!("help-rules-check", help(&["rules", "check", "--help"]));
    assert_snapshot!("help-rules-explain", help(&["rules", "explain", "--help"]));
    assert_snapshot!("help-rules-show", help(&["rules", "show", "--help"]));
}

#[test]
fn help_in_falcos_place() {
    assert_snapshot!("help-falco", help(&["falco", "--help"]));
}

#[test]
fn fields_and_events_are_listed() {
    let names = help(&["fields", "--names"]);
    assert!(names.lines().count() > 400 && names.lines().any(|line| line == "proc.aname"));
    let of_source = help(&["fields", "--source", "k8s_audit", "--format", "json"]);
    let parsed: serde_json::Value = serde_json::from_str(&of_source).unwrap();
    let classes = parsed["fieldclasses"].as_array().unwrap();
    let names: Vec<&str> = classes
        .iter()
        .flat_map(|c| c["fields"].as_array().unwrap())
        .filter_map(|f| f["name"].as_str())
        .collect();
    assert!(names.contains(&"ka.verb") && !names.contains(&"proc.name"));
    let events = help(&["events"]);
    assert!(
        events.lines().any(|line| line.starts_with("< openat(fd fd, fd dirfd, fsrelpath name, ")),
        "{events}"
    );
}
