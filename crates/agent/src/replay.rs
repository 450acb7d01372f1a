//! A capture, as if it happened now.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanner_alert::Formatter;
use lanner_capture::{CaptureError, Reader, Snapshot};
use lanner_engine::{Memory, RuleId};
use lanner_fields::Context;
use lanner_machine::Machine;
use lanner_output::{ChannelStats, Colour, Outputs, Overflow};
use lanner_plugin::host::{Crew, PluginError};
use lanner_probe::Lost;

use crate::config::DropAction;
use crate::drops::DropWatch;
use crate::log::Log;
use crate::metrics::{Board, STRIDE, Station, View, Waiting};
use crate::program::Program;
use crate::tally::Tally;
use crate::triggered::{Beginning, Matched, Pace, TriggerError, Triggered};
use crate::walk::walk_with;
use crate::{inventory, sinks};

/// Why a replay did not reach the end of its capture.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The capture can't be read, or not to its end.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A sink can't be started.
    #[error("can't start the outputs: {0}")]
    Outputs(#[from] std::io::Error),
    /// A capture that a rule starts can't be written.
    #[error(transparent)]
    Trigger(#[from] TriggerError),
    /// A plugin refuses to begin.
    #[error(transparent)]
    Plugin(PluginError),
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
    program: &'a Program,
    log: &'a Log,
    formatter: Formatter,
    outputs: Outputs,
    memory: Memory,
    hits: Vec<RuleId>,
    tally: Tally,
    drops: DropWatch,
    triggered: Triggered,
    crew: Option<Arc<Crew>>,
    /// Counts for metrics, if there are any.
    station: Option<Station>,
    events: u64,
}

/// Replays a capture: what its threads did is told as if it happened now. Nothing is asked of this host.
/// `colour`: whether a terminal shows priorities in colour.
///
/// # Errors
/// When the capture can't be read to its end; the outcome then tells of what could be read.
pub fn run(
    file: &Path,
    program: &Program,
    crew: Option<&Arc<Crew>>,
    log: &Log,
    colour: Colour,
) -> (Option<Outcome>, Result<(), ReplayError>) {
    let config = &program.config;
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
        program,
        log,
        formatter: sinks::formatter(config, hostname),
        outputs,
        memory: Memory::default(),
        hits: Vec::new(),
        tally: Tally::new(program.rules()),
        drops: DropWatch::new(config.drops.clone()),
        triggered: Triggered::new(config.capture.clone(), Pace::Replay, log),
        crew: crew.cloned(),
        station: config
            .metrics
            .enabled
            .then(|| Station::new(&Board::default(), "syscall", "savefile", program)),
        events: 0,
    };
    let begin =
        |machine: &Machine| crew.map_or(Ok(()), |crew| crew.begin(machine)).map_err(ReplayError::Plugin);
    let result = walk_with(&mut reader, config.buffers, crew, begin, |cx, around| replay.see(cx, around));
    replay.triggered.end();
    let outcome = Outcome {
        tally: replay.tally,
        events: replay.events,
        drops: replay.drops,
        outputs: replay.outputs.close(CLOSING),
    };
    (Some(outcome), result)
}

impl Replay<'_> {
    fn see(&mut self, cx: &Context<'_>, around: &Snapshot) -> Result<(), ReplayError> {
        self.events += 1;
        if self.drops.due(cx.event.ts) {
            self.check_drops(cx.event.ts)?;
        }
        if self.station.is_some() {
            self.observe(cx);
        }
        self.hits.clear();
        self.program.engine.process(&mut self.memory, cx, &mut self.hits);
        if self.hits.is_empty() && !self.triggered.is_writing() {
            return Ok(());
        }
        self.alert(cx);
        self.capture(cx, around)
    }

    /// Tells of the rules that the event matched.
    fn alert(&mut self, cx: &Context<'_>) {
        let Program { engine, announcer, .. } = self.program;
        for id in &self.hits {
            self.tally.count(id.index());
            self.outputs.send(self.formatter.line(&announcer.alert(engine, *id, cx)));
        }
    }

    /// Counts the event for metrics, and tells them when they are due.
    #[inline(never)]
    fn observe(&mut self, cx: &Context<'_>) {
        let Some(station) = &mut self.station else { return };
        if !station.count(cx.event) {
            return;
        }
        let tally = &mut self.tally;
        self.program.engine.measure(cx, |id, time| tally.spend(id.index(), time, STRIDE));
        let (formatter, outputs) = (&self.formatter, &self.outputs);
        let view = View {
            program: self.program,
            probe: None,
            machine: cx.machine,
            tally,
            outputs: &|| outputs.stats(),
            waiting: Waiting::default(),
            sheds: 0,
        };
        station.tick(&view, Instant::now(), self.log, &mut |alert| outputs.send(formatter.line(&alert)));
    }

    /// Writes the event to a capture, if one is under way or begins with it.
    fn capture(&mut self, cx: &Context<'_>, around: &Snapshot) -> Result<(), ReplayError> {
        let alert = if self.hits.is_empty() || !self.triggered.is_enabled() {
            self.triggered.write(cx.event)?
        } else {
            let engine = &self.program.engine;
            let matched = Matched {
                rules: &mut self.hits.iter().map(|id| &engine.rule(*id).rule),
                number: cx.meta.num,
                beginning: &|| {
                    let snapshot = inventory::of_capture(cx.machine, around);
                    let beginning = Beginning::new(cx.machine, snapshot, cx.event.ts);
                    beginning.with_plugins(self.crew.as_deref(), cx.machine)
                },
            };
            self.triggered.matched(cx.event, matched)?
        };
        if let Some(alert) = alert {
            self.outputs.send(self.formatter.line(&alert));
        }
        Ok(())
    }

    /// A capture tells of no losses; the settings may want some pretended.
    fn check_drops(&mut self, now: u64) -> Result<(), ReplayError> {
        let Some(drops) = self.drops.check(now, Lost::default(), self.events) else { return Ok(()) };
        for action in &self.program.config.drops.actions {
            match action {
                DropAction::Alert => self.outputs.send(self.formatter.line(&drops.alert(now))),
                DropAction::Log => self.log.write(lanner_alert::Priority::Debug, &drops.message()),
                DropAction::Exit => {
                    self.log.write(lanner_alert::Priority::Critical, &drops.message());
                    self.log.write(lanner_alert::Priority::Critical, "Exiting.");
                    return Err(ReplayError::Dropped);
                }
            }
        }
        Ok(())
    }
}
