//! What watching costs the host.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use lanner_probe::trial::Empty;

use crate::agent::{Agent, Measured};
use crate::load;
use crate::measure::{Pair, cpu_seconds, median, resident_mb, timed};
use crate::storm::Storm;

/// How often it is changed in a round whether 400 short processes are watched, and how often they are run each time.
const PROCESS_TURNS: usize = 8;
const PROCESS_RUNS: usize = 3;

/// Files that are opened.
pub struct Files {
    /// No rule asks for it.
    pub plain: PathBuf,
    /// A rule asks for it, but not when these programs open it, which the kernel can't know.
    watched: PathBuf,
    /// A rule asks for it if a process of a certain name opens it.
    named: PathBuf,
    /// A rule reports every opening of it.
    pub reported: PathBuf,
    /// The rules that do.
    pub rules: PathBuf,
}

impl Files {
    /// Makes them in a directory.
    pub fn make(dir: &Path) -> Result<Files> {
        let file = |name: &str| -> Result<PathBuf> {
            let path = dir.join(name);
            std::fs::write(&path, "")?;
            Ok(path)
        };
        let files = Files {
            plain: file("plain")?,
            watched: file("watched")?,
            named: file("named")?,
            reported: file("reported")?,
            rules: dir.join("rules.yaml"),
        };
        let opened = |path: &Path| format!("evt.type in (open, openat) and fd.name = {}", path.display());
        let rule = |name: &str, condition: String| {
            format!(
                "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: \"%fd.name\"\n  priority: INFO\n"
            )
        };
        let watched = format!("{} and proc.pname = nobody", opened(&files.watched));
        let named = format!("{} and proc.name = nobody", opened(&files.named));
        let reported = opened(&files.reported);
        let rules = [("Watched", watched), ("Named", named), ("Reported", reported)];
        let rules: String = rules.into_iter().map(|(name, condition)| rule(name, condition)).collect();
        std::fs::write(&files.rules, rules)?;
        Ok(files)
    }
}

#[derive(Default)]
struct Figures {
    empty: Pair,
    getppid: Pair,
    plain: Pair,
    watched: Pair,
    named: Pair,
    stream: Pair,
    processes: Pair,
    first: Vec<f64>,
    resident: Vec<f64>,
    busy: Vec<f64>,
    plain_storm: Storm,
    reported_storm: Storm,
}

impl Figures {
    fn round(&mut self, measured: Measured<'_>, files: &Files) -> Result<()> {
        self.empty.bare.push(load::getppid()?);
        let empty = Empty::attach()?;
        self.empty.watched.push(load::getppid()?);
        drop(empty);
        self.getppid.bare.push(load::getppid()?);
        self.plain.bare.push(load::open_close(&files.plain)?);
        self.watched.bare.push(load::open_close(&files.watched)?);
        self.named.bare.push(load::open_close(&files.named)?);
        self.stream.bare.push(load::send_receive()?);
        let mut agent = Agent::start(measured, &files.rules)?;
        self.first.push(agent.first_alert()?.as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_secs(1));
        self.resident.push(resident_mb(agent.pid())?);
        self.getppid.watched.push(load::getppid()?);
        let before = cpu_seconds(agent.pid())?;
        let (time, cost) = timed(|| load::open_close(&files.plain))?;
        self.busy.push(100.0 * (cpu_seconds(agent.pid())? - before) / time.as_secs_f64());
        self.plain.watched.push(cost);
        self.watched.watched.push(load::open_close(&files.watched)?);
        self.named.watched.push(load::open_close(&files.named)?);
        self.stream.watched.push(load::send_receive()?);
        let (totals, _) = agent.stop()?;
        println!("  loops: events {}, alerts {}, lost {}", totals.events, totals.alerts, totals.lost);
        self.processes(measured, files)?;
        self.plain_storm.round(measured)?;
        self.reported_storm.round(measured)
    }

    /// Milliseconds that 400 short processes take. They differ by more than what watching adds, and from one minute to the
    /// next by more still: in a virtual machine a quarter of their time can go to questions to the processor (`cpuid`), by
    /// which each program begins and which its host answers. The first 400 after a change are not timed: memory that the
    /// kernel keeps for the programs' notes is still to be found then.
    fn processes(&mut self, measured: Measured<'_>, files: &Files) -> Result<()> {
        let run = |times: &mut Vec<f64>| {
            load::short_processes()?;
            (0..PROCESS_RUNS).try_for_each(|_| load::short_processes().map(|time| times.push(time * 1e3)))
        };
        for _ in 0..PROCESS_TURNS {
            run(&mut self.processes.bare)?;
            let mut agent = Agent::start(measured, &files.rules)?;
            agent.first_alert()?;
            std::thread::sleep(Duration::from_millis(500));
            run(&mut self.processes.watched)?;
            agent.stop()?;
        }
        Ok(())
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
        self.named.row("open+close that a rule asks for of others", "ns", "");
        self.watched.row("open+close of a file that a rule asks for", "ns", "at most + 900");
        self.stream.row("send+recv over TCP", "ns", "");
        self.processes.row("400 short processes", "ms", "at most x 1.06");
        self.plain_storm.print();
        self.reported_storm.print();
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
pub fn run(measured: Measured<'_>, rounds: usize) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let files = Files::make(dir.path())?;
    let mut figures = Figures {
        plain_storm: Storm::unasked(&files),
        reported_storm: Storm::reported(&files),
        ..Figures::default()
    };
    for _ in 0..rounds {
        figures.round(measured, &files)?;
    }
    figures.print();
    Ok(())
}
