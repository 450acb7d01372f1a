//! The sinks that the settings ask for.

use std::io;

use lanner_output::{Clock, Colour, FileSink, Formatter, Outputs, Overflow, ProgramSink, Sink, StdoutSink};

use crate::config::Config;

/// Starts the sinks.
///
/// # Errors
/// When the system refuses a thread.
pub fn start(config: &Config, colour: Colour, overflow: Overflow) -> io::Result<Outputs> {
    let unbuffered = !config.buffered;
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    if let Some(file) = &config.sinks.file {
        sinks.push(Box::new(FileSink::new(file.path.clone(), file.keep_alive, unbuffered)));
    }
    if config.sinks.stdout {
        sinks.push(Box::new(StdoutSink::new(colour, unbuffered)));
    }
    if let Some(program) = &config.sinks.program {
        sinks.push(Box::new(ProgramSink::new(program.command.clone(), program.keep_alive)));
    }
    Outputs::start(sinks, config.queue_capacity, overflow)
}

/// The formatter that the settings ask for.
pub fn formatter(config: &Config, hostname: String) -> Formatter {
    Formatter {
        form: config.form,
        json: config.json,
        iso8601: config.iso8601,
        hostname,
        clock: Clock::local(),
    }
}

/// The host's name: `FALCO_HOSTNAME` if it is set, else the kernel's.
pub fn hostname() -> String {
    std::env::var("FALCO_HOSTNAME")
        .unwrap_or_else(|_| rustix::system::uname().nodename().to_string_lossy().into_owned())
}
