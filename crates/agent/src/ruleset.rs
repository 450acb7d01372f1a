//! Rules: found, loaded, checked and compiled.

use std::io;
use std::path::{Path, PathBuf};

pub use lanner_engine::Catalog;
use lanner_engine::{BuildError, Engine, EngineOptions};
use lanner_rules::{
    Definitions, ExtraField, ExtraOutput, FieldCatalog, LoadOptions, Loaded, Report, Rule, RuleSet, Scope,
    SourceText,
};

use crate::config::{Append, Config, Matching};
use crate::plugins::source_of;

/// The rules that are in force when no others are given, by file.
pub const OWN_RULES: &[(&str, &str)] = &[
    ("lanner_rules.yaml", include_str!("../../../rules/lanner_rules.yaml")),
    ("lanner_execution_rules.yaml", include_str!("../../../rules/lanner_execution_rules.yaml")),
    ("lanner_container_rules.yaml", include_str!("../../../rules/lanner_container_rules.yaml")),
    ("lanner_file_rules.yaml", include_str!("../../../rules/lanner_file_rules.yaml")),
];

/// Those that are in force beside them where Kubernetes audit events come.
const OWN_AUDIT_RULES: (&str, &str) =
    ("lanner_k8s_audit_rules.yaml", include_str!("../../../rules/lanner_k8s_audit_rules.yaml"));

/// Fields of a container that alerts show, in Falco's order.
const CONTAINER_FIELDS: [&str; 6] = [
    "container.id",
    "container.name",
    "container.image.repository",
    "container.image.tag",
    "k8s.pod.name",
    "k8s.ns.name",
];

/// Why there are no rules to run.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A file can't be read.
    #[error("{path}: {cause}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// Files have errors; the report says which.
    #[error("rules can't be loaded")]
    Broken(Box<Report>),
    /// A rule can't be compiled.
    #[error(transparent)]
    Build(#[from] Box<BuildError>),
}

/// The first requirement of rules that none of these plugins (name and version) meets, in Falco's words.
pub fn missing_plugin(rules: &RuleSet, plugins: &[(&str, &str)]) -> Option<String> {
    let meets = |(name, least): &(String, String)| {
        plugins.iter().any(|(n, v)| n == name && version(v) >= version(least))
    };
    let missing = rules.plugins.iter().find(|requirement| !requirement.any_of.iter().any(meets))?;
    let options: Vec<String> =
        missing.any_of.iter().map(|(name, least)| format!("{name} (>= {least})")).collect();
    Some(format!("Plugin requirement not satisfied, must load one of: {}", options.join(", ")))
}

fn version(text: &str) -> Vec<u64> {
    text.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// Rules, ready to run.
#[derive(Debug)]
pub struct Ruleset {
    /// All rules that were loaded, those that are off too.
    pub rules: RuleSet,
    /// What was found in their files.
    pub report: Report,
    /// The rules as they were written.
    pub definitions: Definitions,
    /// The rules in force.
    pub engine: Engine,
}

/// The rule files at a path: the file, or a directory's in order. Only `.yaml` and `.yml` count.
pub fn files_at(path: &Path) -> Vec<PathBuf> {
    let yaml = |p: &PathBuf| p.extension().is_some_and(|e| e == "yaml" || e == "yml");
    if !path.is_dir() {
        return Some(path.to_owned()).filter(yaml).into_iter().collect();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| p.is_file() && yaml(p)).collect();
    files.sort();
    files
}

/// Those of these places that rules were read from, told by the files that were read: none come from a folder that is kept
/// for a user's rules and still empty.
pub fn origins<'a>(places: &[PathBuf], read: impl Iterator<Item = &'a str> + Clone) -> Vec<PathBuf> {
    let of = |place: &Path, file: &Path| file == place || file.parent() == Some(place);
    let gave = |place: &&PathBuf| read.clone().any(|file| of(place, Path::new(file)));
    places.iter().filter(gave).cloned().collect()
}

/// Where rules came from and where there are none any more, of what is still named: a folder that is being replaced, or
/// that was removed by mistake. Who runs with the rest would watch less without a word.
pub fn vanished<'a>(before: &'a [PathBuf], named: &[PathBuf]) -> Option<&'a Path> {
    let gone = |path: &&PathBuf| named.contains(path) && !files_at(path).iter().any(|file| file.exists());
    before.iter().find(gone).map(PathBuf::as_path)
}

