//! What libbpf says while it loads programs: kept for the error message instead of printed.

use std::cell::RefCell;

use libbpf_rs::PrintLevel;

thread_local! {
    /// libbpf calls back on the thread that loads, so each thread has its own lines.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Lines of a verifier's log that are worth showing.
const SHOWN: usize = 12;

fn collect(_: PrintLevel, text: String) {
    LINES.with_borrow_mut(|lines| lines.extend(text.lines().map(str::to_string)));
}

/// Begins to collect what libbpf says on this thread.
pub fn start() {
    LINES.with_borrow_mut(Vec::clear);
    libbpf_rs::set_print(Some((PrintLevel::Warn, collect)));
}

/// The program that was refused, where libbpf named it.
pub fn program() -> Option<String> {
    LINES.with_borrow(|lines| program_in(lines))
}

/// The last lines.
pub fn tail() -> String {
    LINES.with_borrow(|lines| lines[lines.len().saturating_sub(SHOWN)..].join("\n"))
}

/// `libbpf: prog 'on_exec': BPF program load failed: …`
fn program_in(lines: &[String]) -> Option<String> {
    lines.iter().find(|l| l.contains("load failed")).and_then(|l| l.split('\'').nth(1)).map(str::to_string)
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

    #[test]
    fn lines_are_kept_by_thread_and_the_last_are_shown() {
        start();
        let text: String = (0..20).map(|n| format!("line {n}\n")).collect();
        collect(PrintLevel::Warn, text);
        assert_eq!(tail().lines().count(), SHOWN);
        assert!(tail().ends_with("line 19"));
        assert_eq!(std::thread::spawn(tail).join().unwrap(), "");
        start();
        assert_eq!(tail(), "");
    }
}
