//! Where lines go.

mod file;
mod http;
mod program;
mod socket;
mod stdout;
mod syslog;

use lanner_alert::{LineRef, SomeLines};

pub use file::FileSink;
pub use http::{HttpOptions, HttpSink, Trust};
pub use program::{Program, ProgramSink, Starter};
pub use socket::{SocketOptions, SocketSink};
pub use stdout::{Colour, StdoutSink};
pub use syslog::SyslogSink;

/// Why a sink did not take a line.
#[derive(Debug, thiserror::Error)]
#[error("{sink} output: {what}: {cause}")]
pub struct SinkError {
    /// The sink's name.
    pub sink: &'static str,
    /// What was tried.
    pub what: String,
    /// Why it failed.
    pub cause: std::io::Error,
    /// It may go well another time. If not, the line is lost.
    pub again: bool,
}

/// Something that carries lines away. It runs on a thread of its own and may block there.
pub trait Sink: Send {
    /// Name for messages and metrics.
    fn name(&self) -> &'static str;

    /// Takes a line. It may keep it in a buffer until [`Sink::flush`].
    ///
    /// # Errors
    /// When the line could not be taken. It is offered again if the error says so; else it counts as lost.
    fn write(&mut self, line: LineRef<'_>) -> Result<(), SinkError>;

    /// Takes lines, one after the other, and says how many it has taken; what hindered it holds for the next one. It is
    /// looked at the clock before and after, so those whose lines may take long take one at a time.
    fn write_some(&mut self, lines: SomeLines<'_>) -> (usize, Result<(), SinkError>) {
        let first = lines.iter().next().map_or(Ok(()), |line| self.write(line));
        (usize::from(first.is_ok()), first)
    }

    /// Whether lines may stay in its buffer while more of them come. If not, [`Sink::flush`] is called as soon as
    /// those are written that were there together, at most a few hundred.
    fn may_keep(&self) -> bool {
        true
    }

    /// Sends what is buffered; called whenever no line is waiting, and at the end.
    ///
    /// # Errors
    /// When buffered lines could not be sent; they stay in the buffer.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Opens anew what may have been moved away (a rotated file).
    ///
    /// # Errors
    /// When that fails.
    fn reopen(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Writes lines one after the other until one can't be written.
fn each(
    lines: SomeLines<'_>,
    mut write: impl FnMut(LineRef<'_>) -> Result<(), SinkError>,
) -> (usize, Result<(), SinkError>) {
    let mut taken = 0;
    let result = lines.iter().try_for_each(|line| write(line).inspect(|()| taken += 1));
    (taken, result)
}
