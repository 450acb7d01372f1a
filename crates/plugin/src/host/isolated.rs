//! A plugin in a process of its own, so that its crash costs only its events: lanner starts itself once more, and the
//! child writes the plugin's events, as they are on the wire, to its standard output.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lanner_event::{Event, HEADER_LEN};
use lanner_machine::Machine;
use serde_json::{Value, json};

use super::library::Foreign;
use super::owner::Tell;
use super::{Crew, load};
use crate::builtin::{Capability, Settings};
use crate::source::{EventSource, Given, Sink, SourceError};
use crate::stats::SourceStats;

/// The variable by which the child knows what it is.
const MARK: &str = "LANNER_PLUGIN_PROCESS";
/// Events that may wait between reading and the loop; beyond that the child waits.
const WAITING: usize = 1024;
/// Bytes of an event.
const MAX_EVENT: usize = 16 << 20;
/// Events that are handed over at a time.
const TOGETHER: usize = 256;

/// Processes that wait for their plugin: lanner gives up starting programs before plugins are started.
static READY: Mutex<Vec<Child>> = Mutex::new(Vec::new());

fn spawn() -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(MARK, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn()
}

/// Starts processes for so many plugins, while the process may still start programs.
///
/// # Errors
/// When the system refuses one.
pub fn prepare(count: usize) -> io::Result<()> {
    let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
    while ready.len() < count {
        ready.push(spawn()?);
    }
    Ok(())
}

/// A plugin in a process of its own.
pub struct Isolated {
    plugin: &'static str,
    child: Arc<Mutex<Child>>,
    events: Receiver<Vec<u8>>,
    stats: Arc<SourceStats>,
}

impl Isolated {
    /// Starts a plugin for a source; its events are counted, and `tell` hears its log.
    ///
    /// # Errors
    /// When the process can't be started.
    pub fn start(
        plugin: &'static Foreign,
        settings: &Settings,
        source: &str,
        stats: &Arc<SourceStats>,
        tell: Tell,
    ) -> Result<Isolated, SourceError> {
        let failed =
            |cause| SourceError::System { what: format!("a process for plugin '{}'", plugin.name), cause };
        let ready = READY.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut child = ready.map_or_else(spawn, Ok).map_err(failed)?;
        let orders = json!({
            "library": plugin.path,
            "init_config": settings.init_config,
            "open_params": settings.open_params,
            "source": source,
        });
        if let Some(stdin) = &mut child.stdin {
            // A child that is gone already shows at its output.
            let _ = writeln!(stdin, "{orders}");
        }
        let (sender, events) = sync_channel(WAITING);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let read = move || stdout.map_or((), |out| read_events(out, &sender));
        std::thread::Builder::new().name("plugin".into()).spawn(read).map_err(failed)?;
        let hear = move || stderr.map_or((), |err| hear(err, &tell));
        std::thread::Builder::new().name("plugin".into()).spawn(hear).map_err(failed)?;
        Ok(Isolated {
            plugin: &plugin.name,
            child: Arc::new(Mutex::new(child)),
            events,
            stats: Arc::clone(stats),
        })
    }

    /// What the end of the process says.
    fn ended(&self) -> Result<Given, SourceError> {
        let status = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
        match status {
            Ok(status) if status.success() => Ok(Given::End),
            Ok(status) => Err(SourceError::Failed(format!("plugin '{}' {}", self.plugin, said(status)))),
            Err(cause) => Err(SourceError::System { what: format!("plugin '{}'", self.plugin), cause }),
        }
    }
}

fn said(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("has crashed in its own process (signal {signal})"),
        None => "has failed in its own process; its log says why".to_owned(),
    }
}

/// The next event that a process writes; `None` at its end, or where what it writes is none.
pub fn read_message(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut event = vec![0; HEADER_LEN];
    from.read_exact(&mut event).ok()?;
    let length = u32::from_ne_bytes([event[16], event[17], event[18], event[19]]) as usize;
    if !(HEADER_LEN..=MAX_EVENT).contains(&length) {
        return None;
    }
    // Grown as it comes, so that a length alone takes no memory.
    let rest = (length - HEADER_LEN) as u64;
    from.take(rest).read_to_end(&mut event).ok()?;
    (event.len() == length).then_some(event)
}

/// Reads events until the child closes its end.
fn read_events(mut from: impl Read, to: &SyncSender<Vec<u8>>) {
    while let Some(event) = read_message(&mut from) {
        if to.send(event).is_err() {
            return;
        }
    }
}

