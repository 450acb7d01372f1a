//! All sources of a run, the kernel's and others, side by side.

use std::sync::Arc;

use lanner_alert::Priority;
use lanner_output::{ChannelStats, Overflow};

use crate::attach::Attached;
use crate::config::{KERNEL, Source};
use crate::drops::DropWatch;
use crate::live::{self, Ending, LiveError, LiveOptions, Started};
use crate::log::Log;
use crate::metrics::Board;
use crate::plugins::Plugins;
use crate::program::Program;
use crate::reload::Reloader;
use crate::sending::Sending;
use crate::sources::{Beside, watch};
use crate::tally::Tally;

/// What a run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How it ended; `None`: every source came to its end.
    pub ending: Option<Ending>,
    /// Alerts by rule, of all sources.
    pub tally: Tally,
    /// Events that rules looked at.
    pub events: u64,
    /// Events of the kernel's that were lost.
    pub lost: u64,
    /// Losses that were told, if the kernel's events were looked at.
    pub drops: Option<DropWatch>,
    /// What became of the lines.
    pub outputs: Vec<ChannelStats>,
    /// Sources that could not be opened or failed, and why.
    pub failures: Vec<String>,
}

/// What a run consists of.
pub struct Together<'a> {
    /// Rules and settings.
    pub program: Arc<Program>,
    /// The plugins that are loaded.
    pub plugins: &'a Plugins,
    /// The sources that are on.
    pub sources: &'a [&'static str],
    /// Where each loop's new rules come from.
    pub reloader: &'a Reloader,
    /// The log.
    pub log: &'a Log,
}

impl Together<'_> {
    /// Runs with what was attached until a signal comes, the time is up, or every source has come to its end. A source that can't be opened or
    /// fails doesn't touch the others. `started` is told once the kernel's is watched.
    ///
    /// # Errors
    /// When the only source can't be opened or fails, or the settings say to end when events are lost.
    pub fn run(
        &self,
        attached: Attached,
        mut options: LiveOptions,
        started: &mut dyn FnMut(&Started<'_>),
    ) -> Result<Outcome, LiveError> {
        let kernel = self.sources.contains(&KERNEL);
        // The kernel's loop must never wait for a sink; other sources can be made to wait.
        let overflow = if kernel { Overflow::Lose } else { Overflow::Wait };
        let config = &self.program.config;
        let sending = Arc::new(Sending::start(config, options.colour, overflow, self.log)?);
        options.sending = Some(Arc::clone(&sending));
        let mut outcome = Outcome { tally: Tally::new(self.program.rules()), ..Outcome::default() };
        let beside = self.open(&sending, &options.board, &mut outcome)?;
        if kernel {
            self.kernel(attached, &beside, &sending, options, started, &mut outcome)?;
        } else {
            outcome.ending = watch(&self.program, &beside, &sending, self.log, &options);
        }
        for ended in beside.end(config.output_timeout) {
            outcome.tally.absorb(&ended.tally);
            outcome.events += ended.events;
            outcome.failures.extend(ended.failure.map(|failure| format!("{}: {failure}", ended.source)));
        }
        outcome.outputs = sending.close(config.output_timeout);
        Ok(outcome)
    }

    /// Opens the sources beside the kernel's.
    fn open(
        &self,
        sending: &Arc<Sending>,
        board: &Board,
        outcome: &mut Outcome,
    ) -> Result<Beside, LiveError> {
        let mut beside = Beside::default();
        // Where no probe is wanted, a plugin may give the kernel's events.
        let kernel_like = self.program.config.source == Source::None && self.plugins.kernel_like().is_some();
        for source in self.sources.iter().filter(|source| **source != KERNEL || kernel_like) {
            match self.plugins.open(source, self.log) {
                Ok(opened) => {
                    beside.start(opened, &self.program, self.reloader.slot(), sending, board, self.log)?;
                }
                Err(error) if self.sources.len() == 1 => return Err(error.into()),
                Err(error) => self.failed(format!("source '{source}' can't be opened: {error}"), outcome),
            }
        }
        Ok(beside)
    }

    fn failed(&self, message: String, outcome: &mut Outcome) {
        self.log.write(Priority::Error, &message);
        outcome.failures.push(message);
    }

    /// The kernel's events; when they fail, the other sources go on without.
    fn kernel(
        &self,
        attached: Attached,
        beside: &Beside,
        sending: &Arc<Sending>,
        options: LiveOptions,
        started: &mut dyn FnMut(&Started<'_>),
        outcome: &mut Outcome,
    ) -> Result<(), LiveError> {
        let Some(probe) = attached.probe else {
            outcome.ending = if self.plugins.kernel_like().is_some() {
                watch(&self.program, beside, sending, self.log, &options)
            } else {
                Some(live::idle(Arc::clone(&self.program), sending, self.log, &options))
            };
            return Ok(());
        };
        let crew = self.plugins.crew(KERNEL, self.log)?;
        let options = LiveOptions { crew, ..options };
        let ran = probe.map_err(LiveError::from).and_then(|probe| {
            let probe = (probe, attached.begin);
            live::run(Arc::clone(&self.program), probe, self.log, options.clone(), started)
        });
        match ran {
            Ok(live) => {
                outcome.ending = Some(live.ending);
                outcome.tally.absorb(&live.tally);
                (outcome.events, outcome.lost, outcome.drops) = (live.events, live.lost, Some(live.drops));
            }
            Err(error) if matches!(error, LiveError::Dropped) || beside.is_over() => return Err(error),
            Err(error) => {
                self.failed(format!("source '{KERNEL}' has failed: {error}"), outcome);
                outcome.ending = watch(&self.program, beside, sending, self.log, &options);
            }
        }
        Ok(())
    }
}
