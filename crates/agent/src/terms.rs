//! What a run is given, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use lanner_container::{ResolverError, RuntimeFound};
use lanner_output::{ChannelStats, Colour};
use lanner_plugin::SourceError;
use lanner_plugin::host::Crew;
use lanner_probe::{Attachment, ProbeError, SnapshotStats};

use crate::drops::DropWatch;
use crate::metrics::Board;
use crate::reload::Slot;
use crate::sending::Sending;
use crate::signals::Signals;
use crate::tally::Tally;

/// Why the host is not watched, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The probe can't be opened or read.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The runtimes can't be asked.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    /// A source beside the kernel's can't be opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The system refuses a thread or a signal handler.
    #[error("can't start: {0}")]
    System(#[from] std::io::Error),
    /// The settings say to end when events are lost, and some were.
    #[error("Drop manager internal error")]
    Dropped,
}

/// How to run.
#[derive(Clone, Default)]
pub struct LiveOptions {
    /// End after so long.
    pub duration: Option<Duration>,
    /// Whether a terminal shows priorities in colour.
    pub colour: Colour,
    /// What ends the run or has files opened anew.
    pub signals: Signals,
    /// Where other rules and settings come from while it runs.
    pub slot: Slot,
    /// The sinks, if other loops use them too: they are then left open at the end.
    pub sending: Option<Arc<Sending>>,
    /// Where the run may be observed.
    pub board: Board,
    /// Plugins in shared objects that work on the kernel's events.
    pub crew: Option<Arc<Crew>>,
}

/// What is known when watching begins.
#[derive(Debug)]
pub struct Started<'a> {
    /// How the probe is attached.
    pub attachment: &'a Attachment,
    /// What ran before.
    pub snapshot: SnapshotStats,
    /// Container runtimes of this host.
    pub runtimes: Vec<RuntimeFound>,
    /// How long all that took.
    pub took: Duration,
}

/// How watching ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// By SIGINT or SIGTERM.
    Signal,
    /// Because its time was up.
    TimeUp,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Alerts by rule.
    pub tally: Tally,
    /// Events delivered.
    pub events: u64,
    /// Events lost.
    pub lost: u64,
    /// Losses that were told.
    pub drops: DropWatch,
    /// What became of the lines.
    pub outputs: Vec<ChannelStats>,
    /// Alerts that went before all was known of their container.
    pub incomplete: u64,
}

/// Between two sweeps of the machine's containers, and of all of it where the settings don't say.
pub(crate) const SWEEP: Duration = Duration::from_secs(60);
/// Longest wait for events, so that signals are noticed.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(200);
