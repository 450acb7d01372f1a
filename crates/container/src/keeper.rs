//! Who writes descriptions of containers to disk, and where below its own folder.

use std::path::PathBuf;

/// The description in a bundle.
pub(crate) const CONFIG: &str = "config.json";
pub(crate) const DOCKER_CONFIG: &str = "config.v2.json";
pub(crate) const STATE: &str = "state.json";
pub(crate) const STATUS: &str = "status";

/// Where a description may be written, and by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keeper {
    /// containerd: `NAMESPACE/ID/config.json`.
    Containerd,
    /// containers/storage: `ID/userdata/config.json`.
    Storage,
    /// Docker: `ID/config.v2.json`.
    Docker,
    /// runc: `NAME/state.json`.
    Runc,
    /// crun: `NAME/status`.
    Crun,
}

impl Keeper {
    /// The parts of the path below the keeper's folder; `None` where any name may stand.
    pub(crate) fn way(self) -> &'static [Option<&'static str>] {
        match self {
            Keeper::Containerd => &[None, None, Some(CONFIG)],
            Keeper::Storage => &[None, Some("userdata"), Some(CONFIG)],
            Keeper::Docker => &[None, Some(DOCKER_CONFIG)],
            Keeper::Runc => &[None, Some(STATE)],
            Keeper::Crun => &[None, Some(STATUS)],
        }
    }
}

/// Where a runtime keeps what it writes of containers.
pub(crate) type Records = (Keeper, PathBuf);
