//! Where the end of a call is seen: at the end of its own function (fexit), so that no other call costs anything, or
//! at the end of every call (`sys_exit`).

mod functions;
mod handlers;
mod hooks;
mod preemption;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libbpf_rs::btf::Btf;

use functions::Function;
pub use functions::Functions;
use handlers::Entry;
pub use handlers::Shared;
use hooks::Hooks;

use crate::plans::Wanted;
use crate::sys::program;
use crate::{CallPoint, ProbeError};

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
    /// The kernel refused a program.
    #[error("{0}")]
    Refused(ProbeError),
}

/// The ends of calls.
pub struct Calls {
    choice: CallPoint,
    functions: Option<Functions>,
    /// The program of `sys_exit`, and its link while it is attached.
    sys_exit: OwnedFd,
    link: Option<OwnedFd>,
    hooks: Hooks,
    why_not: Option<WhyNot>,
}

impl Calls {
    /// Attaches what the wanted calls take.
    ///
    /// # Errors
    /// When not even `sys_exit` can be used.
    pub fn attach(
        choice: CallPoint,
        sys_exit: BorrowedFd<'_>,
        functions: Option<Functions>,
        shared: Shared,
        wanted: &Wanted,
    ) -> Result<Calls, ProbeError> {
        let sys_exit = sys_exit.try_clone_to_owned().map_err(refused)?;
        let mut calls =
            Calls { choice, functions, sys_exit, link: None, hooks: Hooks::new(shared), why_not: None };
        calls.follow(wanted)?;
        calls.leave_others(wanted);
        Ok(calls)
    }

    /// Attaches what other calls take, before they are wanted.
    ///
    /// # Errors
    /// When neither way can be used.
    pub fn follow(&mut self, wanted: &Wanted) -> Result<(), ProbeError> {
        self.why_not = self.serving(wanted).and_then(|functions| self.hook(&functions)).err();
        if self.why_not.is_some() && self.link.is_none() {
            self.link = Some(program::attach_tracing(self.sys_exit.as_fd()).map_err(refused)?);
        }
        Ok(())
    }

    /// Detaches what isn't needed for what is wanted now.
    pub fn leave_others(&mut self, wanted: &Wanted) {
        match (&self.why_not, self.serving(wanted)) {
            (None, Ok(serving)) => {
                let filter = self.filter();
                self.hooks.keep(serving.iter().chain(&filter));
                self.link = None;
            }
            _ => self.hooks.keep([].iter()),
        }
    }

    /// The function that filters calls.
    fn filter(&self) -> Option<Function> {
        self.functions.as_ref()?.filter.as_ref().map(|(filter, _)| filter.clone())
    }

    /// The functions whose ends are all that is wanted, if they may be used.
    fn serving(&self, wanted: &Wanted) -> Result<Vec<Function>, WhyNot> {
        match self.choice {
            CallPoint::Fexit => {}
            CallPoint::SysExit => return Err(WhyNot::Asked),
            CallPoint::Auto => return Err(WhyNot::Unasked),
        }
        let functions = self.functions.as_ref().ok_or(WhyNot::Architecture)?;
        if !self.hooks.can_note() {
            return Err(WhyNot::NoNotes);
        }
        if let Some(why) = preemption::in_the_way() {
            return Err(WhyNot::Preemption(why));
        }
        functions.serving(wanted)
    }

    fn hook(&mut self, serving: &[Function]) -> Result<(), WhyNot> {
        if let Some(filter) = self.filter() {
            self.hooks.add(Entry::Denied, &filter).map_err(WhyNot::Refused)?;
        }
        for function in serving {
            self.hooks.add(Entry::Return, function).map_err(WhyNot::Refused)?;
        }
        Ok(())
    }

    /// Where the ends of calls are seen now.
    pub fn points(&self) -> Vec<String> {
        let functions = (self.hooks.len() > 0).then(|| format!("fexit of {} functions", self.hooks.len()));
        let all = self.link.is_some().then(|| "tp_btf/sys_exit".to_string());
        functions.into_iter().chain(all).collect()
    }

    /// Why it is not the functions.
    pub fn why_not(&self) -> Option<String> {
        self.why_not.as_ref().map(ToString::to_string)
    }

    /// The programs that are attached.
    pub fn programs(&self) -> impl Iterator<Item = &OwnedFd> {
        self.link.iter().map(|_| &self.sys_exit).chain(self.hooks.programs())
    }
}

fn refused(source: io::Error) -> ProbeError {
    ProbeError::Attach { program: "on_syscall".into(), source }
}

/// What this kernel's types say of its functions; nothing where that is of no use.
pub fn functions(btf: &Btf<'_>, choice: CallPoint) -> Option<Functions> {
    (cfg!(target_arch = "x86_64") && choice != CallPoint::SysExit).then(|| Functions::of(btf))
}
