//! Audit events from a file: lanner with a rule against `jq` with the same question, and lanner's reader against others
//! that are made for speed, all in one run.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use lanner_fields::Scratch;
use simd_json::prelude::{ValueAsScalar, ValueObjectAccess};
use sonic_rs::JsonValueTrait;

use crate::measure::cost;
use crate::webhook::{RULES, event};

const LINES: usize = 40_000;
/// Turns of which the quickest counts.
const TURNS: usize = 5;

/// How many of the lines answer the question: those that `verb` and `resource` are read from and fit.
type Reader = fn(&str) -> usize;

/// What reads the lines. Each reads a line whole, as a rule's event is, and checks it.
const READERS: [(&str, Reader); 6] = [
    ("lanner", lanner),
    ("serde_json, values", serde),
    ("simd-json, values that borrow", simd_values),
    ("simd-json, tape", simd_tape),
    ("sonic-rs, values", sonic_values),
    ("sonic-rs, the two asked for alone", sonic_lazy),
];

fn fits(verb: Option<&str>, resource: Option<&str>) -> bool {
    verb == Some("create") && resource == Some("pods")
}

fn lanner(lines: &str) -> usize {
    let mut scratch = Scratch::new();
    let mut asks = |line: &str| {
        scratch.reset();
        let Some(root) = scratch.json(line.as_bytes()) else { return false };
        let text = |path: &[&str]| root.at_path(path)?.as_text(&scratch).map(std::str::from_utf8)?.ok();
        fits(text(&["verb"]), text(&["objectRef", "resource"]))
    };
    lines.lines().filter(|line| asks(line)).count()
}

fn serde(lines: &str) -> usize {
    let asks = |line: &&str| {
        serde_json::from_str::<serde_json::Value>(line)
            .is_ok_and(|value| fits(value["verb"].as_str(), value["objectRef"]["resource"].as_str()))
    };
    lines.lines().filter(asks).count()
}

fn simd_values(lines: &str) -> usize {
    let mut copy = Vec::new();
    let mut asks = |line: &str| {
        // It changes what it reads, and events are not its own.
        copy.clear();
        copy.extend_from_slice(line.as_bytes());
        simd_json::to_borrowed_value(&mut copy).is_ok_and(|value| {
            let resource = value.get("objectRef").and_then(|target| target.get("resource"));
            fits(value.get("verb").and_then(|verb| verb.as_str()), resource.and_then(|value| value.as_str()))
        })
    };
    lines.lines().filter(|line| asks(line)).count()
}

fn simd_tape(lines: &str) -> usize {
    let (mut copy, mut buffers) = (Vec::new(), simd_json::Buffers::default());
    let mut asks = |line: &str| {
        copy.clear();
        copy.extend_from_slice(line.as_bytes());
        simd_json::to_tape_with_buffers(&mut copy, &mut buffers).is_ok_and(|tape| {
            let value = tape.as_value();
            let (verb, target) = (value.get("verb"), value.get("objectRef"));
            let resource = target.as_ref().and_then(|target| target.get("resource"));
            fits(verb.as_ref().and_then(|v| v.as_str()), resource.as_ref().and_then(|v| v.as_str()))
        })
    };
    lines.lines().filter(|line| asks(line)).count()
}

fn sonic_values(lines: &str) -> usize {
    let asks = |line: &&str| {
        sonic_rs::from_str::<sonic_rs::Value>(line).is_ok_and(|value| {
            fits(value.get("verb").as_str(), value.pointer(["objectRef", "resource"]).as_str())
        })
    };
    lines.lines().filter(asks).count()
}

fn sonic_lazy(lines: &str) -> usize {
    let asks = |line: &&str| {
        let verb = sonic_rs::get_from_str(line, ["verb"]);
        let resource = sonic_rs::get_from_str(line, ["objectRef", "resource"]);
        fits(verb.ok().as_ref().and_then(|v| v.as_str()), resource.ok().as_ref().and_then(|v| v.as_str()))
    };
    lines.lines().filter(asks).count()
}

/// Prints the figures.
///
/// # Errors
/// When a program can't be run, or a reader finds other events than lanner does.
pub fn run(bin: &Path) -> Result<()> {
    let lines: String = (0..LINES).map(|n| event(&n.to_string()) + "\n").collect();
    let megabytes = lines.len() as f64 / 1e6;
    programs(bin, &lines)?;
    for (name, reader) in READERS {
        let mut quickest = f64::INFINITY;
        for _ in 0..TURNS {
            let begin = Instant::now();
            let found = black_box(reader(black_box(&lines)));
            quickest = quickest.min(begin.elapsed().as_secs_f64());
            ensure!(found == LINES, "{name} finds {found} of {LINES} events");
        }
        println!("json: read and asked by {name}: {:.0} MB/s", megabytes / quickest);
    }
    Ok(())
}

/// One file of events, read by lanner with a rule and by `jq`.
fn programs(bin: &Path, lines: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let megabytes = lines.len() as f64 / 1e6;
    fs::write(dir.path().join("events"), lines)?;
    fs::write(dir.path().join("r.yaml"), RULES.replace("= pods", "= secrets"))?;
    let config = "rules_files: [r.yaml]\nlog_stderr: false\nlog_syslog: false\nstdout_output: {enabled: true}\n\
                  plugins: [{name: k8saudit, open_params: events}]\n";
    fs::write(dir.path().join("falco.yaml"), config)?;
    let mut lanner = Command::new(fs::canonicalize(bin)?);
    lanner.args(["falco", "-c", "falco.yaml", "--enable-source", "k8s_audit"]).current_dir(dir.path());
    println!("json: lanner, with a rule: {:.0} MB/s", megabytes / cost(&mut lanner)?.wall);
    let mut jq = Command::new("jq");
    jq.args(["-c", "select(.verb == \"create\" and .objectRef.resource == \"secrets\")"]);
    match cost(jq.arg(dir.path().join("events"))) {
        Ok(cost) => println!("json: jq, the same question: {:.0} MB/s", megabytes / cost.wall),
        Err(_) => println!("json: jq is not here"),
    }
    Ok(())
}
