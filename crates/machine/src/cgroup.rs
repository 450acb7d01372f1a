//! Which container a cgroup belongs to.

use crate::{ContainerId, Runtime, Text, TextList};

/// A container as its cgroup names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CgroupContainer {
    /// Short id.
    pub id: ContainerId,
    /// Full id as it stands in the cgroup.
    pub full_id: Text,
    /// The runtime whose shape the cgroup has.
    pub runtime: Runtime,
}

/// The container that a thread's cgroups (`subsystem=path` each) say it is in. Only shapes that a known
/// runtime makes count; a cgroup that merely has a hexadecimal name does not.
pub fn container_of_cgroups(cgroups: &TextList) -> Option<CgroupContainer> {
    cgroups.iter().find_map(|cgroup| {
        let path = memchr::memchr(b'=', cgroup).map_or(cgroup, |at| &cgroup[at + 1..]);
        container_of_path(path)
    })
}

/// The container of one cgroup path.
pub fn container_of_path(path: &[u8]) -> Option<CgroupContainer> {
    let last = path.rsplit(|&b| b == b'/').next()?;
    let (runtime, id) = [
        (&b"docker-"[..], Runtime::Docker),
        (b"cri-containerd-", Runtime::Containerd),
        (b"crio-", Runtime::Crio),
        (b"libpod-", Runtime::Podman),
    ]
    .iter()
    .find_map(|(prefix, runtime)| Some((*runtime, last.strip_prefix(*prefix)?)))?;
    let id = id.strip_suffix(b".scope").unwrap_or(id);
    let hex = id.len() == 64 && id.iter().all(u8::is_ascii_hexdigit);
    hex.then(|| CgroupContainer { id: Text::from(&id[..12]), full_id: Text::from(id), runtime })
}
