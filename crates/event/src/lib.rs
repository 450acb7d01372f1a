//! What an event is: the table of all event types, and decoding, encoding and printing of events in the
//! one wire format that the probe writes, captures hold and the rest of lanner reads.
//!
//! This crate must not know where events come from (kernel, file, plugin) nor what is made of them.

mod decode;
mod encode;
mod extra;
pub mod prefilter;
mod print;
mod print_bytes;
mod print_names;
mod print_net;
mod table;
mod vital;

pub use decode::{DecodeError, Event, HEADER_LEN, Head};
pub use encode::{EncodeError, EventBuf};
pub use extra::{FD_CLOSES_ON_EXEC, THREAD_HAS_ENDED};
pub use print::{BufferFormat, FdLabel, Names, NoNames, print_args, print_param, print_raw, print_resolved};
pub use print_bytes::print_bytes;
pub use print_names::{errno_name, signal_name};
pub use print_net::{print_ipv4, print_ipv6, print_port};
pub use table::*;