/// Reads rule files.
///
/// # Errors
/// Names the first that can't be read.
pub fn read_files(files: &[PathBuf]) -> Result<Vec<SourceText>, RulesError> {
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let bytes = std::fs::read(path);
        bytes
            .map(|bytes| SourceText::from_bytes(&name, bytes))
            .map_err(|cause| RulesError::Read { path: name, cause })
    };
    files.iter().map(read).collect()
}

/// lanner's own rules for the sources that there are.
pub fn own_rules(sources: &Catalog) -> Vec<SourceText> {
    let audit = sources.has_source("k8s_audit").then_some(&OWN_AUDIT_RULES);
    OWN_RULES.iter().chain(audit).map(|(name, text)| SourceText::new(*name, *text)).collect()
}

/// The sources that events come from.
pub fn catalog() -> Catalog {
    Catalog::new(["syscall"])
}

/// The kernel's source and those of the plugins that the settings load.
fn sources_of(config: &Config) -> impl Iterator<Item = &'static str> {
    let given = config.plugin_settings.iter().filter_map(source_of);
    std::iter::once("syscall").chain(given)
}

/// The sources that events come from under these settings, and the fields of the plugins that they load: others are
/// not known.
pub fn catalog_of(config: &Config) -> Catalog {
    Catalog::new(sources_of(config)).with_plugins(&config.plugins)
}

/// The same with the fields of all plugins.
pub fn catalog_for_people(config: &Config) -> Catalog {
    Catalog::new(sources_of(config))
}

/// The sources whose rules can be read and checked: their fields are known, whether their events come or not.
pub fn all_sources() -> Catalog {
    Catalog::new(["syscall", "k8s_audit", "aws_cloudtrail"])
}

/// How rules are loaded under these settings.
pub fn load_options(config: &Config) -> LoadOptions {
    let mut options = LoadOptions::default();
    for append in &config.append {
        let scope = scope(append);
        let mut add =
            |format: String| options.extra_outputs.push(ExtraOutput { scope: scope.clone(), format });
        if !append.output.is_empty() {
            add(append.output.clone());
        }
        if append.suggested && config.has_container_plugin() && matches!(&*append.source, "" | "syscall") {
            CONTAINER_FIELDS.iter().for_each(|field| add(suggestion(field)));
        }
        let formatted = append.formatted.iter().map(|(key, format)| (key.clone(), format.clone(), false));
        let raw = append.raw.iter().map(|key| (key.clone(), format!("%{key}"), true));
        let field = |(key, format, raw)| ExtraField { scope: scope.clone(), key, format, raw };
        options.extra_fields.extend(formatted.chain(raw).map(field));
    }
    options
}

fn scope(append: &Append) -> Scope {
    Scope { source: append.source.clone(), tags: append.tags.clone(), rule: append.rule.clone() }
}

/// `container_id=%container.id`
fn suggestion(field: &str) -> String {
    format!("{}=%{field}", field.replace('.', "_"))
}

/// Loads and compiles rules under these settings, and stops at the first error, as Falco does.
///
/// # Errors
/// When a file has an error; the report has it.
pub fn load(texts: &[SourceText], config: &Config) -> Result<Ruleset, RulesError> {
    let loaded = lanner_rules::load(texts, &catalog_of(config), &load_options(config));
    if !loaded.report.successful() {
        return Err(RulesError::Broken(Box::new(loaded.report)));
    }
    compile(loaded, config)
}

/// Loads files one after the other and goes on behind a broken one, as Falco's `-V` does.
pub fn load_each(texts: &[SourceText], config: &Config) -> Loaded {
    lanner_rules::load(texts, &catalog_of(config), &load_options(config))
}

/// Loads rules over events of these sources and finds everything that is wrong with them.
pub fn check(texts: &[SourceText], config: &Config, sources: &Catalog) -> Loaded {
    let options = LoadOptions { all_errors: true, ..load_options(config) };
    lanner_rules::load(texts, sources, &options)
}

/// Loads and compiles rules for lanner's own commands: all errors are found, and alerts show the container.
///
/// # Errors
/// When a file has errors; the report has all of them.
pub fn load_for_people(
    texts: &[SourceText],
    config: &Config,
    sources: &Catalog,
) -> Result<Ruleset, RulesError> {
    let mut loaded = check(texts, config, sources);
    if !loaded.report.successful() {
        return Err(RulesError::Broken(Box::new(loaded.report)));
    }
    show_containers(&mut loaded.rules);
    compile(loaded, config)
}

