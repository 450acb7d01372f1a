//! A capture, as if it happened now.

use std::path::Path;
use std::time::Duration;

use lanner_capture::{CaptureError, Reader};
use lanner_engine::{Engine, Memory, RuleId};
use lanner_event::{Event, EventType, params, types};
use lanner_fields::{Context, EventMeta, Progress, Scratch};
use lanner_machine::{Container, Machine, MachineOptions};
use lanner_output::{ChannelStats, Colour, Formatter, Outputs, Overflow};
use lanner_probe::Lost;

use crate::announce::{Announcer, local_offset, priority};
use crate::config::{Config, DropAction};
use crate::drops::DropWatch;
use crate::log::Log;
use crate::tally::Tally;
use crate::{records, sinks};

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
    machine: Machine,
    progress: Progress,
    scratch: Scratch,
    memory: Memory,
    hits: Vec<RuleId>,
    tally: Tally,
    drops: DropWatch,
    events: u64,
    /// An event was seen that is no more of the section's beginning.
    begun: bool,
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
    let outputs = match sinks::start(config, colour, Overflow::Wait) {
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
        machine: Machine::default(),
        progress: Progress::default(),
        scratch: Scratch::new(),
        memory: Memory::default(),
        hits: Vec::new(),
        tally: tally(engine),
        drops: DropWatch::new(config.drops.clone()),
        events: 0,
        begun: false,
    };
    let result = replay.all(&mut reader);
    let outcome = Outcome {
        tally: replay.tally,
        events: replay.events,
        drops: replay.drops,
        outputs: replay.outputs.close(CLOSING),
    };
    (Some(outcome), result)
}

impl Replay<'_> {
    fn all(&mut self, reader: &mut Reader) -> Result<(), ReplayError> {
        let mut section = 0;
        while reader.advance()? {
            if reader.sections() != section {
                section = reader.sections();
                self.begin(reader);
            }
            self.step(reader)?;
        }
        Ok(())
    }

    /// Forgets all and takes the snapshot of the section that begins.
    fn begin(&mut self, reader: &mut Reader) {
        self.machine = Machine::new(MachineOptions::default());
        records::give_to(reader.take_snapshot(), &mut self.machine);
        self.begun = false;
        // `evt.hostname` stays empty, as in Falco: a capture tells of a host that is not this one.
        self.progress = Progress::new(EventMeta {
            utc_offset: local_offset,
            buffer_format: self.config.buffers,
            ..EventMeta::default()
        });
    }

    fn step(&mut self, reader: &Reader) -> Result<(), ReplayError> {
        let Some(event) = reader.event() else { return Ok(()) };
        let subject = self.machine.apply(&event);
        if let Some(container) = container_told(&event) {
            self.machine.set_container(container);
        }
        self.progress.advance(&event);
        self.begun |= !completes_snapshot(event.ty());
        if reader.is_state_only() || !self.begun {
            return Ok(());
        }
        self.events += 1;
        if self.drops.due(event.ts) {
            self.check_drops(event.ts)?;
        }
        self.scratch.reset();
        let cx = Context {
            event: &event,
            machine: &self.machine,
            subject: &subject,
            meta: self.progress.meta(),
            scratch: &self.scratch,
        };
        self.hits.clear();
        self.engine.process(&mut self.memory, &cx, &mut self.hits);
        for id in &self.hits {
            self.tally.count(id.index());
            self.outputs.send(self.formatter.line(&self.announcer.alert(self.engine, *id, &cx)));
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

/// Whether events of a type, where a section's events begin, belong to its snapshot: rules don't see them.
fn completes_snapshot(ty: EventType) -> bool {
    matches!(
        ty,
        types::CONTAINER_JSON_2_E
            | types::USER_ADDED_E
            | types::USER_DELETED_E
            | types::GROUP_ADDED_E
            | types::GROUP_DELETED_E
            | types::ASYNCEVENT_E
    )
}

/// The container that an event tells of.
fn container_told(event: &Event<'_>) -> Option<Container> {
    let json = match event.ty() {
        types::CONTAINER_JSON_2_E => event.param(params::container_json_2_e::JSON)?,
        types::ASYNCEVENT_E if event.text(params::asyncevent_e::NAME)? == b"container" => {
            event.param(params::asyncevent_e::DATA)?
        }
        _ => return None,
    };
    lanner_container::from_event(json)
}
