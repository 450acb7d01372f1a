//! Instructions instead of time, where the clock is too noisy: counted by valgrind, the same in each run.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::replay::{Material, lanner};

/// Instructions of a command, all its threads together.
fn count(command: &Command) -> Result<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(command.get_program()).args(command.get_args());
    let output = valgrind.stdin(Stdio::null()).stdout(Stdio::null()).output().context("running valgrind")?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let number = told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    number.with_context(|| format!("valgrind told no number of instructions: {told}"))
}

/// Counts and prints; says so where valgrind or the captures aren't there.
///
/// # Errors
/// When lanner or `zcat` fails under valgrind.
pub fn run(bin: &Path, compat: &Path) -> Result<()> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("instructions: skipped: valgrind isn't here");
        return Ok(());
    }
    let Some(material) = Material::find(compat)? else { return Ok(()) };
    let Material { busy, unpacked, empty, rules, many, .. } = &material;
    // The program behind the shell script.
    let zcat = count(Command::new("gzip").arg("-cd").arg(busy))?;
    println!("{:<60} {:>8}", "instructions of a replay of busy.scap, unpacked,", "to gunzip's");
    for (name, rules) in [
        ("three rule files", &rules[..]),
        ("stable rules only", &rules[..1]),
        ("three rule files, each rule ten times", &many[..]),
    ] {
        let net = count(&lanner(bin, rules, unpacked))? - count(&lanner(bin, rules, empty))?;
        println!("{:<60} {:>8.2}", format!("{name}, less those of empty.scap"), net / zcat);
    }
    Ok(())
}
