//! What libbpf says while it loads programs: kept for the error message instead of printed.

use std::sync::{Mutex, MutexGuard};

use libbpf_rs::PrintLevel;

/// libbpf's callback is a plain function, so what it collects is global; `LOADING` lets one load at a time.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static LOADING: Mutex<()> = Mutex::new(());

/// Lines of a verifier's log that are worth showing.
const SHOWN: usize = 12;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // a panic in another thread leaves only lines of text behind
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn collect(_: PrintLevel, text: String) {
    lock(&LINES).extend(text.lines().map(str::to_string));
}

/// Collects what libbpf says for as long as it lives.
pub struct Collector {
    _alone: MutexGuard<'static, ()>,
}

impl Collector {
    /// Begins to collect; waits while another thread does.
    pub fn start() -> Collector {
        let alone = lock(&LOADING);
        lock(&LINES).clear();
        libbpf_rs::set_print(Some((PrintLevel::Warn, collect)));
        Collector { _alone: alone }
    }

    /// The program that was refused, where libbpf named it.
    pub fn program(&self) -> Option<String> {
        program_in(&lock(&LINES))
    }

    /// The last lines.
    pub fn tail(&self) -> String {
        let lines = lock(&LINES);
        lines[lines.len().saturating_sub(SHOWN)..].join("\n")
    }
}

/// `libbpf: prog 'on_exec': BPF program load failed: …`
fn program_in(lines: &[String]) -> Option<String> {
    lines.iter().find(|l| l.contains("load failed")).and_then(|l| l.split('\'').nth(1)).map(str::to_string)
}

impl Drop for Collector {
    fn drop(&mut self) {
        libbpf_rs::set_print(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refused_program_is_named() {
        let lines = [
            "libbpf: prog 'on_exec': BPF program load failed: Permission denied".to_string(),
            "libbpf: failed to load object 'probe_bpf'".to_string(),
        ];
        assert_eq!(program_in(&lines).as_deref(), Some("on_exec"));
        assert_eq!(program_in(&lines[1..]), None);
    }
}
