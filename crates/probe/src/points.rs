//! Attachment points that few event types need: their programs are loaded where the kernel has the point, and
//! attached only while one of their types is wanted.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lanner_event::{EventType, types};

use crate::sys::program;
use crate::{EventSet, ProbeError};

/// A point, and what it is for.
pub struct Spec {
    /// The program's name.
    pub program: &'static str,
    /// The kernel's tracepoint.
    pub tracepoint: &'static str,
    /// The types that its program writes.
    pub types: &'static [EventType],
}

/// All of them.
pub const SPECS: [Spec; 3] = [
    Spec {
        program: "on_enter",
        tracepoint: "sys_enter",
        types: &[
            types::SYSCALL_OPEN_E,
            types::SYSCALL_OPENAT_2_E,
            types::SYSCALL_OPENAT2_E,
            types::SYSCALL_CREAT_E,
            types::SOCKET_CONNECT_E,
        ],
    },
    Spec { program: "on_switch", tracepoint: "sched_switch", types: &[types::SCHEDSWITCH_6_E] },
    Spec { program: "on_signal", tracepoint: "signal_deliver", types: &[types::SIGNALDELIVER_E] },
];

/// One that was loaded.
struct Point {
    spec: &'static Spec,
    program: OwnedFd,
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
    /// When its descriptor cannot be doubled.
    pub fn add(&mut self, spec: &'static Spec, program: BorrowedFd<'_>) -> Result<(), ProbeError> {
        let program = program
            .try_clone_to_owned()
            .map_err(|source| ProbeError::Attach { program: spec.program.into(), source })?;
        self.points.push(Point { spec, program, link: None });
        Ok(())
    }

    /// Attaches those that the set needs and detaches the others.
    ///
    /// # Errors
    /// When the kernel refuses one; the others are attached all the same.
    pub fn follow(&mut self, events: &EventSet) -> Result<(), ProbeError> {
        let mut refused = Ok(());
        for point in &mut self.points {
            let needed = point.spec.types.iter().any(|&ty| events.contains(ty));
            if !needed {
                point.link = None;
            } else if point.link.is_none() {
                match program::attach_tracepoint(point.program.as_fd()) {
                    Ok(link) => point.link = Some(link),
                    Err(source) => {
                        refused = Err(ProbeError::Attach { program: point.spec.program.into(), source });
                    }
                }
            }
        }
        refused
    }

    /// The tracepoints that are attached.
    pub fn attached(&self) -> impl Iterator<Item = &'static str> {
        self.points.iter().filter(|point| point.link.is_some()).map(|point| point.spec.tracepoint)
    }
}
