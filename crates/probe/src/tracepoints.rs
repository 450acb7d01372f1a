//! How programs are at tracepoints: by themselves as what the kernel calls there, or, where another thread may take the
//! CPU from such a program, as what is called when the kernel has written a record for perf (bpf/record.h).

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use libbpf_rs::libbpf_sys as sys;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::calls::preemption;
use crate::sys::perf;
use crate::sys::program::{self, Place};
use crate::types::{KernelTypes, TASK_BY_ID};
use crate::{CallPoint, ProbeOptions};

/// Tracepoints whose records hold what programs need, and the groups in which tracefs has them. At the others no thread
/// can take the CPU from another: the kernel holds a lock there.
const RECORDED: [(&str, &str); 10] = [
    ("sys_enter", "raw_syscalls"),
    ("sys_exit", "raw_syscalls"),
    ("sched_process_fork", "sched"),
    ("sched_process_exec", "sched"),
    ("sched_process_exit", "sched"),
    ("task_rename", "task"),
    ("cgroup_mkdir", "cgroup"),
    ("cgroup_rmdir", "cgroup"),
    ("io_uring_submit_req", "io_uring"),
    ("io_uring_complete", "io_uring"),
];

fn group(tracepoint: &str) -> Option<&'static str> {
    RECORDED.iter().find(|(name, _)| *name == tracepoint).map(|(_, group)| *group)
}

/// Where tracefs is looked for: here, and where the host's oldest processes see it.
const FOLDERS: [&str; 2] = ["sys/kernel/tracing", "sys/kernel/debug/tracing"];

/// How many processes are asked.
const ASKED: usize = 64;

/// The root folders of the processes with the lowest ids.
fn roots_of_oldest(proc: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids.into_iter().take(ASKED).map(move |pid| proc.join(format!("{pid}/root")))
}

/// The tracepoints, as the kernel numbers them for perf.
struct Numbers {
    folder: PathBuf,
    /// Holds the folder where the system has none.
    _mounted: Option<OwnedFd>,
}

impl Numbers {
    /// `proc`: where the host's `/proc` is seen.
    fn find(proc: &Path) -> io::Result<Numbers> {
        let roots = std::iter::once(PathBuf::from("/")).chain(roots_of_oldest(proc));
        let mut folders = roots.flat_map(|root| FOLDERS.map(|folder| root.join(folder)));
        if let Some(folder) = folders.find(|folder| folder.join("events").is_dir()) {
            return Ok(Numbers { folder, _mounted: None });
        }
        let made = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(made.as_fd())?;
        let mounted = fsmount(made.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        let folder = PathBuf::from(format!("/proc/self/fd/{}", mounted.as_raw_fd()));
        Ok(Numbers { folder, _mounted: Some(mounted) })
    }

    fn of(&self, group: &str, tracepoint: &str) -> io::Result<u64> {
        let text = fs::read_to_string(self.folder.join("events").join(group).join(tracepoint).join("id"))?;
        text.trim().parse().map_err(|_| io::Error::other(format!("{tracepoint} has no number in tracefs")))
    }
}

/// Where a program at a tracepoint is attached.
pub enum Hook {
    /// To what it was loaded for.
    Called,
    /// To this event.
    Recorded(OwnedFd),
}

impl Hook {
    /// Attaches a program; closing what this gives detaches it.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn attach(&self, program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        match self {
            Hook::Called => program::attach_tracing(program),
            Hook::Recorded(event) => program::attach(program, Some(event.as_fd()), BY_RECORDS),
        }
    }
}

/// Of programs that are called with records.
const BY_RECORDS: Place =
    Place { program: sys::BPF_PROG_TYPE_TRACEPOINT, attach: sys::BPF_PERF_EVENT, btf_id: 0 };

/// How programs are at tracepoints in this kernel.
pub struct Tracepoints {
    /// `None`: they are called.
    numbers: Option<Numbers>,
    /// Why runs of programs may be left out, if they may.
    pub leaves_out: Option<String>,
}

