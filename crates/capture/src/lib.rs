//! Captures in the `.scap` format: reading every version of it, in either byte order, plain or gzip; writing;
//! and upgrading events of old versions to today's table.
//!
//! This crate must not know what is made of a capture: it knows events and records, no state and no rules.

mod block;
mod error;
mod foreign;
mod former;
mod input;
mod layout;
mod reader;
mod records;
mod snapshot;
mod unpack;
mod upgrade;
mod upgrade_table;
mod writer;

pub use error::CaptureError;
pub use reader::Reader;
pub use records::{
    FdListRecord, FdObject, FdRecord, GroupRecord, HostRecord, InterfaceRecord, NamedKind, Snapshot,
    ThreadRecord, UserRecord, texts,
};
pub use writer::Writer;
