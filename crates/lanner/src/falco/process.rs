//! Events, from a capture or live, until there are no more.

use std::path::Path;
use std::time::Duration;

use lanner_agent::config::Source;
use lanner_agent::drops::DropWatch;
use lanner_agent::live::{self, Ending, LiveError, LiveOptions};
use lanner_agent::replay;
use lanner_agent::ruleset::Ruleset;
use lanner_agent::tally::Tally;
use lanner_output::{Colour, Priority};

use super::{Next, Session, print};

/// Processes events as the configuration says.
///
/// # Errors
/// When the source can't be read, or events were lost and the configuration wants that to end.
pub fn process(session: &Session, rules: &Ruleset) -> Result<Next, String> {
    let sinks = &session.config.sinks;
    if !sinks.stdout && sinks.file.is_none() && sinks.program.is_none() && sinks.unsupported.is_empty() {
        return Err("No output configured, please make sure at least one output is configured and enabled."
            .to_owned());
    }
    if std::env::var_os("FALCO_HOSTNAME").is_some() {
        let name = lanner_agent::sinks::hostname();
        session.log.info(&format!("Hostname value has been overridden via environment variable to: {name}"));
    }
    if session.options.dry_run {
        session.log.write(Priority::Debug, "Skipping event processing in dry-run");
        return Ok(Next::Done);
    }
    if let Some(path) = &session.options.pidfile {
        std::fs::write(path, std::process::id().to_string())
            .map_err(|e| format!("Could not write pid to pidfile {}: {e}. Exiting.", path.display()))?;
    }
    match &session.config.source {
        Source::Replay(file) => replay(session, rules, file),
        Source::Live => live(session, rules),
        Source::None => {
            Err("engine.kind is 'nodriver' and no plugin gives events: there is nothing to watch".to_owned())
        }
    }
}

fn replay(session: &Session, rules: &Ruleset, file: &Path) -> Result<Next, String> {
    session.log.info(&format!("Replaying events from the capture file: {}", file.display()));
    let (outcome, result) = replay::run(file, &rules.engine, &session.config, &session.log, Colour::Never);
    let opened = outcome.is_some();
    match outcome {
        Some(outcome) => {
            tell_drops(&outcome.drops);
            print(&outcome.tally.falco_summary());
        }
        None => print(&Tally::default().falco_summary()),
    }
    match result {
        Ok(()) => {
            // Falco waits for the time that -M gives, whatever the capture's length.
            std::thread::sleep(Duration::from_secs(session.options.seconds));
            Ok(Next::Done)
        }
        Err(error) if !opened => {
            Err(format!("Could not open trace filename {} for reading: {error}", file.display()))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn live(session: &Session, rules: &Ruleset) -> Result<Next, String> {
    let log = &session.log;
    log.info("Loaded event sources: syscall");
    log.info("Enabled event sources: syscall");
    log.info("Opening 'syscall' source with modern BPF probe.");
    let seconds = session.options.seconds;
    let options =
        LiveOptions { duration: (seconds > 0).then(|| Duration::from_secs(seconds)), colour: Colour::Never };
    let outcome = match live::run(&rules.engine, &session.config, log, options, &mut |started| {
        let (rings, bytes) = (started.attachment.rings, started.attachment.ring_bytes);
        log.info(&format!(
            "{rings} ring buffers of {bytes} bytes, {} threads known",
            started.snapshot.threads
        ));
    }) {
        Ok(outcome) => outcome,
        Err(LiveError::Dropped) => return Err(LiveError::Dropped.to_string()),
        Err(error) => return Err(error.to_string()),
    };
    let signal = match outcome.ending {
        Ending::Restart => "SIGHUP received, restarting...",
        Ending::Ended => "SIGINT received, exiting...",
    };
    log.info(signal);
    tell_drops(&outcome.drops);
    for channel in outcome.outputs.iter().filter(|c| c.lost > 0) {
        let why = channel.last_error.as_deref().unwrap_or("its queue was full");
        log.write(Priority::Error, &format!("{} output lost {} alerts: {why}", channel.sink, channel.lost));
    }
    print(&outcome.tally.falco_summary());
    Ok(if outcome.ending == Ending::Restart { Next::Restart } else { Next::Done })
}

fn tell_drops(drops: &DropWatch) {
    eprintln!("Syscall event drop monitoring:");
    eprintln!("   - event drop detected: {} occurrences", drops.detected);
    eprintln!("   - num times actions taken: {}", drops.acted);
}
