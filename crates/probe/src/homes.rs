//! In which cgroup user space knows each thread to be, and which cgroups are the host's (bpf/homes.h).

use std::os::fd::AsFd;

use lanner_event::prefilter::{HOST_CGROUPS, HOST_PROBES};
use libbpf_rs::{MapHandle, MapType, libbpf_sys};

use crate::ProbeError;
use crate::load::map_error;
use crate::skeleton::probe::types::home;
use crate::sys::{Counters, Words};

/// Threads of which it is kept in which cgroup they are.
const MOST: u32 = 32_768;

/// Makes the map by thread, which both objects write.
///
/// # Errors
/// When the kernel refuses.
pub fn create() -> Result<MapHandle, ProbeError> {
    let size = size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t;
    let options = libbpf_sys::bpf_map_create_opts { sz: size, ..Default::default() };
    let (key, value) = (size_of::<u32>() as u32, size_of::<home>() as u32);
    MapHandle::create(MapType::Hash, Some("homes"), key, value, MOST, &options).map_err(map_error("homes"))
}

/// Where the BPF side finds which cgroups are the host's, and counts what was not kept.
pub struct HostCgroups {
    listed: Words,
    made: Counters,
    unsure: Counters,
}

impl HostCgroups {
    /// Those in these maps.
    ///
    /// # Errors
    /// When their memory can't be shared.
    pub fn new(listed: &MapHandle, made: &MapHandle, unsure: &MapHandle) -> Result<HostCgroups, ProbeError> {
        let error = |map: &'static str| move |source| ProbeError::Map { map: map.into(), source };
        Ok(HostCgroups {
            listed: Words::new(listed.as_fd(), HOST_CGROUPS).map_err(error("host_cgroups"))?,
            made: Counters::new(made.as_fd(), 1).map_err(error("cgroups_made"))?,
            unsure: Counters::new(unsure.as_fd(), 1).map_err(error("homes_unsure"))?,
        })
    }

    /// Takes a cgroup for the host's. False if there is no room.
    pub fn insert(&self, id: u64) -> bool {
        let free = places(id).find(|at| [0, id].contains(&self.listed.get(*at)));
        free.inspect(|at| self.listed.set(*at, id)).is_some()
    }

    /// Takes it for the host's no more.
    pub fn remove(&self, id: u64) {
        places(id).filter(|at| self.listed.get(*at) == id).for_each(|at| self.listed.set(at, 0));
    }

    /// How many cgroups have come into being.
    pub fn made(&self) -> u64 {
        self.made.all().sum()
    }

    /// Whether something could not be kept, so that no thread is known to be the host's any more.
    pub fn unsure(&self) -> bool {
        self.unsure.all().sum::<u64>() > 0
    }
}

/// Where the BPF side looks for a cgroup.
fn places(id: u64) -> impl Iterator<Item = usize> {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let first = (id.wrapping_mul(FACTOR) >> 32) as usize;
    (0..HOST_PROBES).map(move |step| (first + step) % HOST_CGROUPS)
}
