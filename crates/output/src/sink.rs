//! Where lines go.

mod file;
mod program;
mod stdout;

use crate::Priority;

pub use file::FileSink;
pub use program::ProgramSink;
pub use stdout::{Colour, StdoutSink};

/// A finished line, without its newline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The line.
    pub text: String,
    /// Its alert's priority.
    pub priority: Priority,
    /// Where in a text line the priority's name begins; `None` in JSON.
    pub priority_at: Option<usize>,
}

/// Why a sink did not take a line.
#[derive(Debug, thiserror::Error)]
#[error("{sink} output: {what}: {cause}")]
pub struct SinkError {
    /// The sink's name.
    pub sink: String,
    /// What was tried.
    pub what: String,
    /// Why it failed.
    pub cause: std::io::Error,
}

/// Something that carries lines away. It runs on a thread of its own and may block there.
pub trait Sink: Send {
    /// Name for messages and metrics.
    fn name(&self) -> &str;

    /// Takes a line. It may keep it in a buffer until [`Sink::flush`].
    ///
    /// # Errors
    /// When the line could not be taken; it then counts as lost.
    fn write(&mut self, line: &Line) -> Result<(), SinkError>;

    /// Sends what is buffered; called whenever no line is waiting, and at the end.
    ///
    /// # Errors
    /// When buffered lines could not be sent.
    fn flush(&mut self) -> Result<(), SinkError>;

    /// Opens anew what may have been moved away (a rotated file).
    ///
    /// # Errors
    /// When that fails.
    fn reopen(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
