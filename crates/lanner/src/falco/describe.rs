//! What there is to know of rules, for `-L` and `-l`.

use std::fmt::Write;

use lanner_rules::{Rule, RuleSet};
use serde_json::{Value, json};

/// Columns of the description, and where it begins.
const WIDTH: usize = 110;
const INDENT: usize = 51;

fn chosen<'a>(rules: &'a RuleSet, name: Option<&str>) -> impl Iterator<Item = &'a Rule> {
    let name = name.map(str::to_owned);
    rules.rules.iter().filter(move |rule| name.as_ref().is_none_or(|name| rule.name == *name))
}

/// Names and descriptions in two columns.
pub fn describe_text(rules: &RuleSet, name: Option<&str>) -> String {
    let mut out = String::new();
    row(&mut out, "Rule", "Description");
    row(&mut out, "----", "-----------");
    for rule in chosen(rules, name) {
        row(&mut out, &rule.name, &format!("{}\n", wrap(&rule.description)));
    }
    out
}

fn row(out: &mut String, left: &str, right: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{left:<50} {right}");
}

/// A text in lines; each word is followed by a blank, as Falco prints it.
fn wrap(text: &str) -> String {
    let mut out = String::new();
    let mut len = 0;
    for word in text.split_whitespace() {
        if len + word.len() + 1 > WIDTH - INDENT {
            out.push('\n');
            out.push_str(&" ".repeat(INDENT));
            len = 0;
        }
        len += word.len() + 1;
        out.push_str(word);
        out.push(' ');
    }
    out
}

/// The same for programs.
pub fn describe_json(rules: &RuleSet, name: Option<&str>) -> Value {
    let rule = |rule: &Rule| {
        json!({
            "info": {
                "condition": rule.condition.to_string(),
                "description": rule.description,
                "enabled": rule.enabled,
                "name": rule.name,
                "output": rule.output,
                "priority": rule.priority.name(),
                "source": rule.source,
                "tags": rule.tags,
            }
        })
    };
    json!({ "rules": chosen(rules, name).map(rule).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_wrapped_behind_their_column() {
        let text = wrap(&"word ".repeat(15));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].len(), 55);
        assert_eq!(lines[1], format!("{}{}", " ".repeat(INDENT), "word ".repeat(4)));
    }
}
