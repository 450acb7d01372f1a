//! Lost events are told.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::watch::{Turn, Watch};

#[test]
fn what_a_full_ring_loses_becomes_an_alert() {
    let Some(_turn) = Turn::take() else { return };
    // The smallest ring there is; and lanner held still, so that it fills.
    let mut watch = Watch::start(
        "engine: {kind: modern_ebpf, modern_ebpf: {buf_size_preset: 1}}\n\
         base_syscalls: {all: true}\n\
         syscall_event_drops: {actions: [log, alert], threshold: 0, rate: 1000, max_burst: 1000}",
    );
    watch.signal(Signal::SIGSTOP);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let end = Instant::now() + Duration::from_secs(2);
                while Instant::now() < end {
                    for _ in 0..1000 {
                        let _ = fs::File::open("/etc/hostname");
                    }
                }
            });
        }
    });
    watch.signal(Signal::SIGCONT);
    let line = watch.alert(&["Falco internal: syscall event drop. "]);
    let told = line.split("drop. ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(told.parse::<u64>().unwrap() > 0, "{line}");
    assert!(line.contains("system calls dropped in last second."), "{line}");
    // It lives on.
    std::process::Command::new("cat").arg("/etc/shadow").output().unwrap();
    watch.alert(&["cat /etc/shadow"]);
    let summary = watch.stop();
    assert!(summary.lost > 0, "{summary:?}");
}
