//! The state of a host as events tell it: threads and their lineage, fd tables, users, groups and
//! containers, and what each event does to them. Memory is bounded.
//!
//! This crate must not know rules, outputs, or where events come from; it asks nothing of the system itself.

mod abi;
mod accounts;
mod address;
mod apply;
mod bare;
mod begun;
pub mod cgroup;
mod clone;
mod container;
mod containers;
mod domains;
mod exec;
mod exits;
mod fd;
mod fd_entry;
mod fd_table;
mod files;
mod interface;
mod keep;
mod lineage;
mod machine;
mod options;
pub mod path;
mod process;
mod quiet;
mod snapshot;
mod sockets;
mod subject;
mod text;
mod thread;
mod threads;
mod wire;

#[cfg(test)]
mod clone_tests;
#[cfg(test)]
mod exec_tests;
#[cfg(test)]
mod fd_tests;
#[cfg(test)]
mod snapshot_tests;
#[cfg(test)]
mod testing;

pub use accounts::{Group, User};
pub use cgroup::{CgroupContainer, container_of_cgroups, container_of_path};
pub use container::{Container, ContainerId, ContainerMount, Owner, Pod, Probe, ProbeKind, Runtime};
pub use fd::{Endpoint, Ends, Fd, FdKind, L4Proto, Role};
pub use interface::Interface;
pub use keep::{BIRTHS, keep};
pub use machine::Machine;
pub use options::{MachineOptions, MachineStats};
pub use subject::{Subject, Versions};
pub use text::{Tail, Text, TextList};
pub use thread::{Capabilities, Executable, Thread};
