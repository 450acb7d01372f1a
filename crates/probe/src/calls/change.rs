//! Going over from `sys_exit` to the functions and back, on a thread of its own: attaching takes long. Meanwhile both
//! are attached, and each call is told once (bpf/turn.h).

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use super::WhyNot;
use super::hooks::Hooks;
use super::under_way::UnderWay;
use crate::ProbeError;
use crate::load::map_error;

/// Who tells the end of a call; numbers as in bpf/turn.h.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// `sys_exit` alone.
    SysExit = 0,
    /// The function; `sys_exit`, if it is attached, nothing.
    Function = 1,
    /// As before, but marks are made and taken away.
    Marked = 2,
    /// The function, or else `sys_exit`.
    Both = 3,
}

/// Longer than a call takes from the end of its function to `sys_exit`.
pub const PASSING: Duration = Duration::from_millis(5);

/// How often it is looked whether older calls have ended.
const LOOK: Duration = Duration::from_millis(200);

/// The kernel side's state.
pub struct Teller {
    map: MapHandle,
    change: u32,
    turn: Turn,
}

impl Teller {
    /// At first `sys_exit` tells.
    pub fn new(map: MapHandle) -> Teller {
        Teller { map, change: 0, turn: Turn::SysExit }
    }

    /// Who tells now.
    pub fn turn(&self) -> Turn {
        self.turn
    }

    /// Begins a change: marks of earlier ones count no more.
    pub fn begin(&mut self) {
        self.change = (self.change + 1) & 0x3fff_ffff;
    }

    /// Sets who tells.
    pub fn set(&mut self, turn: Turn) -> Result<(), ProbeError> {
        let value = self.change << 2 | turn as u32;
        self.map
            .update(&0u32.to_ne_bytes(), &value.to_ne_bytes(), MapFlags::ANY)
            .map_err(map_error("turn"))?;
        self.turn = turn;
        Ok(())
    }
}

/// All that a change works on.
pub struct Parts {
    pub hooks: Hooks,
    pub teller: Teller,
    /// While `sys_exit` is attached.
    pub sys_exit: Option<OwnedFd>,
    pub under_way: Option<UnderWay>,
}

/// Where a change leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Goal {
    /// To these functions; until it is reached, both are attached and tell.
    Functions(Vec<u32>),
    /// To `sys_exit`, which is attached.
    SysExit,
    /// To fewer functions than before.
    Fewer(Vec<u32>),
}

/// A change on its way.
pub struct Change {
    thread: JoinHandle<(Parts, Result<(), WhyNot>)>,
    stop: Arc<AtomicBool>,
}

impl Change {
    /// Begins one.
    pub fn begin(parts: Parts, goal: Goal) -> Change {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || run(parts, &goal, &stopped));
        Change { thread, stop }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it, if need be half-way, where each call is told too.
    pub fn end(self) -> (Parts, Result<(), WhyNot>) {
        self.stop.store(true, Ordering::Relaxed);
        // a panic there is one of ours
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn run(mut parts: Parts, goal: &Goal, stop: &AtomicBool) -> (Parts, Result<(), WhyNot>) {
    let mut done = match goal {
        Goal::Functions(functions) => to_functions(&mut parts, functions, stop),
        Goal::SysExit => to_sys_exit(&mut parts),
        Goal::Fewer(functions) => {
            parts.hooks.keep(functions);
            Ok(())
        }
    };
    if done.is_err() && *goal != Goal::SysExit {
        done = to_sys_exit(&mut parts).and(done);
    }
    (parts, done.map_err(WhyNot::Refused))
}

fn to_functions(parts: &mut Parts, functions: &[u32], stop: &AtomicBool) -> Result<(), ProbeError> {
    let stopped = || stop.load(Ordering::Relaxed);
    for function in functions {
        if stopped() {
            return Ok(());
        }
        parts.hooks.attach(*function)?;
    }
    parts.hooks.keep(functions);
    let Some(under_way) = &parts.under_way else { return Ok(()) };
    let mut round = 1;
    while under_way.count(round).map_err(|source| ProbeError::Wait { source })? > 0 {
        std::thread::sleep(LOOK);
        if stopped() {
            return Ok(());
        }
        round += 1;
    }
    parts.teller.set(Turn::Function)?;
    parts.sys_exit = None;
    Ok(())
}

fn to_sys_exit(parts: &mut Parts) -> Result<(), ProbeError> {
    parts.hooks.keep(&[]);
    std::thread::sleep(PASSING);
    parts.teller.set(Turn::SysExit)
}
