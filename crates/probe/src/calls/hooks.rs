//! Small programs at the ends of functions, and what they hand over to.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;

use super::functions::Function;
use super::handlers::{Entry, Handlers, Shared};
use crate::ProbeError;

/// A small program at a function.
pub struct Hook {
    /// Dropping it detaches the program.
    pub _link: OwnedFd,
    /// For what the kernel counts of it.
    pub program: OwnedFd,
}

/// All of them.
pub struct Hooks {
    shared: Shared,
    /// By prototype, and by what they begin with.
    handlers: HashMap<(Entry, u32), Handlers>,
    /// By function.
    hooks: HashMap<u32, Hook>,
}

impl Hooks {
    /// None yet.
    pub fn new(shared: Shared) -> Hooks {
        Hooks { shared, handlers: HashMap::new(), hooks: HashMap::new() }
    }

    /// Attaches a program to a function if there is none yet.
    pub fn add(&mut self, entry: Entry, function: &Function) -> Result<(), ProbeError> {
        if self.hooks.contains_key(&function.id) {
            return Ok(());
        }
        let key = (entry, function.prototype);
        if !self.handlers.contains_key(&key) {
            self.handlers.insert(key, Handlers::load(&self.shared, entry, function)?);
        }
        if let Some(handlers) = self.handlers.get(&key) {
            self.hooks.insert(function.id, handlers.attach(function)?);
        }
        Ok(())
    }

    /// Detaches those of other functions.
    pub fn keep<'a>(&mut self, functions: impl Iterator<Item = &'a Function>) {
        let kept: HashSet<u32> = functions.map(|function| function.id).collect();
        self.hooks.retain(|id, _| kept.contains(id));
    }

    /// Whether programs may keep notes of a thread.
    pub fn can_note(&self) -> bool {
        self.shared.can_note
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.hooks.len()
    }

    /// The programs.
    pub fn programs(&self) -> impl Iterator<Item = &OwnedFd> {
        self.hooks.values().map(|hook| &hook.program)
    }
}
