//! What is written into the variables of the BPF side: which calls are wanted, and what of them can be dropped.

use lanner_event::prefilter::{Addresses, CALLERS, CHOICES, CLASSES, Keep, Ports, Sieve, Sieves};
use lanner_event::{EventType, types};

use crate::EventSet;
use crate::plans::{self, Wanted};
use crate::skeleton::probe::types as bpf;

/// The global variables of the BPF side.
pub type Globals = bpf::bss;

/// Whether one of the types is wanted.
fn any(events: &EventSet, types: &[EventType]) -> u8 {
    u8::from(types.iter().any(|&ty| events.contains(ty)))
}

/// Writes what a set of events means into the variables.
pub fn fill(globals: &mut Globals, events: &EventSet, wanted: &Wanted) {
    let old = (globals.wanted, globals.socketcall_plans);
    for (place, (native, ia32)) in globals.wanted.iter_mut().zip(wanted.native.iter().zip(&wanted.ia32)) {
        *place = u32::from(*native) | u32::from(*ia32) << 16;
    }
    globals.socketcall_plans[..wanted.socketcalls.len()].copy_from_slice(&wanted.socketcalls);
    if leaves_out(&old.0, &globals.wanted) || old.1 != globals.socketcall_plans {
        globals.epoch += 1;
    }
    globals.operation_plans[..wanted.operations.len()].copy_from_slice(&wanted.operations);
    globals.native_entries.copy_from_slice(&wanted.entries.native);
    globals.ia32_entries.copy_from_slice(&wanted.entries.ia32);
    globals.socketcall_entries[..wanted.entries.socketcalls.len()]
        .copy_from_slice(&wanted.entries.socketcalls);
    let begins = |plans: &[u16]| plans.iter().any(|&plan| plan != 0);
    globals.want_beginnings = u8::from(begins(&wanted.entries.native) || begins(&wanted.entries.ia32));
    globals.want_exec = any(events, &[types::SYSCALL_EXECVE_19_X, types::SYSCALL_EXECVEAT_X]);
    globals.want_fork = any(
        events,
        &[
            types::SYSCALL_CLONE_20_X,
            types::SYSCALL_CLONE3_X,
            types::SYSCALL_FORK_20_X,
            types::SYSCALL_VFORK_20_X,
        ],
    );
    globals.want_exit = any(events, &[types::PROCEXIT_1_E]);
}

/// Whether a call that was wanted, in either ABI, is not any more.
fn leaves_out(old: &[u32], new: &[u32]) -> bool {
    let gone = |old: u32, new: u32, half: u32| old & half != 0 && new & half == 0;
    old.iter().zip(new).any(|(&old, &new)| gone(old, new, 0xffff) || gone(old, new, 0xffff_0000))
}

/// Writes a prefilter into the variables.
pub fn fill_sieves(globals: &mut Globals, sieves: &Sieves) {
    for (slot, made) in globals.slots.iter_mut().zip(sieves.table()) {
        (slot.key, slot.states) = (made.key, made.states);
    }
    globals.grams.copy_from_slice(sieves.grams());
    globals.known.copy_from_slice(sieves.known());
    fill_ends(globals, sieves.addresses(), sieves.ports());
    globals.births_once = u8::from(sieves.births_once());
    let mut choices = Choices::default();
    for (plan, place) in globals.sieves.iter_mut().enumerate() {
        let made = plans::PLANS
            .get(plan)
            .and_then(|ty| sieves.get(*ty))
            .and_then(|of| sieve(plan, of, &mut choices));
        *place = made.unwrap_or_default();
        let of_type = plans::PLANS.get(plan).and_then(|ty| sieves.get(*ty));
        globals.of_callers[plan] =
            of_type.map_or([0; CALLERS], |of| of.whatever.map(|states| states.0 as u32));
        globals.excepted[plan] = of_type.map_or(0, |of| of.excepted);
        globals.of_containers[plan] = u8::from(of_type.is_some_and(|of| of.of_containers));
    }
    globals.choices.copy_from_slice(&choices.places);
    globals.classes[..choices.classes.len()].copy_from_slice(&choices.classes);
}

