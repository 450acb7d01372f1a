//! Where alerts go: the sinks in force, and those before them that still write what they were given.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use lanner_alert::{Form, Formatter, Line, Lines};
use lanner_output::{ChannelStats, Colour, Outputs, Overflow};

use crate::config::Config;
use crate::log::Log;
use crate::program::Program;
use crate::reload::News;
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

/// The sinks of a run, however often its settings change. All loops share them.
pub struct Sending {
    now: RwLock<Now>,
    before: Mutex<Before>,
    colour: Colour,
    overflow: Overflow,
}

/// The sinks in force.
struct Now {
    /// `None` once they are closed.
    outputs: Option<Outputs>,
    made: Made,
}

/// Sinks of settings that were in force before.
#[derive(Default)]
struct Before {
    closing: Vec<JoinHandle<Vec<ChannelStats>>>,
    closed: Vec<ChannelStats>,
}

impl Before {
    fn reap(&mut self, threads: Vec<JoinHandle<Vec<ChannelStats>>>) {
        // A panic there has printed itself.
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .for_each(|stats| merge(&mut self.closed, stats));
    }
}

impl Sending {
    /// Starts the sinks that the settings ask for.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(config: &Config, colour: Colour, overflow: Overflow, log: &Log) -> io::Result<Sending> {
        let outputs = Some(sinks::start(config, colour, overflow, log)?);
        let now = RwLock::new(Now { outputs, made: Made::of(config) });
        Ok(Sending { now, before: Mutex::default(), colour, overflow })
    }

    /// Does something with the sinks in force; what the lock guards is whole even after a panic elsewhere.
    fn with<T: Default>(&self, act: impl FnOnce(&Outputs) -> T) -> T {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        now.outputs.as_ref().map(act).unwrap_or_default()
    }

    fn before(&self) -> MutexGuard<'_, Before> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a line to every sink.
    pub fn send(&self, line: Line) {
        self.with(|outputs| outputs.send(line));
    }

    /// Hands lines to every sink, in their order.
    pub fn send_all(&self, lines: Lines) {
        self.with(|outputs| outputs.send_all(lines));
    }

    /// Has every sink open its target anew.
    pub fn reopen(&self) {
        self.with(Outputs::reopen);
    }

    /// Says which sinks are blocked; to be called now and then.
    pub fn watch(&self) {
        self.with(Outputs::watch);
    }

    /// Goes on with the sinks of other settings. Those before write what they were given, while the new ones take
    /// what comes.
    ///
    /// # Errors
    /// When the system refuses a thread; the old sinks then go on.
    pub fn follow(&self, config: &Config, log: &Log) -> io::Result<()> {
        let made = Made::of(config);
        if made == self.now.read().unwrap_or_else(PoisonError::into_inner).made {
            return Ok(());
        }
        let outputs = Some(sinks::start(config, self.colour, self.overflow, log)?);
        let patience = config.output_timeout;
        let old = {
            let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *now, Now { outputs, made }).outputs
        };
        let mut before = self.before();
        if let Some(old) = old {
            before.closing.push(std::thread::Builder::new().spawn(move || old.close(patience))?);
        }
        let (done, still) =
            std::mem::take(&mut before.closing).into_iter().partition(JoinHandle::is_finished);
        before.closing = still;
        before.reap(done);
        Ok(())
    }

    /// Does what a reload asks of outputs: goes on with those of the new settings, which it answers, or tells that it was
    /// refused.
    pub fn take(&self, news: News, formatter: &mut Formatter, log: &Log) -> Option<Arc<Program>> {
        match news {
            News::Refused(error) => {
                self.send(formatter.line(&News::refusal(&error)));
                None
            }
            News::Program(program) => {
                if let Err(error) = self.follow(&program.config, log) {
                    log.warning(&format!(
                        "The outputs stay as they were, the new ones can't be started: {error}"
                    ));
                }
                *formatter = sinks::formatter(&program.config, sinks::hostname());
                Some(program)
            }
        }
    }

    /// What became of the lines so far, by sink; sinks that still close are left out.
    pub fn stats(&self) -> Vec<ChannelStats> {
        let mut all = self.with(Outputs::stats);
        merge(&mut all, self.before().closed.clone());
        all
    }

    /// Lets all sinks write what waits, for at most `patience`, and says what became of all lines. Lines that come
    /// afterwards go nowhere.
    pub fn close(&self, patience: Duration) -> Vec<ChannelStats> {
        let mut before = self.before();
        let threads = std::mem::take(&mut before.closing);
        before.reap(threads);
        let outputs = self.now.write().unwrap_or_else(PoisonError::into_inner).outputs.take();
        let mut all = outputs.map(|outputs| outputs.close(patience)).unwrap_or_default();
        merge(&mut all, before.closed.clone());
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