impl Tracepoints {
    /// Decides it.
    pub fn choose(options: &ProbeOptions, types: Option<&KernelTypes>) -> Tracepoints {
        let leaves_out = preemption::leaves_out();
        let helps = leaves_out.is_some() || options.calls == CallPoint::Records;
        if !helps || options.no_records {
            return Tracepoints { numbers: None, leaves_out };
        }
        let has_function = types.is_some_and(|types| types.function(TASK_BY_ID).is_some());
        let numbers = match has_function {
            true => Numbers::find(&options.proc),
            false => Err(io::Error::other(format!("this kernel has no {TASK_BY_ID}"))),
        };
        let tried = numbers.and_then(|numbers| {
            let chosen = Tracepoints { numbers: Some(numbers), leaves_out: None };
            chosen.hook("sys_exit").map(|_| chosen)
        });
        tried.unwrap_or_else(|error| Tracepoints::called(leaves_out.as_deref(), &error.to_string()))
    }

    /// Has them called, for records can't be had.
    pub fn called(leaves_out: Option<&str>, why: &str) -> Tracepoints {
        let leaves_out = leaves_out
            .map(|preempts| format!("{preempts}, and the records of tracepoints can't be had: {why}"));
        Tracepoints { numbers: None, leaves_out }
    }

    /// Whether it is by records.
    pub fn are_recorded(&self) -> bool {
        self.numbers.is_some()
    }

    /// Where a program goes.
    ///
    /// # Errors
    /// When this kernel has no such tracepoint.
    pub fn place(&self, tracepoint: &str, kind: u32, types: &KernelTypes) -> Result<Place, String> {
        let id = types.tracepoint(tracepoint).ok_or_else(|| format!("no tracepoint {tracepoint}"))?;
        Ok(match (&self.numbers, group(tracepoint)) {
            // the kind is all that counts when it is loaded
            (Some(_), Some(_)) if kind == sys::BPF_PROG_TYPE_TRACING => Place { attach: 0, ..BY_RECORDS },
            _ => Place { program: kind, attach: sys::BPF_TRACE_RAW_TP, btf_id: id },
        })
    }

    /// Where a program is to be attached.
    ///
    /// # Errors
    /// When the kernel has no such tracepoint or refuses its event.
    pub fn hook(&self, tracepoint: &str) -> io::Result<Hook> {
        match (&self.numbers, group(tracepoint)) {
            (Some(numbers), Some(group)) => {
                perf::tracepoint(numbers.of(group, tracepoint)?).map(Hook::Recorded)
            }
            _ => Ok(Hook::Called),
        }
    }

    /// The point, for people.
    pub fn point(&self, tracepoint: &str) -> String {
        match (&self.numbers, group(tracepoint)) {
            (Some(_), Some(group)) => format!("tracepoint/{group}/{tracepoint}"),
            _ => format!("tp_btf/{tracepoint}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_asked_for_where_they_help() {
        let types = KernelTypes::read();
        let options = |calls, no_records| ProbeOptions { calls, no_records, ..ProbeOptions::default() };
        let recorded = |of: &ProbeOptions| Tracepoints::choose(of, types.as_ref()).are_recorded();
        assert!(!recorded(&options(CallPoint::Auto, false)) || preemption::leaves_out().is_some());
        assert!(!recorded(&options(CallPoint::Records, true)));
        assert!(!Tracepoints::choose(&options(CallPoint::Records, false), None).are_recorded());
    }

    #[test]
    fn why_runs_are_left_out_is_told_with_why_records_do_not_help() {
        let without = Tracepoints::called(Some("it preempts"), "no tracefs");
        let why = "it preempts, and the records of tracepoints can't be had: no tracefs";
        assert_eq!(
            (without.leaves_out.as_deref(), without.point("sys_exit")),
            (Some(why), "tp_btf/sys_exit".into())
        );
        assert!(Tracepoints::called(None, "no tracefs").leaves_out.is_none());
    }

    /// By a folder of the system, or by one that only this process has.
    #[test]
    fn tracepoints_have_numbers() {
        match Numbers::find(Path::new("/proc")).and_then(|numbers| numbers.of("raw_syscalls", "sys_exit")) {
            Ok(number) => assert!(number > 0),
            Err(error) => println!("skipped: no tracefs: {error}"),
        }
    }
}
