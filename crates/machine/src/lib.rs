//! The state of a host as events tell it: threads and their lineage, fd tables, users, groups and
//! containers, and what each event does to them. Memory is bounded.
//!
//! This crate must not know rules, outputs, or where events come from; it asks nothing of the system itself.

mod accounts;
pub mod cgroup;
mod container;
mod fd;
mod machine;
mod text;
mod thread;

pub use accounts::{Group, User};
pub use cgroup::{CgroupContainer, container_of_cgroups};
pub use container::{Container, ContainerId, ContainerMount, Pod, Runtime};
pub use fd::{Endpoint, Ends, Fd, FdKind, L4Proto, Role};
pub use machine::{Machine, MachineOptions, MachineStats, Subject};
pub use text::{Text, TextList};
pub use thread::{Capabilities, Executable, Thread};
