//! `lanner run`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lanner_agent::attach::Attached;
use lanner_agent::config::{Config, Source};
use lanner_agent::live::LiveOptions;
use lanner_agent::log::Log;
use lanner_agent::metrics::{Board, LoadedFile, LoadedKind};
use lanner_agent::plugins::Plugins;
use lanner_agent::prefilter;
use lanner_agent::program::{About, Program};
use lanner_agent::reload::{Built, Refused, Reloader};
use lanner_agent::ruleset::{self, Ruleset};
use lanner_agent::screen::screen;
use lanner_agent::signals::Signals;
use lanner_agent::together::Together;
use lanner_agent::watch::FileWatch;
use lanner_agent::web::Web;
use lanner_alert::Priority;
use lanner_output::Colour;

use super::{config, load, print_summary, tell_losses};
use crate::cli::RunArgs;
use crate::falco::version;

/// Watches this host. Rules are read, checked and compiled before anything is attached to the kernel, and again when
/// their files change or SIGHUP comes.
pub fn run(args: RunArgs) -> Result<(), String> {
    let Read { rules, config, plugins, files, watch } = read(&args, &[]).map_err(|refused| refused.error)?;
    let log = Log::new(config.log.clone(), config.iso8601);
    let sources = plugins.select(&args.enable_source, &args.disable_source);
    let sources = sources.map_err(|error| format!("lanner: {error}"))?;
    let system = |error: std::io::Error| format!("lanner: can't start: {error}");
    let signals = Signals::install().map_err(system)?;
    let (form, duration) = (config.form, args.duration);
    let (quiet, verbose) = (args.quiet, args.verbose);
    let off = rules.rules.rules.len() - rules.engine.rules().len();
    let program = Program::new(rules.engine, config, about(&args, &files));
    let built = Built { program: Arc::clone(&program), watch };
    let foreign = plugins.prepare(&sources, &log);
    let attached = Attached::new(&program, &sources, foreign, &log);
    let mut before = ruleset::origins(places(&args, &program.config), files.iter().map(String::as_str));
    let build = move || rebuild(&args, &mut before);
    let reloader = Reloader::start(built, Box::new(build), signals.clone(), log.clone()).map_err(system)?;
    let options = LiveOptions {
        duration: duration.map(Duration::from_secs),
        colour: Colour::Terminal,
        signals,
        slot: reloader.slot(),
        sending: None,
        crew: None,
        board: Board::default(),
    };
    let config = &program.config;
    config.metrics.check(&config.web).map_err(|error| format!("lanner: {error}"))?;
    let web = config.web.enabled.then(|| Web::start(config, &options.board, &version::json(&plugins)));
    let _web = web.transpose().map_err(|error| format!("lanner: {error}"))?;
    let shown = Arc::clone(&program);
    let together = Together { program, plugins: &plugins, sources: &sources, reloader: &reloader, log: &log };
    let outcome = together.run(attached, options, &mut |started| {
        if !quiet {
            eprint!("{}", screen(started, &shown, off, &files));
        }
        if verbose {
            eprint!("{}", prefilter::told(&shown.engine, &shown.config, None));
        }
    });
    let outcome = outcome.map_err(|error| format!("lanner: {error}"))?;
    tell_losses(&outcome.outputs);
    print_summary(&outcome.tally.summary(outcome.events, outcome.lost), form)?;
    if outcome.failures.is_empty() { Ok(()) } else { Err(format!("lanner: {}", outcome.failures.join("; "))) }
}

/// What is told of rules and settings.
fn about(args: &RunArgs, rules: &[String]) -> About {
    let of_config = args.config.iter().filter_map(|path| LoadedFile::read(LoadedKind::Config, path));
    let of_rules = rules.iter().filter_map(|name| LoadedFile::read(LoadedKind::Rules, Path::new(name)));
    About { files: of_config.chain(of_rules).collect(), version: env!("CARGO_PKG_VERSION") }
}

/// Where rules are read: what the command line names, else the settings.
fn places<'a>(args: &'a RunArgs, config: &'a Config) -> &'a [PathBuf] {
    if args.rules.rules.is_empty() { &config.rules } else { &args.rules.rules }
}

/// What rules and settings were read from at `since` or later, in it and with the files of directories.
fn watched(args: &RunArgs, config: &Config, since: SystemTime) -> FileWatch {
    let named = args.config.iter().chain(places(args, config)).chain(&args.rules.also);
    let read = named.flat_map(|path| std::iter::once(path.clone()).chain(ruleset::files_at(path)));
    let missed = config.missing_rules.iter().filter(|_| args.rules.rules.is_empty());
    FileWatch::new(read, missed.cloned(), since)
}

/// What is run with.
struct Read {
    rules: Ruleset,
    config: Config,
    plugins: Plugins,
    /// The names of the rules' files.
    files: Vec<String>,
    watch: FileWatch,
}

/// Rules, settings and plugins; `before` is where rules came from the last time.
fn read(args: &RunArgs, before: &[PathBuf]) -> Result<Read, Refused> {
    let since = SystemTime::now();
    let mut config = config(args.config.as_ref(), &args.alerts)?;
    if let Some(ms) = args.enrichment_timeout {
        config.enrichment_timeout = Duration::from_millis(ms);
    }
    if args.verbose {
        config.log.level = Priority::Debug;
    }
    let settings = config.clone();
    let watch = || watched(args, &settings, since);
    let refuse = |error: String| Refused { error: format!("lanner: {error}"), watch: watch() };
    if let Some(path) = ruleset::vanished(before, &[places(args, &config), &config.missing_rules].concat()) {
        let path = path.display();
        return Err(refuse(format!("{path}: rules came from here, and there are none any more")));
    }
    let plugins = Plugins::load(&mut config).map_err(|error| refuse(error.to_string()))?;
    let other = config.source == Source::None && !plugins.sources().is_empty();
    if config.source != Source::Live && !other {
        let error = "the settings ask for no live source; use `lanner replay FILE` for captures";
        return Err(refuse(error.to_owned()));
    }
    let catalog = ruleset::catalog_for_people(&config);
    let loaded = load(&args.rules, &mut config, &catalog);
    let (rules, files) = loaded.map_err(|error| Refused { error, watch: watch() })?;
    Ok(Read { rules, config, plugins, files, watch: watch() })
}

/// The same anew.
fn rebuild(args: &RunArgs, before: &mut Vec<PathBuf>) -> Result<Built, Refused> {
    let Read { rules, config, files, watch, .. } = read(args, before)?;
    *before = ruleset::origins(places(args, &config), files.iter().map(String::as_str));
    Ok(Built { program: Program::new(rules.engine, config, about(args, &files)), watch })
}
