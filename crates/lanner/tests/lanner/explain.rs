//! Why a rule fired at a capture's events, or didn't.

use insta::assert_snapshot;

use crate::stage::{RULES, Run, Stage};

/// Never fires: the second event lacks only the program's name, the first the file's too.
const NEAR: &str = "\
- macro: reads
  condition: evt.type = openat or evt.type = openat2

- macro: services
  condition: proc.name in (sshd, systemd)

- rule: Service reads shadow
  desc: A service opened the shadow file.
  condition: >
    reads and fd.name = /etc/shadow and not (proc.pid = 1 or user.name exists and services)
    and not services and (proc.name = sshd or services) and proc.ppid = 1
  output: shadow opened
  priority: INFO
  enabled: false
";

fn explain(rules: &str, args: &[&str]) -> Run {
    let stage = Stage::new().with("r.yaml", rules).with_capture();
    stage.run(&[&["rules", "explain", "--capture", "c.scap", "--rules", "r.yaml"], args].concat())
}

#[test]
fn a_match_and_what_stood_in_the_way_of_another() {
    assert_snapshot!("explain", explain(RULES, &["Shadow read"]).shown());
}

#[test]
fn an_earlier_rule_takes_the_event() {
    assert_snapshot!("explain-taken", explain(RULES, &["Any open", "--event", "2"]).shown());
}

#[test]
fn the_nearest_comes_first_when_nothing_matched() {
    let run = explain(NEAR, &["Service reads shadow", "--max", "1"]);
    assert!(run.out.lines().all(|line| line.chars().count() <= 80), "{}", run.out);
    assert_snapshot!("explain-nearest", run.shown());
}

#[test]
fn a_match_is_preferred_to_what_came_before_it() {
    let run = explain(RULES, &["Shadow read", "--max", "1"]);
    assert!(run.out.starts_with("event 2 "), "{}", run.out);
    assert!(run.out.ends_with("2 events looked at, 1 matched\n"), "{}", run.out);
}

#[test]
fn a_rule_that_is_off_says_so() {
    let rules = format!("{RULES}  enabled: false\n");
    let run = explain(&rules, &["Any open"]);
    assert_eq!(run.out.matches("matches, but the rule is off\n").count(), 2, "{}", run.out);
}

#[test]
fn long_comparisons_keep_to_the_width() {
    let rules = RULES.replace("[/etc/shadow]", &format!("[/etc/shadow, /{}]", "x".repeat(99)));
    let run = explain(&rules, &["Shadow read"]);
    assert!(run.out.contains("…\n          /etc/hostname\n"), "{}", run.out);
    assert!(run.out.lines().all(|line| line.chars().count() <= 80), "{}", run.out);
}

#[test]
fn what_is_not_there_is_named() {
    assert_snapshot!("explain-no-event", explain(RULES, &["Any open", "--event", "99"]).shown());
    let run = explain(RULES, &["Any opens"]);
    assert_eq!(
        (run.code, &*run.err),
        (1, "lanner: no rule is called 'Any opens'; did you mean 'Any open'?\n")
    );
}

#[test]
fn no_event_of_a_type_that_the_rule_can_match() {
    let rules = RULES.replace("(open, openat)", "(unlink, unlinkat)");
    assert_snapshot!("explain-no-type", explain(&rules, &["Any open"]).shown());
}

#[test]
fn a_cut_capture_tells_what_was_read() {
    let stage = Stage::new().with("r.yaml", RULES).with_capture();
    let bytes = std::fs::read(stage.path("c.scap")).unwrap();
    std::fs::write(stage.path("c.scap"), &bytes[..bytes.len() - 10]).unwrap();
    let run = stage.run(&["rules", "explain", "Any open", "--capture", "c.scap", "-r", "r.yaml"]);
    assert_eq!(run.code, 1);
    assert!(run.out.ends_with("1 events looked at, 1 matched\n"), "{}", run.out);
    assert!(run.err.starts_with("lanner: c.scap: "), "{}", run.err);
}

#[test]
fn without_a_capture_it_says_what_the_kernel_decides() {
    let stage = Stage::new().with("r.yaml", RULES);
    assert_snapshot!(
        "explain-kernel",
        stage.run(&["rules", "explain", "Shadow read", "-r", "r.yaml"]).shown()
    );
}
