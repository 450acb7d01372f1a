//! Word of cgroups that come into being.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libbpf_rs::{MapCore, MapHandle};

use crate::ProbeError;
use crate::missing::Without;
use crate::object::Programs;
use crate::sys::Ring;
use crate::tracepoints::Tracepoints;

/// The program's name.
pub const PROGRAM: &str = "on_cgroup";
/// Where it is attached.
pub const TRACEPOINT: &str = "cgroup_mkdir";

/// Tells that cgroups have come into being, as those of containers do before their first process runs. Its descriptor can
/// be read when one has; it is silent once the probe is dropped.
pub struct NewCgroups {
    map: MapHandle,
    ring: Ring,
}

impl NewCgroups {
    /// Reads what the programs write into a map.
    ///
    /// # Errors
    /// When its memory can't be had.
    pub(crate) fn new(map: MapHandle) -> Result<NewCgroups, ProbeError> {
        let ring = Ring::new(map.as_fd(), map.max_entries() as usize)
            .map_err(|source| ProbeError::Map { map: "new_cgroups".into(), source })?;
        Ok(NewCgroups { map, ring })
    }

    /// Whether there was word of any since the last call.
    pub fn take(&mut self) -> bool {
        let written = self.ring.written();
        let mut any = false;
        while let Some(len) = self.ring.head(written).map(<[u8]>::len) {
            self.ring.advance(len);
            any = true;
        }
        self.ring.release();
        any
    }
}

impl AsFd for NewCgroups {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

/// Attaches the program, where the kernel has taken it.
///
/// # Errors
/// When the kernel refuses it and it can't be done without.
pub fn attach(
    programs: &Programs,
    tracepoints: &Tracepoints,
    without: &mut Without,
) -> Result<Option<OwnedFd>, ProbeError> {
    let Some(program) = programs.get(PROGRAM) else { return Ok(None) };
    without.attempt(PROGRAM, || tracepoints.hook(TRACEPOINT)?.attach(program.as_fd()))
}
