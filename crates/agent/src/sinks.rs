//! The sinks that the settings ask for.

use std::io;
use std::sync::Arc;

use lanner_alert::{Clock, Form, Formatter, Priority};
use lanner_output::{
    Colour, FileSink, HttpOptions, HttpSink, OutputOptions, Outputs, Overflow, ProgramSink, Sink,
    SocketOptions, SocketSink, StdoutSink, SyslogSink,
};

use crate::config::Config;
use crate::launcher;
use crate::log::{Log, ident};

/// Bytes of lines that may wait for each sink, beside the number of lines that the settings allow.
const WAITING_BYTES: usize = 32 << 20;

/// Starts the sinks. What they lose, and when they fail or work again, goes to the log.
///
/// # Errors
/// When the system refuses a thread.
pub fn start(config: &Config, colour: Colour, overflow: Overflow, log: &Log) -> io::Result<Outputs> {
    let unbuffered = !config.buffered;
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    if let Some(file) = &config.sinks.file {
        sinks.push(Box::new(FileSink::new(file.path.clone(), file.keep_alive, unbuffered)));
    }
    if config.sinks.stdout {
        sinks.push(Box::new(StdoutSink::new(colour, unbuffered)));
    }
    if config.sinks.syslog {
        sinks.push(Box::new(SyslogSink::new(&ident())));
    }
    if let Some(program) = &config.sinks.program {
        let sink = ProgramSink::new(program.command.clone(), program.keep_alive);
        sinks.push(Box::new(match launcher::starter() {
            Some(starter) => sink.started_by(starter),
            None => sink,
        }));
    }
    if let Some(socket) = &config.sinks.socket {
        sinks.push(Box::new(open(socket, log)));
    }
    if let Some(http) = &config.sinks.http {
        sinks.push(Box::new(web(http, config.form == Form::Json, log)));
    }
    let log = log.clone();
    let options = OutputOptions {
        capacity: config.queue_capacity,
        max_bytes: WAITING_BYTES,
        overflow,
        timeout: config.output_timeout,
        say: Arc::new(move |priority, text| log.write(priority, text)),
    };
    Outputs::start(sinks, options)
}

/// A socket's sink, open before the first line. What hinders that is said at once; the first line tries again.
fn open(options: &SocketOptions, log: &Log) -> SocketSink {
    let mut sink = SocketSink::new(options.clone());
    if let Err(error) = sink.open() {
        log.write(Priority::Error, &error.to_string());
    }
    sink
}

/// A web server's sink; what is wrong with its certificates is said at once. Lines wait until it is put right.
fn web(options: &HttpOptions, json: bool, log: &Log) -> HttpSink {
    let mut sink = HttpSink::new(HttpOptions { json, ..options.clone() });
    if let Err(error) = sink.check() {
        log.write(Priority::Error, &error.to_string());
    }
    sink
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
