//! What lanner's own commands do.

mod doctor;
mod explain;
mod plugin;
mod profile;
mod record;
mod relay;
mod replay;
mod rules;
mod run;
mod show;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use lanner_agent::config::{Config, LogConfig, Matching, Settings};
use lanner_agent::ruleset::{self, Catalog, RulesError, Ruleset};

use lanner_alert::{Form, Priority};
use lanner_output::ChannelStats;
use lanner_rules::SourceText;

use crate::cli::{AlertArgs, AlertForm, Cli, Command, RuleArgs};
use crate::{falco, listing};

/// Runs the command that the command line names. Every failure is one message and exit code 1; a wrong
/// command line is exit code 2.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Replay(args) => replay::replay(&args),
        Command::Relay(args) => relay::relay(args),
        Command::Record(args) => record::record(args),
        Command::Rules(command) => rules::rules(command),
        Command::Fields(args) => {
            print(&listing::fields(args.source.as_deref().map(Into::into), args.names, args.format))
        }
        Command::Plugin(command) => plugin::plugin(command),
        Command::Doctor(args) => return doctor::doctor(&args),
        Command::Events(args) => print(&listing::events(args.format)),
        Command::Falco { options } => return falco::main(options.into_iter().map(Into::into).collect()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output; a reader that has gone away (`| head`) is no failure.
fn print(text: &str) -> Result<(), String> {
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("lanner: cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Settings from a file, or lanner's own, with what the command line says.
fn config(file: Option<&PathBuf>, alerts: &AlertArgs) -> Result<Config, String> {
    let mut config = match file {
        None => Config::default(),
        Some(path) => {
            let settings = Settings::load(Some(path), &[]).map_err(|e| format!("lanner: {e}"))?;
            Config::from_falco(&settings).map_err(|e| format!("lanner: {e}"))?
        }
    };
    match alerts.output {
        Some(AlertForm::Text) => config.form = Form::Text,
        Some(AlertForm::Json) => config.form = Form::Json,
        None if alerts.json => config.form = Form::Json,
        None => {}
    }
    if let Some(priority) = alerts.priority {
        config.priority = priority;
    }
    if alerts.all_matches {
        config.matching = Matching::All;
    }
    config.log = LogConfig { stderr: true, syslog: false, level: Priority::Notice };
    for warning in &config.warnings {
        eprintln!("lanner: warning: {warning}");
    }
    Ok(config)
}

/// The texts of the rules that are asked for: those of the command line, else those of the settings, else our
/// own; then those that are read also.
fn rule_texts(args: &RuleArgs, config: &Config, sources: &Catalog) -> Result<Vec<SourceText>, String> {
    let paths = if args.rules.is_empty() { &config.rules } else { &args.rules };
    // Ours in the place of rules that someone chose and that are gone would be a silent change of what is watched.
    if let Some(missing) = config.missing_rules.first().filter(|_| paths.is_empty()) {
        let path = missing.display();
        return Err(format!("lanner: {path}: rules_files names it, but there is no such file or directory"));
    }
    let mut texts = if paths.is_empty() { ruleset::own_rules(sources) } else { texts_at(paths)? };
    texts.extend(texts_at(&args.also)?);
    Ok(texts)
}

/// The texts of rule files, and of those in directories.
fn texts_at(paths: &[PathBuf]) -> Result<Vec<SourceText>, String> {
    let mut files = Vec::new();
    for path in paths {
        if !path.exists() {
            return Err(format!(
                "lanner: {}: no such file or directory; give rules with --rules, or leave the option out for lanner's own",
                path.display()
            ));
        }
        let found = ruleset::files_at(path);
        if found.is_empty() {
            return Err(format!(
                "lanner: {}: no rules there: only files that end in .yaml or .yml count",
                path.display()
            ));
        }
        files.extend(found);
    }
    ruleset::read_files(&files).map_err(|e| format!("lanner: {e}"))
}

/// Loads and compiles the rules that are asked for and selects among them, the settings first, the command
/// line behind them; the files' names too. All that is wrong with the files is the error.
fn load(args: &RuleArgs, config: &mut Config, sources: &Catalog) -> Result<(Ruleset, Vec<String>), String> {
    let texts = rule_texts(args, config, sources)?;
    config.selections.extend_from_slice(args.select.steps());
    let rules = ruleset::load_for_people(&texts, config, sources).map_err(|error| match error {
        RulesError::Broken(report) => report.human_text(),
        other => format!("lanner: {other}"),
    })?;
    args.select.fits(&rules.rules)?;
    Ok((rules, texts.into_iter().map(|text| text.name).collect()))
}

/// Says what sinks lost.
fn tell_losses(outputs: &[ChannelStats]) {
    for channel in outputs.iter().filter(|c| c.lost > 0 || c.last_error.is_some()) {
        let why = channel.last_error.as_deref().unwrap_or("its queue was full");
        eprintln!(
            "lanner: {} of {} alerts did not reach {}: {why}",
            channel.lost,
            channel.lost + channel.written,
            channel.sink
        );
    }
}

/// Prints a closing summary: behind the alerts, but never into a stream of JSON.
fn print_summary(summary: &str, form: Form) -> Result<(), String> {
    if form == Form::Json {
        eprint!("{summary}");
        return Ok(());
    }
    print(summary)
}
