//! Alerts and where they go: their text line, their JSON line, and the sinks that carry a line away, each
//! behind its own bounded queue on its own thread.
//!
//! This crate must not know rules, events or the machine: an alert arrives with its message already made.

mod alert;
mod channel;
mod clock;
mod format;
mod outputs;
mod queue;
mod sink;
pub mod syslog;

pub use alert::{Alert, Fields, Origin, Priority, UnknownPriority};
pub use clock::Clock;
pub use format::{Form, Formatter, JsonParts};
pub use outputs::{ChannelStats, OutputOptions, Outputs, Overflow, Say};
pub use sink::{
    Colour, FileSink, HttpOptions, HttpSink, Line, Program, ProgramSink, Sink, SinkError, SocketOptions,
    SocketSink, Starter, StdoutSink, SyslogSink, Trust,
};
