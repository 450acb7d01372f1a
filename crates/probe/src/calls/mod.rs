//! Where the end of a call is seen: at the end of its own function (fexit), so that no other call costs anything, or
//! at the end of every call (`sys_exit`).

mod change;
mod functions;
mod handlers;
mod hooks;
pub mod preemption;
mod under_way;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lanner_event::types;
use libbpf_rs::btf::Btf;

use change::{Change, Goal, PASSING, Parts, Teller, Turn};
use functions::Function;
pub use functions::Functions;
use handlers::Entry;
pub use handlers::Shared;
pub use handlers::fill;
use hooks::Hooks;
use under_way::UnderWay;

use crate::plans::Wanted;
use crate::sys::closer::Closer;
use crate::tracepoints::{Hook, Tracepoints};
use crate::{CallPoint, EventSet, ProbeError};

/// Why the ends of calls' functions are not used.
#[derive(Debug, thiserror::Error)]
pub enum WhyNot {
    /// The configuration says so.
    #[error("as configured")]
    Asked,
    /// It has to be asked for.
    #[error("only with `lanner.attachment: fexit`")]
    Unasked,
    /// Nobody has looked at this architecture's functions.
    #[error("known for x86_64 only")]
    Architecture,
    /// So many that one program for all is better.
    #[error("generic events are asked for, which every call of the host can be")]
    EveryCall,
    /// A third ABI, with functions of its own.
    #[error("this kernel serves x32 programs, whose functions are not known")]
    X32,
    /// It can't be said by name where a program goes.
    #[error("this kernel's types don't tell of the function {function}")]
    NoType {
        /// Its name.
        function: String,
    },
    /// Threads may interrupt each other in the middle of a program.
    #[error("{0}")]
    Preemption(String),
    /// Programs may not keep notes of a thread.
    #[error("this kernel gives programs no memory of a thread (5.13 does)")]
    NoNotes,
    /// What is going on can't be seen whole.
    #[error("lanner runs in a pid namespace of its own, from which not all threads are seen")]
    OtherPids,
    /// The kernel refused a program.
    #[error("{0}")]
    Refused(ProbeError),
}

/// The ends of calls.
pub struct Calls {
    choice: CallPoint,
    functions: Option<Functions>,
    shared: Shared,
    /// The program of `sys_exit`, and where it is attached.
    sys_exit: OwnedFd,
    hook: Hook,
    point: String,
    /// `None` while a change has them.
    parts: Option<Parts>,
    change: Option<Change>,
    /// What is to be changed next.
    goal: Option<Goal>,
    /// How many functions there will be in the end of a change that leads to them.
    moving_to: Option<usize>,
    why_not: Option<WhyNot>,
    /// What detaches programs in the end; made at first, for later that may not be permitted any more.
    closer: Option<Closer>,
}

impl Calls {
    /// Attaches `sys_exit`; what is wanted may lead to the functions later.
    ///
    /// # Errors
    /// When `sys_exit` can't be used.
    pub fn attach(
        choice: CallPoint,
        sys_exit: BorrowedFd<'_>,
        tracepoints: &Tracepoints,
        functions: Option<Functions>,
        shared: Shared,
        wanted: &Wanted,
    ) -> Result<Calls, ProbeError> {
        let sys_exit = sys_exit.try_clone_to_owned().map_err(refused)?;
        let hook = tracepoints.hook(SYS_EXIT).map_err(refused)?;
        let link = hook.attach(sys_exit.as_fd()).map_err(refused)?;
        let teller = Teller::new(shared.handle("turn")?);
        let parts = Parts { hooks: Hooks::default(), teller, sys_exit: Some(link), under_way: None };
        let mut calls = Calls {
            choice,
            functions,
            shared,
            sys_exit,
            hook,
            point: tracepoints.point(SYS_EXIT),
            parts: Some(parts),
            change: None,
            goal: None,
            moving_to: None,
            why_not: None,
            closer: None,
        };
        calls.aim(wanted)?;
        Ok(calls)
    }

    /// Has what will be wanted told from now on, by `sys_exit` if need be.
    ///
    /// # Errors
    /// When that can't be done.
    pub fn follow(&mut self, wanted: &Wanted) -> Result<(), ProbeError> {
        self.stop();
        self.aim(wanted)?;
        let Some(parts) = &mut self.parts else { return Ok(()) };
        if parts.sys_exit.is_none() && !matches!(self.goal, Some(Goal::Fewer(_))) {
            parts.sys_exit = Some(self.hook.attach(self.sys_exit.as_fd()).map_err(refused)?);
            parts.teller.begin();
            parts.teller.set(Turn::Marked)?;
            // calls that have been told without a mark
            std::thread::sleep(PASSING);
            parts.teller.set(Turn::Both)?;
        }
        Ok(())
    }

    /// Loads what the wanted calls take and decides where to go from here.
    fn aim(&mut self, wanted: &Wanted) -> Result<(), ProbeError> {
        let functions = self.prepare(wanted);
        let Some(parts) = &self.parts else { return Ok(()) };
        self.goal = match &functions {
            Ok(functions) if parts.sys_exit.is_none() && parts.hooks.are_attached(functions) => {
                Some(Goal::Fewer(functions.clone()))
            }
            Ok(functions) => Some(Goal::Functions(functions.clone())),
            Err(_) => (parts.teller.turn() != Turn::SysExit).then_some(Goal::SysExit),
        };
        self.moving_to = match &self.goal {
            Some(Goal::Functions(functions)) => Some(functions.len()),
            _ => None,
        };
        self.why_not = functions.err();
        Ok(())
    }

