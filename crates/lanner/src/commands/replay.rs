//! `lanner replay`

use lanner_agent::log::Log;
use lanner_agent::program::{About, Program};
use lanner_agent::{replay, ruleset};
use lanner_output::Colour;

use super::{config, load, print_summary, tell_losses};
use crate::cli::ReplayArgs;

/// Tells what rules find in a capture.
pub fn replay(args: &ReplayArgs) -> Result<(), String> {
    let mut config = config(None, &args.alerts)?;
    let (rules, _) = load(&args.rules, &mut config, &ruleset::catalog())?;
    let log = Log::new(config.log.clone(), config.iso8601);
    let program = Program::new(rules.engine, config, About::default());
    let (outcome, result) = replay::run(&args.file, &program, None, &log, Colour::Terminal);
    if let Some(outcome) = outcome {
        tell_losses(&outcome.outputs);
        print_summary(&outcome.tally.summary(outcome.events, 0), program.config.form)?;
    }
    result.map_err(|error| format!("lanner: {}: {error}", args.file.display()))
}
