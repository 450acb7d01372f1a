//! Which system calls become which events, as build.rs read it from `data/`.

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
        wanted
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn every_other_call_is_generic() {
        let wanted = Wanted::of(&[types::GENERIC_X].into_iter().collect());
        assert!(wanted.names.contains(&"getppid") && !wanted.names.contains(&"close"));
    }
}
