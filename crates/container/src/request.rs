//! What the resolver is asked.

use lanner_machine::{Container, Runtime};

/// A container to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Short id, by which the machine knows it.
    pub id: String,
    /// Full id, by which the runtimes know it.
    pub full_id: String,
    /// What the cgroup says of the runtime.
    pub runtime: Runtime,
}

impl From<&Container> for Request {
    fn from(container: &Container) -> Request {
        Request { id: container.id.clone(), full_id: container.full_id.clone(), runtime: container.runtime }
    }
}
