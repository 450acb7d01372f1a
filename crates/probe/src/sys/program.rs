//! Programs that are handed to the kernel instruction by instruction: small ones (`crate::code`), and those of an object
//! that libbpf has fitted to this kernel.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libbpf_rs::libbpf_sys as sys;
use libbpf_rs::{AsRawLibbpf, OpenObject, OpenProgram};

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

/// A program's instructions, and what the kernel wants to know of them.
#[derive(Clone, Copy)]
pub struct Code<'a> {
    /// The instructions.
    pub instructions: &'a [sys::bpf_insn],
    /// Where its functions begin, and their types.
    functions: &'a [sys::bpf_func_info],
    /// The object's types, which the kernel has; -1: it knows none.
    types: RawFd,
}

/// Has libbpf make an object's maps and fit its programs to this kernel, but load none; then changes the code of those
/// that are to be loaded.
///
/// # Errors
/// libbpf's, or the kernel's refusal of a map.
pub fn prepare(
    object: &mut OpenObject,
    change: impl Fn(&[sys::bpf_insn]) -> Option<Vec<sys::bpf_insn>>,
) -> libbpf_rs::Result<()> {
    let done = |error: i32| match error {
        0 => Ok(()),
        error => Err(libbpf_rs::Error::from_raw_os_error(-error)),
    };
    // SAFETY: the pointer is that of a live object, which nobody else uses meanwhile.
    done(unsafe { sys::bpf_object__prepare(object.as_libbpf_object().as_ptr()) })?;
    for program in object.progs_mut().filter(|program| program.autoload()) {
        if let Some(mut code) = change(program.insns()) {
            let (pointer, len) = (program.as_libbpf_object().as_ptr(), code.len() as sys::size_t);
            // SAFETY: the pointer is that of a program of a live object that isn't loaded yet; libbpf copies the code.
            done(unsafe { sys::bpf_program__set_insns(pointer, code.as_mut_ptr(), len) })?;
        }
    }
    Ok(())
}

/// The code of a program of an object that was prepared.
pub fn fitted<'a>(object: &'a OpenObject, program: &OpenProgram<'a>) -> Code<'a> {
    let pointer = program.as_libbpf_object().as_ptr();
    // SAFETY: the pointers are those of a live object and of one of its programs, which are only read.
    let (types, functions, count) = unsafe {
        (
            sys::bpf_object__btf_fd(object.as_libbpf_object().as_ptr()),
            sys::bpf_program__func_info(pointer),
            sys::bpf_program__func_info_cnt(pointer),
        )
    };
    let functions = match functions.is_null() {
        true => &[],
        // SAFETY: libbpf keeps so many of them there until the object is loaded or closed, for both of which it has
        // to be borrowed anew.
        false => unsafe { std::slice::from_raw_parts(functions, count as usize) },
    };
    Code { instructions: program.insns(), functions, types }
}

/// Loads a program of a prepared object; if `log` has room, the kernel's reasons are written there.
///
/// # Errors
/// The kernel's refusal.
pub fn load_fitted(name: &CStr, place: Place, code: &Code<'_>, log: &mut [u8]) -> io::Result<OwnedFd> {
    let mut options = sys::bpf_prog_load_opts {
        sz: size_of::<sys::bpf_prog_load_opts>() as sys::size_t,
        expected_attach_type: place.attach,
        attach_btf_id: place.btf_id,
        log_level: u32::from(!log.is_empty()),
        log_size: u32::try_from(log.len()).unwrap_or(u32::MAX),
        ..Default::default()
    };
    if !log.is_empty() {
        options.log_buf = log.as_mut_ptr().cast();
    }
    if let (Ok(types), false) = (u32::try_from(code.types), code.functions.is_empty()) {
        options.prog_btf_fd = types;
        options.func_info = code.functions.as_ptr().cast();
        options.func_info_cnt = u32::try_from(code.functions.len()).unwrap_or(u32::MAX);
        options.func_info_rec_size = size_of::<sys::bpf_func_info>() as u32;
    }
    // SAFETY: the strings are terminated, the slices are as long as said, and `options` is whole; libbpf keeps none of
    // them and writes to the log alone.
    let fd = unsafe {
        sys::bpf_prog_load(
            place.program,
            name.as_ptr(),
            c"GPL and additional rights".as_ptr(),
            code.instructions.as_ptr(),
            code.instructions.len() as sys::size_t,
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

/// Runs a program once with this context; what it returns.
///
/// # Errors
/// The kernel's refusal.
pub fn run(program: BorrowedFd<'_>, context: &[u8]) -> io::Result<u32> {
    let mut options = sys::bpf_test_run_opts {
        sz: size_of::<sys::bpf_test_run_opts>() as sys::size_t,
        ctx_in: context.as_ptr().cast(),
        ctx_size_in: u32::try_from(context.len()).unwrap_or(u32::MAX),
        ..Default::default()
    };
    // SAFETY: the context is as long as said and only read, and `options` is whole; libbpf keeps neither.
    match unsafe { sys::bpf_prog_test_run_opts(program.as_raw_fd(), &raw mut options) } {
        0 => Ok(options.retval),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

/// What the kernel counts of a program.
pub struct Counts {
    /// Its name.
    pub name: String,
    /// How often it ran, and how long that took in all, ns; zeros unless the kernel counts that.
    pub runs: u64,
    /// As said.
    pub time: u64,
    /// How often it was not run because it ran already on that CPU; 0 before Linux 5.12.
    pub left_out: u64,
}

/// Asks what the kernel counts of a loaded program: by descriptor, which needs no privilege.
///
/// # Errors
/// The kernel's refusal.
pub fn counts(program: BorrowedFd<'_>) -> io::Result<Counts> {
    let mut info = sys::bpf_prog_info::default();
    let mut len = size_of::<sys::bpf_prog_info>() as u32;
    // SAFETY: `info` is whole, zeroed so that the kernel writes to no memory behind it, and `len` is its size.
    let failed =
        unsafe { sys::bpf_obj_get_info_by_fd(program.as_raw_fd(), (&raw mut info).cast(), &raw mut len) };
    if failed != 0 {
        return Err(io::Error::from_raw_os_error(-failed));
    }
    let name: Vec<u8> = info.name.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    Ok(Counts {
        name: String::from_utf8_lossy(&name).into_owned(),
        runs: info.run_cnt,
        time: info.run_time_ns,
        left_out: info.recursion_misses,
    })
}

fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
