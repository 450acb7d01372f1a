//! Has the kernel's own threads close descriptors whose closing takes long, so that this process can end meanwhile: an
//! io_uring holds them, and lets them go in the background once it is closed itself. Nothing is submitted to it.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Bytes of the kernel's `struct io_uring_params`.
const PARAMS: usize = 120;
const IORING_REGISTER_FILES: libc::c_uint = 2;

/// Such a ring.
#[derive(Debug)]
pub struct Closer {
    ring: OwnedFd,
}

impl Closer {
    /// Makes one.
    ///
    /// # Errors
    /// The kernel's refusal: it may have io_uring switched off.
    pub fn new() -> io::Result<Closer> {
        let mut params = [0u64; PARAMS / 8];
        // SAFETY: `params` has the size and alignment of the structure that the kernel reads and writes.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
        match RawFd::try_from(fd) {
            // SAFETY: the kernel has just made this descriptor for us and nobody else knows of it.
            Ok(fd) if fd >= 0 => Ok(Closer { ring: unsafe { OwnedFd::from_raw_fd(fd) } }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Closes descriptors: in the background if the kernel takes them, else here and now.
    pub fn close(self, descriptors: Vec<OwnedFd>) {
        let raw: Vec<RawFd> = descriptors.iter().map(OwnedFd::as_raw_fd).collect();
        // SAFETY: the kernel reads as many descriptors as are said to be there, and takes references of its own. What it
        // answers doesn't matter: those that it has not taken are closed when `descriptors` is dropped.
        unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                self.ring.as_raw_fd(),
                IORING_REGISTER_FILES,
                raw.as_ptr(),
                raw.len(),
            )
        };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_it_is_given_is_closed_a_little_later() {
        let closer = match Closer::new() {
            Ok(closer) => closer,
            Err(error) => return println!("skipped: {error}"),
        };
        let (mut read, write) = UnixStream::pair().unwrap();
        closer.close(vec![write.into()]);
        // ends when the last writer is gone
        assert_eq!(read.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn what_the_kernel_does_not_take_is_closed_at_once() {
        let (mut read, write) = UnixStream::pair().unwrap();
        let no_ring = std::fs::File::open("/dev/null").unwrap();
        Closer { ring: no_ring.into() }.close(vec![write.into()]);
        assert_eq!(read.read(&mut [0]).unwrap(), 0);
    }
}
