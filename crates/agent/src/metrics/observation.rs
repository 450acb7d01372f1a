//! What one loop knows of itself at one moment.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lanner_alert::Priority;
use lanner_event::{EVENTS, EventType};
use lanner_machine::MachineStats;
use lanner_output::ChannelStats;
use lanner_probe::{Lost, ProgramStats};
use sha2::{Digest, Sha256};

/// What a loaded file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadedKind {
    /// Rules.
    Rules,
    /// Settings.
    Config,
}

/// A file that rules or settings were read from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadedFile {
    /// What it holds.
    pub kind: LoadedKind,
    /// Its name, without directories.
    pub name: String,
    /// SHA-256 of its text, in hex.
    pub sha256: String,
}

impl LoadedFile {
    /// A file with its text.
    pub fn new(kind: LoadedKind, path: &str, text: &[u8]) -> LoadedFile {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let sha256 = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        LoadedFile { kind, name, sha256 }
    }

    /// A file as it is now; nothing if it can't be read.
    pub fn read(kind: LoadedKind, path: &Path) -> Option<LoadedFile> {
        let text = std::fs::read(path).ok()?;
        Some(LoadedFile::new(kind, &path.to_string_lossy(), &text))
    }
}

/// A rule's count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleCount {
    /// Its name.
    pub name: String,
    /// Its source; empty for a rule that is no longer loaded.
    pub source: String,
    /// Its priority.
    pub priority: Priority,
    /// Its tags.
    pub tags: Vec<String>,
    /// How often it matched.
    pub matches: u64,
    /// How long its evaluation took, ns, as samples tell.
    pub time: u64,
}

/// Sizes of what waits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Alerts that wait for their container's names.
    pub held: u64,
    /// Alerts that went without them.
    pub incomplete: u64,
    /// Containers that the resolver had no room for yet.
    pub unasked: u64,
}

/// What one loop knows of itself.
#[derive(Clone, PartialEq, Debug)]
pub struct Observation {
    /// The event source.
    pub source: String,
    /// What reads it: `modern_bpf` and the like, Falco's names.
    pub engine: &'static str,
    /// When this was written, ns since 1970.
    pub ts: u64,
    /// When the loop was started, ns since 1970.
    pub started: u64,
    /// When rules and settings were last loaded, ns since 1970.
    pub loaded: u64,
    /// When the host started, ns since 1970.
    pub boot: u64,
    /// The host's name.
    pub hostname: String,
    /// The version that tools compare.
    pub version: String,
    /// The files that rules and settings were read from.
    pub files: Arc<[LoadedFile]>,
    /// Events delivered to rules.
    pub events: u64,
    /// Events delivered, the snapshot's included, by the number of their type.
    pub by_type: Vec<u64>,
    /// Events delivered, by CPU.
    pub by_cpu: Vec<u64>,
    /// Events lost.
    pub lost: Lost,
    /// Events lost, by CPU.
    pub lost_by_cpu: Vec<u64>,
    /// Whether the snapshot came from the kernel's iterators.
    pub iterated: bool,
    /// BPF programs.
    pub programs: Vec<ProgramStats>,
    /// The state of the host.
    pub machine: MachineStats,
    /// How often caches were shed for want of memory.
    pub sheds: u64,
    /// Rules.
    pub rules: Vec<RuleCount>,
    /// Sinks.
    pub outputs: Vec<ChannelStats>,
    /// What waits.
    pub waiting: Waiting,
    /// What the source's plugin counts.
    pub counted: Vec<Counted>,
}

/// A number of the plugins'.
#[derive(Clone, PartialEq, Debug)]
pub struct Counted {
    /// The plugin; empty for what lanner counts of the source itself.
    pub plugin: &'static str,
    /// Its name.
    pub name: String,
    /// Why something was refused, where that is what is counted.
    pub reason: &'static str,
    /// The number.
    pub value: f64,
    /// It only grows.
    pub monotonic: bool,
}

impl Observation {
    /// Events that happened, the lost ones included.
    pub fn all_events(&self) -> u64 {
        self.events + self.lost.total()
    }

    /// Lines that sinks lost.
    pub fn lost_lines(&self) -> u64 {
        self.outputs.iter().map(|sink| sink.lost).sum()
    }

    /// Events delivered, by the name that rules know their type by.
    pub fn events_by_name(&self) -> BTreeMap<&'static str, u64> {
        let mut sums = BTreeMap::new();
        for (info, count) in EVENTS.iter().zip(&self.by_type).filter(|(_, count)| **count > 0) {
            *sums.entry(info.name).or_insert(0) += count;
        }
        sums
    }

    /// How many events of a type were delivered.
    pub fn of_type(&self, ty: EventType) -> u64 {
        self.by_type.get(usize::from(ty.0)).copied().unwrap_or(0)
    }
}
