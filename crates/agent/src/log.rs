//! The engine's own log, in Falco's form. It is for whoever runs the engine; alerts go elsewhere.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lanner_alert::{Clock, Priority};
use lanner_output::syslog::{SOCKET, Syslog};

use crate::config::LogConfig;

/// Writes log lines.
#[derive(Clone, Debug)]
pub struct Log {
    config: LogConfig,
    iso8601: bool,
    clock: Clock,
    syslog: Option<Arc<Mutex<Syslog>>>,
}

/// The name under which syslog messages appear: that of the program, as libc takes it.
pub fn ident() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Now, ns since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

impl Log {
    /// A log with its settings.
    pub fn new(config: LogConfig, iso8601: bool) -> Log {
        let syslog = config.syslog.then(|| {
            // Whoever logs doesn't wait: a message that the daemon doesn't take at once is lost to it.
            Arc::new(Mutex::new(Syslog::new(SOCKET, ident(), Duration::ZERO)))
        });
        Log { config, iso8601, clock: Clock::local(), syslog }
    }

    /// Writes a line if its level is wanted.
    pub fn write(&self, level: Priority, message: &str) {
        if level > self.config.level {
            return;
        }
        let message = message.trim_end_matches('\n');
        if let Some(syslog) = &self.syslog {
            // Where there is no daemon there is nobody to tell.
            let _ = syslog.lock().unwrap_or_else(|e| e.into_inner()).send(now(), level, message);
        }
        if self.config.stderr {
            self.print(message);
        }
    }

    fn print(&self, message: &str) {
        let mut line = String::with_capacity(message.len() + 40);
        if self.iso8601 {
            Clock::iso8601(now(), &mut line);
            // Log lines have no fraction of a second.
            line.truncate("YYYY-MM-DDTHH:MM:SS".len());
            line.push_str("+0000");
        } else {
            self.clock.date(now(), &mut line);
        }
        line.push_str(": ");
        line.push_str(message);
        line.push('\n');
        // A log that can't be written has nowhere to say so.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    /// Something worth to know.
    pub fn info(&self, message: &str) {
        self.write(Priority::Informational, message);
    }

    /// Something doubtful.
    pub fn warning(&self, message: &str) {
        self.write(Priority::Warning, message);
    }

    /// Whether errors appear on standard error already.
    pub fn is_on_stderr(&self) -> bool {
        self.config.stderr
    }
}
