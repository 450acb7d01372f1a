//! Where alerts go: the sinks in force, and those before them that still write what they were given.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use lanner_output::{ChannelStats, Colour, Form, Line, Outputs, Overflow};

use crate::config::Config;
use crate::log::Log;
use crate::sinks;

/// The settings that sinks are made of; others don't disturb them.
#[derive(Clone, PartialEq)]
struct Made {
    sinks: crate::config::SinkConfig,
    form: Form,
    buffered: bool,
    capacity: usize,
    timeout: Duration,
}

impl Made {
    fn of(config: &Config) -> Made {
        Made {
            sinks: config.sinks.clone(),
            form: config.form,
            buffered: config.buffered,
            capacity: config.queue_capacity,
            timeout: config.output_timeout,
        }
    }
}

/// The sinks of a run, however often its settings change.
pub struct Sending {
    outputs: Outputs,
    made: Made,
    colour: Colour,
    overflow: Overflow,
    timeout: Duration,
    closing: Vec<JoinHandle<Vec<ChannelStats>>>,
    closed: Vec<ChannelStats>,
}

impl Sending {
    /// Starts the sinks that the settings ask for.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(config: &Config, colour: Colour, overflow: Overflow, log: &Log) -> io::Result<Sending> {
        Ok(Sending {
            outputs: sinks::start(config, colour, overflow, log)?,
            made: Made::of(config),
            colour,
            overflow,
            timeout: config.output_timeout,
            closing: Vec::new(),
            closed: Vec::new(),
        })
    }

    /// Hands a line to every sink.
    pub fn send(&self, line: Line) {
        self.outputs.send(line);
    }

    /// Has every sink open its target anew.
    pub fn reopen(&self) {
        self.outputs.reopen();
    }

    /// Says which sinks are blocked; to be called now and then.
    pub fn watch(&self) {
        self.outputs.watch();
    }

    /// Goes on with the sinks of other settings. Those before write what they were given, while the new ones take
    /// what comes.
    ///
    /// # Errors
    /// When the system refuses a thread; the old sinks then go on.
    pub fn follow(&mut self, config: &Config, log: &Log) -> io::Result<()> {
        self.timeout = config.output_timeout;
        let made = Made::of(config);
        if made == self.made {
            return Ok(());
        }
        let outputs = sinks::start(config, self.colour, self.overflow, log)?;
        let (old, patience) = (std::mem::replace(&mut self.outputs, outputs), self.timeout);
        self.made = made;
        self.closing.push(std::thread::Builder::new().spawn(move || old.close(patience))?);
        let (done, still) = std::mem::take(&mut self.closing).into_iter().partition(JoinHandle::is_finished);
        self.closing = still;
        self.reap(done);
        Ok(())
    }

    fn reap(&mut self, threads: Vec<JoinHandle<Vec<ChannelStats>>>) {
        // A panic there has printed itself.
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .for_each(|stats| merge(&mut self.closed, stats));
    }

    /// What became of the lines so far, by sink; sinks that still close are left out.
    pub fn stats(&self) -> Vec<ChannelStats> {
        let mut all = self.outputs.stats();
        merge(&mut all, self.closed.clone());
        all
    }

    /// Lets all sinks write what waits, for at most `patience`, and says what became of all lines.
    pub fn close(mut self, patience: Duration) -> Vec<ChannelStats> {
        let threads = std::mem::take(&mut self.closing);
        self.reap(threads);
        let mut all = self.outputs.close(patience);
        merge(&mut all, self.closed);
        all
    }
}

/// Adds counts to those of the same sink.
fn merge(all: &mut Vec<ChannelStats>, more: Vec<ChannelStats>) {
    for stats in more {
        let Some(known) = all.iter_mut().find(|known| known.sink == stats.sink) else {
            all.push(stats);
            continue;
        };
        known.written += stats.written;
        known.lost += stats.lost;
        known.retries += stats.retries;
        known.last_error = known.last_error.take().or(stats.last_error);
    }
}
