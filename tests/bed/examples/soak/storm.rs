//! What happens on the host meanwhile.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::Shared;

/// Calls in bursts, as fast as can be: of a kind that nobody else on a host makes, so that they can be counted.
pub fn calls(shared: &Shared) {
    while shared.runs() {
        let end = Instant::now() + Duration::from_millis(400);
        while Instant::now() < end {
            for _ in 0..1000 {
                // SAFETY: the flags are none that the call knows, so that it does nothing but fail.
                unsafe { libc::syscall(libc::SYS_userfaultfd, -1) };
            }
            shared.calls.fetch_add(1000, Ordering::Relaxed);
        }
        thread::sleep(Duration::from_millis(600));
    }
}

/// Opens files, each of another name, each of which is to be told.
pub fn marks(shared: &Shared, folder: &Path) {
    while shared.runs() {
        let number = Shared::count(&shared.marks);
        let path = folder.join(format!("lanner-soak-mark-{number}"));
        if let Err(error) = fs::write(&path, "").and_then(|()| fs::remove_file(&path)) {
            println!("soak: {}: {error}", path.display());
        }
        thread::sleep(Duration::from_millis(20));
    }
}
