//! Events that don't come from the kernel: the sources that are built in (Kubernetes audit, CloudTrail, JSON),
//! which take the places of the Falco plugins of these names.
//!
//! This crate must not know the kernel's side, rules, nor who asks for events.

mod audit;
mod batch;
mod builtin;
mod cloudtrail;
mod documents;
mod files;
pub mod host;
mod inputs;
mod json;
mod lines;
mod pushed;
mod queue;
mod source;
mod stats;
mod tail;
mod tls;
mod webhook;

pub use builtin::{BUILT_IN, BuiltIn, Capability, Settings};
pub use documents::Reporting;
pub use source::{EventSource, Given, Sink, SourceError};
pub use stats::{Refusal, SourceStats};
