//! `lanner run`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lanner_agent::attach::Attached;
use lanner_agent::config::{Config, Source};
use lanner_agent::live::LiveOptions;
use lanner_agent::log::Log;
use lanner_agent::metrics::{Board, LoadedFile, LoadedKind};
use lanner_agent::plugins::Plugins;
use lanner_agent::prefilter;
use lanner_agent::program::{About, Program};
use lanner_agent::reload::{Built, Reloader};
use lanner_agent::ruleset::{self, Ruleset};
use lanner_agent::screen::screen;
use lanner_agent::signals::Signals;
use lanner_agent::together::Together;
use lanner_agent::web::Web;
use lanner_output::Colour;

use super::{config, load, print_summary, tell_losses};
use crate::cli::RunArgs;
use crate::falco::version;

/// Watches this host. Rules are read, checked and compiled before anything is attached to the kernel, and again when
/// their files change or SIGHUP comes.
pub fn run(args: RunArgs) -> Result<(), String> {
    let (rules, config, plugins, files) = read(&args)?;
    let log = Log::new(config.log.clone(), config.iso8601);
    let sources = plugins.select(&args.enable_source, &args.disable_source);
    let sources = sources.map_err(|error| format!("lanner: {error}"))?;
    let system = |error: std::io::Error| format!("lanner: can't start: {error}");
    let signals = Signals::install().map_err(system)?;
    let (form, duration) = (config.form, args.duration);
    let (quiet, verbose) = (args.quiet, args.verbose);
    let off = rules.rules.rules.len() - rules.engine.rules().len();
    let program = Program::new(rules.engine, config, about(&args, &files));
    let built = Built { program: Arc::clone(&program), files: watched(&args, &program.config) };
    let foreign = plugins.prepare(&sources, &log);
    let attached = Attached::new(&program, &sources, foreign, &log);
    let build = move || {
        let (rules, config, _, named) = read(&args)?;
        let files = watched(&args, &config);
        Ok(Built { program: Program::new(rules.engine, config, about(&args, &named)), files })
    };
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

/// What was named to read rules and settings from, in it and with the files of directories.
fn watched(args: &RunArgs, config: &Config) -> Vec<PathBuf> {
    let rules = if args.rules.rules.is_empty() { &config.rules } else { &args.rules.rules };
    let named = args.config.iter().chain(rules).chain(&args.rules.also);
    named.flat_map(|path| std::iter::once(path.clone()).chain(ruleset::files_at(path))).collect()
}

/// Rules, settings and plugins, and the names of the rules' files.
fn read(args: &RunArgs) -> Result<(Ruleset, Config, Plugins, Vec<String>), String> {
    let mut config = config(args.config.as_ref(), &args.alerts)?;
    if let Some(ms) = args.enrichment_timeout {
        config.enrichment_timeout = Duration::from_millis(ms);
    }
    let plugins = Plugins::load(&mut config).map_err(|error| format!("lanner: {error}"))?;
    let other = config.source == Source::None && !plugins.sources().is_empty();
    if config.source != Source::Live && !other {
        return Err(
            "lanner: the settings ask for no live source; use `lanner replay FILE` for captures".into()
        );
    }
    let catalog = ruleset::catalog_for_people(&config);
    let (rules, files) = load(&args.rules, &mut config, &catalog)?;
    Ok((rules, config, plugins, files))
}
