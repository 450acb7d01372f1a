//! The kernel's own copies of what calls are given (bpf/copies.h): programs at the functions that all names and
//! addresses go through, attached while a call that is given some is wanted. They are called by the function itself or,
//! where another thread may take the CPU from such a program, by kprobes, which keep it.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libbpf_rs::libbpf_sys as sys;
use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};

use crate::calls::{Shared, preemption};
use crate::load::refused;
use crate::plans::{KEEPS, Wanted};
use crate::skeleton::probe::ProbeSkelBuilder;
use crate::sys::perf;
use crate::sys::program::{self, Place};
use crate::types::{KernelTypes, fit_to};
use crate::{ProbeError, code, log};

/// Why the copies are not used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WhyNot {
    /// The configuration says so.
    #[error("as configured")]
    Asked,
    /// Nobody has looked at this architecture's functions.
    #[error("known for x86_64 only")]
    Architecture,
    /// It can't be said at all where a program goes.
    #[error("this kernel has no types")]
    NoTypes,
    /// It can't be said by name where a program goes.
    #[error("this kernel's types don't tell of the function {0}")]
    NoType(&'static str),
    /// Threads may interrupt each other in the middle of a program.
    #[error("{0}")]
    Preemption(String),
    /// A program at the functions would have to be told by another.
    #[error("this kernel's names don't say where their originals stand")]
    NoOriginals,
    /// They can be at functions neither by themselves nor by kprobes.
    #[error("{0}, and {1}")]
    Neither(Box<WhyNot>, Box<WhyNot>),
    /// Programs may not keep notes of a thread, or not these.
    #[error("programs keep no notes of a thread's call: {0}")]
    NoNotes(String),
    /// The kernel refused a program.
    #[error("{0}")]
    Refused(String),
}

impl WhyNot {
    fn refused(error: &ProbeError) -> WhyNot {
        let text = error.to_string();
        WhyNot::Refused(text.lines().next().unwrap_or_default().to_owned())
    }
}

/// What copies are kept of, as the BPF side numbers it.
const NAMES: u8 = 1;
const ADDRESS: u8 = 2;
const MESSAGES: u8 = 4;
const SENDER: u8 = 8;
const SENDERS: u8 = 16;

/// A program, where it goes, and what it keeps.
pub struct Spec {
    program: &'static str,
    point: &'static str,
    keeps: u8,
    /// The calls behind the 32-bit `socketcall`, by number, whose fd it keeps.
    socketcalls: &'static [usize],
    /// Whether the others are worth having without it.
    optional: bool,
    /// The structure of the kernel without which nobody needs it.
    only_with: Option<&'static str>,
}

impl Spec {
    fn function(&self) -> &'static str {
        self.point.split_once('/').map_or(self.point, |(_, function)| function)
    }

    fn is_at_kprobe(&self) -> bool {
        self.point.starts_with("kprobe/")
    }

    /// Attaches a program there; closing what this gives detaches it.
    fn attach(&self, program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        if !self.is_at_kprobe() {
            return program::attach_tracing(program);
        }
        // the link keeps the event
        let event = perf::kprobe(self.function())?;
        program::attach(program, Some(event.as_fd()), AT_KPROBE)
    }
}

/// Of programs that are called by kprobes.
const AT_KPROBE: Place = Place { program: sys::BPF_PROG_TYPE_KPROBE, attach: sys::BPF_PERF_EVENT, btf_id: 0 };

const fn spec(program: &'static str, point: &'static str, keeps: u8, optional: bool) -> Spec {
    Spec { program, point, keeps, socketcalls: &[], optional, only_with: None }
}

const fn fd(program: &'static str, point: &'static str, socketcalls: &'static [usize]) -> Spec {
    Spec { program, point, keeps: 0, socketcalls, optional: true, only_with: None }
}

/// What names of the kernel's have that don't say where their originals stand: since 7.0.
const NAMES_ALONE: &str = "__filename_head";

const fn since(program: &'static str, point: &'static str) -> Spec {
    Spec { only_with: Some(NAMES_ALONE), ..spec(program, point, NAMES, false) }
}

