//! What watching costs the host.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::agent::Agent;
use crate::load;
use crate::measure::{cpu_seconds, median, resident_mb, timed};

const STORM: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Figures {
    getppid: Vec<f64>,
    open_close: Vec<f64>,
    processes: Vec<f64>,
    storm: Vec<f64>,
}

impl Figures {
    fn measure(&mut self, file: &Path) -> Result<()> {
        self.getppid.push(load::getppid()?);
        self.open_close.push(load::open_close(file)?);
        self.processes.push(load::short_processes()?);
        Ok(())
    }
}

/// Measures and prints.
///
/// # Errors
/// When lanner doesn't start or raise an alert.
pub fn run(bin: &Path, rules: Option<&Path>, rounds: usize) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("uninteresting");
    std::fs::write(&file, "")?;
    let (mut bare, mut watched) = (Figures::default(), Figures::default());
    let (mut first, mut resident, mut busy, mut lost) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        bare.measure(&file)?;
        bare.storm.push(load::open_storm(&file, STORM));
        let mut agent = Agent::start(bin, rules)?;
        first.push(agent.first_alert()?.as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_secs(1));
        resident.push(resident_mb(agent.pid())?);
        let before = cpu_seconds(agent.pid())?;
        let (time, ()) = timed(|| watched.measure(&file))?;
        busy.push(100.0 * (cpu_seconds(agent.pid())? - before) / time.as_secs_f64());
        watched.storm.push(load::open_storm(&file, STORM));
        let totals = agent.stop()?;
        lost.push(100.0 * totals.lost as f64 / (totals.events + totals.lost).max(1) as f64);
        println!("  one round: events {}, alerts {}, lost {}", totals.events, totals.alerts, totals.lost);
    }
    let row = |what: &str, bare: Vec<f64>, with: Vec<f64>, unit: &str| {
        let (bare, with) = (median(bare), median(with));
        println!("{what:<44} {bare:>9.1} {with:>9.1} {unit:<3} {:>+9.1}  x {:.2}", with - bare, with / bare);
    };
    println!("{:<44} {:>9} {:>9} {:>13}  ratio", "", "bare", "watched", "added");
    row("getppid(), which no rule asks for", bare.getppid, watched.getppid, "ns");
    row("open+close of a file that no rule asks for", bare.open_close, watched.open_close, "ns");
    let to_ms = |seconds: Vec<f64>| seconds.into_iter().map(|s| s * 1e3).collect();
    row("400 short processes", to_ms(bare.processes), to_ms(watched.processes), "ms");
    row(
        "storm of opens, thousands of pairs a second",
        per_second(bare.storm),
        per_second(watched.storm),
        "k/s",
    );
    println!("{:<44} {:>19.1} ms", "start to first alert", median(first));
    println!("{:<44} {:>19.1} MB", "resident memory without ring mappings", median(resident));
    println!("{:<44} {:>19.1} % of a core", "CPU of lanner during the loops", median(busy));
    println!("{:<44} {:>19.2} % of events", "lost over the run, storm included", median(lost));
    Ok(())
}

fn per_second(millions: Vec<f64>) -> Vec<f64> {
    millions.into_iter().map(|m| m * 1e3 / STORM.as_secs_f64()).collect()
}
