//! What rule files mean: order, appending, overriding, exceptions, selection, and the reports that tools read.

use lanner_alert::Priority;
use lanner_engine::Catalog;
use lanner_rules::{
    ExtraOutput, LoadOptions, Loaded, Rule, Selection, SourceText, Target, description_table, load,
};

fn load_texts(texts: &[&str]) -> Loaded {
    let files: Vec<SourceText> =
        texts.iter().enumerate().map(|(n, text)| SourceText::new(format!("{n}.yaml"), *text)).collect();
    load(&files, &Catalog::new(["syscall"]), &LoadOptions::default())
}

/// The rules of files that are right.
fn rules(texts: &[&str]) -> Vec<Rule> {
    let loaded = load_texts(texts);
    assert!(loaded.report.successful(), "{}", loaded.report.human_text());
    loaded.rules.rules
}

fn condition(texts: &[&str]) -> String {
    rules(texts)[0].condition.to_string()
}

const BASE: &str = "
- list: shells
  items: [bash, zsh]
- macro: is_shell
  condition: proc.name in (shells)
- rule: Shell
  desc: A shell
  condition: evt.type = execve and is_shell
  output: shell
  priority: NOTICE
  tags: [b, a]
";

#[test]
fn lists_and_macros_are_put_in() {
    assert_eq!(condition(&[BASE]), "(evt.type = execve and proc.name in (bash, zsh))");
    let rule = rules(&[BASE]).remove(0);
    assert_eq!((rule.source.as_str(), rule.priority, rule.enabled), ("syscall", Priority::Notice, true));
    assert_eq!(rule.tags.into_iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn later_files_append_and_replace() {
    let by_override = "- {list: shells, items: [fish], override: {items: append}}";
    let by_flag = "- {list: shells, items: [fish], append: true}";
    let replaced = "- {list: shells, items: [fish]}";
    assert_eq!(condition(&[BASE, by_override]), "(evt.type = execve and proc.name in (bash, zsh, fish))");
    assert_eq!(condition(&[BASE, by_flag]), condition(&[BASE, by_override]));
    assert_eq!(condition(&[BASE, replaced]), "(evt.type = execve and proc.name in (fish))");
    let never = "- {macro: is_shell, condition: and evt.num = 0, override: {condition: append}}";
    assert_eq!(
        condition(&[BASE, never]),
        "(evt.type = execve and (proc.name in (bash, zsh) and evt.num = 0))"
    );
}

#[test]
fn every_key_of_a_rule_can_be_overridden() {
    let rule = rules(&[
        BASE,
        "
- rule: Shell
  desc: of a kind
  condition: and user.name = root
  output: (%proc.cmdline)
  tags: [c]
  priority: CRITICAL
  enabled: false
  capture: true
  capture_duration: 5000
  override:
    {desc: append, condition: append, output: append, tags: append, priority: replace, enabled: replace,
     capture: replace, capture_duration: replace}
",
    ])
    .remove(0);
    assert_eq!(rule.description, "A shell of a kind");
    assert!(rule.condition.to_string().ends_with("and user.name = root)"));
    assert_eq!(rule.output, "shell (%proc.cmdline)");
    assert_eq!(rule.tags.len(), 3);
    assert_eq!((rule.priority, rule.enabled), (Priority::Critical, false));
    assert_eq!((rule.capture, rule.capture_duration), (true, 5000));
}

#[test]
fn a_rule_may_be_turned_off_by_its_name_alone() {
    assert!(!rules(&[BASE, "- {rule: Shell, enabled: false}"])[0].enabled);
}

#[test]
fn a_macro_sees_what_stands_before_it() {
    let late = "
- macro: outer
  condition: inner
- macro: inner
  condition: evt.type = open
- rule: R
  desc: d
  condition: outer
  output: o
  priority: INFO
";
    let loaded = load_texts(&[late]);
    assert_eq!(loaded.report.files[0].errors[0].message, "Undefined macro 'inner' used in filter.");
    // Said once more below, it sees it.
    assert_eq!(condition(&[&format!("{late}\n- macro: outer\n  condition: inner\n")]), "evt.type = open");
}

#[test]
fn exceptions_become_part_of_the_condition() {
    let with = |exceptions: &str| {
        condition(&[&format!(
            "
- list: dirs
  items: [/etc, /usr]
- rule: R
  desc: d
  condition: evt.type = open
  output: o
  priority: INFO
  exceptions:
{exceptions}"
        )])
    };
    assert_eq!(
        with("  - {name: e, fields: [proc.name, fd.name], values: [[a, /b], [c, /d]]}"),
        "(evt.type = open and not ((proc.name = a and fd.name = /b) or (proc.name = c and fd.name = /d)))"
    );
    assert_eq!(
        with(
            "  - {name: e, fields: [proc.name, fd.name], comps: [in, pmatch], values: [[[a, 'b c'], dirs]]}"
        ),
        "(evt.type = open and not (proc.name in (a, \"b c\") and fd.name pmatch (/etc, /usr)))"
    );
    assert_eq!(
        with("  - {name: e, fields: proc.name, values: [a, b]}"),
        "(evt.type = open and not proc.name in (a, b))"
    );
    assert_eq!(
        with("  - {name: e, fields: fd.name, comps: startswith oneof, values: [/a, /b]}"),
        "(evt.type = open and not fd.name startswith oneof (/a, /b))"
    );
    assert_eq!(with("  - {name: e, fields: [proc.name]}"), "evt.type = open");
}

#[test]
fn values_are_appended_to_an_exception() {
    let base = "
- rule: R
  desc: d
  condition: evt.type = open
  output: o
  priority: INFO
  exceptions:
  - {name: e, fields: proc.name, values: [a]}
";
    let more = "- {rule: R, exceptions: [{name: e, values: [b]}], override: {exceptions: append}}";
    assert_eq!(condition(&[base, more]), "(evt.type = open and not proc.name in (a, b))");
}

#[test]
fn rules_are_selected_in_order() {
    let three = "
- {rule: a one, desc: d, condition: evt.type = open, output: o, priority: INFO, tags: [x]}
- {rule: a two, desc: d, condition: evt.type = open, output: o, priority: INFO}
- {rule: b, desc: d, condition: evt.type = open, output: o, priority: INFO, enabled: false}
";
    let mut set = load_texts(&[three]).rules;
    let step = |enable, target| Selection { enable, target };
    set.select(&[
        step(false, Target::Name("*".into())),
        step(true, Target::Name("a*".into())),
        step(false, Target::Tag("x".into())),
        step(true, Target::Name("b".into())),
    ]);
    let enabled: Vec<bool> = set.rules.iter().map(|rule| rule.enabled).collect();
    assert_eq!(enabled, [false, true, true]);
}

#[test]
fn outputs_are_appended_where_asked() {
    let extra = ExtraOutput {
        scope: lanner_rules::Scope { tags: vec!["a".into()], ..Default::default() },
        format: "on %evt.hostname".into(),
    };
    let options = LoadOptions { extra_outputs: vec![extra], ..LoadOptions::default() };
    let loaded = load(&[SourceText::new("f", BASE)], &Catalog::new(["syscall"]), &options);
    assert_eq!(loaded.rules.rules[0].output, "shell on %evt.hostname");
}

#[test]
fn a_file_stops_at_its_first_error_unless_all_are_wanted() {
    let broken = "- {macro: a, condition: evt.type =}\n- {macro: b, condition: (}\n";
    let files = [SourceText::new("f", broken)];
    let catalog = Catalog::new(["syscall"]);
    let count = |all_errors| {
        let options = LoadOptions { all_errors, ..LoadOptions::default() };
        load(&files, &catalog, &options).report.files[0].errors.len()
    };
    assert_eq!((count(false), count(true)), (1, 2));
}

#[test]
fn the_forms_of_a_report_that_tools_read() {
    let loaded = load_texts(&["
- rule: R
  desc: d
  condition: evt.type = open and nothing
  output: o
  priority: INFO
  colour: red
"]);
    let file = &loaded.report.files[0];
    insta::assert_snapshot!("report_as_text", loaded.report.falco_text(file));
    let json = serde_json::to_string_pretty(&loaded.report.falco_json(file)).unwrap();
    insta::assert_snapshot!("report_as_json", json);
}

#[test]
fn rules_are_described() {
    let loaded = load_texts(&[BASE]);
    let catalog = Catalog::new(["syscall"]);
    let described = loaded.definitions.describe(&loaded.rules, &catalog);
    insta::assert_snapshot!("described", serde_json::to_string_pretty(&described["rules"]).unwrap());
    assert_eq!(described["lists"][0]["details"]["used"], true);
    assert_eq!(described["macros"][0]["details"]["lists"][0], "shells");
    assert!(
        description_table(&described).contains("Shell                                              A shell")
    );
    let missing = loaded.definitions.describe_rule(&loaded.rules, "Shel", &catalog);
    assert_eq!(missing.unwrap_err().to_string(), "Rule \"Shel\" is not loaded");
}
