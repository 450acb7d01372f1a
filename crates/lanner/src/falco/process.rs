//! Events, from a capture or live, until there are no more.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use lanner_agent::config::Source;
use lanner_agent::drops::DropWatch;
use lanner_agent::live::{self, Ending, LiveError, LiveOptions};
use lanner_agent::replay;
use lanner_agent::ruleset::Ruleset;
use lanner_agent::tally::Tally;
use lanner_agent::watch::FileWatch;
use lanner_output::{Colour, Priority};
use lanner_rules::SourceText;

use super::{Next, Session, print};

/// Processes events as the configuration says.
///
/// # Errors
/// When the source can't be read, or events were lost and the configuration wants that to end.
pub fn process(session: &Session, rules: &Ruleset, files: &[SourceText]) -> Result<Next, String> {
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
        Source::Live => live(session, rules, files),
        Source::None => idle(session, files),
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

fn live(session: &Session, rules: &Ruleset, files: &[SourceText]) -> Result<Next, String> {
    let log = &session.log;
    log.info("Loaded event sources: syscall");
    log.info("Enabled event sources: syscall");
    if session.settings.root.at("engine.kind").is_none_or(|kind| kind.as_str() == Some("kmod")) {
        log.warning("engine.kind is 'kmod': there is no kernel module here, lanner's own eBPF probe is used");
    }
    log.info("Opening 'syscall' source with modern BPF probe.");
    let options = options(session, files);
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
    tell_ending(session, outcome.ending);
    tell_drops(&outcome.drops);
    for channel in outcome.outputs.iter().filter(|c| c.lost > 0) {
        let why = channel.last_error.as_deref().unwrap_or("its queue was full");
        log.write(Priority::Error, &format!("{} output lost {} alerts: {why}", channel.sink, channel.lost));
    }
    print(&outcome.tally.falco_summary());
    Ok(next(outcome.ending))
}

/// Without a source: it waits, and takes signals and changed files as a run does.
fn idle(session: &Session, files: &[SourceText]) -> Result<Next, String> {
    let log = &session.log;
    log.info("Enabled event sources: syscall");
    log.warning("Enabled event source 'syscall' will be opened with no driver, no event will be produced");
    let ending = live::idle(options(session, files)).map_err(|error| error.to_string())?;
    tell_ending(session, ending);
    print(&Tally::default().falco_summary());
    Ok(next(ending))
}

fn options(session: &Session, files: &[SourceText]) -> LiveOptions {
    let seconds = session.options.seconds;
    let of_rules = files.iter().map(|file| file.name.clone().into());
    let read = session.settings.files.iter().cloned().chain(of_rules);
    let watched = if session.config.watch_files { FileWatch::new(read) } else { FileWatch::default() };
    let args = session.args.clone();
    LiveOptions {
        duration: (seconds > 0).then(|| Duration::from_secs(seconds)),
        colour: Colour::Never,
        watch: watched.only_if(move || usable(&args)),
    }
}

/// Whether configuration and rules, as they are now, could be started with. What is wrong with them is said.
fn usable(args: &[OsString]) -> bool {
    let checked = super::Options::read(args.to_vec())
        .and_then(|options| Session::load(options, args))
        .and_then(|session| super::rules::load(&session).map(drop));
    if let Err(error) = &checked {
        eprintln!("Error: not restarting: {error}");
    }
    checked.is_ok()
}

fn next(ending: Ending) -> Next {
    if ending == Ending::Restart { Next::Restart } else { Next::Done }
}

fn tell_ending(session: &Session, ending: Ending) {
    match ending {
        Ending::Restart => session.log.info("SIGHUP received, restarting..."),
        Ending::Signal => session.log.info("SIGINT received, exiting..."),
        Ending::TimeUp => {}
    }
}

fn tell_drops(drops: &DropWatch) {
    eprintln!("Syscall event drop monitoring:");
    eprintln!("   - event drop detected: {} occurrences", drops.detected);
    eprintln!("   - num times actions taken: {}", drops.acted);
}
