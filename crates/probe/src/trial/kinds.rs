//! The kinds of attachment, one line each.

use std::fs;
use std::io;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use libbpf_rs::btf::types::{Func, Typedef};
use libbpf_rs::btf::{Btf, BtfType};
use libbpf_rs::libbpf_sys as sys;

use super::Need;
use crate::code;

/// What a program is attached to.
#[derive(Clone, Copy)]
pub enum Target {
    /// A tracepoint, by its type in BTF.
    Tracepoint(&'static str),
    /// A kernel function.
    Function(&'static str),
    /// The root of the cgroup hierarchy.
    Cgroup,
    /// Nothing: it is enough that the program is accepted, and that this file exists.
    Feature(&'static str),
}

/// A kind of attachment and how it is tried.
pub struct Kind {
    pub name: &'static str,
    pub need: Need,
    pub cost: &'static str,
    pub program: u32,
    pub attach: u32,
    pub target: Target,
    /// The program, given the map to leave its mark in.
    pub code: fn(Option<BorrowedFd<'_>>) -> Vec<u64>,
    /// What makes it run; none where that would disturb.
    pub trigger: Option<fn()>,
    /// Whether the kernel's yes to loading is the answer.
    pub load_only: bool,
}

const NOTHING_SEEN: &str = "nothing can be watched";
const FROM_PROC: &str =
    "what runs at the start is read from /proc: slower, and short-lived threads may be missed";
const EVERY_CALL: &str = "every call of the host passes a small program, not only those that rules need";
const FORGEABLE: &str =
    "names and addresses that calls are given are read from memory that other threads may have changed";
const FORGEABLE_ELSEWHERE: &str = "where programs can't be at functions, or may be stopped there, names and addresses that \
     calls are given are read from memory that other threads may have changed";
const NOT_USED: &str = "nothing: this version does not use it";

/// A kind that is attached to a tracepoint of the kernel.
const fn tracepoint(name: &'static str, point: &'static str, trigger: Option<fn()>) -> Kind {
    Kind {
        name,
        need: Need::Needed,
        cost: NOTHING_SEEN,
        program: sys::BPF_PROG_TYPE_TRACING,
        attach: sys::BPF_TRACE_RAW_TP,
        target: Target::Tracepoint(point),
        code: code::zero,
        trigger,
        load_only: false,
    }
}

/// A kind that is attached to a function.
const fn function(name: &'static str, program: u32, attach: u32, function: &'static str) -> Kind {
    Kind {
        name,
        need: Need::Unused,
        cost: NOT_USED,
        program,
        attach,
        target: Target::Function(function),
        code: code::zero,
        trigger: Some(make_calls),
        load_only: false,
    }
}

/// Iterators run when they are read, which the probe's own do.
const fn iterator(name: &'static str, over: &'static str) -> Kind {
    Kind {
        need: Need::Better,
        cost: FROM_PROC,
        trigger: None,
        ..function(name, sys::BPF_PROG_TYPE_TRACING, sys::BPF_TRACE_ITER, over)
    }
}

/// All kinds, those that are needed first.
pub const KINDS: &[Kind] = &[
    tracepoint("tp_btf/sys_exit", "sys_exit", Some(make_calls)),
    tracepoint("tp_btf/sched_process_fork", "sched_process_fork", Some(start_thread)),
    tracepoint("tp_btf/sched_process_exec", "sched_process_exec", None),
    tracepoint("tp_btf/sched_process_exit", "sched_process_exit", Some(start_thread)),
    Kind {
        need: Need::Better,
        cost: "a new thread's event does not say by which call it was made",
        code: code::registers,
        load_only: true,
        ..tracepoint("helper task_pt_regs", "sys_exit", None)
    },
    iterator("iter/task", "bpf_iter_task"),
    iterator("iter/task_file", "bpf_iter_task_file"),
    Kind {
        need: Need::Better,
        cost: FORGEABLE,
        ..function("fentry", sys::BPF_PROG_TYPE_TRACING, sys::BPF_TRACE_FENTRY, SYSTEM_CALL)
    },
    Kind {
        need: Need::Better,
        cost: EVERY_CALL,
        ..function("fexit", sys::BPF_PROG_TYPE_TRACING, sys::BPF_TRACE_FEXIT, SYSTEM_CALL)
    },
    function("lsm", sys::BPF_PROG_TYPE_LSM, sys::BPF_LSM_MAC, "bpf_lsm_file_open"),
    Kind {
        need: Need::Better,
        cost: FORGEABLE_ELSEWHERE,
        target: Target::Feature("/sys/bus/event_source/devices/kprobe"),
        trigger: None,
        ..function("kprobe", sys::BPF_PROG_TYPE_KPROBE, 0, "")
    },
    Kind {
        target: Target::Cgroup,
        code: code::one,
        trigger: Some(connect),
        ..function("cgroup/connect4", sys::BPF_PROG_TYPE_CGROUP_SOCK_ADDR, sys::BPF_CGROUP_INET4_CONNECT, "")
    },
];

/// A system call's function; the prefix is the architecture's.
const SYSTEM_CALL: &str = "sys_openat";

/// What a function is called on this architecture.
pub fn function_name(name: &str) -> String {
    let prefix = if cfg!(target_arch = "aarch64") { "__arm64_" } else { "__x64_" };
    if name == SYSTEM_CALL { format!("{prefix}{name}") } else { name.to_string() }
}

/// The id of a named type of one kind: different kinds may share a name, and do (`bpf_iter_task`).
fn find<'b, K>(btf: &'b Btf<'_>, name: &str) -> Option<u32>
where
    K: TryFrom<BtfType<'b>> + Deref<Target = BtfType<'b>>,
{
    btf.type_by_kind::<K>().find(|ty| ty.name().is_some_and(|n| n == name)).map(|ty| ty.type_id().into())
}

/// The id of a type's name.
pub fn typedef(btf: &Btf<'_>, name: &str) -> Option<u32> {
    find::<Typedef<'_>>(btf, name)
}

/// The id of a function.
pub fn function_id(btf: &Btf<'_>, name: &str) -> Option<u32> {
    find::<Func<'_>>(btf, name)
}

/// Where cgroup version 2 is mounted.
pub fn cgroup_root() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let place = mounts.lines().find_map(|line| {
        let mut parts = line.split(' ').skip(1);
        let (place, kind) = (parts.next()?, parts.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(place))
    });
    place.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "cgroup version 2 is not mounted"))
}

/// An opened file: what functions and hooks of the table run at.
fn make_calls() {
    let _ = fs::File::open("/proc/self/stat");
}

/// A connection that sends nothing: UDP only notes the address.
fn connect() {
    let _ = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.connect("127.0.0.1:9"));
}

/// A thread that begins and ends.
fn start_thread() {
    let _ = std::thread::spawn(|| {}).join();
}
