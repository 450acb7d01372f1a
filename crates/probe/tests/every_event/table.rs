//! The walk over the event table.
use lanner_event::{EVENTS, EventFlag, EventInfo};

use crate::Seen;

/// Types that other live tests of this crate compare, with the file that does.
const ELSEWHERE: &[(&str, &str)] = &[
    ("SYSCALL_CLONE_20_X", include_str!("../processes.rs")),
    ("SYSCALL_CLONE3_X", include_str!("../programs.rs")),
    ("SYSCALL_FORK_20_X", include_str!("../processes.rs")),
    ("SYSCALL_VFORK_20_X", include_str!("../programs.rs")),
    ("SYSCALL_EXECVE_19_X", include_str!("../processes.rs")),
    ("SYSCALL_EXECVEAT_X", include_str!("../programs.rs")),
    ("PROCEXIT_1_E", include_str!("../processes.rs")),
    ("ITER_TASK_E", include_str!("../snapshot.rs")),
    ("ITER_TASK_FILE_PIPE_E", include_str!("../snapshot.rs")),
    ("ITER_TASK_FILE_MEMFD_E", include_str!("../snapshot.rs")),
    ("ITER_TASK_FILE_REGULAR_E", include_str!("../snapshot.rs")),
    ("ITER_TASK_FILE_DIRECTORY_E", include_str!("../snapshot.rs")),
    ("ITER_TASK_FILE_SOCKET_INET_E", include_str!("../snapshot.rs")),
    ("ITER_TASK_FILE_SOCKET_INET6_E", include_str!("../snapshot.rs")),
    ("ITER_TASK_FILE_SOCKET_UNIX_E", include_str!("../snapshot.rs")),
    ("ITER_TASK_FILE_SOCKET_NETLINK_E", include_str!("../snapshot.rs")),
    ("ITER_TASK_FILE_ANON_INODE_E", include_str!("../snapshot.rs")),
];

/// Types that no live source writes, and why.
const NOT_LIVE: &[(&str, &str)] = &[
    (
        "PAGE_FAULT_E",
        "left out of Falco's own builds too; a program there would run in the midst of the others' reading of user memory",
    ),
    (
        "SYSCALL_STAT64_X",
        "a call of 32-bit kernels; of 32-bit programs it is told as `stat`, so that rules on it see it",
    ),
    ("SYSCALL_LSTAT64_X", "as stat64: told as `lstat`"),
    ("SYSCALL_FSTAT64_X", "as stat64: told as `fstat`"),
    ("SYSCALL_LLSEEK_X", "as stat64: told as `lseek`"),
    ("SYSCALL_MMAP2_X", "as stat64: told as `mmap`"),
    ("DROP_E", "the probe has no mode in which it drops events on purpose"),
    ("DROP_X", "as the one before"),
    ("SCAPEVENT_E", "internal to libscap"),
    ("PROCINFO_E", "made by sinsp for itself"),
    ("CPU_HOTPLUG_E", "rings exist for all possible CPUs from the start, so there is nothing to be told"),
    ("NOTIFICATION_E", "made by user space (agents on top of sinsp)"),
    ("INFRASTRUCTURE_EVENT_E", "made by user space (agents on top of sinsp)"),
    ("PLUGINEVENT_E", "made by plugins"),
    ("ASYNCEVENT_E", "made by plugins"),
    ("CONTAINER_JSON_2_E", "made by the agent when a container is known"),
    ("USER_ADDED_E", "made by the agent"),
    ("USER_DELETED_E", "made by the agent"),
    ("GROUP_ADDED_E", "made by the agent"),
    ("GROUP_DELETED_E", "made by the agent"),
];

/// Parameters of which no test here can say what they must be, and why.
const NOT_COMPARED: &[(&str, &str, &str)] = &[
    ("SCHEDSWITCH_6_E", "next", "whom the scheduler takes next is its own affair"),
    ("SCHEDSWITCH_6_E", "pgft_maj", "depends on what the machine did before"),
];

fn current(event: &EventInfo) -> bool {
    // NA: the other half of a pair of which only one is ever written
    event.name != "NA" && !event.has(EventFlag::OldVersion)
}

/// Whether this architecture has a call that a type is told of, as far as the tables say of which calls it is. Arm's
/// 32-bit calls are not tested.
fn has_call(symbol: &str) -> bool {
    let column = if cfg!(target_arch = "aarch64") { 3..4 } else { 1..3 };
    let numbers = include_str!("../../../event/data/numbers.tbl");
    let is_here = |call: &str| {
        let words = numbers.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words
            .filter(|words| words.first() == Some(&call))
            .any(|words| words[column.clone()].iter().any(|n| *n != "-"))
    };
    let end = format!("{}_X", symbol.trim_end_matches("_E").trim_end_matches("_X"));
    let rows = include_str!("../../data/syscalls.tbl").lines().map(|line| line.split_whitespace());
    let calls: Vec<&str> = rows
        .filter_map(|mut words| Some((words.next()?, words.next()?)))
        .filter(|(_, ty)| *ty == end)
        .map(|(call, _)| call)
        .collect();
    calls.is_empty() || calls.into_iter().any(is_here)
}

/// Fails on a type or a parameter that was neither compared nor left out by name.
pub fn walk(seen: &Seen) {
    let mut missing = Vec::new();
    for event in EVENTS.iter().filter(|e| current(e)) {
        let symbol = event.symbol;
        let not_live = NOT_LIVE.iter().any(|(name, _)| *name == symbol);
        let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == symbol);
        if let Some((_, file)) = elsewhere {
            assert!(file.contains(&format!("t::{symbol}")), "the file named for {symbol} does not have it");
        }
        match seen.params.get(&event.code) {
            None if not_live || elsewhere.is_some() || !has_call(symbol) => {}
            None => missing.push(symbol.to_string()),
            Some(_) if not_live => panic!("{symbol} is said not to be live, and was seen"),
            Some(params) => {
                let left = event.params.iter().filter(|p| {
                    !params.contains(p.name)
                        && !NOT_COMPARED.iter().any(|(s, name, _)| *s == symbol && *name == p.name)
                });
                missing.extend(left.map(|p| format!("{symbol} {}", p.name)));
            }
        }
    }
    assert!(missing.is_empty(), "neither compared nor left out by name:\n{}", missing.join("\n"));
}
