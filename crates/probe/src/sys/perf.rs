//! The kernel's events for perf, as far as a program at a tracepoint needs one.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// `PERF_TYPE_TRACEPOINT` and `PERF_FLAG_FD_CLOEXEC` (include/uapi/linux/perf_event.h).
const TRACEPOINT: u32 = 2;
const CLOEXEC: u64 = 8;
/// The bit of `flags` that says: nothing is counted.
const DISABLED: u64 = 1;

/// The first form of `struct perf_event_attr`, which all kernels take (the same file, `PERF_ATTR_SIZE_VER0`).
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint: u32,
    config_more: u64,
}

/// The event of a tracepoint, by the number that tracefs has for it. Programs that are attached to it run on all CPUs.
///
/// # Errors
/// The kernel's refusal.
pub fn tracepoint(number: u64) -> io::Result<OwnedFd> {
    let attributes = Attributes {
        kind: TRACEPOINT,
        size: size_of::<Attributes>() as u32,
        config: number,
        flags: DISABLED,
        ..Attributes::default()
    };
    // SAFETY: the attributes are as long as they say and only read; the other arguments are numbers.
    let fd = unsafe {
        let cpu = libc::sched_getcpu().max(0);
        libc::syscall(libc::SYS_perf_event_open, &raw const attributes, -1, cpu, -1, CLOEXEC)
    };
    match i32::try_from(fd) {
        // SAFETY: the kernel has just made this descriptor for us and nobody else knows of it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
