//! Attachment points that few event types need: their programs are loaded where the kernel has the point, and
//! attached only while one of their types is wanted.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lanner_event::{EventType, types};

use crate::calls::{self, Functions};
use crate::tracepoints::{Hook, Tracepoints};
use crate::types::KernelTypes;
use crate::{EventSet, ProbeError, ProbeOptions, copies, plans};

/// A point, and what it is for.
pub struct Spec {
    /// The program's name.
    pub program: &'static str,
    /// The kernel's tracepoint.
    pub tracepoint: &'static str,
    /// Whether one of the set's types comes from it.
    pub needed: fn(&EventSet) -> bool,
}

fn any(events: &EventSet, types: &[EventType]) -> bool {
    types.iter().any(|&ty| events.contains(ty))
}

/// Whether the beginning of calls is wanted.
pub fn beginnings(events: &EventSet) -> bool {
    let types = [
        types::SYSCALL_OPEN_E,
        types::SYSCALL_OPENAT_2_E,
        types::SYSCALL_OPENAT2_E,
        types::SYSCALL_CREAT_E,
        types::SOCKET_CONNECT_E,
    ];
    any(events, &types)
}

fn operations(events: &EventSet) -> bool {
    let plans = plans::OPERATION_PLANS.iter().filter_map(|plan| plan.checked_sub(1));
    plans.filter_map(|plan| plans::PLANS.get(usize::from(plan))).any(|&ty| events.contains(ty))
}

/// All of them. What io_uring completes must be known to have been submitted, so that comes last.
pub const SPECS: [Spec; 5] = [
    Spec { program: "on_enter", tracepoint: "sys_enter", needed: beginnings },
    Spec {
        program: "on_switch",
        tracepoint: "sched_switch",
        needed: |events| any(events, &[types::SCHEDSWITCH_6_E]),
    },
    Spec {
        program: "on_signal",
        tracepoint: "signal_deliver",
        needed: |events| any(events, &[types::SIGNALDELIVER_E]),
    },
    Spec { program: "on_complete", tracepoint: "io_uring_complete", needed: operations },
    Spec { program: "on_submit", tracepoint: "io_uring_submit_req", needed: operations },
];

/// The points of io_uring in this kernel.
pub struct IoUring {
    /// What the one of submission is called.
    pub submit: &'static str,
    /// Whether that of completion hands out numbers; later kernels hand out a pointer to them.
    pub by_value: bool,
}

/// What the running kernel has.
pub struct Kernel<'a> {
    /// Its types.
    pub types: Option<&'a KernelTypes>,
    /// `None`: it has no io_uring, or it is one before 6.0, which hands out too little.
    pub io_uring: Option<IoUring>,
    /// The functions of calls, if they may be used.
    pub functions: Option<Functions>,
    /// The programs that may be where the kernel copies what calls are given.
    pub copies: Result<Vec<&'static copies::Spec>, copies::WhyNot>,
    /// How programs are at its tracepoints.
    pub tracepoints: Tracepoints,
}

impl<'a> Kernel<'a> {
    /// Looks.
    pub fn look(options: &ProbeOptions, types: Option<&'a KernelTypes>) -> Kernel<'a> {
        let copies = match types {
            _ if !options.copies => Err(copies::WhyNot::Asked),
            None => Err(copies::WhyNot::NoTypes),
            Some(types) => copies::try_out(types, options.kprobes),
        };
        let tracepoints = Tracepoints::choose(options, types);
        let functions = calls::functions(options.calls).filter(|_| !tracepoints.are_recorded());
        Kernel { types, io_uring: types.and_then(io_uring), functions, copies, tracepoints }
    }
}

/// What a request holds of its operation, in the form that the programs read: since 6.0.
const OPERATION: &str = "io_cmd_data";

fn io_uring(types: &KernelTypes) -> Option<IoUring> {
    if !types.has_structure(OPERATION) {
        return None;
    }
    let known = |name: &&str| types.tracepoint(name).is_some();
    let submit = ["io_uring_submit_req", "io_uring_submit_sqe"].into_iter().find(known)?;
    // ring, request, and either a pointer or five numbers
    let by_value = types.of_completions? > 4;
    Some(IoUring { submit, by_value })
}

/// One that was loaded.
struct Point {
    spec: &'static Spec,
    program: OwnedFd,
    hook: Hook,
    /// While it is attached.
    link: Option<OwnedFd>,
}

/// Those that were loaded.
#[derive(Default)]
pub struct Points {
    points: Vec<Point>,
}

impl Points {
    /// Takes a loaded program.
    ///
    /// # Errors
    /// When its descriptor cannot be doubled, or its place can't be had.
    pub fn add(
        &mut self,
        spec: &'static Spec,
        program: BorrowedFd<'_>,
        tracepoints: &Tracepoints,
    ) -> Result<(), ProbeError> {
        let ready = program.try_clone_to_owned().and_then(|program| {
            Ok(Point { spec, program, hook: tracepoints.hook(spec.tracepoint)?, link: None })
        });
        self.points
            .push(ready.map_err(|source| ProbeError::Attach { program: spec.program.into(), source })?);
        Ok(())
    }

    /// Attaches those that the set needs and detaches the others.
    ///
    /// # Errors
    /// When the kernel refuses one; the others are attached all the same.
    pub fn follow(&mut self, events: &EventSet) -> Result<(), ProbeError> {
        let mut refused = Ok(());
        for point in &mut self.points {
            let needed = (point.spec.needed)(events);
            if !needed {
                point.link = None;
            } else if point.link.is_none() {
                match point.hook.attach(point.program.as_fd()) {
                    Ok(link) => point.link = Some(link),
                    Err(source) => {
                        refused = Err(ProbeError::Attach { program: point.spec.program.into(), source });
                    }
                }
            }
        }
        refused
    }

    /// The programs.
    pub fn programs(&self) -> impl Iterator<Item = &OwnedFd> {
        self.points.iter().map(|point| &point.program)
    }

    /// The tracepoints that are attached.
    pub fn attached(&self) -> impl Iterator<Item = &'static str> {
        self.points.iter().filter(|point| point.link.is_some()).map(|point| point.spec.tracepoint)
    }
}
