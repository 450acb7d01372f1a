//! What this machine lets lanner do: what works, what does not, what that costs and what to do about it.
//! Everything is asked of the machine itself; nothing is changed and nothing stays attached.

mod attach;
mod facts;
mod kernel;
mod limits;
mod privileges;
mod runtimes;

use lanner_probe::trial;
use serde::Serialize;

use crate::config::Config;
use facts::Facts;

/// How something stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Worth knowing, neither good nor bad.
    Note,
    /// Detection works, but something is worse than it could be.
    Warn,
    /// Something that detection needs is missing.
    Bad,
}

/// What a finding is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// The kernel and how it was started.
    Kernel,
    /// What this process may do.
    Privileges,
    /// Ways to attach programs to the kernel.
    Attachments,
    /// Memory, and bounds on it.
    Limits,
    /// Container runtimes.
    Runtimes,
}

impl Section {
    /// All sections, in the order in which they are shown.
    pub const ALL: [Section; 5] =
        [Section::Kernel, Section::Privileges, Section::Attachments, Section::Limits, Section::Runtimes];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Section::Kernel => "kernel",
            Section::Privileges => "privileges",
            Section::Attachments => "attachments",
            Section::Limits => "limits",
            Section::Runtimes => "runtimes",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// What it is about.
    pub section: Section,
    /// What was looked at.
    pub name: String,
    /// How it stands.
    pub mark: Mark,
    /// What was found.
    pub text: String,
    /// What that costs; empty where it costs nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cost: String,
    /// What to do about it; empty where nothing need be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Finding {
    /// A finding that costs nothing.
    pub fn new(section: Section, name: &str, mark: Mark, text: impl Into<String>) -> Finding {
        let (cost, advice) = (String::new(), String::new());
        Finding { section, name: name.to_owned(), mark, text: text.into(), cost, advice }
    }

    /// Says what it costs.
    #[must_use]
    pub fn cost(self, cost: impl Into<String>) -> Finding {
        Finding { cost: cost.into(), ..self }
    }

    /// Says what to do.
    #[must_use]
    pub fn advice(self, advice: impl Into<String>) -> Finding {
        Finding { advice: advice.into(), ..self }
    }
}

/// All that was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// lanner's version.
    pub lanner: &'static str,
    /// The host's name.
    pub host: String,
    /// Whether all that detection needs is there.
    pub able: bool,
    /// How many warnings there are.
    pub warnings: usize,
    /// Thing by thing, in the order of the sections.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Sums findings up.
    pub fn new(host: String, findings: Vec<Finding>) -> Report {
        let count = |mark| findings.iter().filter(|finding| finding.mark == mark).count();
        Report {
            lanner: env!("CARGO_PKG_VERSION"),
            host,
            able: count(Mark::Bad) == 0,
            warnings: count(Mark::Warn),
            findings,
        }
    }
}

/// Looks at this machine, as a run with these settings would find it.
pub fn examine(config: &Config) -> Report {
    let facts = Facts::read();
    let trials = trial::run(config.ring_bytes);
    let mut findings = kernel::findings(&facts, trials.probe.is_ok());
    findings.extend(privileges::findings(&facts));
    findings.extend(attach::findings(&trials, facts.permitted()));
    findings.extend(limits::findings(&facts, config, &trials.ring));
    findings.extend(runtimes::findings(config));
    Report::new(crate::sinks::hostname(), findings)
}
