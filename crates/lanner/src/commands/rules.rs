//! `lanner rules`

use std::fmt::Write;

use lanner_agent::config::Config;
use lanner_agent::ruleset::{self, Ruleset};
use serde_json::json;

use super::explain::explain;
use super::profile::profile;
use super::show::show;
use super::{load, print, rule_texts};
use crate::cli::{RuleArgs, RulesCommand};
use crate::listing::wrap;

/// Checks, lists, shows, explains or measures rules.
pub fn rules(command: RulesCommand) -> Result<(), String> {
    match command {
        RulesCommand::Check { files, also, json } => {
            check(RuleArgs { rules: files, also, ..RuleArgs::default() }, json)
        }
        RulesCommand::List(args) => list(&args),
        RulesCommand::Show { name, json, rules } => print(&show(&load_of(&rules)?, &name, json)?),
        RulesCommand::Explain(args) => explain(&args),
        RulesCommand::Profile(args) => profile(&args),
    }
}

/// Says everything that is wrong with rules files.
fn check(args: RuleArgs, as_json: bool) -> Result<(), String> {
    let config = Config::default();
    let sources = ruleset::all_sources();
    let texts = rule_texts(&args, &config, &sources)?;
    let loaded = ruleset::check(&texts, &config, &sources);
    let report = &loaded.report;
    if as_json {
        let files: Vec<_> = report.files.iter().map(|file| report.falco_json(file)).collect();
        print(&format!("{}\n", json!({ "falco_load_results": files })))?;
        return if report.successful() { Ok(()) } else { Err("lanner: the rules have errors".to_owned()) };
    }
    let text = report.human_text();
    if !report.successful() {
        return Err(text);
    }
    let on = loaded.rules.rules.iter().filter(|rule| rule.enabled).count();
    print(&format!(
        "{text}{} rules, {on} of them on, {} macros, {} lists\n",
        loaded.rules.rules.len(),
        loaded.rules.macros.len(),
        loaded.rules.lists.len()
    ))
}

fn load_of(args: &RuleArgs) -> Result<Ruleset, String> {
    let mut config = Config::default();
    load(args, &mut config, &ruleset::all_sources()).map(|(rules, _)| rules)
}

fn list(args: &RuleArgs) -> Result<(), String> {
    let rules = load_of(args)?.rules;
    let mut out = String::new();
    for rule in &rules.rules {
        let state = if rule.enabled { "" } else { " (off)" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:<13} {}{state}", rule.priority.as_str(), rule.name);
        wrap(&rule.description, 84, "              ", &mut out);
    }
    print(&out)
}
