//! Events that don't come from the kernel: the sources that are built in (Kubernetes audit, CloudTrail, JSON),
//! which take the places of the Falco plugins of these names, and the host of plugins in shared objects, by Falco's C API.
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

/// What the sources that are built in make of a document: how many events, or why none. It is what they do with all that
/// comes from outside; tests and fuzz targets call it alone.
///
/// # Errors
/// Says why the document holds no events.
pub fn read_document(source: &str, document: &[u8]) -> Result<u64, String> {
    use documents::Documents;
    let mut batch = batch::Batch::default();
    let limit = 256 << 10;
    let read = match source {
        "k8s_audit" => audit::AuditEvents::new(limit).read(document, 0, &mut batch)?,
        "aws_cloudtrail" => cloudtrail::read_records(document, &mut batch)?,
        "json" => json::JsonEvents::new(limit, Some("/time".to_owned())).read(document, 0, &mut batch)?,
        _ => return Err(format!("there is no source {source}")),
    };
    Ok(read.taken)
}
