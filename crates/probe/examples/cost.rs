//! What the probe costs the programs that it watches: nanoseconds of `getppid()` and of `openat` + `close`,
//! without a probe, with one that wants neither call, and with one that delivers them.
//! `cargo run --release -p lanner-probe --example cost`

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lanner_event::{EventType, types as t};
use lanner_probe::{Probe, ProbeError, ProbeOptions};

const ROUNDS: usize = 300;
const CALLS: u32 = 500;

/// The fastest round, in nanoseconds a call: what else the machine does makes rounds slower, never faster.
fn fastest(mut work: impl FnMut()) -> f64 {
    let round = || {
        let start = Instant::now();
        (0..CALLS).for_each(|_| work());
        start.elapsed().as_nanos() as f64 / f64::from(CALLS)
    };
    std::iter::repeat_with(round).take(ROUNDS).fold(f64::INFINITY, f64::min)
}

fn getppid() {
    black_box(std::os::unix::process::parent_id());
}

fn open_close() {
    drop(black_box(std::fs::File::open("/etc/hostname")));
}

fn measure(what: &str) -> (f64, f64) {
    let (ppid, open) = (fastest(getppid), fastest(open_close));
    println!("{what:<28} getppid {ppid:7.1} ns   openat+close {open:8.1} ns");
    (ppid, open)
}

fn main() -> Result<(), ProbeError> {
    let options = |types: &[EventType]| ProbeOptions {
        events: types.iter().copied().collect(),
        include_self: true,
        ..ProbeOptions::default()
    };
    let bare = measure("no probe");
    let idle = Probe::open(options(&[t::PROCEXIT_1_E]))?;
    let unwanted = measure("probe, neither call wanted");
    drop(idle);
    let mut probe = Probe::open(options(&[t::SYSCALL_OPENAT_2_X, t::SYSCALL_CLOSE_X]))?;
    let done = AtomicBool::new(false);
    let delivered = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut events = 0;
            while !done.load(Ordering::Relaxed) {
                events += probe.poll(Duration::from_millis(10), &mut |_| {}).unwrap_or(0);
            }
            (events, probe.lost().total())
        });
        let cost = measure("probe, openat and close read");
        done.store(true, Ordering::Relaxed);
        (cost, reader.join())
    });
    drop(probe);
    let again = measure("no probe again");
    let (cost, counts) = delivered;
    println!("an unwanted call: + {:.1} ns", unwanted.0 - bare.0.min(again.0));
    println!("openat + close delivered: + {:.1} ns", cost.1 - bare.1.min(again.1));
    println!("events read and lost: {counts:?}");
    Ok(())
}