/// Passes on what the child says: a digit for how serious it is, and the text.
fn hear(from: impl Read, tell: &Tell) {
    let mut lines = crate::lines::Lines::new(io::BufReader::new(from), 4096);
    while let Ok(line) = lines.read() {
        match line {
            crate::lines::Line::End => return,
            crate::lines::Line::TooLong => {}
            crate::lines::Line::Text(line) => {
                let text = String::from_utf8_lossy(line);
                let leveled =
                    text.split_once(' ').and_then(|(level, rest)| Some((level.parse().ok()?, rest)));
                let (severity, text) = leveled.unwrap_or((3, &text));
                tell(severity, text);
            }
        }
    }
}

impl EventSource for Isolated {
    fn give(&mut self, patience: Duration, sink: &mut Sink<'_>) -> Result<Given, SourceError> {
        let first = match self.events.recv_timeout(patience) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => return Ok(Given::Nothing),
            Err(RecvTimeoutError::Disconnected) => return self.ended(),
        };
        let mut given = 0;
        let more = std::iter::from_fn(|| self.events.try_recv().ok());
        for bytes in std::iter::once(first).chain(more).take(TOGETHER) {
            let event = Event::decode(&bytes, 0).map_err(|error| {
                SourceError::Failed(format!("plugin '{}' gives a broken event: {error}", self.plugin))
            })?;
            sink(&event);
            given += 1;
        }
        self.stats.take(given as u64);
        Ok(Given::Events(given))
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // It ends when this end of its input closes, even if its plugin hangs; killing it may be refused.
        drop(child.stdin.take());
        let _ = child.kill();
        for _ in 0..200 {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether this process was started for a plugin; then it runs it, to its end.
pub fn run_if_asked() -> Option<ExitCode> {
    std::env::var_os(MARK)?;
    Some(match child() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("3 {error}");
            ExitCode::FAILURE
        }
    })
}

fn child() -> Result<(), String> {
    let mut orders = String::new();
    if io::stdin().read_line(&mut orders).map_err(|error| error.to_string())? == 0 {
        // No plugin was to be started after all.
        return Ok(());
    }
    let orders: Value = serde_json::from_str(&orders).map_err(|error| error.to_string())?;
    let text = |key: &str| orders[key].as_str().unwrap_or_default().to_owned();
    let settings = Settings {
        init_config: text("init_config"),
        open_params: text("open_params"),
        ..Settings::default()
    };
    let (plugin, _) = load(&text("library")).map_err(|error| error.to_string())?;
    let tell: Tell = Arc::new(|severity, text: &str| eprintln!("{severity} {}", text.replace('\n', " ")));
    let source = text("source");
    let crew =
        Crew::start(&[(plugin, settings.clone())], &source, tell).map_err(|error| error.to_string())?;
    let gives = plugin.can(Capability::Sourcing);
    let machine = Machine::default();
    crew.begin(&machine).map_err(|error| error.to_string())?;
    let mut events = match gives {
        true => Some(
            crew.open(&plugin.name, &settings.open_params, &Arc::default())
                .map_err(|error| error.to_string())?,
        ),
        false => None,
    };
    end_with_parent();
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    loop {
        let mut written = Ok(());
        let mut write = |event: &Event<'_>| {
            if written.is_ok() {
                written = out.write_all(event.as_bytes());
            }
        };
        let sent = crew.sent(&mut write);
        let given = match &mut events {
            Some(events) => {
                events.give(Duration::from_millis(20), &mut write).map_err(|error| error.to_string())?
            }
            None if sent == 0 => {
                std::thread::sleep(Duration::from_millis(20));
                Given::Nothing
            }
            None => Given::Nothing,
        };
        // A parent that has gone wants nothing more.
        if written.and_then(|()| out.flush()).is_err() || given == Given::End {
            crew.end(&machine);
            return Ok(());
        }
    }
}

/// Ends the process when the parent's end of standard input closes, even while the plugin hangs.
fn end_with_parent() {
    let wait = || {
        let mut byte = [0];
        while io::stdin().read(&mut byte).is_ok_and(|length| length > 0) {}
        std::process::exit(0);
    };
    // Without the thread the process ends at its next event instead.
    let _ = std::thread::Builder::new().name("parent".into()).spawn(wait);
}
