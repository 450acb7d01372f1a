//! The places where memory is shared with the kernel: with its submodules the only `unsafe` code of the crate.

pub mod closer;
pub mod perf;
pub mod program;

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::variables::Globals;

const RECORD_HEADER: u64 = 8;
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;

fn page_size() -> usize {
    sysconf(libc::_SC_PAGESIZE).unwrap_or(4096)
}

fn sysconf(name: i32) -> Option<usize> {
    // SAFETY: sysconf only reads its argument.
    let value = unsafe { libc::sysconf(name) };
    usize::try_from(value).ok()
}

/// Bytes of memory that the machine has.
pub fn memory() -> u64 {
    sysconf(libc::_SC_PHYS_PAGES).unwrap_or(0) as u64 * page_size() as u64
}

/// Memory that the kernel shares with this process.
struct Mapping {
    at: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(fd: RawFd, offset: usize, len: usize, protection: i32) -> io::Result<Mapping> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no memory of ours.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, offset) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        match NonNull::new(at.cast()) {
            Some(at) => Ok(Mapping { at, len }),
            None => Err(io::Error::other("memory mapped at address 0")),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `at` and `len` are what mmap gave, and nothing borrowed from the mapping outlives it.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}

// SAFETY: the mapping belongs to this value alone; the kernel does not care which thread looks at it.
unsafe impl Send for Mapping {}

/// What waits in a ring.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Waiting {
    /// Nothing.
    Nothing,
    /// Little enough to let it become more.
    Some,
    /// So much that it should be read at once.
    Much,
}

/// The reading side of one BPF ring buffer.
///
/// Layout, by the kernel's documentation (Documentation/bpf/ringbuf.rst): a page with the reader's position,
/// a page with the writer's, then the data, mapped twice in a row so that no record is ever in two pieces.
pub struct Ring {
    reader: Mapping,
    writer: Mapping,
    page: usize,
    mask: u64,
    /// Where the next record begins; published to the kernel by `release`.
    position: u64,
}

impl Ring {
    /// Maps the ring buffer of `bytes` bytes that `fd` is.
    pub fn new(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<Ring> {
        let page = page_size();
        let reader = Mapping::new(fd.as_raw_fd(), 0, page, libc::PROT_READ | libc::PROT_WRITE)?;
        let writer = Mapping::new(fd.as_raw_fd(), page, page + 2 * bytes, libc::PROT_READ)?;
        Ok(Ring { reader, writer, page, mask: bytes as u64 - 1, position: 0 })
    }

    fn atomic(mapping: &Mapping) -> &AtomicU64 {
        // SAFETY: both mappings begin with a page-aligned position of 8 bytes that lives as long as the mapping.
        unsafe { mapping.at.cast::<AtomicU64>().as_ref() }
    }

    /// How far the writer is.
    pub fn written(&self) -> u64 {
        Ring::atomic(&self.writer).load(Ordering::Acquire)
    }

    /// The record at the reader's position, if the writer is done with it.
    pub fn head(&mut self, written: u64) -> Option<&[u8]> {
        while self.position < written {
            let start = self.page + (self.position & self.mask) as usize;
            // SAFETY: records begin 8-aligned within the first copy of the data, so the length word lies in it.
            let len =
                unsafe { self.writer.at.add(start).cast::<AtomicU32>().as_ref() }.load(Ordering::Acquire);
            if len & BUSY != 0 {
                return None;
            }
            let payload = (len & !DISCARDED) as usize;
            if len & DISCARDED != 0 || start + 8 + payload > self.writer.len {
                self.position += record_len(payload);
                continue;
            }
            // SAFETY: the record lies within the two copies of the data (checked above), is complete (not
            // busy), and the kernel leaves it alone until `release` publishes a position behind it, which
            // takes `&mut self` and so cannot happen while it is borrowed.
            return Some(unsafe {
                std::slice::from_raw_parts(self.writer.at.add(start + 8).as_ptr(), payload)
            });
        }
        None
    }

    /// Goes on behind the record of `payload` bytes.
    pub fn advance(&mut self, payload: usize) {
        self.position += record_len(payload);
    }

    /// Gives what has been read back to the writer.
    pub fn release(&mut self) {
        Ring::atomic(&self.reader).store(self.position, Ordering::Release);
    }

    /// What waits to be read; an eighth of the ring is much.
    pub fn waiting(&self) -> Waiting {
        match self.written().saturating_sub(self.position) {
            0 => Waiting::Nothing,
            bytes if bytes <= self.mask / 8 => Waiting::Some,
            _ => Waiting::Much,
        }
    }

    /// Bytes read since the last `release`.
    pub fn held(&self) -> u64 {
        self.position - Ring::atomic(&self.reader).load(Ordering::Relaxed)
    }
}

fn record_len(payload: usize) -> u64 {
    (payload as u64 + RECORD_HEADER + 7) & !7
}

/// Numbers that the BPF side adds to.
pub struct Counters {
    memory: Mapping,
    count: usize,
}

impl Counters {
    /// Maps the numbers of the map that `fd` is, which has so many.
    pub fn new(fd: BorrowedFd<'_>, count: usize) -> io::Result<Counters> {
        let len = (count * size_of::<u64>()).next_multiple_of(page_size());
        Ok(Counters { memory: Mapping::new(fd.as_raw_fd(), 0, len, libc::PROT_READ)?, count })
    }

