//! Whole-program benchmarks: what lanner costs the host it watches, and how fast it replays a capture.
//! Every figure is a ratio to a bare run, or to `zcat`, measured in the same run. It knows lanner only as
//! an executable.

mod agent;
mod live;
mod load;
mod loading;
mod measure;
mod replay;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

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
    /// Only `live`, only `replay` or only `loading`.
    #[arg(long)]
    only: Option<String>,
    /// A rule file for the live runs instead of lanner's own rules.
    #[arg(long)]
    rules: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    if wanted("live") {
        live::run(&options.bin, options.rules.as_deref(), options.rounds)?;
    }
    if wanted("replay") {
        replay::run(&options.bin, &options.compat, options.rounds)?;
    }
    if wanted("loading") {
        loading::run(&options.bin, &options.compat, options.rounds)?;
    }
    Ok(())
}
