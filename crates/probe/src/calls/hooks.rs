//! Small programs at the ends of functions, and what they hand over to.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};

use super::functions::Function;
use super::handlers::{Entry, Handlers, Shared};
use crate::ProbeError;
use crate::sys::program;

/// A small program for a function.
struct Hook {
    name: String,
    program: OwnedFd,
    /// While it is attached.
    link: Option<OwnedFd>,
}

/// All of them.
#[derive(Default)]
pub struct Hooks {
    /// By prototype, and by what they begin with.
    handlers: HashMap<(Entry, u32), Handlers>,
    /// By function.
    hooks: HashMap<u32, Hook>,
}

impl Hooks {
    /// Loads a program for a function if there is none yet.
    pub fn prepare(&mut self, shared: &Shared, entry: Entry, function: &Function) -> Result<(), ProbeError> {
        if self.hooks.contains_key(&function.id) {
            return Ok(());
        }
        let key = (entry, function.prototype);
        let handlers = match self.handlers.entry(key) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(free) => free.insert(Handlers::load(shared, entry, function)?),
        };
        let hook = Hook { name: function.name.clone(), program: handlers.prepare(function)?, link: None };
        self.hooks.insert(function.id, hook);
        Ok(())
    }

    /// Attaches the program of a function, if it isn't.
    pub fn attach(&mut self, function: u32) -> Result<(), ProbeError> {
        if let Some(hook) = self.hooks.get_mut(&function).filter(|hook| hook.link.is_none()) {
            let link = program::attach_tracing(hook.program.as_fd());
            hook.link =
                Some(link.map_err(|source| ProbeError::Attach {
                    program: format!("fexit/{}", hook.name),
                    source,
                })?);
        }
        Ok(())
    }

    /// Whether those of all these functions are attached.
    pub fn are_attached(&self, functions: &[u32]) -> bool {
        functions.iter().all(|id| self.hooks.get(id).is_some_and(|hook| hook.link.is_some()))
    }

    /// Detaches those of other functions, which stay loaded.
    pub fn keep(&mut self, functions: &[u32]) {
        let kept: HashSet<u32> = functions.iter().copied().collect();
        self.hooks.iter_mut().filter(|(id, _)| !kept.contains(id)).for_each(|(_, hook)| hook.link = None);
    }

    /// Takes what keeps programs attached.
    pub fn take_links(&mut self) -> Vec<OwnedFd> {
        self.hooks.values_mut().filter_map(|hook| hook.link.take()).collect()
    }

    /// The programs that are attached.
    pub fn programs(&self) -> impl Iterator<Item = &OwnedFd> {
        self.hooks.values().filter(|hook| hook.link.is_some()).map(|hook| &hook.program)
    }
}
