//! What an event is: the table of all event types, and decoding, encoding and printing of events in the
//! one wire format that the probe writes, captures hold and the rest of lanner reads.
//!
//! This crate must not know where events come from (kernel, file, plugin) nor what is made of them.

mod decode;
mod encode;
mod table;

pub use decode::{DecodeError, Event, HEADER_LEN};
pub use encode::{EncodeError, EventBuf};
pub use table::*;
