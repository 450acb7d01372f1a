//! Handing programs to the kernel, which checks them: most of the time of a start. Each is checked by itself, so that
//! is done on all CPUs at once, and those of most instructions first.

use std::cmp::Reverse;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::ProbeError;
use crate::require::kernel_release;
use crate::sys::program::{self, Code, Place};

/// The kernel's words on a program that it refused are kept up to this size, in bytes: as many as old kernels take.
const LOG: usize = (u32::MAX >> 8) as usize;

/// Lines of them that are worth showing.
const SHOWN: usize = 12;

/// A program as libbpf has fitted it to this kernel.
pub struct Program<'a> {
    /// Its name.
    pub name: String,
    /// What it is and where it goes; or why it can't go there.
    pub place: Result<Place, String>,
    /// What it does.
    pub code: Code<'a>,
}

/// What became of a program, by its name.
pub type Taken = (String, Result<OwnedFd, ProbeError>);

/// Loads programs; each is answered.
pub fn all(programs: &[Program<'_>]) -> Vec<Taken> {
    let mut order: Vec<&Program<'_>> = programs.iter().collect();
    order.sort_by_key(|program| Reverse(program.code.instructions.len()));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut taken = Vec::new();
        while let Some(program) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            taken.push((program.name.clone(), load(program)));
        }
        taken
    };
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let others: Vec<_> = (1..cpus.min(order.len())).map(|_| scope.spawn(work)).collect();
        let mut taken = work();
        for other in others {
            // a panic there is one of ours
            taken.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        taken
    })
}

fn load(program: &Program<'_>) -> Result<OwnedFd, ProbeError> {
    let absent = |why: &String| ProbeError::Attach {
        program: program.name.clone(),
        source: io::Error::new(io::ErrorKind::NotFound, why.clone()),
    };
    let place = *program.place.as_ref().map_err(absent)?;
    let name = CString::new(program.name.as_bytes()).unwrap_or_default();
    program::load_fitted(&name, place, &program.code, &mut []).or_else(|source| {
        // once more, for its reasons
        let mut log = vec![0; LOG];
        program::load_fitted(&name, place, &program.code, &mut log).map_err(|_| ProbeError::Refused {
            program: program.name.clone(),
            kernel: kernel_release(),
            log: tail(&log),
            source,
        })
    })
}

/// The last lines of a log that ends with a zero.
fn tail(log: &[u8]) -> String {
    let len = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    let text = String::from_utf8_lossy(&log[..len]);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_a_log_are_shown() {
        let text: String = (0..20).map(|n| format!("line {n}\n")).collect();
        let shown = tail(format!("{text}\0\0").as_bytes());
        assert_eq!(shown.lines().count(), SHOWN);
        assert!(shown.starts_with("line 8") && shown.ends_with("line 19"), "{shown}");
        assert_eq!(tail(&[0; 8]), "");
    }
}
