//! What becomes of others when a process makes more events than anybody reads. A file of its own, because the
//! flood would drown other tests of the same process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use lanner_event::{Event, EventType, types as t};
use lanner_probe::ProbeOptions;
use support::call::call;

/// Nobody reads while this process floods the rings; what others do must still find room.
#[test]
fn a_flood_takes_no_room_from_others_or_from_processes() {
    let types = [t::SYSCALL_MUNLOCKALL_X, t::SYSCALL_OPENAT_2_X, t::SYSCALL_EXECVE_19_X, t::PROCEXIT_1_E];
    let options = ProbeOptions {
        events: types.into_iter().collect(),
        // a quarter of it is kept for processes, among them those that others on this machine run meanwhile
        ring_bytes: 16 << 20,
        include_self: true,
        ..ProbeOptions::default()
    };
    let Some(mut watch) = support::open(options) else { return };
    let flood = || {
        (0..40_000).for_each(|_| {
            call(libc::SYS_munlockall, &[]);
        })
    };
    let mut children = Vec::new();
    for _ in 0..5 {
        // on every CPU, for each has a ring of its own
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(flood))));
        let mut cat = std::process::Command::new("cat");
        let mut child = cat.arg("/etc/hostname").stdout(std::process::Stdio::null()).spawn().unwrap();
        children.push(i64::from(child.id()));
        assert!(child.wait().unwrap().success());
    }
    let lost = watch.probe.lost();
    let mut seen = Vec::new();
    let patience = Instant::now() + Duration::from_secs(30);
    let ended = |seen: &[(i64, EventType)]| seen.iter().filter(|(_, ty)| *ty == t::PROCEXIT_1_E).count();
    while ended(&seen) < children.len() && Instant::now() < patience {
        let sink = &mut |event: &Event<'_>| {
            if children.contains(&event.tid) {
                seen.push((event.tid, event.ty()));
            }
        };
        watch.probe.poll(Duration::from_millis(100), sink).unwrap();
    }
    assert!(lost.total() > 0);
    assert!(lost.by_type.keys().all(|(ty, _)| !ty.info().unwrap().is_vital()), "{lost:?}");
    for child in children {
        let count = |ty| seen.iter().filter(|one| **one == (child, ty)).count();
        // it is looked for along the path
        assert!(count(t::SYSCALL_EXECVE_19_X) > 0 && count(t::PROCEXIT_1_E) == 1, "{seen:?}");
        assert!(count(t::SYSCALL_OPENAT_2_X) > 0, "{seen:?}");
    }
}
