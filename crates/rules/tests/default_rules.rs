//! lanner's own rules: whole, explained, and to be tuned.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use lanner_rules::{LoadOptions, Loaded, SourceText, load};

/// In the order in which they are loaded.
const FILES: [&str; 4] = [
    "lanner_rules.yaml",
    "lanner_execution_rules.yaml",
    "lanner_container_rules.yaml",
    "lanner_file_rules.yaml",
];

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules")
}

fn default_rules(more: &[SourceText]) -> Loaded {
    let mut files: Vec<SourceText> = FILES
        .iter()
        .map(|name| SourceText::from_bytes(*name, fs::read(folder().join(name)).unwrap()))
        .collect();
    files.extend_from_slice(more);
    let options = LoadOptions { all_errors: true, ..LoadOptions::default() };
    load(&files, &lanner_engine::Catalog::new(["syscall"]), &options)
}

#[test]
fn nothing_is_found_wrong() {
    let loaded = default_rules(&[]);
    assert_eq!(loaded.report.human_text(), "4 files: no errors, no warnings\n");
    assert!(loaded.rules.rules.len() >= 20);
    // Rules over Kubernetes audit events know other fields; they are tested with the events that they are about.
    let of_system_calls = |name: &str| !name.contains("_k8s_audit_");
    let names =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let listed = names.filter(|name| of_system_calls(name)).count();
    assert_eq!(listed, FILES.len(), "a file of rules isn't loaded");
}

#[test]
fn each_rule_is_explained_and_classified() {
    for rule in default_rules(&[]).rules.rules {
        assert!(rule.description.split_whitespace().count() >= 25, "{}: {}", rule.name, rule.description);
        let technique =
            |tag: &String| tag.starts_with('T') && tag[1..].starts_with(|c: char| c.is_ascii_digit());
        assert!(rule.tags.iter().any(|tag| tag.starts_with("mitre_")), "{} has no tactic", rule.name);
        assert!(rule.tags.iter().any(technique) || rule.tags.contains("TA0003"), "{}", rule.name);
        assert!(rule.output.contains("%proc.cmdline"), "{}", rule.name);
    }
}

#[test]
fn files_written_for_falcos_rules_tune_them() {
    let tuning = "
- list: user_known_change_thread_namespace_binaries
  items: [my-plugin]
  override: {items: append}
- macro: user_known_read_sensitive_files_activities
  condition: (proc.name = my-backup)
- list: known_drop_and_execute_containers
  items: [example.org/agent]
- rule: Terminal shell in container
  enabled: false
  override: {enabled: replace}
";
    let loaded = default_rules(&[SourceText::new("mine.yaml", tuning)]);
    assert!(loaded.report.successful(), "{}", loaded.report.human_text());
    let rule = |name: &str| loaded.rules.rules.iter().find(|rule| rule.name == name).unwrap();
    assert!(!rule("Terminal shell in container").enabled);
    assert!(rule("Change thread namespace").condition.to_string().contains("my-plugin"));
    assert!(rule("Read sensitive file untrusted").condition.to_string().contains("my-backup"));
    assert!(
        rule("Drop and execute new binary in container").condition.to_string().contains("example.org/agent")
    );
}
