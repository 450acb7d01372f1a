//! The programs that tell the end of a call, loaded for functions of one prototype: the kernel lets programs call each
//! other only if they were loaded for the same.

use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libbpf_rs::libbpf_sys::bpf_insn;
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapFlags, MapHandle, OpenProgramMut, ProgramAttachType};

use crate::load::{map_error, refused};
use crate::skeleton::probe::{OpenProbeSkel, ProbeSkelBuilder};
use crate::sys::program::{self, Place};
use crate::types::Casts;
use crate::{ProbeError, code, log};

use super::functions::Function;

/// The maps of the object that was loaded first, which all others share.
pub struct Shared {
    /// By name; not among them the one of programs.
    pub maps: Vec<(OsString, MapHandle)>,
    /// Whether programs may keep notes of a thread.
    pub can_note: bool,
    /// What programs say of addresses.
    pub casts: Option<Casts>,
}

const PROGRAMS: &str = "programs";

impl Shared {
    /// One of them.
    pub fn handle(&self, name: &str) -> Result<MapHandle, ProbeError> {
        let found = self.maps.iter().find(|(of, _)| of == name).map(|(_, map)| MapHandle::try_from(map));
        found
            .unwrap_or_else(|| Err(libbpf_rs::Error::from(std::io::Error::other("no such map"))))
            .map_err(map_error(name))
    }

    /// Gives another opened object these maps, and fits it to this kernel, to load some of its programs alone.
    pub fn give(
        &self,
        open: &mut OpenProbeSkel<'_>,
        used: &[&str],
        prepare: impl Fn(&mut OpenProgramMut<'_>) -> libbpf_rs::Result<()>,
    ) -> Result<(), ProbeError> {
        for mut map in open.open_object_mut().maps_mut() {
            let name = map.name().to_os_string();
            let shared = self.maps.iter().find(|(of, _)| *of == name);
            match shared {
                Some((_, handle)) => map.reuse_fd(handle.as_fd()),
                None if name == PROGRAMS => Ok(()),
                None => map.set_autocreate(false),
            }
            .map_err(map_error(&name.to_string_lossy()))?;
        }
        for mut program in open.open_object_mut().progs_mut() {
            let is_used = used.iter().any(|name| program.name() == *name);
            program.set_autoload(is_used);
            if is_used {
                prepare(&mut program).map_err(|e| refused(&e))?;
            }
        }
        let change = |code: &[bpf_insn]| self.casts?.fit(code);
        program::prepare(open.open_object_mut(), change).map_err(|e| refused(&e))
    }
}

/// What a small program hands over to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Entry {
    /// The end of a call's function.
    Return,
    /// The end of the function that filters calls.
    Denied,
}

/// The programs of one prototype.
pub struct Handlers {
    /// The kernel empties it when its last holder lets it go.
    programs: MapHandle,
}

/// Writes programs into the map of programs, in the order of build/plans.rs.
pub fn fill(map: &MapHandle, programs: &[BorrowedFd<'_>]) -> Result<(), ProbeError> {
    for (place, program) in (0u32..).zip(programs) {
        let fd = program.as_raw_fd().to_ne_bytes();
        map.update(&place.to_ne_bytes(), &fd, MapFlags::ANY).map_err(map_error(PROGRAMS))?;
    }
    Ok(())
}

impl Handlers {
    /// Loads them for a function's prototype.
    pub fn load(shared: &Shared, entry: Entry, function: &Function) -> Result<Handlers, ProbeError> {
        log::start();
        let mut object = MaybeUninit::uninit();
        let mut open = ProbeSkelBuilder::default().open(&mut object).map_err(|e| refused(&e))?;
        let first = match entry {
            Entry::Return => "on_return",
            Entry::Denied => "on_denied",
        };
        shared.give(&mut open, &[first, "interpret", "clone", "execve"], |program| {
            program.set_attach_type(ProgramAttachType::TraceFexit);
            program.set_attach_target(0, Some(function.name.clone()))
        })?;
        let loaded = open.load().map_err(|e| refused(&e))?;
        let program = match entry {
            Entry::Return => &loaded.progs.on_return,
            Entry::Denied => &loaded.progs.on_denied,
        };
        let programs = MapHandle::try_from(&loaded.maps.programs).map_err(map_error(PROGRAMS))?;
        let progs = &loaded.progs;
        let called = [&progs.interpret, &progs.clone, &progs.execve, program];
        fill(&programs, &called.map(AsFd::as_fd))?;
        Ok(Handlers { programs })
    }

    /// Loads a small program for a function.
    pub fn prepare(&self, function: &Function) -> Result<OwnedFd, ProbeError> {
        let place = Place {
            program: libbpf_rs::libbpf_sys::BPF_PROG_TYPE_TRACING,
            attach: libbpf_rs::libbpf_sys::BPF_TRACE_FEXIT,
            btf_id: function.id,
        };
        let last = self.programs.max_entries().saturating_sub(1);
        program::load(c"on_return", place, &code::call(self.programs.as_fd(), last))
            .map_err(|source| ProbeError::Attach { program: format!("fexit/{}", function.name), source })
    }
}
