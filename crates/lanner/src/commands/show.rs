//! `lanner rules show`: one rule, whole.

use std::fmt::Write;

use lanner_agent::ruleset::{self, Ruleset};
use lanner_rules::{Rule, closest};
use serde_json::Value;

use crate::listing::wrap;
use crate::selection::did_you_mean;

const WIDTH: usize = 96;
const INDENT: &str = "    ";

/// Everything about the rule of a name, as text or as the JSON of Falco's `-l` with the rule's place.
///
/// # Errors
/// When there is no such rule; says the name most like it.
pub fn show(set: &Ruleset, name: &str, as_json: bool) -> Result<String, String> {
    let rule = rule_named(&set.rules.rules, name)?;
    let described = set.definitions.describe_rule(&set.rules, name, &ruleset::all_sources());
    let mut described = described.map_err(|error| format!("lanner: {error}"))?;
    let described = described["rules"][0].take();
    if as_json {
        let mut described = described;
        described["place"] = place(rule).into();
        return Ok(format!("{described:#}\n"));
    }
    Ok(text(rule, &described))
}

/// The rule of a name.
///
/// # Errors
/// When there is no such rule; says the name most like it.
pub fn rule_named<'a>(rules: &'a [Rule], name: &str) -> Result<&'a Rule, String> {
    rules.iter().find(|rule| rule.name == name).ok_or_else(|| {
        let near = rules.iter().find(|rule| rule.name.eq_ignore_ascii_case(name));
        let near = near.map(|rule| rule.name.as_str());
        let near = near.or_else(|| closest(name, rules.iter().map(|rule| rule.name.as_str())));
        let hint = near.map_or_else(|| "`lanner rules list` names them".to_owned(), did_you_mean);
        format!("lanner: no rule is called '{name}'; {hint}")
    })
}

/// `file:line`
fn place(rule: &Rule) -> String {
    let line = rule.place.locations().last().map_or(0, |location| location.position.line);
    format!("{}:{}", rule.place.file_name(), line + 1)
}

fn text(rule: &Rule, described: &Value) -> String {
    let (info, details) = (&described["info"], &described["details"]);
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = format!("{}\n", rule.name);
    wrap(&rule.description, WIDTH, INDENT, &mut out);
    out.push('\n');
    let state = if rule.enabled { "on" } else { "off" };
    let lines = [
        ("place", place(rule)),
        ("priority", rule.priority.as_str().to_owned()),
        ("source", rule.source.clone()),
        ("state", state.to_owned()),
        ("tags", names(&info["tags"])),
        ("exceptions", names(&details["exception_names"])),
        ("macros", names(&details["macros"])),
        ("lists", names(&details["lists"])),
        ("event types", names(&details["events"])),
        ("fields", names(&details["condition_fields"])),
        ("operators", names(&details["condition_operators"])),
    ];
    for (label, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        row(label, value, &mut out);
    }
    let written = word(&info["condition"]);
    let blocks = [
        ("condition", written),
        ("condition, compiled", word(&details["condition_compiled"])),
        ("output", rule.output.clone()),
    ];
    for (label, value) in &blocks {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n{label}");
        wrap(value, WIDTH, INDENT, &mut out);
    }
    out
}

/// A label and its value, which goes on below itself.
fn row(label: &str, value: &str, out: &mut String) {
    const COLUMN: &str = "              ";
    let mut lines = String::new();
    wrap(value, WIDTH - COLUMN.len() + INDENT.len(), COLUMN, &mut lines);
    let _ = writeln!(out, "{label:<14}{}", lines.trim());
}

fn names(list: &Value) -> String {
    let names: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    names.join(", ")
}
