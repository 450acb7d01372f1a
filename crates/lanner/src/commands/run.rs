//! `lanner run`

use std::time::Duration;

use lanner_agent::config::{Config, Source};
use lanner_agent::live::{self, Ending, LiveOptions};
use lanner_agent::log::Log;
use lanner_agent::ruleset::{self, Ruleset};
use lanner_agent::screen::screen;
use lanner_output::Colour;

use super::{config, load, print_summary, tell_losses};
use crate::cli::RunArgs;

/// Watches this host. Rules are read, checked and compiled before anything is attached to the kernel.
pub fn run(args: RunArgs) -> Result<(), String> {
    loop {
        let mut config = config(args.config.as_ref(), &args.alerts)?;
        if let Some(ms) = args.enrichment_timeout {
            config.enrichment_timeout = Duration::from_millis(ms);
        }
        if config.source != Source::Live {
            return Err(
                "lanner: the settings ask for no live source; use `lanner replay FILE` for captures".into()
            );
        }
        let (rules, files) = load(&args.rules, &mut config, &ruleset::catalog())?;
        if watch(&args, &config, &rules, &files)? != Ending::Restart {
            return Ok(());
        }
    }
}

fn watch(args: &RunArgs, config: &Config, rules: &Ruleset, files: &[String]) -> Result<Ending, String> {
    let log = Log::new(config.log.clone(), config.iso8601);
    let options = LiveOptions {
        duration: args.duration.map(Duration::from_secs),
        colour: Colour::Terminal,
        ..LiveOptions::default()
    };
    let outcome = live::run(&rules.engine, config, &log, options, &mut |started| {
        if !args.quiet {
            eprint!("{}", screen(started, rules, files, config));
        }
    });
    let outcome = outcome.map_err(|error| format!("lanner: {error}"))?;
    tell_losses(&outcome.outputs);
    print_summary(&outcome.tally.summary(outcome.events, outcome.lost), config.form)?;
    Ok(outcome.ending)
}
