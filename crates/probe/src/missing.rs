//! Programs that may be missing: when the kernel refuses one, the others run all the same.

use std::io;

use crate::{Missing, ProbeError, cgroups, direct, threads};

/// The programs without which the others still tell the truth, and what is unseen without each. All that calls are
/// told by belongs to the one at their end, which can't be missing.
const OPTIONAL: [(&str, &str); 12] = [
    ("on_fork", "the children's side of clone and fork (threads are taken from their parents' calls)"),
    ("on_exec", "programs that are run (those that can't be run are told)"),
    ("on_exit", "the end of threads (those that are gone are found by and by)"),
    ("on_enter", "the beginning of calls"),
    ("on_switch", "switches of the scheduler"),
    ("on_signal", "signals that are delivered"),
    ("on_complete", "what io_uring carries out"),
    ("on_submit", "what io_uring carries out"),
    (
        cgroups::ENDED.0,
        "nothing (which processes are in no container is known until many containers have ended)",
    ),
    (cgroups::MADE.0, "nothing (the folders of containers are watched all the time)"),
    (threads::RENAMED, "nothing (calls are told whatever the name of the process, where paths don't decide)"),
    (direct::PROGRAM, "nothing (names are read by the kernel's own function, which is slower)"),
];

/// What is done without.
#[derive(Clone, Default)]
pub struct Without(Vec<Missing>);

impl Without {
    /// Whether a program is to be left out.
    pub fn has(&self, program: &str) -> bool {
        self.0.iter().any(|missing| missing.program == program)
    }

    /// Does without the program that an error names, from now on. False if that can't be done.
    pub fn leave_out(&mut self, error: &ProbeError) -> bool {
        let Some((program, why)) = error.reason() else { return false };
        let Some((_, unseen)) = OPTIONAL.iter().find(|(name, _)| *name == program) else { return false };
        if self.has(program) {
            return false;
        }
        self.0.push(Missing { program: program.into(), unseen, why });
        true
    }

    /// What an attempt to attach a program gives, or nothing if that fails and it is done without.
    ///
    /// # Errors
    /// When it fails and the program can't be missing.
    pub fn attempt<T>(
        &mut self,
        program: &str,
        attach: impl FnOnce() -> io::Result<T>,
    ) -> Result<Option<T>, ProbeError> {
        let error = match attach() {
            Ok(attached) => return Ok(Some(attached)),
            Err(source) => ProbeError::Attach { program: program.into(), source },
        };
        if self.leave_out(&error) { Ok(None) } else { Err(error) }
    }

    /// All of it.
    pub fn into_list(self) -> Vec<Missing> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attach(program: &str) -> ProbeError {
        ProbeError::Attach { program: program.into(), source: io::Error::from_raw_os_error(1) }
    }

    #[test]
    fn only_what_can_be_spared_is_left_out_and_only_once() {
        let mut without = Without::default();
        assert!(!without.leave_out(&attach("on_syscall")) && !without.leave_out(&attach("interpret")));
        assert!(without.leave_out(&attach("on_signal")) && !without.leave_out(&attach("on_signal")));
        assert!(without.has("on_signal") && !without.has("on_exec"));
        let list = without.into_list();
        assert_eq!((list.len(), list[0].unseen), (1, "signals that are delivered"));
    }
}
