//! What this kernel lets the probe do, found out by doing it: a tiny program for each kind of attachment is
//! loaded, attached, and seen to run.

mod kinds;

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use lanner_event::types;
use libbpf_rs::btf::Btf;
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

use crate::code;
use crate::sys::program::{self, Place};
use crate::{Attachment, CallPoint, EventSet, Probe, ProbeError, ProbeOptions};
use kinds::{KINDS, Kind, Target};

/// What a kind of attachment is to lanner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Nothing is detected without it.
    Needed,
    /// Without it something is worse.
    Better,
    /// Not used by this version.
    Unused,
}

/// What came of a trial.
#[derive(Debug)]
pub enum Outcome {
    /// It was attached and ran.
    Runs,
    /// It was accepted; whether it runs can't be seen without doing more than a trial should.
    Accepted,
    /// It was attached, and what should have made it run did not.
    Idle,
    /// The kernel has no such thing.
    Absent(String),
    /// The kernel or its policy refused.
    Refused {
        /// Which step: `loading` or `attaching`.
        step: &'static str,
        /// The system's error.
        error: io::Error,
    },
}

/// One kind of attachment.
#[derive(Debug)]
pub struct Trial {
    /// Its name, such as `tp_btf/sys_exit`.
    pub name: &'static str,
    /// What it is to lanner.
    pub need: Need,
    /// What is lost where it doesn't work.
    pub cost: &'static str,
    /// What came of it.
    pub outcome: Outcome,
}

/// All trials.
#[derive(Debug)]
pub struct Trials {
    /// Kind by kind.
    pub kinds: Vec<Trial>,
    /// One ring buffer of the size asked for.
    pub ring: Result<(), io::Error>,
    /// The probe itself, opened with small rings and closed again.
    pub probe: Result<Attachment, ProbeError>,
}

/// What the programs are called.
const NAME: &CStr = c"lanner_trial";

/// How long an attached program may take to be seen to run.
const PATIENCE: Duration = Duration::from_millis(200);

/// Tries everything. Nothing stays attached.
pub fn run(ring_bytes: usize) -> Trials {
    // says nothing on the terminal; errors carry what matters
    crate::log::start();
    let btf = Btf::from_vmlinux().ok();
    let kinds = KINDS
        .iter()
        .map(|kind| Trial {
            name: kind.name,
            need: kind.need,
            cost: kind.cost,
            outcome: outcome(kind, btf.as_ref()),
        })
        .collect();
    // a call that few make, so that a function is tried
    let small = ProbeOptions {
        events: [types::SYSCALL_SETSID_X].into_iter().collect::<EventSet>(),
        ring_bytes: 4096,
        calls: CallPoint::Fexit,
        ..ProbeOptions::default()
    };
    let bytes = u32::try_from(ring_bytes.max(4096).next_power_of_two()).unwrap_or(1 << 31);
    Trials {
        kinds,
        ring: map(MapType::RingBuf, 0, 0, bytes).map(drop),
        probe: Probe::open(small).map(|probe| probe.attachment().clone()),
    }
}

/// A program that does nothing, at the end of every system call: what looking at calls costs at the very least.
/// It is detached when this is dropped.
#[derive(Debug)]
pub struct Empty {
    _link: std::os::fd::OwnedFd,
}

impl Empty {
    /// Loads and attaches it.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn attach() -> io::Result<Empty> {
        let found = KINDS.iter().find(|kind| kind.name == "tp_btf/sys_exit");
        let kind = found.ok_or_else(|| io::Error::other("no such kind"))?;
        let btf = Btf::from_vmlinux().map_err(|error| crate::load::io_error(&error))?;
        let place = place(kind, Some(&btf)).map_err(io::Error::other)?;
        let program = program::load(NAME, place, &code::zero(None))?;
        Ok(Empty { _link: program::attach(program.as_fd(), None, place)? })
    }
}

/// Makes a map; the error is the system's own.
fn map(ty: MapType, key: u32, value: u32, entries: u32) -> io::Result<MapHandle> {
    let options = libbpf_rs::libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_rs::libbpf_sys::bpf_map_create_opts>() as libbpf_rs::libbpf_sys::size_t,
        ..Default::default()
    };
    MapHandle::create(ty, Some("lanner_trial"), key, value, entries, &options)
        .map_err(|error| crate::load::io_error(&error))
}

