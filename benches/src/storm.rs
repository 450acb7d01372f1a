//! Storms: four processes open a file as fast as they can, while a sensitive file is read every now and then.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::agent::{Agent, Measured};
use crate::live::Files;
use crate::load::{self, SensitiveReads};
use crate::measure::{Pair, median};

/// How long one lasts.
const STORM: Duration = Duration::from_secs(5);

/// What lanner came to in storms on one file.
#[derive(Default)]
pub struct Storm {
    file: PathBuf,
    rules: PathBuf,
    what: &'static str,
    bound: &'static str,
    pairs: Pair,
    /// Events that were lost, in %.
    lost: Vec<f64>,
    /// Alerts that were raised and not printed, in %.
    unprinted: Vec<f64>,
    /// Sensitive reads of which no alert was printed.
    missed: Vec<f64>,
}

impl Storm {
    /// On a file that no rule asks for.
    pub fn unasked(files: &Files) -> Storm {
        Storm {
            file: files.plain.clone(),
            rules: files.rules.clone(),
            what: "storm of opens that no rule asks for",
            bound: "at least x 0.80",
            ..Storm::default()
        }
    }

    /// On a file of which a rule reports every opening.
    pub fn reported(files: &Files) -> Storm {
        Storm {
            file: files.reported.clone(),
            rules: files.rules.clone(),
            what: "storm of opens that a rule reports",
            bound: "at least x 0.45, 5 % lost",
            ..Storm::default()
        }
    }

    /// One storm without lanner and one with it.
    pub fn round(&mut self, measured: Measured<'_>) -> Result<()> {
        self.pairs.bare.push(load::open_storm(&self.file, STORM)? / 1e3);
        let mut agent = Agent::start(measured, &self.rules)?;
        agent.first_alert()?;
        std::thread::sleep(Duration::from_secs(1));
        let before = agent.sensitive();
        let reads = SensitiveReads::start();
        let pairs = load::open_storm(&self.file, STORM)? / 1e3;
        let reads = reads.stop();
        std::thread::sleep(Duration::from_secs(1));
        let missed = reads as f64 - (agent.sensitive() - before) as f64;
        let (totals, lines) = agent.stop()?;
        let unprinted = totals.alerts.saturating_sub(lines);
        let share = |part: u64, all: u64| 100.0 * part as f64 / all.max(1) as f64;
        println!(
            "  storm: {pairs:.0} k/s, events {}, lost {}, alerts {}, not printed {unprinted}, sensitive reads {reads}, untold {missed}",
            totals.events, totals.lost, totals.alerts,
        );
        self.pairs.watched.push(pairs);
        self.missed.push(missed);
        self.lost.push(share(totals.lost, totals.events + totals.lost));
        self.unprinted.push(share(unprinted, totals.alerts));
        Ok(())
    }

    /// Prints its rows of the table.
    pub fn print(&self) {
        self.pairs.row(self.what, "k/s", self.bound);
        let row = |what: &str, values: &[f64], unit: &str| {
            println!("{what:<44} {:>19.2} {unit}", median(values.to_vec()));
        };
        row("  lost in it", &self.lost, "% of events");
        row("  not printed", &self.unprinted, "% of alerts");
        row("  sensitive reads in it that went unreported", &self.missed, "");
    }
}

/// Measures storms alone, and prints.
///
/// # Errors
/// When lanner doesn't start or raise an alert.
pub fn run(measured: Measured<'_>, rounds: usize) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let files = Files::make(dir.path())?;
    let mut storms = [Storm::unasked(&files), Storm::reported(&files)];
    for _ in 0..rounds {
        storms.iter_mut().try_for_each(|storm| storm.round(measured))?;
    }
    println!("{:<44} {:>9} {:>9} {:>13}  ratio", "", "bare", "watched", "added");
    storms.iter().for_each(Storm::print);
    Ok(())
}