static SPECS: [Spec; 23] = [
    spec("on_putname", "fentry/putname", NAMES, false),
    spec("on_strndup_user", "fexit/strndup_user", NAMES, false),
    spec("on_address", "fexit/move_addr_to_kernel", ADDRESS, false),
    spec("on_message", "fentry/____sys_sendmsg", MESSAGES, true),
    spec("on_sender", "fentry/move_addr_to_user", SENDER | SENDERS, true),
    fd("on_bind", "fentry/__sys_bind", &[2]),
    fd("on_connect", "fentry/__sys_connect", &[3]),
    fd("on_sendto", "fentry/__sys_sendto", &[9, 11]),
    fd("on_sendmsg", "fentry/__sys_sendmsg", &[16]),
    since("kprobe_name", "kprobe/do_getname"),
    since("kprobe_own_name", "kprobe/do_getname_kernel"),
    spec("kprobe_putname", "kprobe/putname", NAMES, false),
    spec("kprobe_mount", "kprobe/security_sb_mount", NAMES, false),
    spec("kprobe_fsconfig", "kprobe/vfs_parse_fs_param", NAMES, false),
    spec("kprobe_address", "kprobe/security_socket_bind", ADDRESS, false),
    spec("kprobe_address", "kprobe/security_socket_connect", ADDRESS, false),
    spec("kprobe_address_of_message", "kprobe/security_socket_sendmsg", ADDRESS, false),
    spec("kprobe_message", "kprobe/____sys_sendmsg", MESSAGES, true),
    spec("kprobe_sender", "kprobe/move_addr_to_user", SENDER | SENDERS, true),
    fd("kprobe_fd", "kprobe/__sys_bind", &[2]),
    fd("kprobe_fd", "kprobe/__sys_connect", &[3]),
    fd("kprobe_fd", "kprobe/__sys_sendto", &[9, 11]),
    fd("kprobe_fd", "kprobe/__sys_sendmsg", &[16]),
];

/// Finds out by an empty program how this kernel lets programs be at its functions, and which of them it has. `kprobes`:
/// by these at any rate.
///
/// # Errors
/// What is in the way.
pub fn try_out(types: &KernelTypes, kprobes: bool) -> Result<Vec<&'static Spec>, WhyNot> {
    if !cfg!(target_arch = "x86_64") {
        return Err(WhyNot::Architecture);
    }
    let called = if kprobes { Err(WhyNot::Asked) } else { try_functions(types) };
    called.or_else(|called| {
        try_kprobes(types).map_err(|kprobes| WhyNot::Neither(Box::new(called), Box::new(kprobes)))
    })
}

fn try_functions(types: &KernelTypes) -> Result<Vec<&'static Spec>, WhyNot> {
    if types.has_structure(NAMES_ALONE) {
        return Err(WhyNot::NoOriginals);
    }
    let there = those_of(types, false)?;
    let btf_id = there.first().and_then(|spec| types.function(spec.function())).unwrap_or(0);
    let place = Place { program: sys::BPF_PROG_TYPE_TRACING, attach: sys::BPF_TRACE_FENTRY, btf_id };
    let refused = |error| WhyNot::Refused(format!("programs at functions are refused: {error}"));
    try_at(&there, place).map_err(refused)?;
    // last, since where the kernel refuses them anyway nobody need find out whether it preempts
    preemption::in_the_way().map_or(Ok(there), |why| Err(WhyNot::Preemption(why)))
}

fn try_kprobes(types: &KernelTypes) -> Result<Vec<&'static Spec>, WhyNot> {
    let there = those_of(types, true)?;
    let refused = |error| WhyNot::Refused(format!("kprobes can't be had: {error}"));
    // what it is attached to is no concern of its loading
    try_at(&there, Place { attach: 0, ..AT_KPROBE }).map_err(refused)?;
    Ok(there)
}

