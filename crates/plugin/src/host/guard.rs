//! Which plugin a thread is in, so that one that crashes or hangs can be named.

use std::cell::Cell;
use std::ffi::{CString, c_int};
use std::ptr;
use std::sync::Once;

thread_local! {
    static INSIDE: Cell<*const u8> = const { Cell::new(ptr::null()) };
}

/// A plugin's name, ready to be printed by a signal handler.
pub(super) struct Named(CString);

impl Named {
    pub(super) fn new(plugin: &str) -> Named {
        static HANDLERS: Once = Once::new();
        HANDLERS.call_once(install);
        let line = format!("lanner: plugin '{plugin}' has crashed");
        Named(CString::new(line.replace('\0', " ")).unwrap_or_default())
    }

    /// Runs a call into the plugin.
    pub(super) fn run<T>(&self, call: impl FnOnce() -> T) -> T {
        let before = INSIDE.replace(self.0.as_ptr().cast());
        let answer = call();
        INSIDE.set(before);
        answer
    }
}

/// Signals by which a crash ends a process.
const FATAL: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT];

fn install() {
    for signal in FATAL {
        // SAFETY: the structure is plain data; the handler does only what a signal handler may.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = crashed as *const () as usize;
            // Once, so that the signal then does what it does by itself.
            action.sa_flags = libc::SA_RESETHAND | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigaction(signal, &action, ptr::null_mut());
        }
    }
}

/// Says which plugin it was, and lets the signal end the process.
extern "C" fn crashed(signal: c_int) {
    let line = INSIDE.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: `write`, `strlen` and `raise` may be called in a signal handler; the line, if there is one, ends with a
    // zero and lives as long as the call that crashed.
    unsafe {
        if !line.is_null() {
            libc::write(2, line.cast(), libc::strlen(line.cast()));
            libc::write(2, c"\n".as_ptr().cast(), 1);
        }
        libc::raise(signal);
    }
}