fn compile(loaded: Loaded, config: &Config) -> Result<Ruleset, RulesError> {
    let Loaded { mut rules, report, definitions } = loaded;
    rules.select(&config.selections);
    let options = EngineOptions {
        matching: match config.matching {
            Matching::First => lanner_engine::Matching::First,
            Matching::All => lanner_engine::Matching::All,
        },
        priority: config.priority,
        ..EngineOptions::default()
    };
    let engine = Engine::build(&rules, options).map_err(Box::new)?;
    Ok(Ruleset { rules, report, definitions, engine })
}

/// Adds the fields of the container to the output of each rule that doesn't name a container itself, as a
/// stock Falco does.
fn show_containers(rules: &mut RuleSet) {
    let silent = |rule: &&mut Rule| rule.source == "syscall" && !rule.output.contains("%container.id");
    for rule in rules.rules.iter_mut().filter(silent) {
        for field in CONTAINER_FIELDS {
            rule.output.push(' ');
            rule.output.push_str(&suggestion(field));
        }
    }
}

#[cfg(test)]
mod tests {
    use lanner_rules::PluginRequirement;

    use super::*;

    #[test]
    fn a_directory_gives_its_yaml_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", "c.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names = |path: &Path| -> Vec<_> {
            files_at(path).iter().map(|p| p.file_name().unwrap().to_owned()).collect()
        };
        assert_eq!(names(dir.path()), ["a.yml", "b.yaml"]);
        assert_eq!(names(&dir.path().join("b.yaml")), ["b.yaml"]);
        assert!(names(&dir.path().join("c.txt")).is_empty());
    }

    #[test]
    fn rules_have_vanished_where_none_are_left_and_some_are_still_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("d/a.yaml"), "").unwrap();
        std::fs::write(at("b.yaml"), "").unwrap();
        let before = [at("b.yaml"), at("d")];
        assert_eq!(vanished(&before, &before), None);
        std::fs::remove_file(at("d/a.yaml")).unwrap();
        assert_eq!(vanished(&before, &before), Some(&*at("d")));
        assert_eq!(vanished(&before, &before[..1]), None);
        std::fs::remove_dir(at("d")).unwrap();
        assert_eq!(vanished(&before, &before), Some(&*at("d")));
        std::fs::remove_file(at("b.yaml")).unwrap();
        assert_eq!(vanished(&before, &before), Some(&*at("b.yaml")));
        assert_eq!(vanished(&[], &before), None);
    }

    #[test]
    fn no_rules_come_from_an_empty_folder() {
        let named = ["b.yaml", "d/", "kept"].map(PathBuf::from);
        assert_eq!(origins(&named, ["b.yaml", "d/a.yaml"].into_iter()), named[..2]);
        assert_eq!(origins(&named, ["kept/c/d.yaml", "own.yaml"].into_iter()), [] as [PathBuf; 0]);
    }

    #[test]
    fn our_own_rules_load_without_a_finding() {
        for sources in [catalog(), all_sources()] {
            let loaded = check(&own_rules(&sources), &Config::default(), &sources);
            let text = loaded.report.human_text();
            assert!(text.ends_with(": no errors, no warnings\n"), "{text}");
        }
    }

    #[test]
    fn any_alternative_of_a_required_plugin_will_do_in_its_version_or_later() {
        let any_of = vec![("a".to_owned(), "1.2.0".to_owned()), ("b".to_owned(), "0.4.0".to_owned())];
        let rules = RuleSet { plugins: vec![PluginRequirement { any_of }], ..RuleSet::default() };
        assert_eq!(missing_plugin(&rules, &[("b", "0.10.1")]), None);
        assert_eq!(
            missing_plugin(&rules, &[("a", "1.1.9"), ("b", "0.3.0")]).unwrap(),
            "Plugin requirement not satisfied, must load one of: a (>= 1.2.0), b (>= 0.4.0)"
        );
    }

    #[test]
    fn additions_to_outputs_come_in_the_order_of_the_settings() {
        let append = Append {
            output: "on %evt.num".into(),
            suggested: true,
            raw: vec!["proc.sid".into()],
            ..Append::default()
        };
        let config = Config { append: vec![append], plugins: vec!["container".into()], ..Config::default() };
        let options = load_options(&config);
        let formats: Vec<&str> = options.extra_outputs.iter().map(|o| o.format.as_str()).collect();
        assert_eq!(formats[..2], ["on %evt.num", "container_id=%container.id"]);
        assert_eq!((formats.len(), options.extra_fields[0].format.as_str()), (7, "%proc.sid"));
    }
}
