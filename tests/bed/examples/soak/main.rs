//! A soak: events storm while rules are replaced every second, outputs die and return, files rotate, and containers
//! come and go: `soak [LANNER]`, for `SOAK_SECONDS` (600), and then a fifth of that at a pace that must be borne. In the
//! storm no event may be lost without being counted, and each alert that is missing has to be one of the counted; at the
//! steady pace nothing may be lost. Memory must stay flat. The figures are printed; a broken promise is exit code 1.

mod agent;
mod figures;
mod peers;
mod storm;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lanner_testbed::Bed;
use nix::sys::signal::Signal;

use agent::Agent;
use figures::Figures;
use peers::{Peer, Stop};
use storm::Pace;

/// What all threads of the soak share.
#[derive(Default)]
pub struct Shared {
    /// Everybody is to come to an end.
    pub over: AtomicBool,
    /// Calls that were made, each of which is an event.
    pub calls: AtomicU64,
    /// Files that were opened, each of which is an alert.
    pub marks: AtomicU64,
    /// Reloads that were asked for.
    pub reloads: AtomicU64,
    /// Those of them whose rules were broken.
    pub broken: AtomicU64,
    /// Times that the file was moved away.
    pub rotations: AtomicU64,
    /// Times that the web server died.
    pub deaths: AtomicU64,
    /// Containers that ran.
    pub containers: AtomicU64,
}

impl Shared {
    fn runs(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn count(counter: &AtomicU64) -> u64 {
        counter.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The rule that every version holds; a comment makes each version another one.
const RULES: &str = "\
- rule: Soak mark
  desc: A file of the soak was opened.
  condition: evt.type in (creat, open, openat, openat2) and fd.name contains lanner-soak-mark-
  output: soak %fd.name.
  priority: WARNING
- rule: Soak storm
  desc: Asks for the calls of the storm and matches none, which the kernel can't know.
  condition: evt.type = userfaultfd and proc.pname = no-such-program
  output: never
  priority: WARNING
";

fn main() -> Result<()> {
    let bin = std::env::args().nth(1).unwrap_or_else(|| "target/release/lanner".into());
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let bed = bed();
    let storm = soak(&bin, bed.as_ref(), Pace::Storm, seconds);
    let steady = soak(&bin, bed.as_ref(), Pace::Steady, (seconds / 5).max(10));
    storm.context("storm")?;
    steady.context("steady")
}

/// Soaks lanner for so many seconds and prints the figures.
///
/// # Errors
/// Names the promises that were broken.
fn soak(bin: &str, bed: Option<&Bed>, pace: Pace, seconds: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    version(folder.path(), 0, RULES)?;
    symlink("..data/rules.yaml", folder.path().join("rules.yaml"))?;
    let stop = Stop::default();
    let peer = Peer::new(stop.clone())?;
    let shared = Shared::default();
    let mut agent = Agent::start(bin, folder.path(), peer.port(), bed)?;
    println!("soak: {seconds} s, {}, lanner is process {}", pace.name(), agent.pid());
    let memory = thread::scope(|scope| -> Result<Vec<u64>> {
        (0..2).for_each(|_| drop(scope.spawn(|| storm::calls(&shared, pace))));
        scope.spawn(|| storm::marks(&shared, folder.path()));
        scope.spawn(|| peer.die_and_return(&shared));
        scope.spawn(|| replace_rules(&shared, folder.path(), &agent));
        scope.spawn(|| rotate(&shared, folder.path(), &agent));
        if let Some(bed) = bed {
            scope.spawn(|| containers(&shared, bed, pace));
        }
        let memory = watch_memory(&agent, &shared, seconds);
        shared.over.store(true, Ordering::Relaxed);
        memory
    })?;
    agent.settle()?;
    let metrics = agent.metrics()?;
    let log = agent.stop()?;
    stop.stop();
    Figures { shared: &shared, pace, memory, metrics, log, web: peer.taken(), folder: folder.path() }.judge()
}

/// Memory by second, said each minute.
fn watch_memory(agent: &Agent, shared: &Shared, seconds: u64) -> Result<Vec<u64>> {
    let start = Instant::now();
    let mut own = Vec::new();
    while start.elapsed() < Duration::from_secs(seconds) {
        thread::sleep(Duration::from_secs(1));
        let memory = agent.memory()?;
        own.push(memory.own);
        if own.len() % 60 == 0 {
            let (minute, calls) = (own.len() / 60, shared.calls.load(Ordering::Relaxed));
            println!(
                "minute {minute:<10}{} KiB of its own, {} KiB resident; {calls} calls",
                memory.own, memory.resident
            );
        }
    }
    Ok(own)
}

/// A container runtime of its own, where there can be one.
fn bed() -> Option<Bed> {
    match Bed::start() {
        Ok(bed) => Some(bed),
        Err(error) => {
            println!("soak: without containers: {error:#}");
            None
        }
    }
}

/// Puts a version of the rules in force as Kubernetes does with the files of a ConfigMap.
fn version(folder: &Path, number: u64, rules: &str) -> Result<()> {
    let own = format!("..{number}");
    fs::create_dir(folder.join(&own))?;
    fs::write(folder.join(&own).join("rules.yaml"), format!("# version {number}\n{rules}"))?;
    symlink(&own, folder.join("..data_tmp"))?;
    fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
    if number > 0 {
        fs::remove_dir_all(folder.join(format!("..{}", number - 1)))?;
    }
    Ok(())
}

/// New rules each second: every other time the file's change is to be noticed, else a signal tells; every tenth
/// version is broken.
fn replace_rules(shared: &Shared, folder: &Path, agent: &Agent) {
    while shared.runs() {
        thread::sleep(Duration::from_secs(1));
        let number = Shared::count(&shared.reloads);
        let broken = number % 10 == 5;
        shared.broken.fetch_add(u64::from(broken), Ordering::Relaxed);
        let rules = if broken { "- rule: [broken" } else { RULES };
        if let Err(error) = version(folder, number, rules) {
            println!("soak: rules can't be replaced: {error:#}");
        }
        if number % 2 == 1 {
            agent.signal(Signal::SIGHUP);
        }
    }
    // The last version is a good one.
    let _ = version(folder, shared.reloads.load(Ordering::Relaxed) + 1, RULES);
}

/// Moves the file of alerts away, as logrotate does.
fn rotate(shared: &Shared, folder: &Path, agent: &Agent) {
    while shared.runs() {
        thread::sleep(Duration::from_secs(3));
        let number = Shared::count(&shared.rotations);
        let _ = fs::rename(folder.join("alerts"), folder.join(format!("alerts.{number}")));
        agent.signal(Signal::SIGUSR1);
    }
}

/// Containers that come and go.
fn containers(shared: &Shared, bed: &Bed, pace: Pace) {
    while shared.runs() {
        let ran = bed
            .pod(&format!("soak-{}-{}", pace.name(), Shared::count(&shared.containers)))
            .start()
            .and_then(|pod| {
                pod.container("short").start()?.stop()?;
                pod.stop()
            });
        if let Err(error) = ran {
            println!("soak: a container failed: {error:#}");
        }
    }
}
