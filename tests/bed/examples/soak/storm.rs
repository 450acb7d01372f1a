//! What happens on the host meanwhile.

use std::ffi::CString;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io};

use crate::Shared;

/// How hard it storms.
#[derive(Clone, Copy, PartialEq)]
pub enum Pace {
    /// As hard as can be: events are lost, and each has to be counted.
    Storm,
    /// As hard as one core bears beside the rest: nothing may be lost.
    Steady,
}

impl Pace {
    pub fn name(self) -> &'static str {
        match self {
            Pace::Storm => "storm",
            Pace::Steady => "steady",
        }
    }

    /// How long a burst takes, and the rest after it.
    fn burst(self) -> (Duration, Duration) {
        match self {
            Pace::Storm => (Duration::from_millis(400), Duration::from_millis(600)),
            Pace::Steady => (Duration::ZERO, Duration::from_millis(50)),
        }
    }
}

/// Calls in bursts of a kind that nobody else on a host makes, so that they can be counted.
pub fn calls(shared: &Shared, pace: Pace) {
    let (burst, rest) = pace.burst();
    while shared.runs() {
        let end = Instant::now() + burst;
        loop {
            for _ in 0..1000 {
                // SAFETY: the flags are none that the call knows, so that it does nothing but fail.
                unsafe { libc::syscall(libc::SYS_userfaultfd, -1) };
            }
            shared.calls.fetch_add(1000, Ordering::Relaxed);
            if Instant::now() >= end {
                break;
            }
        }
        thread::sleep(rest);
    }
}

/// The event of a mark's call: one that hardly anybody else makes, so that those that were lost can be counted.
pub const MARK: &str = if cfg!(target_arch = "x86_64") { "creat" } else { "openat2" };

/// Creates a file by that call.
fn create(path: &Path) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the call reads a path that ends with NUL and outlives it.
    let fd = unsafe { libc::syscall(libc::SYS_creat, name.as_ptr(), 0o600) };
    #[cfg(not(target_arch = "x86_64"))]
    let fd = {
        let how = [(libc::O_CREAT | libc::O_WRONLY) as u64, 0o600, 0];
        // SAFETY: the call reads a path that ends with NUL and the three words of `open_how`; both outlive it.
        unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, name.as_ptr(), how.as_ptr(), 24) }
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just returned this fd, and nobody else knows of it.
    drop(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    Ok(())
}

/// Opens files, each of another name, each of which is to be told.
pub fn marks(shared: &Shared, folder: &Path) {
    while shared.runs() {
        let number = Shared::count(&shared.marks);
        let path = folder.join(format!("lanner-soak-mark-{number}"));
        if let Err(error) = create(&path).and_then(|()| fs::remove_file(&path)) {
            println!("soak: {}: {error}", path.display());
        }
        thread::sleep(Duration::from_millis(20));
    }
}
