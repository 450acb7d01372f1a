//! `lanner rules profile`: what rules and their comparisons cost, and what would make them cheaper.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use lanner_agent::config::Config;
use lanner_agent::{profile, ruleset};
use lanner_engine::{ComparisonCost, Engine, EngineOptions, Matching, Profiler, RuleCost, RuleId, Work};
use serde_json::{Value, json};

use super::{load, print};
use crate::cli::ProfileArgs;

/// Longest comparison that is shown whole.
const TEXT: usize = 76;
/// Rules that are named with a comparison.
const NAMED: usize = 3;

/// Measures rules over a capture, or over what happens on this host now.
pub fn profile(args: &ProfileArgs) -> Result<(), String> {
    let (rules, _) = load(&args.rules, &mut Config::default(), &ruleset::all_sources())?;
    let matching = if args.all_matches { Matching::All } else { Matching::First };
    let options = EngineOptions { matching, texts: true, ..EngineOptions::default() };
    let engine = Engine::build(&rules.rules, options).map_err(|error| format!("lanner: {error}"))?;
    let mut profiler = Profiler::new(&engine);
    let result = match &args.file {
        Some(file) => measure(file, &engine, &mut profiler),
        None => measure_live(args.duration, &engine, &mut profiler),
    };
    if profiler.events() > 0 || result.is_ok() {
        let profile = Profile::of(&engine, &profiler);
        print(&if args.json { format!("{:#}\n", profile.json()) } else { profile.text(args.top as usize) })?;
    }
    result
}

fn measure(file: &Path, engine: &Engine, profiler: &mut Profiler) -> Result<(), String> {
    profile::profile(file, engine, profiler).map_err(|error| format!("lanner: {}: {error}", file.display()))
}

/// The events are recorded first, so that measuring holds nothing up.
fn measure_live(seconds: u64, engine: &Engine, profiler: &mut Profiler) -> Result<(), String> {
    let failed = |what: String| format!("lanner: {what}");
    let dir = tempfile::tempdir().map_err(|error| failed(format!("no temporary directory: {error}")))?;
    let file = dir.path().join("profile.scap");
    let started = &mut || eprintln!("recording this host for {seconds} seconds");
    let recorded = profile::record(file.clone(), Duration::from_secs(seconds), started);
    let recorded = recorded.map_err(|error| failed(error.to_string()))?;
    if recorded.lost > 0 {
        eprintln!("{} events were lost", recorded.lost);
    }
    measure(&file, engine, profiler)
}

/// What was measured.
struct Profile<'e> {
    engine: &'e Engine,
    events: u64,
    time: Duration,
    rules: Vec<RuleCost>,
    comparisons: Vec<ComparisonCost>,
}

impl<'e> Profile<'e> {
    fn of(engine: &'e Engine, profiler: &Profiler) -> Profile<'e> {
        Profile {
            engine,
            events: profiler.events(),
            time: profiler.time(),
            rules: profiler.rules(engine),
            comparisons: profiler.comparisons(engine),
        }
    }

    fn name(&self, rule: RuleId) -> &str {
        &self.engine.rule(rule).rule.name
    }

    fn json(&self) -> Value {
        let work = |work: &Work| {
            json!({
                "evaluations": work.evaluations,
                "hits": work.hits,
                "nanoseconds": u64::try_from(work.time.as_nanos()).unwrap_or(u64::MAX),
            })
        };
        let rule = |cost: &RuleCost| {
            let name = self.name(cost.rule);
            json!({ "rule": name, "events": cost.events, "work": work(&cost.work), "advice": cost.advice })
        };
        let comparison = |cost: &ComparisonCost| {
            let rules: Vec<&str> = cost.rules.iter().map(|rule| self.name(*rule)).collect();
            json!({ "comparison": cost.text, "rules": rules, "work": work(&cost.work), "advice": cost.advice })
        };
        json!({
            "events": self.events,
            "nanoseconds": u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX),
            "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
            "comparisons": self.comparisons.iter().map(comparison).collect::<Vec<_>>(),
        })
    }

    fn text(&self, top: usize) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{} events of types that rules look at, {}\n", self.events, time(self.time));
        let _ =
            writeln!(out, "{:<44}{:>9} {:>10} {:>8} {:>11}", "RULES", "EVENTS", "EVALUATED", "HITS", "TIME");
        for cost in self.rules.iter().take(top).filter(|cost| cost.events > 0) {
            let name = fitted(self.name(cost.rule), 43);
            let _ = writeln!(out, "{name:<44}{:>9} {}", cost.events, columns(&cost.work));
            advise(&cost.advice, &mut out);
        }
        let idle = self.rules.iter().filter(|cost| cost.events == 0).count();
        if idle > 0 {
            let _ = writeln!(out, "Not a single event for {idle} other rules.");
        }
        let _ = writeln!(out, "\n{:<53} {:>10} {:>8} {:>11}", "COMPARISONS", "EVALUATED", "HITS", "TIME");
        for cost in self.comparisons.iter().take(top) {
            let _ = writeln!(out, "{}", fitted(&cost.text, TEXT));
            let names: Vec<&str> = cost.rules.iter().map(|rule| self.name(*rule)).collect();
            let more = names.len().saturating_sub(NAMED);
            let named = names[..names.len() - more].join(", ");
            let users =
                if more > 0 { format!("{} and {more} more", fitted(&named, 40)) } else { fitted(&named, 50) };
            let _ = writeln!(out, "  {users:<51} {}", columns(&cost.work));
            advise(&cost.advice, &mut out);
        }
        let left_out = self.comparisons.len().saturating_sub(top);
        if left_out > 0 {
            let _ = writeln!(out, "Left out: {left_out} cheaper ones; --top shows more, --json all.");
        }
        out
    }
}

fn columns(work: &Work) -> String {
    format!("{:>10} {:>8} {:>11}", work.evaluations, work.hits, time(work.time))
}

fn advise(advice: &[String], out: &mut String) {
    for line in advice {
        let _ = writeln!(out, "  → {line}");
    }
}

fn time(time: Duration) -> String {
    match time.as_nanos() {
        0..1_000_000 => format!("{:.1} µs", time.as_nanos() as f64 / 1e3),
        _ => format!("{:.1} ms", time.as_nanos() as f64 / 1e6),
    }
}

/// A text without control characters, cut to a width.
fn fitted(text: &str, width: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= width {
        return text;
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}
