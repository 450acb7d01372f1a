//! In which cgroup user space knows each thread to be, and which cgroups are the host's or containers' (bpf/homes.h).

use std::os::fd::AsFd;

use lanner_event::prefilter::{CGROUP_PROBES, KNOWN_CGROUPS};
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

/// Marks a cgroup that is a container's, or in one; no id is as large.
const OF_CONTAINER: u64 = 1 << 63;

/// A cgroup, by its id: the host's, or a container's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum KnownCgroup {
    /// It is in no container.
    Host(u64),
    /// It is a container's or in one.
    Container(u64),
}

impl KnownCgroup {
    fn word(self) -> u64 {
        match self {
            KnownCgroup::Host(id) => id,
            KnownCgroup::Container(id) => id | OF_CONTAINER,
        }
    }
}

/// Where the BPF side finds which cgroups are known, and counts what was not kept.
pub struct KnownCgroups {
    listed: Words,
    made: Counters,
    unsure: Counters,
}

impl KnownCgroups {
    /// Those in these maps.
    ///
    /// # Errors
    /// When their memory can't be shared.
    pub fn new(listed: &MapHandle, made: &MapHandle, unsure: &MapHandle) -> Result<KnownCgroups, ProbeError> {
        let error = |map: &'static str| move |source| ProbeError::Map { map: map.into(), source };
        Ok(KnownCgroups {
            listed: Words::new(listed.as_fd(), KNOWN_CGROUPS).map_err(error("known_cgroups"))?,
            made: Counters::new(made.as_fd(), 1).map_err(error("cgroups_made"))?,
            unsure: Counters::new(unsure.as_fd(), 1).map_err(error("homes_unsure"))?,
        })
    }

    /// Takes a cgroup for what it is. False if there is no room.
    pub fn insert(&self, cgroup: KnownCgroup) -> bool {
        let word = cgroup.word();
        let free = places(word).find(|at| [0, word].contains(&self.listed.get(*at)));
        free.inspect(|at| self.listed.set(*at, word)).is_some()
    }

    /// Takes it for that no more.
    pub fn remove(&self, cgroup: KnownCgroup) {
        let word = cgroup.word();
        places(word).filter(|at| self.listed.get(*at) == word).for_each(|at| self.listed.set(at, 0));
    }

    /// How many cgroups have come into being.
    pub fn made(&self) -> u64 {
        self.made.all().sum()
    }

    /// Whether something could not be kept, so that of no thread it is known any more where it is.
    pub fn unsure(&self) -> bool {
        self.unsure.all().sum::<u64>() > 0
    }
}

/// Where the BPF side looks for a cgroup.
fn places(word: u64) -> impl Iterator<Item = usize> {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let first = (word.wrapping_mul(FACTOR) >> 32) as usize;
    (0..CGROUP_PROBES).map(move |step| (first + step) % KNOWN_CGROUPS)
}
