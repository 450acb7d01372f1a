//! Rules: loaded, checked (`-V`) and described (`-L`, `-l`).

use std::path::{Path, PathBuf};

use lanner_agent::ruleset::{self, RulesError, Ruleset};
use lanner_alert::Form;
use lanner_rules::{Definitions, FileReport, Report, RuleSet, SourceText, description_table};
use serde_json::{Map, Value};

use super::{Session, plugins, print};

/// Rules, and the texts that they came from.
pub struct Loaded {
    /// The rules.
    pub set: Ruleset,
    /// Their files.
    pub texts: Vec<SourceText>,
}

fn read(files: &[PathBuf]) -> Result<Vec<SourceText>, String> {
    ruleset::read_files(files).map_err(|error| match error {
        RulesError::Read { path, .. } => format!("Could not open {path}"),
        other => other.to_string(),
    })
}

/// `-V`: the result is printed whatever it is.
///
/// # Errors
/// When a file has an error: the same text once more, for standard error.
pub fn validate(session: &Session) -> Result<(), String> {
    let texts = read(&session.options.validate)?;
    session.log.info("Validating rules file(s):");
    for text in &texts {
        session.log.info(&format!("   {}", text.name));
    }
    let loaded = ruleset::load_each(&texts, &session.config);
    let report = &loaded.report;
    let summary: Vec<String> = report.files.iter().map(|file| summary(session, report, file)).collect();
    let summary = summary.join("\n");
    let described =
        if report.successful() { described(session, &loaded.rules, &loaded.definitions)? } else { None };
    if let Some(missing) = missing_plugin(session, &loaded.rules) {
        return Err(missing);
    }
    if session.config.form == Form::Json {
        let mut result = Map::new();
        if let Some(described) = described {
            result.insert("falco_describe_results".to_owned(), described);
        }
        let files = report.files.iter().map(|file| report.falco_json(file)).collect();
        result.insert("falco_load_results".to_owned(), Value::Array(files));
        print(&format!("{}\n", Value::Object(result)));
    } else {
        print(&format!("{summary}\n"));
        if let Some(described) = described {
            print(&format!("\n{}", description_table(&described)));
        }
    }
    if report.successful() { Ok(()) } else { Err(summary) }
}

fn missing_plugin(session: &Session, rules: &RuleSet) -> Option<String> {
    ruleset::missing_plugin(rules, &plugins::answered_for(&session.plugins))
}

/// What `-L` or `-l` ask for.
fn described(session: &Session, rules: &RuleSet, definitions: &Definitions) -> Result<Option<Value>, String> {
    let catalog = ruleset::catalog_of(&session.config);
    match &session.options.print.describe {
        Some(name) => {
            definitions.describe_rule(rules, name, &catalog).map(Some).map_err(|error| error.to_string())
        }
        None if session.options.print.describe_all => Ok(Some(definitions.describe(rules, &catalog))),
        None => Ok(None),
    }
}

/// A file's part of the summary; its warnings go to the log.
fn summary(session: &Session, report: &Report, file: &FileReport) -> String {
    let text = report.falco_text(file);
    if file.successful() && file.has_warnings() {
        session.log.warning(&text);
        return format!("{}: Ok, with warnings", file.name);
    }
    text
}

/// Where rules are read: the command line's files and directories, else the configured ones.
pub fn paths(session: &Session) -> &[PathBuf] {
    if session.options.rules.is_empty() { &session.config.rules } else { &session.options.rules }
}

/// What is named and isn't there: Falco passes over it in the configuration.
pub fn missing(session: &Session) -> impl Iterator<Item = PathBuf> {
    let missing = session.config.missing_rules.iter().filter(|_| session.options.rules.is_empty());
    missing.cloned()
}

/// All places that are named.
pub fn named(session: &Session) -> Vec<PathBuf> {
    paths(session).iter().cloned().chain(missing(session)).collect()
}

/// Loads the configured rules.
///
/// # Errors
/// With Falco's text of what is wrong.
pub fn load(session: &Session) -> Result<Loaded, String> {
    let paths = paths(session);
    if paths.is_empty() {
        return Err(
            "You must specify at least one rules file/directory via -r or a rules_file entry in falco.yaml"
                .to_owned(),
        );
    }
    // A folder that isn't there looks like a file of another kind, and those are passed over.
    if let Some(path) = paths.iter().find(|path| !path.exists()) {
        return Err(format!("Could not open {}", path.display()));
    }
    let files: Vec<PathBuf> = paths.iter().flat_map(|path| ruleset::files_at(Path::new(path))).collect();
    let texts = read(&files)?;
    session.log.info("Loading rules from:");
    let tell = |report: &Report| {
        for file in &report.files {
            session.log.info(&format!("   {} | schema validation: {}", file.name, file.schema_status()));
            if file.successful() && file.has_warnings() {
                session.log.warning(&report.falco_text(file));
            }
        }
    };
    match ruleset::load(&texts, &session.config) {
        Ok(set) => {
            tell(&set.report);
            match missing_plugin(session, &set.rules) {
                Some(missing) => Err(missing),
                None => Ok(Loaded { set, texts }),
            }
        }
        Err(RulesError::Broken(report)) => {
            tell(&report);
            let broken = report.files.iter().find(|file| !file.successful());
            Err(broken.map(|file| report.falco_text(file)).unwrap_or_default())
        }
        Err(other) => Err(other.to_string()),
    }
}

/// `-L` and `-l`; whether something was printed.
///
/// # Errors
/// When there is no such rule.
pub fn describe(session: &Session, loaded: &Loaded) -> Result<bool, String> {
    let Some(described) = described(session, &loaded.set.rules, &loaded.set.definitions)? else {
        return Ok(false);
    };
    if session.config.form == Form::Json {
        print(&format!("{described}\n"));
    } else {
        print(&description_table(&described));
    }
    Ok(true)
}