fn fill_ends(globals: &mut Globals, addresses: &Addresses, ports: &Ports) {
    globals.addresses.copy_from_slice(addresses.bits());
    for (place, &[high, low]) in globals.address_masks.iter_mut().zip(addresses.masks()) {
        *place = bpf::address { high, low };
    }
    globals.address_lengths = addresses.masks().len() as u32;
    globals.ports.copy_from_slice(ports.bits());
    globals.by_port = u8::from(!ports.is_empty());
}

/// How the kernel side uses a sieve; 0: not.
const USED: u8 = 1;
/// Its calls close fds, and no rule asks for them.
const USED_BY_CLOSES: u8 = 2;
/// Its calls open files, and the path and the flags are the first two arguments, or those behind a directory.
const USED_BY_OPENS: u8 = 3;

/// What is written of arguments of which values are told apart.
#[derive(Default)]
struct Choices {
    places: [bpf::choice; CHOICES],
    count: u8,
    classes: Vec<u8>,
}

impl Choices {
    /// The place for a parameter, plus one; 0 if there is none or nothing to be told apart.
    fn add(&mut self, param: usize, classes: &[u8]) -> u8 {
        let known = self.classes.windows(classes.len().max(1)).position(|known| known == classes);
        let first = known.unwrap_or(self.classes.len());
        let fits = usize::from(self.count) < CHOICES && first + classes.len() <= CLASSES;
        let numbers = (u16::try_from(first), u16::try_from(classes.len()), u8::try_from(param));
        let (true, false, (Ok(first), Ok(len), Ok(param))) = (fits, classes.is_empty(), numbers) else {
            return 0;
        };
        if known.is_none() {
            self.classes.extend_from_slice(classes);
        }
        self.places[usize::from(self.count)] = bpf::choice { first, len, param, ..bpf::choice::default() };
        self.count += 1;
        self.count
    }
}

/// What is decided at the end of a plan's call. `None`: nothing, because the plan can't read what it takes.
fn sieve(plan: usize, sieve: &Sieve, choices: &mut Choices) -> Option<bpf::sieve> {
    // the kernel side looks at the first four arguments
    let argument = |at: &usize| {
        let (_, argument) =
            plans::PLACES[plan].iter().find(|(param, argument)| param == at && *argument < 4)?;
        Some(argument + 1)
    };
    let mut path_args = [0; 2];
    for (place, at) in path_args.iter_mut().zip(&sieve.places.paths) {
        *place = argument(at)?;
    }
    let flags_arg = match &sieve.places.flags {
        None => 0,
        Some(at) => argument(at)?,
    };
    let socket_arg = match &sieve.places.socket {
        None => 0,
        // the result
        Some(0) => u8::MAX,
        Some(at) => argument(at)?,
    };
    let choice = match &sieve.places.argument {
        None => 0,
        // it says itself where it is
        Some(at) => argument(at).map_or(0, |_| choices.add(*at, sieve.classes.by_value())),
    };
    let used = match sieve.keep {
        Keep::Closes if sieve.whatever[0].is_empty() => USED_BY_CLOSES,
        Keep::Opens if path_args == [1, 0] && flags_arg == 2 || path_args == [2, 0] && flags_arg == 3 => {
            USED_BY_OPENS
        }
        _ => USED,
    };
    Some(bpf::sieve {
        whatever: sieve.whatever[0].0 as u32,
        paths: sieve.paths.0 as u32,
        starts: sieve.starts.0 as u32,
        ends: sieve.ends.0 as u32,
        grams: sieve.grams.0 as u32,
        salt: u16::try_from(sieve.salt).ok()?,
        used,
        keep: sieve.keep as u8,
        fixed: sieve.places.fixed,
        flags_arg,
        path_args,
        prefixes: sieve.prefixes,
        suffixes: sieve.suffixes,
        socket_arg,
        choice,
    })
}
