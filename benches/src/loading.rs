//! How long rule files take to be read, checked and compiled.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::measure::{cost, median};
use crate::replay::ALL;

/// One loading takes milliseconds, so there are more of them than of other comparisons.
const TIMES_PER_ROUND: usize = 7;

fn check(bin: &Path, rules: &[PathBuf]) -> Command {
    let mut command = Command::new(bin);
    command.args(["rules", "check"]).args(rules);
    command
}

/// Measures and prints; says so where the rule files aren't there. The figure is what the three official
/// files cost above an empty one.
///
/// # Errors
/// When lanner or `zcat` fails.
pub fn run(bin: &Path, compat: &Path, rounds: usize) -> Result<()> {
    let rules: Vec<PathBuf> = ALL.iter().map(|name| compat.join("rules").join(name)).collect();
    let busy = compat.join("captures/busy.scap");
    if let Some(missing) = rules.iter().chain([&busy]).find(|path| !path.exists()) {
        println!("loading: skipped: {} isn't here", missing.display());
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let nothing = dir.path().join("empty.yaml");
    std::fs::write(&nothing, "")?;
    let nothing = [nothing];
    let (mut times, mut ratios) = (vec![], vec![]);
    for _ in 0..rounds {
        let zcat = cost(Command::new("zcat").arg(&busy))?.wall;
        for _ in 0..TIMES_PER_ROUND {
            let seconds = cost(&mut check(bin, &rules))?.wall - cost(&mut check(bin, &nothing))?.wall;
            times.push(seconds * 1e3);
            ratios.push(seconds / zcat);
        }
    }
    println!("{:<60} {:>8.1}", "loading of three rule files above an empty one: ms", median(times));
    println!("{:<60} {:>8.3}", "the same, as a multiple of zcat of busy.scap", median(ratios));
    Ok(())
}
