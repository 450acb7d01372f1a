//! The kernel's events for perf, as far as a program at a tracepoint or a kprobe needs one.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// `PERF_TYPE_TRACEPOINT` and `PERF_FLAG_FD_CLOEXEC` (include/uapi/linux/perf_event.h).
const TRACEPOINT: u32 = 2;
const CLOEXEC: u64 = 8;
/// The bit of `flags` that says: nothing is counted.
const DISABLED: u64 = 1;

/// The first form of `struct perf_event_attr`, which all kernels take (the same file, `PERF_ATTR_SIZE_VER0`).
#[repr(C)]
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

impl Default for Attributes {
    fn default() -> Attributes {
        Attributes {
            kind: 0,
            size: size_of::<Attributes>() as u32,
            config: 0,
            sample_period: 0,
            sample_type: 0,
            read_format: 0,
            flags: DISABLED,
            wakeup_events: 0,
            breakpoint: 0,
            config_more: 0,
        }
    }
}

/// Where the kernel says what kind of event a kprobe is for it.
const KPROBES: &str = "/sys/bus/event_source/devices/kprobe/type";

/// The event of a kprobe at the beginning of a function, which is there as long as the event. Programs that are attached
/// to it run on all CPUs.
///
/// # Errors
/// The kernel's refusal.
pub fn kprobe(function: &str) -> io::Result<OwnedFd> {
    let kind = fs::read_to_string(KPROBES).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(error.kind(), "this kernel has none for perf"),
        _ => error,
    })?;
    let kind = kind.trim().parse().map_err(io::Error::other)?;
    let function = CString::new(function)?;
    // the second number, where in the function it is, is 0 in this form
    open(&Attributes { kind, config_more: function.as_ptr() as u64, ..Attributes::default() })
}

/// The event of a tracepoint, by the number that tracefs has for it. Programs that are attached to it run on all CPUs.
///
/// # Errors
/// The kernel's refusal.
pub fn tracepoint(number: u64) -> io::Result<OwnedFd> {
    open(&Attributes { kind: TRACEPOINT, config: number, ..Attributes::default() })
}

fn open(attributes: &Attributes) -> io::Result<OwnedFd> {
    // SAFETY: the attributes are as long as they say and only read, as is a text that they have the address of; the other
    // arguments are numbers.
    let fd = unsafe {
        let cpu = libc::sched_getcpu().max(0);
        libc::syscall(libc::SYS_perf_event_open, std::ptr::from_ref(attributes), -1, cpu, -1, CLOEXEC)
    };
    match i32::try_from(fd) {
        // SAFETY: the kernel has just made this descriptor for us and nobody else knows of it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
