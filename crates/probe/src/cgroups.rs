//! Word of cgroups that come into being.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libbpf_rs::{MapCore, MapHandle};

use crate::ProbeError;
use crate::missing::Without;
use crate::object::Programs;
use crate::sys::Ring;
use crate::tracepoints::Tracepoints;

/// The program, and where it is attached.
pub const MADE: (&str, &str) = ("on_cgroup", "cgroup_mkdir");
/// The program that forgets what is noted of cgroups, and where it is attached.
pub const ENDED: (&str, &str) = ("on_cgroup_end", "cgroup_rmdir");

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

/// Attaches a program, where the kernel has taken it.
///
/// # Errors
/// When the kernel refuses it and it can't be done without.
pub fn attach(
    (program, tracepoint): (&str, &str),
    programs: &Programs,
    tracepoints: &Tracepoints,
    without: &mut Without,
) -> Result<Option<OwnedFd>, ProbeError> {
    let Some(loaded) = programs.get(program) else { return Ok(None) };
    without.attempt(program, || tracepoints.hook(tracepoint)?.attach(loaded.as_fd()))
}
