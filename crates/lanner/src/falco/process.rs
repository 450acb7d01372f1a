//! Events, from a capture or live, until there are no more.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lanner_agent::attach::Attached;
use lanner_agent::config::{KERNEL, Source};
use lanner_agent::drops::DropWatch;
use lanner_agent::live::{Ending, LiveOptions};
use lanner_agent::log::Log;
use lanner_agent::metrics::{Board, LoadedFile, LoadedKind};
use lanner_agent::program::{About, Program};
use lanner_agent::reload::{Built, Refused, Reloader};
use lanner_agent::replay;
use lanner_agent::ruleset::{files_at, origins, vanished};
use lanner_agent::signals::Signals;
use lanner_agent::tally::Tally;
use lanner_agent::together::Together;
use lanner_agent::wanted::select;
use lanner_agent::watch::FileWatch;
use lanner_agent::web::Web;
use lanner_alert::Priority;
use lanner_output::{ChannelStats, Colour};

use super::rules::{self, Loaded};
use super::{Failure, Options, Session, print, version};

/// The exit code when the pid file can't be written.
const PIDFILE_CODE: u8 = 255;

/// Processes events as the configuration says.
///
/// # Errors
/// When the source can't be read, or events were lost and the configuration wants that to end.
pub fn process(session: &Session, rules: Loaded, sources: &[&'static str]) -> Result<(), Failure> {
    if session.config.sinks.is_empty() {
        let message = "No output configured, please make sure at least one output is configured and enabled.";
        return Err(message.to_owned().into());
    }
    if std::env::var_os("FALCO_HOSTNAME").is_some() {
        let name = lanner_agent::sinks::hostname();
        session.log.info(&format!("Hostname value has been overridden via environment variable to: {name}"));
    }
    tell_metrics(session)?;
    if session.options.dry_run {
        session.log.write(Priority::Debug, "Skipping event processing in dry-run");
        return Ok(());
    }
    let capture = &session.config.capture;
    if capture.enabled {
        let mode = if capture.all { "all_rules" } else { "rules" };
        let message = format!("Capture is enabled in mode '{mode}'. Capturing events to {}", capture.prefix);
        session.log.info(&message);
    }
    if let Some(path) = &session.options.pidfile {
        if let Err(error) = std::fs::write(path, std::process::id().to_string()) {
            let message = format!("Could not write pid to pidfile {}: {error}. Exiting.", path.display());
            session.log.write(Priority::Error, &message);
            return Err(Failure::Said(PIDFILE_CODE));
        }
    }
    match &session.config.source {
        Source::Replay(file) => replay(session, rules, file)?,
        Source::Live | Source::None => live(session, rules, sources)?,
    }
    Ok(())
}

fn replay(session: &Session, rules: Loaded, file: &Path) -> Result<(), String> {
    session.log.info(&format!("Replaying events from the capture file: {}", file.display()));
    let program = built(session, rules).program;
    let crew = session.plugins.crew_for_capture(&session.log).map_err(|error| error.to_string())?;
    let (outcome, result) = replay::run(file, &program, crew.as_ref(), &session.log, Colour::Never);
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
            Ok(())
        }
        Err(error) if !opened => {
            Err(format!("Could not open trace filename {} for reading: {error}", file.display()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Lets the sources run side by side.
fn live(session: &Session, rules: Loaded, sources: &[&'static str]) -> Result<(), String> {
    let log = &session.log;
    log.info(&format!("Loaded event sources: {}", session.plugins.all_sources().join(", ")));
    log.info(&format!("Enabled event sources: {}", sources.join(", ")));
    if sources.contains(&KERNEL) {
        tell_kernel(session, &rules);
    }
    let before = came_from(session, &rules);
    let built = built(session, rules);
    let program = Arc::clone(&built.program);
    let foreign = session.plugins.prepare(sources, log);
    let attached = Attached::new(&program, sources, foreign, log);
    let (options, reloader) = follow(session, built, before)?;
    let _web = web(session, &options.board)?;
    let together = Together { program, plugins: &session.plugins, sources, reloader: &reloader, log };
    let outcome = together.run(attached, options, &mut |started| {
        let (rings, bytes) = (started.attachment.rings, started.attachment.ring_bytes);
        log.info(&format!(
            "{rings} ring buffers of {bytes} bytes, {} threads known",
            started.snapshot.threads
        ));
    });
    let outcome = outcome.map_err(|error| error.to_string())?;
    if outcome.ending == Some(Ending::Signal) {
        log.info("SIGINT received, exiting...");
    }
    outcome.drops.iter().for_each(tell_drops);
    if outcome.lost > 0 {
        eprintln!("   - events lost in all: {}", outcome.lost);
    }
    tell_losses(log, &outcome.outputs);
    print(&outcome.tally.falco_summary());
    if outcome.failures.is_empty() { Ok(()) } else { Err(outcome.failures.join("; ")) }
}

/// Says how the kernel's events are got.
fn tell_kernel(session: &Session, rules: &Loaded) {
    let log = &session.log;
    if session.config.source == Source::None {
        log.warning(
            "Enabled event source 'syscall' will be opened with no driver, no event will be produced",
        );
        return;
    }
    let kind = session.settings.root.at("engine.kind");
    if kind.is_none_or(|kind| kind.as_str() == Some("kmod")) {
        log.warning("engine.kind is 'kmod': there is no kernel module here, lanner's own eBPF probe is used");
    }
    tell_selection(session, rules);
    log.info("Opening 'syscall' source with modern BPF probe.");
}

fn tell_losses(log: &Log, outputs: &[ChannelStats]) {
    for channel in outputs.iter().filter(|c| c.lost > 0) {
        let why = channel.last_error.as_deref().unwrap_or("its queue was full");
        log.write(Priority::Error, &format!("{} output lost {} alerts: {why}", channel.sink, channel.lost));
    }
}

/// Which of the calls that rules and settings name are not watched.
fn tell_selection(session: &Session, rules: &Loaded) {
    let selected = select(&rules.set.engine.event_types(), &session.config.base_syscalls);
    if !selected.unknown.is_empty() {
        let names = selected.unknown.join(", ");
        session.log.warning(&format!("Invalid syscall names: warning (base_syscalls override): {names}"));
    }
    if !selected.unwatched.is_empty() {
        eprintln!(
            "Loaded rules match syscalls that are not activated, be it by default or by base_syscalls: warning \
             (unsupported-evttype): {}\nSet base_syscalls.all to watch those that come in floods.",
            selected.unwatched.join(", ")
        );
    }
}

/// What is run, and what it was read from.
fn built(session: &Session, rules: Loaded) -> Built {
    let watch = watched(session, rules.texts.iter().map(|text| PathBuf::from(&text.name)));
    let of_rules =
        rules.texts.iter().map(|text| LoadedFile::new(LoadedKind::Rules, &text.name, text.text.as_bytes()));
    let of_config = session.settings.files.iter();
    let of_config = of_config.filter_map(|file| LoadedFile::read(LoadedKind::Config, &file.path));
    let about = About { files: of_rules.chain(of_config).collect(), version: version::FALCO };
    let program = Program::new(rules.set.engine, session.config.clone(), about);
    Built { program, watch }
}

/// The files that were read, those of rules given, and what was named: others may appear in directories, and what isn't
/// there may come.
fn watched(session: &Session, rules: impl Iterator<Item = PathBuf>) -> FileWatch {
    if !session.config.watch_files {
        return FileWatch::default();
    }
    let settings = &session.settings;
    let files = settings.files.iter().map(|file| &file.path).chain(rules::paths(session)).cloned();
    let (there, mut missed): (Vec<PathBuf>, Vec<PathBuf>) =
        settings.folders.iter().cloned().partition(|path| path.exists());
    missed.extend(rules::missing(session));
    FileWatch::new(files.chain(rules).chain(there), missed, session.since)
}

/// Reads rules and settings anew; `before` is where rules came from the last time.
fn rebuild(args: &[OsString], before: &mut Vec<PathBuf>) -> Result<Built, Refused> {
    let session = Session::load(Options::read(args.to_vec())?, args)?;
    let refuse = |error: String| {
        let files = rules::paths(&session).iter().flat_map(|path| files_at(path));
        Refused { error, watch: watched(&session, files) }
    };
    if let Some(path) = vanished(before, &rules::named(&session)) {
        let path = path.display();
        return Err(refuse(format!("{path}: rules came from here, and there are none any more")));
    }
    let rules = rules::load(&session).map_err(refuse)?;
    *before = came_from(&session, &rules);
    Ok(built(&session, rules))
}

/// The places that gave rules.
fn came_from(session: &Session, rules: &Loaded) -> Vec<PathBuf> {
    origins(rules::paths(session), rules.texts.iter().map(|text| text.name.as_str()))
}

/// Takes signals, and follows changes of rules and settings, from now on; `before` is where rules came from.
fn follow(
    session: &Session,
    built: Built,
    mut before: Vec<PathBuf>,
) -> Result<(LiveOptions, Reloader), String> {
    let system = |error: std::io::Error| format!("can't start: {error}");
    let signals = Signals::install().map_err(system)?;
    let args = session.args.clone();
    let build = move || rebuild(&args, &mut before);
    let reloader =
        Reloader::start(built, Box::new(build), signals.clone(), session.log.clone()).map_err(system)?;
    let seconds = session.options.seconds;
    let options = LiveOptions {
        duration: (seconds > 0).then(|| Duration::from_secs(seconds)),
        colour: Colour::Never,
        signals,
        slot: reloader.slot(),
        sending: None,
        crew: None,
        board: Board::default(),
    };
    Ok((options, reloader))
}

/// Says how often metrics are told, if they can be.
fn tell_metrics(session: &Session) -> Result<(), String> {
    let metrics = &session.config.metrics;
    metrics.check(&session.config.web)?;
    if metrics.enabled {
        let (text, ms) = (&metrics.interval_text, metrics.interval.as_millis());
        session.log.info(&format!("Setting metrics interval to {text}, equivalent to {ms} (ms)"));
    }
    Ok(())
}

/// Starts the web server, if there is to be one.
fn web(session: &Session, board: &Board) -> Result<Option<Web>, String> {
    let web = &session.config.web;
    if !web.enabled {
        return Ok(None);
    }
    let tls = if web.certificate.is_some() { " (SSL)" } else { "" };
    session.log.info(&format!(
        "Starting health webserver with threadiness {}, listening on {}:{}{tls}",
        web.threads, web.address, web.port
    ));
    let started = Web::start(&session.config, board, &version::json(&session.plugins));
    started.map(Some).map_err(|error| error.to_string())
}

fn tell_drops(drops: &DropWatch) {
    eprintln!("Syscall event drop monitoring:");
    eprintln!("   - event drop detected: {} occurrences", drops.detected);
    eprintln!("   - num times actions taken: {}", drops.acted);
}
