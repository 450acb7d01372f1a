//! Where alerts go: the sinks that carry a line away, each behind its own bounded queue on its own thread.
//!
//! This crate must not know rules, events or the machine: what arrives is a finished line.

mod channel;
mod outputs;
mod queue;
mod sink;
pub mod syslog;

pub use outputs::{ChannelStats, OutputOptions, Outputs, Overflow, Say};
pub use sink::{
    Colour, FileSink, HttpOptions, HttpSink, Program, ProgramSink, Sink, SinkError, SocketOptions,
    SocketSink, Starter, StdoutSink, SyslogSink, Trust,
};
