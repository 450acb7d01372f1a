//! Recording: what happens on this host, written to a capture.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lanner_alert::Priority;
use lanner_engine::{BuildError, Engine, EngineOptions, EventTypes};
use lanner_filter::ParseError;
use lanner_probe::{Attachment, EventSet, Probe, ProbeOptions};
use lanner_rules::{Place, Rule, RuleSet};

use crate::config::{BaseSyscalls, Config};
use crate::enrich::Enrichment;
use crate::host::host_root;
use crate::log::now;
use crate::recorder::Recorder;
pub use crate::recorder::{RecordError, Recorded};
use crate::recording::{Recording, RecordingOptions};
use crate::signals::Signals;
use crate::wanted::wanted;

/// Why a condition can't choose events.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It is not spelled as a condition.
    #[error("{error} (line {}, column {}): {}", error.position.line, error.position.column, error.advice())]
    Spelling {
        /// What is wrong.
        error: ParseError,
    },
    /// It names what there is not, or compares what can't be compared.
    #[error("{}{}", .0.problem.message, advice(.0))]
    Meaning(BuildError),
}

fn advice(error: &BuildError) -> String {
    error.problem.advice.as_ref().map_or_else(String::new, |advice| format!(": {advice}"))
}

/// A condition that chooses events.
///
/// # Errors
/// Says what is wrong with the condition.
pub fn filter(condition: &str) -> Result<Engine, FilterError> {
    let parsed = lanner_filter::parse(condition).map_err(|error| FilterError::Spelling { error })?;
    let rule = Rule {
        name: "filter".to_owned(),
        description: String::new(),
        source: "syscall".to_owned(),
        condition: Arc::new(parsed),
        output: "%evt.type".to_owned(),
        priority: Priority::Debug,
        tags: Default::default(),
        enabled: true,
        capture: false,
        capture_duration: 0,
        exception_fields: Default::default(),
        extra_fields: Vec::new(),
        place: Place::file("--filter".into()),
    };
    let rules = RuleSet { rules: vec![rule], ..RuleSet::default() };
    Engine::build(&rules, EngineOptions::default()).map_err(FilterError::Meaning)
}

/// What to record.
#[derive(Default)]
pub struct RecordOptions {
    /// End after so long.
    pub duration: Option<Duration>,
    /// Which events; all without one.
    pub filter: Option<Engine>,
    /// Where to.
    pub files: RecordingOptions,
}

/// Records this host until a signal comes, the time is up or the file is full. `started` is told once
/// everything that happens is recorded.
///
/// # Errors
/// When the kernel or the system refuses what is needed, or the capture can't be written.
pub fn run(
    config: &Config,
    options: RecordOptions,
    started: &mut dyn FnMut(&Attachment),
) -> Result<Recorded, RecordError> {
    let path = options.files.path.display().to_string();
    let written = |cause| RecordError::Write { path: path.clone(), cause };
    let files = Recording::create(options.files).map_err(written)?;
    let signals = Signals::install().map_err(RecordError::System)?;
    let mut probe = Probe::open(ProbeOptions {
        events: asked_for(options.filter.as_ref()),
        ring_bytes: config.ring_bytes,
        cpus_per_ring: config.cpus_per_ring,
        snaplen: config.snaplen,
        resolved: true,
        ..ProbeOptions::default()
    })?;
    let containers = lanner_container::Config { host_root: host_root(), ..config.containers.clone() };
    let enrichment = Enrichment::start(containers, &mut probe).map_err(RecordError::Resolver)?;
    let mut recorder = Recorder::new(options.filter, files, enrichment, config.enrichment_timeout);
    probe.snapshot(&mut |event| {
        recorder.machine.apply(event);
    })?;
    recorder.ask_about_containers();
    recorder.from = now();
    started(probe.attachment());
    let end = options.duration.map(|d| Instant::now() + d);
    let watched = recorder.watch(&mut probe, &signals, end);
    let watched = watched.and_then(|()| recorder.drain(&mut probe));
    // What was recorded until then is kept whole, however it ended.
    let closed = recorder.close(probe.lost().total()).map_err(written);
    watched?;
    closed
}

/// The types that a recording needs: those that the filter can match and those that change the machine's
/// state; without a filter all.
fn asked_for(filter: Option<&Engine>) -> EventSet {
    let matched = filter.map_or_else(EventTypes::all, Engine::event_types);
    wanted(&matched, &BaseSyscalls { all: true, ..BaseSyscalls::default() })
}

#[cfg(test)]
mod tests {
    use lanner_event::types;

    use super::*;

    #[test]
    fn a_filter_asks_for_what_it_can_match_and_for_state() {
        let all = asked_for(None);
        assert!(all.contains(types::SYSCALL_READ_X) && all.contains(types::SYSCALL_PTRACE_X));
        let some = asked_for(Some(&filter("evt.type = read and fd.name = /etc/shadow").unwrap()));
        assert!(some.contains(types::SYSCALL_READ_X) && some.contains(types::SYSCALL_OPENAT_2_X));
        assert!(!some.contains(types::SYSCALL_PTRACE_X));
    }

    #[test]
    fn a_wrong_filter_says_what_is_wrong() {
        let said = |text: &str| filter(text).unwrap_err().to_string();
        assert!(said("evt.type =").contains("column"), "{}", said("evt.type ="));
        assert!(said("evt.tpye = open").contains("evt.tpye"), "{}", said("evt.tpye = open"));
        assert!(said("open_read").contains("open_read"), "{}", said("open_read"));
    }
}