/// Those of which this kernel has the functions.
fn those_of(types: &KernelTypes, kprobes: bool) -> Result<Vec<&'static Spec>, WhyNot> {
    let is_used = |spec: &&Spec| {
        spec.is_at_kprobe() == kprobes
            && spec.only_with.is_none_or(|structure| types.has_structure(structure))
    };
    let mut there = Vec::new();
    for spec in SPECS.iter().filter(is_used) {
        match types.function(spec.function()) {
            Some(_) => there.push(spec),
            None if spec.optional => {}
            None => return Err(WhyNot::NoType(spec.function())),
        }
    }
    Ok(there)
}

/// Has an empty program be at the first of them.
fn try_at(there: &[&'static Spec], place: Place) -> io::Result<()> {
    let program = program::load(c"lanner_trial", place, &code::zero(None))?;
    there.first().map_or(Ok(()), |spec| spec.attach(program.as_fd()).map(drop))
}

/// One that was loaded.
struct Hook {
    spec: &'static Spec,
    program: OwnedFd,
    /// While it is attached.
    link: Option<OwnedFd>,
}

/// The programs.
pub struct Copies {
    hooks: Vec<Hook>,
    why_not: Option<WhyNot>,
}

impl Copies {
    /// Loads the programs, if the kernel takes such, which has been tried out.
    pub fn load(
        shared: &Shared,
        types: Option<&KernelTypes>,
        tried: Result<Vec<&'static Spec>, WhyNot>,
    ) -> Copies {
        let loaded =
            tried.and_then(|specs| hooks(shared, types, &specs).map_err(|error| WhyNot::refused(&error)));
        match loaded {
            Ok(hooks) => Copies { hooks, why_not: None },
            Err(why) => Copies { hooks: Vec::new(), why_not: Some(why) },
        }
    }

    /// Attaches what the wanted calls need, and detaches the rest. Whether copies are kept now.
    pub fn follow(&mut self, wanted: &Wanted) -> bool {
        let kept = kept(wanted);
        for hook in &mut self.hooks {
            if !is_needed(hook.spec, kept, wanted) {
                hook.link = None;
            } else if hook.link.is_none() {
                match hook.spec.attach(hook.program.as_fd()) {
                    Ok(link) => hook.link = Some(link),
                    Err(error) => {
                        self.why_not = Some(WhyNot::Refused(format!("{}: {error}", hook.spec.point)));
                    }
                }
            }
        }
        self.attached().next().is_some()
    }

    /// Where programs are attached.
    pub fn points(&self) -> impl Iterator<Item = String> {
        self.attached().map(|hook| hook.spec.point.to_string())
    }

    /// The programs that are attached.
    pub fn programs(&self) -> impl Iterator<Item = &OwnedFd> {
        self.attached().map(|hook| &hook.program)
    }

    fn attached(&self) -> impl Iterator<Item = &Hook> {
        self.hooks.iter().filter(|hook| hook.link.is_some())
    }

    /// Whether they are kept by kprobes.
    pub fn are_by_kprobes(&self) -> bool {
        self.hooks.iter().any(|hook| hook.spec.is_at_kprobe())
    }

    /// Why copies are not used.
    pub fn why_not(&self) -> Option<String> {
        self.why_not.as_ref().map(ToString::to_string)
    }
}

fn hooks(
    shared: &Shared,
    types: Option<&KernelTypes>,
    specs: &[&'static Spec],
) -> Result<Vec<Hook>, ProbeError> {
    log::start();
    let mut object = MaybeUninit::uninit();
    let mut builder = ProbeSkelBuilder::default();
    fit_to(types, builder.object_builder_mut());
    let mut open = builder.open(&mut object).map_err(|e| refused(&e))?;
    let names: Vec<&str> = specs.iter().map(|spec| spec.program).collect();
    shared.give(&mut open, &names, |_| Ok(()))?;
    let loaded = open.load().map_err(|e| refused(&e))?;
    let hook = |spec: &&'static Spec| {
        let program = loaded.object().progs().find(|program| program.name() == spec.program);
        let program = program.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
        let program = program.and_then(|program| program.as_fd().try_clone_to_owned());
        program
            .map(|program| Hook { spec, program, link: None })
            .map_err(|source| ProbeError::Attach { program: spec.program.into(), source })
    };
    specs.iter().map(hook).collect()
}

/// Whether a point is one where copies are kept.
pub fn is_point(point: &str) -> bool {
    SPECS.iter().any(|spec| spec.point == point)
}

/// Whether a program keeps something for a wanted call.
fn is_needed(spec: &Spec, kept: u8, wanted: &Wanted) -> bool {
    let behind = |&call: &usize| wanted.socketcalls.get(call).is_some_and(|&plan| plan != 0);
    spec.keeps & kept != 0 || spec.socketcalls.iter().any(behind)
}

/// What the wanted calls are given, of which copies are kept.
fn kept(wanted: &Wanted) -> u8 {
    let plans = wanted.native.iter().chain(&wanted.ia32).chain(&wanted.socketcalls);
    let kept = plans.filter_map(|plan| KEEPS.get(usize::from(*plan).checked_sub(1)?));
    kept.fold(0, |all, one| all | one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::Kind;
    use lanner_event::{EventType, types};

    fn of(ty: EventType) -> u8 {
        kept(&Wanted::of(&[ty].into_iter().collect()))
    }

    #[test]
    fn programs_are_attached_for_calls_that_are_given_names_or_an_address() {
        for ty in [types::SYSCALL_OPENAT_2_X, types::SYSCALL_EXECVE_19_X, types::SYSCALL_MOUNT_X] {
            assert_eq!(of(ty), NAMES);
        }
        for ty in
            [types::SOCKET_CONNECT_X, types::SOCKET_BIND_X, types::SOCKET_SENDTO_X, types::SOCKET_SENDMSG_X]
        {
            assert_eq!(of(ty), ADDRESS);
        }
        assert_eq!(of(types::SOCKET_SENDMMSG_X), MESSAGES);
        for ty in [types::SOCKET_RECVFROM_X, types::SOCKET_RECVMSG_X] {
            assert_eq!(of(ty), SENDER);
        }
        assert_eq!(of(types::SOCKET_RECVMMSG_X), SENDERS);
        for ty in [types::SYSCALL_CLOSE_X, types::SOCKET_ACCEPT_5_X, types::SYSCALL_READ_X] {
            assert_eq!(of(ty), 0);
        }
    }

    #[test]
    fn the_kernels_types_are_asked_for_each_function() {
        for spec in &SPECS {
            let key = (Kind::FUNC, spec.function());
            assert!(crate::types::ASKED.contains(&key), "{}", spec.point);
        }
    }

    #[test]
    fn no_call_is_given_both_names_and_an_address() {
        assert!(KEEPS.iter().all(|keeps| keeps & NAMES == 0 || *keeps == NAMES));
    }

    #[test]
    fn the_same_is_kept_either_way() {
        let kept = |kprobes| {
            let specs = || SPECS.iter().filter(move |spec| spec.is_at_kprobe() == kprobes);
            let mut calls: Vec<usize> = specs().flat_map(|spec| spec.socketcalls).copied().collect();
            calls.sort_unstable();
            (specs().fold(0, |all, spec| all | spec.keeps), calls)
        };
        assert_eq!(kept(true), kept(false));
    }

    #[test]
    fn the_fd_of_a_socketcall_is_kept_where_the_call_behind_it_is_wanted() {
        for (ty, functions) in [
            (types::SOCKET_BIND_X, vec!["__sys_bind"]),
            (types::SOCKET_CONNECT_X, vec!["__sys_connect"]),
            (types::SOCKET_SENDMSG_X, vec!["__sys_sendmsg"]),
            (types::SOCKET_SENDTO_X, vec!["__sys_sendto"]),
            (types::SOCKET_LISTEN_X, vec![]),
        ] {
            let wanted = Wanted::of(&[ty].into_iter().collect());
            for kprobes in [false, true] {
                let fds = SPECS.iter().filter(|spec| spec.is_at_kprobe() == kprobes && spec.keeps == 0);
                let needed = fds.filter(|spec| is_needed(spec, 0, &wanted));
                assert_eq!(needed.map(Spec::function).collect::<Vec<_>>(), functions);
            }
        }
    }
}
