//! A capture, as if it happened now.

use std::path::Path;
use std::time::Duration;

use lanner_capture::{CaptureError, Reader};
use lanner_engine::{Engine, Memory, RuleId};
use lanner_fields::Context;
use lanner_output::{ChannelStats, Colour, Formatter, Outputs, Overflow};
use lanner_probe::Lost;

use crate::announce::{Announcer, priority};
use crate::config::{Config, DropAction};
use crate::drops::DropWatch;
use crate::log::Log;
use crate::sinks;
use crate::tally::Tally;
use crate::walk::walk;

/// Why a replay did not reach the end of its capture.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The capture can't be read, or not to its end.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A sink can't be started.
    #[error("can't start the outputs: {0}")]
    Outputs(#[from] std::io::Error),
    /// The settings say to end when events are lost, and some were.
    #[error("Drop manager internal error")]
    Dropped,
}

/// What a replay came to. It holds also for one that ended early.
#[derive(Debug)]
pub struct Outcome {
    /// Alerts by rule.
    pub tally: Tally,
    /// Events that rules looked at.
    pub events: u64,
    /// Losses that were told, and how often something was done about them.
    pub drops: DropWatch,
    /// What became of the lines.
    pub outputs: Vec<ChannelStats>,
}

/// Sinks flush a whole replay, however long that takes within reason.
const CLOSING: Duration = Duration::from_secs(60);

struct Replay<'a> {
    engine: &'a Engine,
    config: &'a Config,
    log: &'a Log,
    announcer: Announcer,
    formatter: Formatter,
    outputs: Outputs,
    memory: Memory,
    hits: Vec<RuleId>,
    tally: Tally,
    drops: DropWatch,
    events: u64,
}

/// Counters for an engine's rules.
pub fn tally(engine: &Engine) -> Tally {
    Tally::new(engine.rules().iter().map(|r| (r.rule.name.clone(), priority(r.rule.priority))))
}

/// Replays a capture: what its threads did is told as if it happened now. Nothing is asked of this host.
/// `colour`: whether a terminal shows priorities in colour.
///
/// # Errors
/// When the capture can't be read to its end; the outcome then tells of what could be read.
pub fn run(
    file: &Path,
    engine: &Engine,
    config: &Config,
    log: &Log,
    colour: Colour,
) -> (Option<Outcome>, Result<(), ReplayError>) {
    let mut reader = match Reader::open(file) {
        Ok(reader) => reader,
        Err(error) => return (None, Err(error.into())),
    };
    let outputs = match sinks::start(config, colour, Overflow::InStep, log) {
        Ok(outputs) => outputs,
        Err(error) => return (None, Err(error.into())),
    };
    let hostname = sinks::hostname();
    let mut replay = Replay {
        engine,
        config,
        log,
        announcer: Announcer::new(engine, config.form == lanner_output::Form::Json),
        formatter: sinks::formatter(config, hostname),
        outputs,
        memory: Memory::default(),
        hits: Vec::new(),
        tally: tally(engine),
        drops: DropWatch::new(config.drops.clone()),
        events: 0,
    };
    let result = walk(&mut reader, config.buffers, |cx| replay.see(cx));
    let outcome = Outcome {
        tally: replay.tally,
        events: replay.events,
        drops: replay.drops,
        outputs: replay.outputs.close(CLOSING),
    };
    (Some(outcome), result)
}

impl Replay<'_> {
    fn see(&mut self, cx: &Context<'_>) -> Result<(), ReplayError> {
        self.events += 1;
        if self.drops.due(cx.event.ts) {
            self.check_drops(cx.event.ts)?;
        }
        self.hits.clear();
        self.engine.process(&mut self.memory, cx, &mut self.hits);
        for id in &self.hits {
            self.tally.count(id.index());
            self.outputs.send(self.formatter.line(&self.announcer.alert(self.engine, *id, cx)));
        }
        Ok(())
    }

    /// A capture tells of no losses; the settings may want some pretended.
    fn check_drops(&mut self, now: u64) -> Result<(), ReplayError> {
        let Some(drops) = self.drops.check(now, Lost::default(), self.events) else { return Ok(()) };
        for action in &self.config.drops.actions {
            match action {
                DropAction::Alert => self.outputs.send(self.formatter.line(&drops.alert(now))),
                DropAction::Log => self.log.write(lanner_output::Priority::Debug, &drops.message()),
                DropAction::Exit => {
                    self.log.write(lanner_output::Priority::Critical, &drops.message());
                    self.log.write(lanner_output::Priority::Critical, "Exiting.");
                    return Err(ReplayError::Dropped);
                }
            }
        }
        Ok(())
    }
}