fn outcome(kind: &Kind, btf: Option<&Btf<'_>>) -> Outcome {
    let place = match place(kind, btf) {
        Ok(place) => place,
        Err(why) => return Outcome::Absent(why),
    };
    attempt(kind, place).unwrap_or_else(|(step, error)| Outcome::Refused { step, error })
}

/// Where the program of a kind goes in this kernel.
fn place(kind: &Kind, btf: Option<&Btf<'_>>) -> Result<Place, String> {
    let without = |btf_id| Place { program: kind.program, attach: kind.attach, btf_id };
    let found = |id: Option<u32>, what: &str| {
        let missing = || match btf {
            Some(_) => format!("this kernel has no {what}"),
            None => "this kernel has no BTF".to_string(),
        };
        id.map(without).ok_or_else(missing)
    };
    match kind.target {
        Target::Cgroup => Ok(without(0)),
        Target::Feature(path) if !Path::new(path).exists() => Err(format!("{path} is missing")),
        Target::Feature(_) => Ok(without(0)),
        Target::Tracepoint(name) => found(
            btf.and_then(|b| kinds::typedef(b, &format!("btf_trace_{name}"))),
            &format!("tracepoint {name}"),
        ),
        Target::Function(name) => {
            let name = kinds::function_name(name);
            found(btf.and_then(|b| kinds::function_id(b, &name)), &format!("function {name}"))
        }
    }
}

/// An error comes with the step that failed.
fn attempt(kind: &Kind, place: Place) -> Result<Outcome, (&'static str, io::Error)> {
    let loading = |error| ("loading", error);
    let attaching = |error| ("attaching", error);
    let seen = match kind.trigger {
        Some(_) => Some(map(MapType::Array, 4, 8, 1).map_err(loading)?),
        None => None,
    };
    let program =
        program::load(NAME, place, &(kind.code)(seen.as_ref().map(AsFd::as_fd))).map_err(loading)?;
    let cgroup = match kind.target {
        Target::Feature(_) => return Ok(Outcome::Accepted),
        Target::Cgroup => Some(kinds::cgroup_root().and_then(File::open).map_err(attaching)?),
        Target::Tracepoint(_) | Target::Function(_) => None,
    };
    if kind.load_only {
        return Ok(Outcome::Accepted);
    }
    let _link =
        program::attach(program.as_fd(), cgroup.as_ref().map(AsFd::as_fd), place).map_err(attaching)?;
    let (Some(trigger), Some(seen)) = (kind.trigger, seen) else {
        return Ok(Outcome::Accepted);
    };
    trigger();
    Ok(if was_seen(&seen) { Outcome::Runs } else { Outcome::Idle })
}

/// Whether the program has left its mark; a thread's end is told a little after it was waited for.
fn was_seen(map: &MapHandle) -> bool {
    let pause = PATIENCE / 20;
    let marked = || {
        let value = map.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).ok().flatten();
        value.is_some_and(|bytes| bytes.iter().any(|&byte| byte != 0))
    };
    (0..20).any(|round| {
        if round > 0 {
            std::thread::sleep(pause);
        }
        marked()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_found_is_absent() {
        let kind = KINDS.iter().find(|kind| kind.name == "tp_btf/sys_exit").unwrap();
        assert!(matches!(outcome(kind, None), Outcome::Absent(why) if why == "this kernel has no BTF"));
    }

    /// Where the probe opens, each kind that it needs must have been found to work, and what has a trigger to run.
    #[test]
    fn trials_agree_with_the_probe() {
        let trials = run(4096);
        if let Err(error) = &trials.probe {
            println!("skipped: {error}");
            return;
        }
        assert!(trials.ring.is_ok(), "{:?}", trials.ring);
        for (trial, kind) in trials.kinds.iter().zip(KINDS).filter(|(trial, _)| trial.need == Need::Needed) {
            let fits = match kind.trigger {
                Some(_) => matches!(trial.outcome, Outcome::Runs),
                None => matches!(trial.outcome, Outcome::Accepted),
            };
            assert!(fits, "{trial:?}");
        }
    }
}