    /// All of them, as they are now.
    pub fn all(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.count).map(|at| {
            // SAFETY: the mapping is page-aligned and has at least `count` numbers of 8 bytes.
            unsafe { self.memory.at.cast::<AtomicU64>().add(at).as_ref() }.load(Ordering::Relaxed)
        })
    }
}

/// Numbers that this side writes and the BPF side reads.
pub struct Words {
    memory: Mapping,
    count: usize,
}

impl Words {
    /// Maps the numbers of the map that `fd` is, which has so many.
    pub fn new(fd: BorrowedFd<'_>, count: usize) -> io::Result<Words> {
        let len = (count * size_of::<u64>()).next_multiple_of(page_size());
        let memory = Mapping::new(fd.as_raw_fd(), 0, len, libc::PROT_READ | libc::PROT_WRITE)?;
        Ok(Words { memory, count })
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at < self.count);
        // SAFETY: the mapping is page-aligned and has at least `count` numbers of 8 bytes.
        unsafe { self.memory.at.cast::<AtomicU64>().add(at).as_ref() }
    }

    /// One of them.
    pub fn get(&self, at: usize) -> u64 {
        self.word(at).load(Ordering::Relaxed)
    }

    /// Writes one of them.
    pub fn set(&self, at: usize, value: u64) {
        self.word(at).store(value, Ordering::Relaxed);
    }
}

/// The global variables of the BPF side.
pub struct SharedGlobals {
    memory: Mapping,
}

impl SharedGlobals {
    /// Maps the variables of the map that `fd` is.
    pub fn new(fd: BorrowedFd<'_>) -> io::Result<SharedGlobals> {
        let len = size_of::<Globals>().next_multiple_of(page_size());
        Ok(SharedGlobals {
            memory: Mapping::new(fd.as_raw_fd(), 0, len, libc::PROT_READ | libc::PROT_WRITE)?,
        })
    }

    /// The variables as they are.
    pub fn load(&self) -> Globals {
        // SAFETY: as in `store`.
        unsafe { self.memory.at.cast::<Globals>().as_ptr().read_volatile() }
    }

    /// Replaces the variables. The BPF side may see some new and some old ones for a moment; each is valid.
    pub fn store(&mut self, globals: &Globals) {
        // SAFETY: the mapping is page-aligned, at least as long as `Globals`, and `Globals` is what libbpf's
        // generator derived from the BTF of the very map; only plain numbers are in it.
        unsafe { self.memory.at.cast::<Globals>().as_ptr().write_volatile(*globals) };
    }
}

/// Waits until a ring has something for which the writer woke us, or the time is over.
pub fn wait(fds: &[BorrowedFd<'_>], timeout: Duration) -> io::Result<()> {
    let mut polls: Vec<libc::pollfd> =
        fds.iter().map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }).collect();
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the array is valid for the length given.
    let n = unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, millis) };
    match n {
        -1 if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted => {
            Err(io::Error::last_os_error())
        }
        _ => Ok(()),
    }
}

/// A file of these bytes that has no place and is gone when it is closed.
pub fn memory_file(name: &CStr, bytes: &[u8]) -> io::Result<File> {
    // SAFETY: the name is terminated; the kernel copies it.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows of it.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(bytes)?;
    Ok(file)
}

/// Nanoseconds on one of the kernel's clocks.
pub fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
