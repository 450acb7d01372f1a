//! Which system calls become which events, as build.rs read it from `data/`.

use std::collections::HashSet;

use lanner_event::EventType;

use crate::EventSet;

/// A system call and its numbers.
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// Its plan plus one; 0 where there is none; one above all plans for the 32-bit `socketcall`.
    pub plan: u16,
    /// The plan of what is told at its beginning, likewise.
    pub entry: u16,
    /// Its numbers in the machine's own ABIs.
    pub native: &'static [usize],
    /// Its numbers as a 32-bit call.
    pub ia32: &'static [usize],
}

include!(concat!(env!("OUT_DIR"), "/plans.rs"));

/// The kernel's open flags as the event table numbers them.
pub fn convert_open_flags(flags: u32) -> u32 {
    let met = OPEN_FLAGS.iter().filter(|(mask, value, _)| u64::from(flags) & mask == *value);
    met.fold(0, |all, (_, _, result)| all | *result as u32)
}

/// What the kernel side's tables are to hold for a set of events.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// By number: the plan plus one.
    pub native: Vec<u16>,
    /// By 32-bit number: the plan plus one.
    pub ia32: Vec<u16>,
    /// By first argument of `socketcall`: the plan plus one.
    pub socketcalls: Vec<u16>,
    /// By operation of io_uring: the plan plus one.
    pub operations: Vec<u16>,
    /// What is told at the beginning of calls.
    pub entries: Entries,
    /// Names of the calls.
    pub names: Vec<&'static str>,
}

/// The plan, plus one, if its event is wanted; 0 otherwise.
fn if_wanted(plan: u16, events: &EventSet) -> u16 {
    match plan.checked_sub(1).and_then(|i| PLANS.get(usize::from(i))) {
        Some(&event) if events.contains(event) => plan,
        _ => 0,
    }
}

/// What is told at the beginning of calls: plans plus one, by number.
#[derive(Debug, PartialEq, Eq)]
pub struct Entries {
    /// Of native calls.
    pub native: Vec<u16>,
    /// Of 32-bit calls.
    pub ia32: Vec<u16>,
    /// By first argument of `socketcall`.
    pub socketcalls: Vec<u16>,
}

impl Entries {
    fn of(events: &EventSet) -> Entries {
        let socketcalls: Vec<u16> = SOCKETCALL_ENTRIES.iter().map(|&plan| if_wanted(plan, events)).collect();
        let behind = socketcalls.iter().any(|&plan| plan != 0);
        let (mut native, mut ia32) = (vec![0; NUMBERS], vec![0; NUMBERS]);
        for call in &CALLS {
            let multiplexer = usize::from(call.entry) > PLANS.len();
            let plan = if multiplexer && behind { call.entry } else { if_wanted(call.entry, events) };
            call.native.iter().for_each(|&number| native[number] = plan);
            call.ia32.iter().for_each(|&number| ia32[number] = plan);
        }
        Entries { native, ia32, socketcalls }
    }
}

impl Wanted {
    /// The tables for a set of events.
    pub fn of(events: &EventSet) -> Wanted {
        let socketcalls: Vec<u16> = SOCKETCALL_PLANS.iter().map(|&plan| if_wanted(plan, events)).collect();
        let mut wanted = Wanted {
            native: vec![0; NUMBERS],
            ia32: vec![0; NUMBERS],
            socketcalls,
            operations: OPERATION_PLANS.iter().map(|&plan| if_wanted(plan, events)).collect(),
            entries: Entries::of(events),
            names: Vec::new(),
        };
        for call in &CALLS {
            let multiplexer = usize::from(call.plan) > PLANS.len();
            let plan = match multiplexer {
                true if wanted.socketcalls.iter().any(|&p| p != 0) => call.plan,
                true => 0,
                false => if_wanted(call.plan, events),
            };
            if plan == 0 {
                continue;
            }
            wanted.names.push(call.name);
            for &number in call.native {
                wanted.native[number] = plan;
            }
            for &number in call.ia32 {
                wanted.ia32[number] = plan;
            }
        }
        wanted.add_unknown(events);
        wanted
    }

