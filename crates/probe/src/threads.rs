//! The programs at tracepoints of threads: their beginning, their programs, their end.

use std::os::fd::{AsFd, OwnedFd};

use crate::ProbeError;
use crate::missing::Without;
use crate::object::Programs;
use crate::tracepoints::Tracepoints;

/// The program that keeps the names that threads had before they gave themselves others.
pub const RENAMED: &str = "on_rename";

/// The programs and where they go.
const SPECS: [(&str, &str); 4] = [
    (RENAMED, "task_rename"),
    ("on_fork", "sched_process_fork"),
    ("on_exec", "sched_process_exec"),
    ("on_exit", "sched_process_exit"),
];

/// One that is attached.
struct Attached {
    name: &'static str,
    point: String,
    program: OwnedFd,
    /// Closing it detaches the program.
    _link: OwnedFd,
}

/// Those that are attached.
pub struct Threads(Vec<Attached>);

impl Threads {
    /// Attaches those that were loaded; what the kernel refuses is done without.
    ///
    /// # Errors
    /// When one is refused that can't be missing.
    pub fn attach(
        programs: &Programs,
        tracepoints: &Tracepoints,
        without: &mut Without,
    ) -> Result<Threads, ProbeError> {
        let mut attached = Vec::new();
        for (name, tracepoint) in SPECS {
            let Some(program) = programs.get(name) else { continue };
            attached.extend(without.attempt(name, || {
                let link = tracepoints.hook(tracepoint)?.attach(program.as_fd())?;
                let point = tracepoints.point(tracepoint);
                Ok(Attached { name, point, program: program.try_clone()?, _link: link })
            })?);
        }
        Ok(Threads(attached))
    }

    /// Whether nothing is missing that tells by which name user space knows a process.
    pub fn tell_names(&self) -> bool {
        [RENAMED, "on_exec"].iter().all(|name| self.0.iter().any(|one| one.name == *name))
    }

    /// Whether threads that begin are told of.
    pub fn tell_births(&self) -> bool {
        self.0.iter().any(|one| one.name == "on_fork")
    }

    /// Whether threads that end are told of.
    pub fn tell_ends(&self) -> bool {
        self.0.iter().any(|one| one.name == "on_exit")
    }

    /// Where they are attached.
    pub fn points(&self) -> Vec<String> {
        self.0.iter().map(|one| one.point.clone()).collect()
    }

    /// The programs.
    pub fn programs(&self) -> impl Iterator<Item = &OwnedFd> {
        self.0.iter().map(|one| &one.program)
    }
}
