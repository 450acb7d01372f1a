//! What the live tests share: a probe on this very process, and raw system calls.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod call;
pub mod lent;
pub mod uring;

use std::time::{Duration, Instant};

use lanner_event::{Event, EventBuf, EventType};
use lanner_probe::{CallPoint, Probe, ProbeError, ProbeOptions};

/// A probe that delivers this process's events too.
pub struct Watch {
    pub probe: Probe,
}

/// Opens a probe for some types; says why and gives `None` where the machine does not let it.
pub fn watch(types: &[EventType]) -> Option<Watch> {
    open(ProbeOptions {
        events: types.iter().copied().collect(),
        include_self: true,
        ..ProbeOptions::default()
    })
}

/// Opens a probe; `LANNER_CALLS=fexit`, `sys_exit` or `records` in the environment says where it is to see the ends of
/// calls, `LANNER_COPIES=kprobes` how it is to keep the kernel's copies.
pub fn open(mut options: ProbeOptions) -> Option<Watch> {
    options.calls = asked().unwrap_or(options.calls);
    options.kprobes |= std::env::var("LANNER_COPIES").is_ok_and(|way| way == "kprobes");
    let by_records = options.calls == CallPoint::Records && !options.no_records;
    match Probe::open(options) {
        Ok(probe) => {
            let points = &probe.attachment().points;
            if by_records && !points.iter().any(|point| point == "tracepoint/raw_syscalls/sys_exit") {
                eprintln!("skipped: the records of tracepoints can't be had here");
                return None;
            }
            let mut watch = Watch { probe };
            watch.settle();
            Some(watch)
        }
        Err(e @ (ProbeError::NoPermission { .. } | ProbeError::NoBtf { .. })) => {
            eprintln!("skipped: {e}");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

/// Where the environment says that the ends of calls are to be seen.
fn asked() -> Option<CallPoint> {
    match std::env::var("LANNER_CALLS").as_deref() {
        Ok("fexit") => Some(CallPoint::Fexit),
        Ok("sys_exit") => Some(CallPoint::SysExit),
        Ok("records") => Some(CallPoint::Records),
        _ => None,
    }
}

impl Watch {
    /// Has other types delivered from now on.
    pub fn follow(&mut self, types: &[EventType]) {
        self.probe.update_events(&types.iter().copied().collect()).unwrap();
        self.settle();
    }

    fn settle(&mut self) {
        if asked() == Some(CallPoint::Fexit) {
            self.go_to_functions();
        }
        self.forget();
    }

    /// Waits until the ends of calls are seen at functions alone, or says why they are not: a call that another
    /// thread of the test waits in keeps `sys_exit`. Whether that is so now.
    pub fn go_to_functions(&mut self) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        while self.at_sys_exit() && self.probe.attachment().no_fexit.is_none() && Instant::now() < end {
            self.probe.poll(Duration::from_millis(20), &mut |_| {}).unwrap();
        }
        match &self.probe.attachment().no_fexit {
            Some(why) => println!("not at functions: {}", why.lines().next().unwrap_or_default()),
            None if self.at_sys_exit() => {
                println!("at functions and at sys_exit: calls under way do not end")
            }
            None => return true,
        }
        false
    }

    /// Whether the kernel is of this version or a later one.
    pub fn kernel_is(&self, major: u32, minor: u32) -> bool {
        let mut parts =
            self.probe.attachment().kernel.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
    }

    /// Whether the ends of calls are seen at `sys_exit`, be it beside others.
    pub fn at_sys_exit(&self) -> bool {
        self.probe.attachment().points.iter().any(|point| point.contains("sys_exit"))
    }

    /// Drops what has come so far: what opening the probe itself did, for one.
    pub fn forget(&mut self) {
        // longer than an event takes to settle, and without a system call
        let end = Instant::now() + Duration::from_millis(1);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        self.probe.poll(Duration::ZERO, &mut |_| {}).unwrap();
    }

    /// All events since the last, of every process, until `enough` says so or two seconds
    /// have passed.
    pub fn events_until(&mut self, mut enough: impl FnMut(&[EventBuf]) -> bool) -> Vec<EventBuf> {
        let end = Instant::now() + Duration::from_secs(2);
        let mut events = Vec::new();
        while !enough(&events) && Instant::now() < end {
            let sink = &mut |event: &Event<'_>| events.push(EventBuf::copy_of(event));
            self.probe.poll(Duration::from_millis(50), sink).unwrap();
        }
        events
    }

    /// The next `n` events of this thread.
    pub fn own(&mut self, n: usize) -> Vec<EventBuf> {
        let tid = call::gettid();
        let own = |events: &[EventBuf]| events.iter().filter(|e| e.event().unwrap().tid == tid).count();
        let mut events = self.events_until(|events| own(events) >= n);
        events.retain(|e| e.event().unwrap().tid == tid);
        events
    }
}

/// A parameter that is a number, of whatever width, as the table's type says.
pub fn number(event: &Event<'_>, name: &str) -> Option<i64> {
    let index = index(event, name);
    match *event.param(index)? {
        [a] => Some(i64::from(a)),
        [a, b] => Some(i64::from(u16::from_ne_bytes([a, b]))),
        [a, b, c, d] => Some(i64::from(u32::from_ne_bytes([a, b, c, d]))),
        _ => event.i64(index),
    }
}

/// A parameter that is text.
pub fn text(event: &Event<'_>, name: &str) -> Option<String> {
    event.text(index(event, name)).map(|t| String::from_utf8_lossy(t).into_owned())
}

/// A parameter's bytes.
pub fn bytes<'a>(event: &Event<'a>, name: &str) -> &'a [u8] {
    event.param(index(event, name)).unwrap_or_default()
}

/// Texts with a NUL behind each.
pub fn texts(event: &Event<'_>, name: &str) -> Vec<String> {
    let bytes = bytes(event, name);
    bytes.strip_suffix(b"\0").map_or_else(Vec::new, |all| {
        all.split(|b| *b == 0).map(|t| String::from_utf8_lossy(t).into_owned()).collect()
    })
}

fn index(event: &Event<'_>, name: &str) -> usize {
    let found = event.info.params.iter().position(|p| p.name == name);
    found.unwrap_or_else(|| panic!("{} has no parameter {name}", event.info.symbol))
}

/// The value of a flag or an enumeration's name of the event table.
pub fn flag(ty: EventType, param: &str, name: &str) -> i64 {
    let info = ty.info().unwrap().params.iter().find(|p| p.name == param).unwrap();
    info.flags.iter().find(|f| f.name == name).unwrap().value as i64
}
