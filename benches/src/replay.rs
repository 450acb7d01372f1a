//! How fast a capture is replayed, as a multiple of what `zcat` needs for the same file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::measure::{children_cpu_seconds, median, timed};

/// The official rule files for system calls.
pub const ALL: &[&str] = &["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];

/// Wall and CPU seconds of a command that has to succeed.
pub fn cost(command: &mut Command) -> Result<(f64, f64)> {
    let before = children_cpu_seconds();
    let (wall, status) =
        timed(|| Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok((wall.as_secs_f64(), children_cpu_seconds() - before))
}

fn lanner(bin: &Path, rules: &[PathBuf], capture: &Path) -> Command {
    let mut command = Command::new(bin);
    command.arg("replay").arg(capture);
    for file in rules {
        command.arg("-r").arg(file);
    }
    command
}

/// Measures and prints; says so where the captures aren't there.
///
/// # Errors
/// When lanner or `zcat` fails.
pub fn run(bin: &Path, compat: &Path, rounds: usize) -> Result<()> {
    let captures = compat.join("captures");
    let busy = captures.join("busy.scap");
    if !busy.exists() {
        println!("replay: skipped: {} isn't here", busy.display());
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let unpacked = dir.path().join("busy.scap");
    let status = Command::new("zcat").stdin(File::open(&busy)?).stdout(File::create(&unpacked)?).status();
    ensure!(status.context("running zcat")?.success(), "zcat can't unpack {}", busy.display());
    let rules: Vec<PathBuf> = ALL.iter().map(|name| compat.join("rules").join(name)).collect();
    println!("{:<60} {:>8}", "replay of busy.scap, as a multiple of zcat", "ratio");
    for (name, rules) in [("three rule files", &rules[..]), ("stable rules only", &rules[..1])] {
        let (mut wall, mut net, mut gross) = (vec![], vec![], vec![]);
        for _ in 0..rounds {
            let zcat = cost(Command::new("zcat").arg(&busy))?;
            let packed = cost(&mut lanner(bin, rules, &busy))?;
            let empty = cost(&mut lanner(bin, rules, &captures.join("empty.scap")))?;
            let plain = cost(&mut lanner(bin, rules, &unpacked))?;
            wall.push(packed.0 / zcat.0);
            net.push((plain.1 - empty.1) / zcat.1);
            gross.push(plain.1 / zcat.1);
        }
        println!("{:<60} {:>8.2}", format!("{name}: wall time"), median(wall));
        println!("{:<60} {:>8.2}", format!("{name}: unpacked, CPU less that of empty.scap"), median(net));
        println!("{:<60} {:>8.2}", format!("{name}: unpacked, CPU, loading included"), median(gross));
    }
    Ok(())
}