    /// Numbers that nobody has given a name yet are calls of later kernels: generic, as far as that is wanted.
    fn add_unknown(&mut self, events: &EventSet) {
        let plan = if_wanted(GENERIC, events);
        let known: HashSet<usize> = CALLS.iter().flat_map(|call| call.native).copied().collect();
        let known_32: HashSet<usize> = CALLS.iter().flat_map(|call| call.ia32).copied().collect();
        for number in (0..NUMBERS).filter(|_| plan != 0) {
            if !known.contains(&number) {
                self.native[number] = plan;
            }
            if !known_32.contains(&number) {
                self.ia32[number] = plan;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use lanner_event::types;

    #[test]
    fn only_what_is_wanted_is_switched_on() {
        let wanted = Wanted::of(&[types::SYSCALL_OPENAT_2_X].into_iter().collect());
        assert_eq!(wanted.names, ["openat"]);
        let number = libc::SYS_openat as usize;
        assert_eq!(PLANS[usize::from(wanted.native[number]) - 1], types::SYSCALL_OPENAT_2_X);
        assert_eq!(wanted.native.iter().filter(|p| **p != 0).count(), 1);
        assert_eq!(Wanted::of(&EventSet::new()).names.len(), 0);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_32_bit_call_has_its_own_number() {
        let wanted = Wanted::of(&[types::SOCKET_CONNECT_X].into_iter().collect());
        assert_eq!(wanted.names, ["connect", "socketcall"]);
        let on = |plans: &[u16], number: usize| plans[number] != 0;
        assert!(on(&wanted.native, 42) && !on(&wanted.ia32, 42));
        assert!(on(&wanted.ia32, 362) && on(&wanted.ia32, 102));
        assert_eq!(wanted.socketcalls.iter().filter(|p| **p != 0).count(), 1);
    }

    #[test]
    fn numbers_agree_with_the_c_library() {
        for (name, number) in [
            ("read", libc::SYS_read),
            ("execve", libc::SYS_execve),
            ("clone3", libc::SYS_clone3),
            ("openat2", libc::SYS_openat2),
            ("finit_module", libc::SYS_finit_module),
            ("memfd_create", libc::SYS_memfd_create),
            ("mkdirat", libc::SYS_mkdirat),
        ] {
            let call = CALLS.iter().find(|c| c.name == name).unwrap();
            assert!(call.native.contains(&(number as usize)), "{name}");
        }
    }

    /// Names by which the kernel's own functions call what has a number, where they differ: a variant for 32-bit
    /// programs or an older form.
    fn named(function: &str) -> &str {
        let known = |name: &str| CALLS.iter().any(|call| call.name == name);
        let other = match function {
            "mmap_pgoff" | "ia32_mmap" => "mmap2",
            "oldumount" => "umount",
            "fstatat64" | "ia32_fstatat64" => "newfstatat",
            "preadv64" => "preadv",
            "pwritev64" => "pwritev",
            "preadv64v2" => "preadv2",
            "pwritev64v2" => "pwritev2",
            "sync_file_range2" => "sync_file_range",
            _ => function,
        };
        if known(other) {
            return other;
        }
        let bare =
            ["ia32_", "old_", "new"].iter().find_map(|prefix| other.strip_prefix(prefix)).unwrap_or(other);
        let shorter = ["_time32", "16", "32", "64"].iter().find_map(|ending| bare.strip_suffix(ending));
        shorter.filter(|name| known(name)).unwrap_or(bare)
    }

    /// Functions of system calls that no x86 program can call: other architectures' or none's.
    const OF_NOBODY: [&str; 9] = [
        "ni_syscall",
        "gethostname",
        "rtas",
        "s390_ipc",
        "s390_pci_mmio_read",
        "s390_pci_mmio_write",
        "spu_create",
        "spu_run",
        "subpage_prot",
    ];

    /// The calls that the running kernel serves, by the names of its functions.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_call_of_the_running_kernel_is_known() {
        let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
        let functions: BTreeSet<&str> = symbols
            .lines()
            .filter_map(|line| line.split_whitespace().nth(2))
            .filter_map(|name| {
                let tables = ["__x64_sys_", "__ia32_compat_sys_", "__ia32_sys_"];
                tables.iter().find_map(|table| name.strip_prefix(table))
            })
            .filter(|name| !name.contains('.') && !OF_NOBODY.contains(name))
            .collect();
        if functions.is_empty() {
            eprintln!("skipped: this process may not read the kernel's symbols");
            return;
        }
        assert!(functions.len() > 400, "{}", functions.len());
        let unknown: Vec<&&str> = functions
            .iter()
            .filter(|function| !CALLS.iter().any(|call| call.name == named(function)))
            .collect();
        assert!(unknown.is_empty(), "not in crates/event/data/numbers.tbl: {unknown:?}");
    }

    /// The numbers that the C library's headers know.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_number_of_the_headers_is_known() {
        for (header, native) in [("unistd_64.h", true), ("unistd_32.h", false)] {
            let path = format!("/usr/include/x86_64-linux-gnu/asm/{header}");
            let Ok(text) = std::fs::read_to_string(&path) else {
                eprintln!("skipped: no {path}");
                continue;
            };
            let numbers: Vec<usize> = text
                .lines()
                .filter_map(|line| {
                    line.strip_prefix("#define __NR_")?.split_whitespace().nth(1)?.parse().ok()
                })
                .collect();
            assert!(numbers.len() > 300);
            let known = |call: &Call, number| if native { call.native } else { call.ia32 }.contains(number);
            let missing: Vec<&usize> =
                numbers.iter().filter(|number| !CALLS.iter().any(|call| known(call, number))).collect();
            assert!(missing.is_empty(), "{header}: {missing:?}");
        }
    }

    /// The headers that arm64 shares with most architectures, but for what 32-bit ones alone have and what stands for
    /// no call.
    #[test]
    fn numbers_of_arm64_agree_with_its_headers() {
        const HEADER: &str = "/usr/include/asm-generic/unistd.h";
        const OTHERS: [&str; 3] = ["sync_file_range2", "arch_specific_syscall", "syscalls"];
        let Ok(header) = std::fs::read_to_string(HEADER) else {
            eprintln!("skipped: no {HEADER}");
            return;
        };
        let numbers: Vec<(&str, &str)> = header
            .lines()
            .filter_map(|line| {
                let line = line.strip_prefix("#define __NR_").or(line.strip_prefix("#define __NR3264_"))?;
                let (name, number) = line.split_once(char::is_whitespace)?;
                Some((if name == "fstatat" { "newfstatat" } else { name }, number.trim()))
            })
            .filter(|(name, number)| {
                let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
                is_number && !OTHERS.contains(name) && !name.ends_with("time64")
            })
            .collect();
        assert!(numbers.len() > 250, "{}", numbers.len());
        let rows: Vec<Vec<&str>> = include_str!("../../event/data/numbers.tbl")
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let column = |name: &str| rows.iter().find(|row| row.first() == Some(&name))?.get(3).copied();
        let wrong: Vec<_> = numbers.iter().filter(|(name, number)| column(name) != Some(*number)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn every_call_is_told_by_itself_or_left_out_by_name() {
        let table = include_str!("../data/generic.tbl");
        let left: Vec<&str> =
            table.lines().filter(|line| line.starts_with("  ")).flat_map(str::split_whitespace).collect();
        let unique: BTreeSet<&str> = left.iter().copied().collect();
        assert_eq!(unique.len(), left.len(), "a name stands twice in data/generic.tbl");
        let generic: BTreeSet<&str> = CALLS
            .iter()
            .filter(|call| call.plan == GENERIC || call.plan == 0)
            .map(|call| call.name)
            .collect();
        let undecided: Vec<_> = generic.difference(&unique).collect();
        assert!(undecided.is_empty(), "neither in syscalls.tbl nor in generic.tbl: {undecided:?}");
        let told: Vec<_> = unique.difference(&generic).collect();
        assert!(told.is_empty(), "in generic.tbl, but told or not in numbers.tbl: {told:?}");
    }

    /// Operations that are not told: they wait, ask, advise, or serve the ring itself; the last line's change files.
    const QUIET_OPERATIONS: &str = "nop fsync poll_add poll_remove sync_file_range timeout timeout_remove \
         async_cancel link_timeout files_update statx fadvise madvise epoll_ctl epoll_wait provide_buffers \
         remove_buffers tee msg_ring fgetxattr getxattr uring_cmd read_multishot waitid futex_wait \
         futex_wake futex_waitv fixed_fd_install recv_zc pipe \
         fallocate ftruncate fsetxattr setxattr";

    #[test]
    fn every_operation_of_io_uring_is_told_or_left_out_by_name() {
        let quiet: BTreeSet<&str> = QUIET_OPERATIONS.split_whitespace().collect();
        let untold = OPERATION_NAMES.iter().zip(OPERATION_PLANS).filter(|(_, plan)| *plan == 0);
        assert_eq!(untold.map(|(name, _)| *name).collect::<BTreeSet<_>>(), quiet);
    }

    #[test]
    fn calls_of_later_kernels_are_generic() {
        let wanted = Wanted::of(&[types::GENERIC_X].into_iter().collect());
        assert_eq!((wanted.native[999], wanted.ia32[999]), (GENERIC, GENERIC));
        let none = Wanted::of(&[types::SYSCALL_OPEN_X].into_iter().collect());
        assert_eq!((none.native[999], none.ia32[999]), (0, 0));
    }

    #[test]
    fn every_other_call_is_generic() {
        let wanted = Wanted::of(&[types::GENERIC_X].into_iter().collect());
        assert!(wanted.names.contains(&"getppid") && !wanted.names.contains(&"close"));
    }
}
