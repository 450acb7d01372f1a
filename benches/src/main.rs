//! What lanner costs the host it watches, how fast it replays a capture, and what the parts of the event path
//! cost. Every figure is a ratio to a bare run, to `zcat` or to a scan of the same bytes, measured in the same run.
//! All but the parts know lanner only as an executable.

mod agent;
mod copies;
mod instructions;
mod json;
mod live;
mod load;
mod loading;
mod measure;
mod micro;
mod replay;
mod storm;
mod webhook;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use agent::Measured;

/// Measures the lanner executable against the bare host.
#[derive(Parser)]
#[command(name = "lanner-bench")]
struct Options {
    /// The executable to measure (a release build).
    #[arg(long, default_value = "target/release/lanner")]
    bin: PathBuf,
    /// How often each comparison is repeated; the median is printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A folder with `captures/` and `rules/` to replay; left out where it doesn't exist.
    #[arg(long, default_value = "../shared/compat")]
    compat: PathBuf,
    /// Only `live`, `storms`, `replay`, `loading`, `instructions`, `parts`, `webhook` or `json`.
    #[arg(long)]
    only: Option<String>,
    /// Be one process of a storm on this file; for this program's own use.
    #[arg(long, hide = true)]
    storm: Option<PathBuf>,
    /// Be a loop of one call, on this file or on none; for this program's own use.
    #[arg(long, hide = true, num_args = 0..=1)]
    in_a_loop: Option<Option<PathBuf>>,
    /// How long the storm lasts.
    #[arg(long, hide = true, default_value_t = 5.0)]
    seconds: f64,
    /// A rule file for the live runs instead of lanner's own rules.
    #[arg(long)]
    rules: Option<PathBuf>,
    /// Settings for the live runs, a falco.yaml.
    #[arg(long)]
    config: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(file) = &options.storm {
        return load::storm_process(file, options.seconds);
    }
    if let Some(file) = &options.in_a_loop {
        return load::loop_process(file.as_deref());
    }
    // it is started in other folders too
    let bin = std::path::absolute(&options.bin)?;
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    let measured = Measured { bin: &bin, rules: options.rules.as_deref(), config: options.config.as_deref() };
    if wanted("live") {
        live::run(measured, options.rounds)?;
    }
    // among the live ones already
    if options.only.as_deref() == Some("storms") {
        storm::run(measured, options.rounds)?;
    }
    if wanted("replay") {
        replay::run(&bin, &options.compat, options.rounds)?;
    }
    if wanted("loading") {
        loading::run(&bin, &options.compat, options.rounds)?;
    }
    if wanted("webhook") {
        webhook::run(&bin)?;
    }
    if wanted("json") {
        json::run(&bin)?;
    }
    if wanted("parts") {
        micro::run()?;
    }
    if wanted("instructions") {
        instructions::run(&bin, &options.compat)?;
    }
    Ok(())
}
