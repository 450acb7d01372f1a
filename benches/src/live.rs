//! What watching costs the host.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use lanner_probe::trial::Empty;

use crate::agent::Agent;
use crate::load::{self, SensitiveReads};
use crate::measure::{cpu_seconds, median, resident_mb, timed};

const STORM: Duration = Duration::from_secs(5);

/// Files that are opened.
struct Files {
    /// No rule asks for it.
    plain: PathBuf,
    /// A rule asks for it, but not when these programs open it.
    watched: PathBuf,
    /// A rule reports every opening of it.
    reported: PathBuf,
    /// The rules that do.
    rules: PathBuf,
}

impl Files {
    fn make(dir: &Path) -> Result<Files> {
        let file = |name: &str| -> Result<PathBuf> {
            let path = dir.join(name);
            std::fs::write(&path, "")?;
            Ok(path)
        };
        let files = Files {
            plain: file("plain")?,
            watched: file("watched")?,
            reported: file("reported")?,
            rules: dir.join("rules.yaml"),
        };
        let opened = |path: &Path| format!("evt.type in (open, openat) and fd.name = {}", path.display());
        let rule = |name: &str, condition: String| {
            format!(
                "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: \"%fd.name\"\n  priority: INFO\n"
            )
        };
        let watched = format!("{} and proc.name = nothing-of-that-name", opened(&files.watched));
        std::fs::write(&files.rules, rule("Watched", watched) + &rule("Reported", opened(&files.reported)))?;
        Ok(files)
    }
}

/// Figures of all rounds, bare and watched.
#[derive(Default)]
struct Pair {
    bare: Vec<f64>,
    watched: Vec<f64>,
}

impl Pair {
    fn added(&self) -> f64 {
        median(self.watched.clone()) - median(self.bare.clone())
    }

    fn row(&self, what: &str, unit: &str, bound: &str) {
        let (bare, with) = (median(self.bare.clone()), median(self.watched.clone()));
        println!(
            "{what:<44} {bare:>9.1} {with:>9.1} {unit:<3} {:>+9.1}  x {:.2}  {bound}",
            with - bare,
            with / bare
        );
    }
}

/// What a run of lanner came to in a storm.
#[derive(Default)]
struct Storm {
    pairs: Pair,
    lost: Vec<f64>,
    missed: Vec<f64>,
}

impl Storm {
    fn row(&self, what: &str, bound: &str) {
        self.pairs.row(what, "k/s", bound);
        println!("{:<44} {:>19.2} % of events", "  lost in it", median(self.lost.clone()));
        println!(
            "{:<44} {:>19.1}",
            "  sensitive reads in it that went unreported",
            median(self.missed.clone())
        );
    }

    fn round(&mut self, bin: &Path, rules: Option<&Path>, files: &Files, path: &Path) -> Result<()> {
        self.pairs.bare.push(load::open_storm(path, STORM)? / 1e3);
        let mut agent = Agent::start(bin, rules, &files.rules)?;
        agent.first_alert()?;
        std::thread::sleep(Duration::from_secs(1));
        let before = agent.sensitive();
        let reads = SensitiveReads::start();
        self.pairs.watched.push(load::open_storm(path, STORM)? / 1e3);
        let reads = reads.stop();
        std::thread::sleep(Duration::from_secs(1));
        self.missed.push(reads as f64 - (agent.sensitive() - before) as f64);
        let totals = agent.stop()?;
        self.lost.push(100.0 * totals.lost as f64 / (totals.events + totals.lost).max(1) as f64);
        println!("  storm: events {}, alerts {}, lost {}", totals.events, totals.alerts, totals.lost);
        Ok(())
    }
}

#[derive(Default)]
struct Figures {
    empty: Pair,
    getppid: Pair,
    plain: Pair,
    watched: Pair,
    processes: Pair,
    first: Vec<f64>,
    resident: Vec<f64>,
    busy: Vec<f64>,
    plain_storm: Storm,
    reported_storm: Storm,
}

impl Figures {
    fn round(&mut self, bin: &Path, rules: Option<&Path>, files: &Files) -> Result<()> {
        self.empty.bare.push(load::getppid()?);
        let empty = Empty::attach()?;
        self.empty.watched.push(load::getppid()?);
        drop(empty);
        self.getppid.bare.push(load::getppid()?);
        self.plain.bare.push(load::open_close(&files.plain)?);
        self.watched.bare.push(load::open_close(&files.watched)?);
        self.processes.bare.push(load::short_processes()? * 1e3);
        let mut agent = Agent::start(bin, rules, &files.rules)?;
        self.first.push(agent.first_alert()?.as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_secs(1));
        self.resident.push(resident_mb(agent.pid())?);
        self.getppid.watched.push(load::getppid()?);
        let before = cpu_seconds(agent.pid())?;
        let (time, cost) = timed(|| load::open_close(&files.plain))?;
        self.busy.push(100.0 * (cpu_seconds(agent.pid())? - before) / time.as_secs_f64());
        self.plain.watched.push(cost);
        self.watched.watched.push(load::open_close(&files.watched)?);
        self.processes.watched.push(load::short_processes()? * 1e3);
        let totals = agent.stop()?;
        println!("  loops: events {}, alerts {}, lost {}", totals.events, totals.alerts, totals.lost);
        self.plain_storm.round(bin, rules, files, &files.plain)?;
        self.reported_storm.round(bin, rules, files, &files.reported)
    }

    fn print(&self) {
        println!("{:<44} {:>9} {:>9} {:>13}  ratio", "", "bare", "watched", "added");
        let empty = self.empty.added();
        self.empty.row("getppid() under an empty program (E)", "ns", "");
        self.getppid.row(
            "getppid(), which no rule asks for",
            "ns",
            &format!("at most + {:.0}", empty + 10.0),
        );
        let bound = format!("at most + {:.0}", 2.0 * empty + 150.0);
        self.plain.row("open+close of a file that no rule asks for", "ns", &bound);
        self.watched.row("open+close of a file that a rule asks for", "ns", "at most + 900");
        self.processes.row("400 short processes", "ms", "at most x 1.06");
        self.plain_storm.row("storm of opens that no rule asks for", "at least x 0.80");
        self.reported_storm.row("storm of opens that a rule reports", "at least x 0.45, 5 % lost");
        println!("{:<44} {:>19.1} ms", "start to first alert", median(self.first.clone()));
        println!(
            "{:<44} {:>19.1} MB",
            "resident memory without ring mappings",
            median(self.resident.clone())
        );
        println!(
            "{:<44} {:>19.1} % of a core",
            "CPU of lanner during the open loop",
            median(self.busy.clone())
        );
    }
}

/// Measures and prints.
///
/// # Errors
/// When lanner doesn't start or raise an alert.
pub fn run(bin: &Path, rules: Option<&Path>, rounds: usize) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let files = Files::make(dir.path())?;
    let mut figures = Figures::default();
    for _ in 0..rounds {
        figures.round(bin, rules, &files)?;
    }
    figures.print();
    Ok(())
}
