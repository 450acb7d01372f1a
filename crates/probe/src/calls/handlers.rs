//! The programs that tell the end of a call, loaded for functions of one prototype: the kernel lets programs call each
//! other only if they were loaded for the same.

use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapFlags, MapHandle, ProgramAttachType};

use crate::load::{map_error, refused};
use crate::skeleton::probe::ProbeSkelBuilder;
use crate::sys::program::{self, Place};
use crate::{ProbeError, code, log};

use super::functions::Function;
use super::hooks::Hook;

/// The maps of the object that was loaded first, which all others share.
pub struct Shared {
    /// By name; not among them the one of programs.
    pub maps: Vec<(OsString, MapHandle)>,
    /// Whether programs may keep notes of a thread.
    pub can_note: bool,
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

const PROGRAMS: &str = "programs";

impl Handlers {
    /// Loads them for a function's prototype.
    pub fn load(shared: &Shared, entry: Entry, function: &Function) -> Result<Handlers, ProbeError> {
        log::start();
        let mut object = MaybeUninit::uninit();
        let mut open = ProbeSkelBuilder::default().open(&mut object).map_err(|e| refused(&e))?;
        for mut map in open.open_object_mut().maps_mut() {
            let name = map.name().to_os_string();
            match shared.maps.iter().find(|(of, _)| *of == name) {
                Some((_, handle)) => {
                    map.reuse_fd(handle.as_fd()).map_err(map_error(&name.to_string_lossy()))?
                }
                None if name == PROGRAMS => {}
                None => map.set_autocreate(false).map_err(map_error(&name.to_string_lossy()))?,
            }
        }
        let first = match entry {
            Entry::Return => "on_return",
            Entry::Denied => "on_denied",
        };
        for mut program in open.open_object_mut().progs_mut() {
            let used = [first, "interpret", "clone", "execve"].iter().any(|name| program.name() == *name);
            program.set_autoload(used);
            if used {
                program.set_attach_type(ProgramAttachType::TraceFexit);
                program.set_attach_target(0, Some(function.name.clone())).map_err(|e| refused(&e))?;
            }
        }
        let loaded = open.load().map_err(|e| refused(&e))?;
        let program = match entry {
            Entry::Return => &loaded.progs.on_return,
            Entry::Denied => &loaded.progs.on_denied,
        };
        let programs = MapHandle::try_from(&loaded.maps.programs).map_err(map_error(PROGRAMS))?;
        let fd = program.as_fd().as_raw_fd().to_ne_bytes();
        let last = programs.max_entries().saturating_sub(1);
        programs.update(&last.to_ne_bytes(), &fd, MapFlags::ANY).map_err(map_error(PROGRAMS))?;
        Ok(Handlers { programs })
    }

    /// Attaches a small program to a function; closing what this gives detaches it.
    pub fn attach(&self, function: &Function) -> Result<Hook, ProbeError> {
        let place = Place {
            program: libbpf_rs::libbpf_sys::BPF_PROG_TYPE_TRACING,
            attach: libbpf_rs::libbpf_sys::BPF_TRACE_FEXIT,
            btf_id: function.id,
        };
        let last = self.programs.max_entries().saturating_sub(1);
        let small = program::load(c"on_return", place, &code::call(self.programs.as_fd(), last));
        let attached = small.and_then(|small| Ok((program::attach_tracing(small.as_fd())?, small)));
        let (link, program) = attached
            .map_err(|source| ProbeError::Attach { program: format!("fexit/{}", function.name), source })?;
        Ok(Hook { _link: link, program })
    }
}