    /// Goes on with what is to be changed; whether anything has.
    ///
    /// # Errors
    /// When the kernel side can't be told.
    pub fn advance(&mut self) -> Result<bool, ProbeError> {
        let over = self.change.as_ref().is_some_and(Change::is_over);
        if over {
            self.stop();
            self.moving_to = None;
        }
        if let (None, Some(goal)) = (&self.change, self.goal.take()) {
            let Some(mut parts) = self.parts.take() else { return Ok(over) };
            if matches!(goal, Goal::Functions(_)) && parts.teller.turn() == Turn::SysExit {
                parts.teller.begin();
                parts.teller.set(Turn::Both)?;
            }
            self.change = Some(Change::begin(parts, goal));
        }
        Ok(over)
    }

    fn stop(&mut self) {
        if let Some(change) = self.change.take() {
            let (parts, done) = change.end();
            self.parts = Some(parts);
            if let Err(why) = done {
                self.why_not = Some(why);
            }
        }
    }

    /// Loads a program for each function that may ever be wanted. What is refused is told when it is wanted.
    pub fn load_ahead(&mut self) {
        let mut events = EventSet::all();
        events.remove(types::GENERIC_X);
        let _ = self.prepare(&Wanted::of(&events));
    }

    /// Loads a program for each function whose end is wanted, if they may be used at all; says which these are.
    fn prepare(&mut self, wanted: &Wanted) -> Result<Vec<u32>, WhyNot> {
        let serving = self.serving(wanted)?;
        let filter = self.functions.as_ref().and_then(|functions| functions.filter.as_ref());
        let Some(parts) = &mut self.parts else { return Ok(Vec::new()) };
        if parts.under_way.is_none() {
            parts.under_way = Some(UnderWay::load(&self.shared).map_err(WhyNot::Refused)?);
            self.closer = Closer::new().ok();
        }
        let filter = filter.map(|(filter, _)| (Entry::Denied, filter));
        let all = serving.iter().map(|function| (Entry::Return, function)).chain(filter);
        all.map(|(entry, function)| {
            parts.hooks.prepare(&self.shared, entry, function).map_err(WhyNot::Refused)?;
            Ok(function.id)
        })
        .collect()
    }

    /// The functions whose ends are all that is wanted, if they may be used.
    fn serving(&self, wanted: &Wanted) -> Result<Vec<Function>, WhyNot> {
        match self.choice {
            CallPoint::Fexit => {}
            CallPoint::SysExit | CallPoint::Records => return Err(WhyNot::Asked),
            CallPoint::Auto => return Err(WhyNot::Unasked),
        }
        if let Some(why) = preemption::in_the_way() {
            return Err(WhyNot::Preemption(why));
        }
        let functions = self.functions.as_ref().ok_or(WhyNot::Architecture)?;
        if !self.shared.can_note {
            return Err(WhyNot::NoNotes);
        }
        if !under_way::sees_all() {
            return Err(WhyNot::OtherPids);
        }
        functions.serving(wanted)
    }

    /// Where the ends of calls are seen now.
    pub fn points(&self) -> Vec<String> {
        let Some(parts) = &self.parts else {
            return vec!["fexit and tp_btf/sys_exit, until the calls under way have ended".into()];
        };
        let functions = parts.hooks.programs().count();
        let functions = (functions > 0).then(|| format!("fexit of {functions} functions"));
        let all = parts.sys_exit.is_some().then(|| self.point.clone());
        functions.into_iter().chain(all).collect()
    }

    /// To how many functions it is on its way.
    pub fn moving_to(&self) -> Option<usize> {
        self.moving_to
    }

    /// Why it is not the functions, nor will be.
    pub fn why_not(&self) -> Option<String> {
        self.why_not.as_ref().map(ToString::to_string)
    }

    /// The programs that are attached, as far as they aren't being changed.
    pub fn programs(&self) -> impl Iterator<Item = &OwnedFd> {
        let parts = self.parts.as_ref();
        let everywhere = parts.is_none_or(|parts| parts.sys_exit.is_some()).then_some(&self.sys_exit);
        everywhere.into_iter().chain(parts.into_iter().flat_map(|parts| parts.hooks.programs()))
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.stop();
        let Some(parts) = &mut self.parts else { return };
        // detaching takes long; for as long as they are still attached, programs at functions have nothing to tell
        if let (Some(closer), Ok(())) = (self.closer.take(), parts.teller.set(Turn::SysExit)) {
            closer.close(parts.hooks.take_links());
        }
    }
}

const SYS_EXIT: &str = "sys_exit";

/// Whether a point is one where the ends of calls are seen.
pub fn is_point(point: &str) -> bool {
    point.ends_with("/sys_exit") || point.starts_with("fexit")
}

fn refused(source: io::Error) -> ProbeError {
    ProbeError::Attach { program: "on_syscall".into(), source }
}

/// What this kernel's types say of its functions; nothing where they are not asked for.
pub fn functions(choice: CallPoint) -> Option<Functions> {
    let usable = cfg!(target_arch = "x86_64") && choice == CallPoint::Fexit;
    usable.then(|| Some(Functions::of(&Btf::from_vmlinux().ok()?))).flatten()
}
