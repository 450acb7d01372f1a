//! What a source of events is.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use lanner_event::Event;

/// Takes events.
pub type Sink<'s> = dyn FnMut(&Event<'_>) + 's;

/// What came of asking a source for events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Given {
    /// So many events; there may be more at once.
    Events(usize),
    /// None within the time given.
    Nothing,
    /// None, and there will never be more.
    End,
}

/// Gives events in their order. Each source has a thread of its own.
pub trait EventSource: Send {
    /// Hands over some of the events that are there, waiting for at most `patience` where there are none.
    ///
    /// # Errors
    /// When the source can't give any more; it isn't asked again.
    fn give(&mut self, patience: Duration, sink: &mut Sink<'_>) -> Result<Given, SourceError>;

    /// Takes nothing more from outside. `true`: it holds events whose senders were told that they are taken; they are
    /// given before its end.
    fn finish(&mut self) -> bool {
        false
    }
}

/// Why a source can't be opened or read any more.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file or directory can't be read.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The settings don't fit.
    #[error("{0}")]
    Settings(String),
    /// Anything else that the system refuses.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: String,
        /// Why it failed.
        cause: io::Error,
    },
    /// The source has failed.
    #[error("{0}")]
    Failed(String),
}
