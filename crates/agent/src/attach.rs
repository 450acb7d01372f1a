//! What has to be done while the process still has all its privileges and one thread: what starts programs is made,
//! the probe attached, and then given up what isn't needed any more.

use std::time::Instant;

use lanner_alert::Priority;
use lanner_probe::{Attachment, Probe, ProbeError, ProbeOptions, SnapshotSource};

use crate::config::{Config, Hardening, KERNEL, Source};
use crate::host::host_root;
use crate::log::Log;
use crate::program::Program;
use crate::wanted::{asks_where, wanted};
use crate::{ahead, confine, launcher};

/// What was attached.
pub struct Attached {
    /// The probe, if the kernel's events are wanted.
    pub probe: Option<Result<Probe, ProbeError>>,
    /// When that began.
    pub begin: Instant,
}

impl Attached {
    /// Attaches the probe, if `sources` want it, and gives up privileges. `foreign` names a plugin in this process
    /// that isn't ours.
    pub fn new(program: &Program, sources: &[&str], foreign: Option<&str>, log: &Log) -> Attached {
        let (begin, config) = (Instant::now(), &program.config);
        if config.sinks.program.is_some() && config.hardening != Hardening::None {
            if let Err(error) = launcher::make() {
                log.write(Priority::Error, &format!("programs for alerts can't be started: {error}"));
            }
        }
        let wanted = sources.contains(&KERNEL) && config.source == Source::Live;
        let probe = wanted.then(|| open(program, config));
        if let Some(Ok(probe)) = &probe {
            tell_lacks(probe.attachment(), log);
        }
        if wanted {
            go_ahead(config, log);
        }
        let kprobes = probe.iter().flatten().any(|probe| probe.attachment().kprobes);
        confine::confine(config, foreign, kprobes, log);
        Attached { probe, begin }
    }
}

/// Says what the kernel refused and what that costs.
fn tell_lacks(attachment: &Attachment, log: &Log) {
    for missing in &attachment.missing {
        log.write(Priority::Error, &format!("Not seen: {missing}"));
    }
    if let Some(why) = &attachment.leaves_out {
        log.write(Priority::Error, &format!("Not seen: calls that end while another thread of their CPU is stopped in a program; they are counted as lost: {why}"));
    }
    if let Some(why) = &attachment.no_notes {
        log.warning(&format!(
            "Each opened file is told, whether rules ask for it or not, which costs more: {why}"
        ));
    }
    if let Some(why) = &attachment.no_iterators {
        log.warning(&format!("What runs already is read from /proc, for want of BPF iterators: {why}"));
    }
}

/// Puts this thread, which will judge the kernel's events, ahead of others.
fn go_ahead(config: &Config, log: &Log) {
    if let Err(error) = ahead::go(config.nice) {
        log.info(&format!("lanner.nice: the thread that judges events isn't put ahead of others: {error}"));
    }
}

fn open(program: &Program, config: &Config) -> Result<Probe, ProbeError> {
    Probe::open(ProbeOptions {
        events: wanted(&program.engine.event_types(), &config.base_syscalls),
        ring_bytes: config.ring_bytes,
        cpus_per_ring: config.cpus_per_ring,
        snaplen: config.snaplen,
        proc: host_root().join("proc"),
        drop_failed: config.drop_failed,
        snapshot_from: (!config.iterators).then_some(SnapshotSource::Proc),
        resolved: asks_where(&program.engine),
        calls: config.calls,
        ahead: config.hardening == Hardening::Full,
        copies: config.copies,
        ..ProbeOptions::default()
    })
}
