//! Signals, as flags that loops look at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// Flags that signals set.
#[derive(Clone, Default, Debug)]
pub struct Signals {
    end: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    reopen: Arc<AtomicBool>,
}

impl Signals {
    /// Catches the signals from now on. A second SIGINT or SIGTERM ends the process at once, should a clean
    /// end take too long.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn install() -> io::Result<Signals> {
        let signals = Signals::default();
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&signals.end))?;
            signal_hook::flag::register(signal, Arc::clone(&signals.end))?;
        }
        signal_hook::flag::register(SIGHUP, Arc::clone(&signals.reload))?;
        signal_hook::flag::register(SIGUSR1, Arc::clone(&signals.reopen))?;
        Ok(signals)
    }

    /// SIGINT or SIGTERM has come.
    pub fn end(&self) -> bool {
        self.end.load(Ordering::Relaxed)
    }

    /// SIGHUP has come since the last call.
    pub fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }

    /// SIGUSR1 has come since the last call.
    pub fn take_reopen(&self) -> bool {
        self.reopen.swap(false, Ordering::Relaxed)
    }
}
