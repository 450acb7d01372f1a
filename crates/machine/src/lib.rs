//! The state of a host as events tell it: threads and their lineage, fd tables, users, groups and
//! containers, and what each event does to them. Memory is bounded.
//!
//! This crate must not know rules, outputs, or where events come from; it asks nothing of the system itself.

mod container;
mod fd;
mod text;
mod thread;

pub use container::{Container, ContainerId, ContainerMount, Pod, Runtime};
pub use fd::{Ends, Endpoint, Fd, FdKind, L4Proto, Role};
pub use text::Text;
pub use thread::{Capabilities, Executable, Thread};
