//! What came of it, and whether the promises were kept.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};

use crate::Shared;
use crate::agent::value;
use crate::storm::{MARK, Pace};

/// Memory may grow by this share between the second and the last quarter of the run, and by so many KiB.
const GROWTH: f64 = 1.10;
const SLACK: f64 = 4096.0;

/// The number of a mark that a text tells of.
pub fn mark(text: &str) -> Option<u64> {
    let rest = text.split("lanner-soak-mark-").nth(1)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

pub struct Figures<'a> {
    pub shared: &'a Shared,
    pub pace: Pace,
    /// Memory that it asked for by second, KiB.
    pub memory: Vec<u64>,
    pub metrics: String,
    pub log: String,
    /// Marks that the web server was told of.
    pub web: BTreeSet<u64>,
    pub folder: &'a Path,
}

/// Marks that stand in the files whose names begin so.
fn marks_in(folder: &Path, name: &str) -> Result<BTreeSet<u64>> {
    let mut marks = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(name) {
            marks.extend(fs::read_to_string(entry.path())?.lines().filter_map(mark));
        }
    }
    Ok(marks)
}

fn mean(values: &[u64]) -> f64 {
    values.iter().sum::<u64>() as f64 / values.len().max(1) as f64
}

impl Figures<'_> {
    /// Prints the figures.
    ///
    /// # Errors
    /// Names the promises that were broken.
    pub fn judge(&self) -> Result<()> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let shared = self.shared;
        let (calls, marks) = (of(&shared.calls), of(&shared.marks));
        let event = |metric: &str, name: &str| {
            value(&self.metrics, &format!("lanner_{metric}{{source=\"syscall\",event=\"{name}\"}}"))
        };
        let (seen, lost) =
            (event("events_total", "userfaultfd"), event("events_lost_by_type_total", "userfaultfd"));
        let (marks_seen, marks_lost) =
            (event("events_total", MARK), event("events_lost_by_type_total", MARK));
        let all = value(&self.metrics, "lanner_events_total{source=\"syscall\"");
        let all_lost = value(&self.metrics, "lanner_events_lost_total{source=\"syscall\"");
        println!("events           {all} delivered, {all_lost} lost and counted");
        println!("calls            {calls} made, {seen} delivered, {lost} lost and counted");
        println!("files            {marks} made, {marks_seen} delivered, {marks_lost} lost and counted");
        let reloads = self.log.matches("Reloaded: ").count();
        let refused = self.log.matches("Not reloaded").count();
        println!(
            "reloads          {} asked for, {reloads} done, {refused} refused, {} broken",
            of(&shared.reloads),
            of(&shared.broken)
        );
        println!("file rotations   {}", of(&shared.rotations));
        println!("web server died  {} times", of(&shared.deaths));
        println!("containers       {}", of(&shared.containers));
        let mut broken = Vec::new();
        if seen + lost != calls {
            broken.push(format!(
                "{} events are neither delivered nor counted as lost",
                calls as i64 - (seen + lost) as i64
            ));
        }
        // Elsewhere others may make the call, too.
        if cfg!(target_arch = "x86_64") && marks_seen + marks_lost != marks {
            broken.push(format!("{marks} files were made, {} are accounted for", marks_seen + marks_lost));
        }
        if self.pace == Pace::Steady && all_lost > 0 {
            broken.push(format!("{all_lost} events were lost"));
        }
        let told = marks_in(self.folder, "alerts")?;
        for (sink, got) in
            [("file", &told), ("program", &marks_in(self.folder, "program")?), ("http", &self.web)]
        {
            let given_up =
                value(&self.metrics, &format!("lanner_output_alerts_lost_total{{output=\"{sink}\"}}"));
            let missing = marks.saturating_sub(got.len() as u64);
            println!(
                "alerts to {sink:<7} {} of {marks}, {missing} missing: {marks_lost} events, {given_up} alerts counted as lost",
                got.len()
            );
            if missing > marks_lost + given_up || self.pace == Pace::Steady && missing > 0 {
                broken.push(format!(
                    "{missing} alerts did not reach {sink}; {marks_lost} of their events were lost"
                ));
            }
        }
        if reloads * 2 < of(&shared.reloads) as usize || refused == 0 && of(&shared.broken) > 0 {
            broken.push("rules were not replaced as they should".to_owned());
        }
        let quarter = self.memory.len() / 4;
        let (early, late) = (mean(&self.memory[quarter..quarter * 2]), mean(&self.memory[quarter * 3..]));
        let most = self.memory.iter().max().unwrap_or(&0);
        println!("memory           {early:.0} KiB early, {late:.0} KiB late, {most} KiB at most");
        if late > early * GROWTH + SLACK {
            broken.push("memory grows".to_owned());
        }
        ensure!(broken.is_empty(), "broken promises: {}", broken.join("; "));
        println!("all promises kept");
        Ok(())
    }
}
