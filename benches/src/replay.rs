//! How fast a capture is replayed, as a multiple of what `zcat` needs for the same file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::copies::copied;
use crate::measure::{Cost, cost, median, peak_mb};

/// The official rule files for system calls.
pub const ALL: &[&str] = &["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];

/// How many times the rules are there in the largest set.
const COPIES: usize = 10;

/// A capture, packed and unpacked, one without events, and rule files.
pub struct Material {
    pub busy: PathBuf,
    pub unpacked: PathBuf,
    pub empty: PathBuf,
    pub rules: Vec<PathBuf>,
    /// Each rule file with its rules ten times, under other names.
    pub many: Vec<PathBuf>,
    _dir: tempfile::TempDir,
}

impl Material {
    /// What is in a folder with `captures/` and `rules/`; `None`, saying so, where it doesn't exist.
    ///
    /// # Errors
    /// When `zcat` fails or a file can't be read or written.
    pub fn find(compat: &Path) -> Result<Option<Material>> {
        let busy = compat.join("captures/busy.scap");
        if !busy.exists() {
            println!("replay: skipped: {} isn't here", busy.display());
            return Ok(None);
        }
        let dir = tempfile::tempdir()?;
        let unpacked = dir.path().join("busy.scap");
        let status = Command::new("zcat").stdin(File::open(&busy)?).stdout(File::create(&unpacked)?).status();
        ensure!(status.context("running zcat")?.success(), "zcat can't unpack {}", busy.display());
        let rules: Vec<PathBuf> = ALL.iter().map(|name| compat.join("rules").join(name)).collect();
        let many = ALL.iter().map(|name| dir.path().join(name)).collect::<Vec<_>>();
        for (from, to) in rules.iter().zip(&many) {
            std::fs::write(to, copied(&std::fs::read_to_string(from)?, COPIES))?;
        }
        let empty = compat.join("captures/empty.scap");
        Ok(Some(Material { busy, unpacked, empty, rules, many, _dir: dir }))
    }
}

/// The command that replays a capture.
pub fn lanner(bin: &Path, rules: &[PathBuf], capture: &Path) -> Command {
    let mut command = Command::new(bin);
    command.arg("replay").arg(capture).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for file in rules {
        command.arg("-r").arg(file);
    }
    command
}

/// Measures and prints.
///
/// # Errors
/// When lanner or `zcat` fails.
pub fn run(bin: &Path, compat: &Path, rounds: usize) -> Result<()> {
    let Some(material) = Material::find(compat)? else { return Ok(()) };
    let Material { busy, unpacked, empty, rules, many, .. } = &material;
    println!("{:<60} {:>8}", "replay of busy.scap, as a multiple of zcat", "ratio");
    for (name, rules) in [("three rule files", &rules[..]), ("stable rules only", &rules[..1])] {
        let (mut wall, mut net, mut gross) = (vec![], vec![], vec![]);
        for _ in 0..rounds {
            let zcat = cost(Command::new("zcat").arg(busy).stdout(Stdio::null()))?;
            let packed = cost(&mut lanner(bin, rules, busy))?;
            let nothing = cost(&mut lanner(bin, rules, empty))?;
            let plain = cost(&mut lanner(bin, rules, unpacked))?;
            wall.push(packed.wall / zcat.wall);
            net.push((plain.cpu - nothing.cpu) / zcat.cpu);
            gross.push(plain.cpu / zcat.cpu);
        }
        println!("{:<60} {:>8.2}", format!("{name}: wall time"), median(wall));
        println!("{:<60} {:>8.2}", format!("{name}: unpacked, CPU less that of empty.scap"), median(net));
        println!("{:<60} {:>8.2}", format!("{name}: unpacked, CPU, loading included"), median(gross));
    }
    println!(
        "{:<60} {:>8.1}",
        "three rule files: most memory, MB",
        peak_mb(&mut lanner(bin, rules, unpacked))?
    );
    let net = |rules: &[PathBuf], all: bool| -> Result<f64> {
        let run = |capture: &Path| -> Result<Cost> {
            let mut command = lanner(bin, rules, capture);
            cost(if all { command.arg("--all-matches") } else { &mut command })
        };
        Ok(run(unpacked)?.cpu - run(empty)?.cpu)
    };
    let (mut grown, mut matching) = (vec![], vec![]);
    for _ in 0..rounds {
        let first = net(rules, false)?;
        grown.push(net(many, false)? / first);
        matching.push(net(rules, true)? / first);
    }
    println!("{:<60} {:>8.2}", "evaluation with each rule ten times, to once", median(grown));
    println!("{:<60} {:>8.2}", "evaluation of all matches, to the first", median(matching));
    Ok(())
}
