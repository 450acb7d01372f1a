//! Programs that are handed to the kernel instruction by instruction (`crate::code`).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libbpf_rs::libbpf_sys as sys;

/// What kind of program it is and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// `BPF_PROG_TYPE_*`.
    pub program: u32,
    /// `BPF_*` attach type.
    pub attach: u32,
    /// The kernel's type or function in its BTF; 0 for kinds that need none.
    pub btf_id: u32,
}

/// Loads a program; the kernel keeps the first 15 bytes of its name.
///
/// # Errors
/// The kernel's refusal.
pub fn load(name: &CStr, place: Place, code: &[u64]) -> io::Result<OwnedFd> {
    let mut options = sys::bpf_prog_load_opts {
        sz: size_of::<sys::bpf_prog_load_opts>() as sys::size_t,
        expected_attach_type: place.attach,
        attach_btf_id: place.btf_id,
        ..Default::default()
    };
    // SAFETY: the strings are terminated, `code` is as long as said and has the layout of `struct bpf_insn`
    // (8 bytes, little-endian), and `options` is whole; libbpf keeps none of them.
    let fd = unsafe {
        sys::bpf_prog_load(
            place.program,
            name.as_ptr(),
            c"GPL and additional rights".as_ptr(),
            code.as_ptr().cast(),
            code.len() as sys::size_t,
            &raw mut options,
        )
    };
    owned(fd)
}

/// Attaches a program; closing what this gives detaches it. `target`: a cgroup, where the kind wants one.
///
/// # Errors
/// The kernel's refusal.
pub fn attach(program: BorrowedFd<'_>, target: Option<BorrowedFd<'_>>, place: Place) -> io::Result<OwnedFd> {
    let target = target.map_or(0, |fd| fd.as_raw_fd());
    // SAFETY: only descriptors and numbers are passed; libbpf takes a null pointer for no options.
    owned(unsafe { sys::bpf_link_create(program.as_raw_fd(), target, place.attach, std::ptr::null()) })
}

/// Attaches a program to the tracepoint or function that it was loaded for; closing what this gives detaches it.
///
/// # Errors
/// The kernel's refusal.
pub fn attach_tracing(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: only a descriptor is passed; libbpf takes a null pointer for a program that knows its place.
    owned(unsafe { sys::bpf_raw_tracepoint_open(std::ptr::null(), program.as_raw_fd()) })
}

/// Name of a loaded program, how often it ran, and how long that took in all, in ns; zeros unless the kernel counts.
/// It asks by descriptor, which needs no privilege.
///
/// # Errors
/// The kernel's refusal.
pub fn counts(program: BorrowedFd<'_>) -> io::Result<(String, u64, u64)> {
    let mut info = sys::bpf_prog_info::default();
    let mut len = size_of::<sys::bpf_prog_info>() as u32;
    // SAFETY: `info` is whole, zeroed so that the kernel writes to no memory behind it, and `len` is its size.
    let failed =
        unsafe { sys::bpf_obj_get_info_by_fd(program.as_raw_fd(), (&raw mut info).cast(), &raw mut len) };
    if failed != 0 {
        return Err(io::Error::from_raw_os_error(-failed));
    }
    let name: Vec<u8> = info.name.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    Ok((String::from_utf8_lossy(&name).into_owned(), info.run_cnt, info.run_time_ns))
}

fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
