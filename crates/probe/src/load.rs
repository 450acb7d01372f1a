//! Loading the programs into the kernel and attaching them.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use lanner_event::prefilter::{Sieve, Sieves};
use lanner_event::{EventType, types};
use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, MapType, ProgramType};

use crate::calls::{self, Calls, Shared};
use crate::copies::{self, Copies};
use crate::direct;
use crate::log;
use crate::missing::Without;
use crate::plans::{self, Wanted};
use crate::points::{self, Points};
use crate::require::kernel_release;
use crate::skeleton::probe::{ProbeSkelBuilder, types as bpf};
use crate::sys::{Ring, SharedGlobals, clock};
use crate::{Attachment, EventSet, ProbeError, ProbeOptions};

/// The global variables of the BPF side.
pub type Globals = bpf::bss;

/// Everything that keeps the probe alive in the kernel.
pub struct Loaded {
    /// Dropping a link detaches its program.
    _links: Vec<Link>,
    /// The programs at tracepoints of threads, for what the kernel counts of them.
    attached: Vec<OwnedFd>,
    /// A program array is emptied when its last holder lets it go.
    _programs: MapHandle,
    /// The rings' maps, for waiting.
    pub ring_maps: Vec<MapHandle>,
    /// The rings' memory.
    pub rings: Vec<Ring>,
    /// Counters of lost events.
    pub lost: MapHandle,
    /// Counter of unreadable parameters.
    pub unreadable: MapHandle,
    /// Nanoseconds between 1970 and boot.
    pub boot_time: u64,
    /// How it is attached.
    pub attachment: Attachment,
    globals: Globals,
    shared: SharedGlobals,
    points: Points,
    calls: Calls,
    copies: Copies,
}

/// Says an error of libbpf as one of the system.
pub fn io_error(error: &libbpf_rs::Error) -> io::Error {
    use libbpf_rs::ErrorKind as K;
    let kind = match error.kind() {
        K::NotFound => io::ErrorKind::NotFound,
        K::PermissionDenied => io::ErrorKind::PermissionDenied,
        K::OutOfMemory => io::ErrorKind::OutOfMemory,
        K::InvalidInput => io::ErrorKind::InvalidInput,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.to_string())
}

/// Makes an error about a map.
pub fn map_error(map: &str) -> impl Fn(libbpf_rs::Error) -> ProbeError {
    move |e| ProbeError::Map { map: map.into(), source: io_error(&e) }
}

/// Makes the error for a program that the kernel did not take.
pub fn refused(error: &libbpf_rs::Error) -> ProbeError {
    ProbeError::Refused {
        program: log::program().unwrap_or_default(),
        kernel: kernel_release(),
        log: log::tail(),
        source: io_error(error),
    }
}

/// Nanoseconds between 1970 and boot, by the tightest of a few pairs of readings.
pub fn boot_time() -> u64 {
    (0..5)
        .map(|_| {
            let before = clock(libc::CLOCK_BOOTTIME);
            let wall = clock(libc::CLOCK_REALTIME);
            let after = clock(libc::CLOCK_BOOTTIME);
            (after - before, wall.saturating_sub(before + (after - before) / 2))
        })
        .min()
        .map_or(0, |(_, offset)| offset)
}

/// How far the wall clock may be from what the kernel side adds to its own clock before that is corrected: more
/// than steady corrections by NTP amount to in the time between two looks, less than anyone notices in a log.
const TOLERATED_DRIFT: u64 = 5_000_000;

/// Longer than any program runs.
const SIEVES_IN_USE: Duration = Duration::from_millis(2);

/// Whether one of the types is wanted.
fn any(events: &EventSet, types: &[EventType]) -> u8 {
    u8::from(types.iter().any(|&ty| events.contains(ty)))
}

/// Writes what a set of events means into the variables.
fn fill(globals: &mut Globals, events: &EventSet, wanted: &Wanted) {
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
fn fill_sieves(globals: &mut Globals, sieves: &Sieves) {
    for (slot, made) in globals.slots.iter_mut().zip(sieves.table()) {
        (slot.key, slot.states) = (made.key, made.states);
    }
    globals.grams.copy_from_slice(sieves.grams());
    globals.known.copy_from_slice(sieves.known());
    for (plan, place) in globals.sieves.iter_mut().enumerate() {
        *place = plans::PLANS.get(plan).and_then(|ty| sieve(plan, sieves.get(*ty)?)).unwrap_or_default();
    }
}

/// What is decided at the end of a plan's call. `None`: nothing, because the plan can't read what it takes.
fn sieve(plan: usize, sieve: &Sieve) -> Option<bpf::sieve> {
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
    Some(bpf::sieve {
        whatever: sieve.whatever.0 as u32,
        paths: sieve.paths.0 as u32,
        starts: sieve.starts.0 as u32,
        ends: sieve.ends.0 as u32,
        grams: sieve.grams.0 as u32,
        salt: u16::try_from(sieve.salt).ok()?,
        used: 1,
        keep: sieve.keep as u8,
        fixed: sieve.places.fixed,
        flags_arg,
        path_args,
        prefixes: sieve.prefixes,
        suffixes: sieve.suffixes,
    })
}

/// The rings: one for each group of CPUs.
fn create_rings(cpus: usize, options: &ProbeOptions) -> Result<(Vec<MapHandle>, usize), ProbeError> {
    let bytes = options.ring_bytes.max(4096).next_power_of_two();
    let size = u32::try_from(bytes).map_err(|_| ProbeError::Map {
        map: "ring".into(),
        source: io::Error::new(io::ErrorKind::InvalidInput, format!("{bytes} bytes are too many")),
    })?;
    let opts = libbpf_rs::libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_rs::libbpf_sys::bpf_map_create_opts>() as libbpf_rs::libbpf_sys::size_t,
        ..Default::default()
    };
    let rings = (0..cpus.div_ceil(options.cpus_per_ring.max(1)))
        .map(|_| MapHandle::create(MapType::RingBuf, Some("lanner_ring"), 0, 0, size, &opts))
        .collect::<Result<Vec<_>, _>>()
        .map_err(map_error("ring"))?;
    Ok((rings, bytes))
}

/// Loads the programs and attaches them. `iterators` is asked when they are loaded: for this process's id and
/// whether the snapshot comes from iterators. Kernels before 5.13 have no memory for a thread's notes that these
/// programs may use: there no file is opened unseen, and no copies are kept.
pub fn load(
    options: &ProbeOptions,
    iterators: impl FnOnce() -> Result<(u32, bool), ProbeError>,
) -> Result<Loaded, ProbeError> {
    let mut iterators = Some(iterators);
    let mut without = Without::default();
    let mut notes = Notes::All;
    loop {
        match load_with(options, &mut notes, &mut without, &mut iterators) {
            // it notes nothing
            Err(error @ ProbeError::Refused { .. })
                if matches!(&error, ProbeError::Refused { program, .. } if program == direct::PROGRAM)
                    && without.leave_out(&error) => {}
            Err(ProbeError::Refused { .. }) if notes != Notes::None && iterators.is_some() => {
                notes = if notes == Notes::All { Notes::Fds } else { Notes::None };
            }
            // it was not for want of that memory, but of this program
            Err(error @ ProbeError::Refused { .. }) if iterators.is_some() && without.leave_out(&error) => {
                notes = Notes::All;
            }
            other => return other,
        }
    }
}

/// What programs note of a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notes {
    /// What fds it has that nobody was told of, and what its call was given.
    All,
    /// The fds alone.
    Fds,
    /// Nothing.
    None,
}

fn load_with<I: FnOnce() -> Result<(u32, bool), ProbeError>>(
    options: &ProbeOptions,
    notes: &mut Notes,
    without: &mut Without,
    iterators: &mut Option<I>,
) -> Result<Loaded, ProbeError> {
    let can_hide = *notes != Notes::None;
    let cpus = libbpf_rs::num_possible_cpus().map_err(map_error("rings"))?;
    let (ring_maps, ring_bytes) = create_rings(cpus, options)?;
    let first_ring = ring_maps.first().ok_or_else(|| ProbeError::Map {
        map: "rings".into(),
        source: io::Error::other("the machine says that it has no CPU"),
    })?;
    let wanted = Wanted::of(&options.events);
    let boot_time = boot_time();

    log::start();
    let mut object = MaybeUninit::uninit();
    let mut open = ProbeSkelBuilder::default().open(&mut object).map_err(|e| refused(&e))?;
    let cpu_count = u32::try_from(cpus).unwrap_or(u32::MAX);
    open.maps.rings.set_max_entries(cpu_count).map_err(map_error("rings"))?;
    open.maps.rings.set_inner_map_fd(first_ring.as_fd()).map_err(map_error("rings"))?;
    open.maps.scratch_map.set_max_entries(cpu_count).map_err(map_error("scratch_map"))?;
    let globals = open.maps.bss_data.as_deref_mut().ok_or_else(|| no_globals("probe"))?;
    globals.boot_time = boot_time;
    globals.snaplen = options.snaplen.min(ProbeOptions::MOST_SHOWN);
    globals.want_resolved = u8::from(options.resolved);
    let part = |eighths: usize| (ring_bytes / 8 * eighths) as u64;
    globals.wakeup_bytes = part(1);
    globals.fair_bytes = part(4);
    globals.reserve_bytes = part(6);
    globals.share_bytes = part(1) / 8;
    fill(globals, &options.events, &wanted);
    let mut globals = *globals;
    // it takes long to be checked, and few want it
    let beginnings = points::beginnings(&options.events);
    open.progs.on_enter.set_autoload(beginnings);
    let kernel = points::Kernel::look(options);
    let rings_of_calls = kernel.io_uring;
    for program in [&mut open.progs.on_submit, &mut open.progs.on_complete] {
        program.set_autoload(rings_of_calls.is_some());
    }
    if let Some(found) = &rings_of_calls {
        let constants = open.maps.rodata_data.as_deref_mut().ok_or_else(|| no_globals("probe"))?;
        constants.completion_by_value = u8::from(found.by_value);
        open.progs.on_submit.set_attach_target(0, Some(found.submit.into())).map_err(|e| refused(&e))?;
    }
    let constants = open.maps.rodata_data.as_deref_mut().ok_or_else(|| no_globals("probe"))?;
    constants.drop_failed = u8::from(options.drop_failed);
    constants.can_hide = u8::from(can_hide);
    constants.can_change = u8::from(kernel.functions.is_some());
    let can_cast = can_hide && kernel.can_cast;
    constants.can_cast = u8::from(can_cast);
    let copies = kernel.copies.and(if *notes == Notes::All { Ok(()) } else { Err(copies::WhyNot::NoNotes) });
    if copies.is_err() && *notes == Notes::All {
        *notes = Notes::Fds;
    }
    constants.can_keep = u8::from(copies.is_ok());
    let filter = kernel.functions.as_ref().and_then(|functions| functions.filter.as_ref());
    constants.filter_takes_one = u8::from(filter.is_some_and(|(_, takes_one)| *takes_one));
    open.maps.hidden_fds.set_autocreate(can_hide).map_err(map_error("hidden_fds"))?;
    open.maps.told.set_autocreate(can_hide).map_err(map_error("told"))?;
    let of_copies = [&mut open.maps.copies, &mut open.maps.long_names, &mut open.maps.long_name_buffer];
    for map in of_copies {
        map.set_autocreate(copies.is_ok()).map_err(map_error("copies"))?;
    }
    let by_page_tables = can_cast && cfg!(target_arch = "x86_64") && !without.has(direct::PROGRAM);
    open.progs.find_direct_map.set_autoload(by_page_tables);
    for mut program in open.open_object_mut().progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        if without.has(&name) {
            program.set_autoload(false);
        } else if options.spoilt.iter().any(|spoilt| *spoilt == name) {
            program.set_prog_type(ProgramType::SocketFilter);
        }
    }
    let loaded = open.load().map_err(|e| refused(&e))?;

    let per_ring = options.cpus_per_ring.max(1);
    for cpu in 0..cpu_count {
        let ring = ring_maps.get(cpu as usize / per_ring).unwrap_or(first_ring);
        let fd = ring.as_fd().as_raw_fd().to_ne_bytes();
        loaded.maps.rings.update(&cpu.to_ne_bytes(), &fd, MapFlags::ANY).map_err(map_error("rings"))?;
    }
    let rings = ring_maps
        .iter()
        .map(|map| Ring::new(map.as_fd(), ring_bytes))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|source| ProbeError::Map { map: "ring".into(), source })?;
    let handle = |map: &libbpf_rs::MapMut<'_>, name| MapHandle::try_from(map).map_err(map_error(name));
    let lost = handle(&loaded.maps.lost_map, "lost_map")?;
    let unreadable = handle(&loaded.maps.unreadable, "unreadable")?;
    let programs = handle(&loaded.maps.programs, "programs")?;
    calls::fill(&programs, &[&loaded.progs.interpret, &loaded.progs.clone, &loaded.progs.execve])?;
    let mut shared = SharedGlobals::new(loaded.maps.bss.as_fd())
        .map_err(|source| ProbeError::Map { map: ".bss".into(), source })?;
    let ask = iterators.take().ok_or_else(|| no_globals("snapshot"))?;
    let (own_pid, iterators) = ask()?;
    let own = (!options.include_self).then_some(own_pid);
    for (slot, pid) in
        globals.skip_pids.iter_mut().zip(own.into_iter().chain(options.skip_pids.iter().copied()))
    {
        *slot = pid;
        globals.skip_count += 1;
    }
    shared.store(&globals);
    let reads_by_page_tables = by_page_tables && direct::find(&loaded.progs.find_direct_map);
    globals = shared.load();

    let (mut links, mut attached) = (Vec::new(), Vec::new());
    let mut points = Vec::new();
    let progs = &loaded.progs;
    // threads first, so that no call comes from one that was never seen to begin
    for program in [&progs.on_fork, &progs.on_exec, &progs.on_exit] {
        let name = program.name().to_string_lossy().into_owned();
        if without.has(&name) {
            continue;
        }
        match program.attach() {
            Ok(link) => {
                links.push(link);
                // Without its descriptor a program is only not counted.
                attached.extend(program.as_fd().try_clone_to_owned());
            }
            Err(error) => {
                let error = ProbeError::Attach { program: name, source: io_error(&error) };
                if !without.leave_out(&error) {
                    return Err(error);
                }
            }
        }
    }
    let others = loaded.object().maps().filter(|map| map.name() != "programs" && map.autocreate());
    let maps = others
        .map(|map| Ok((map.name().to_os_string(), MapHandle::try_from(&map)?)))
        .collect::<Result<_, _>>()
        .map_err(map_error("shared"))?;
    let shared_maps = Shared { maps, can_note: can_hide };
    let mut copies = Copies::load(&shared_maps, copies);
    globals.keeping = u8::from(copies.follow(&wanted));
    shared.store(&globals);
    let mut calls =
        Calls::attach(options.calls, progs.on_syscall.as_fd(), kernel.functions, shared_maps, &wanted)?;
    if options.ahead {
        calls.load_ahead();
    }
    let mut few = Points::default();
    let of_few = [&progs.on_enter, &progs.on_switch, &progs.on_signal, &progs.on_complete, &progs.on_submit];
    for (spec, program) in points::SPECS.iter().zip(of_few) {
        let loaded = match spec.tracepoint {
            "sys_enter" => beginnings,
            name => rings_of_calls.is_some() || !name.starts_with("io_uring"),
        };
        if loaded && !without.has(spec.program) {
            few.add(spec, program.as_fd())?;
        }
    }
    match few.follow(&options.events) {
        Err(error) if !without.leave_out(&error) => return Err(error),
        _ => {}
    }
    for (program, section) in [
        ("on_fork", "sched_process_fork"),
        ("on_exec", "sched_process_exec"),
        ("on_exit", "sched_process_exit"),
    ] {
        if !without.has(program) {
            points.push(format!("tp_btf/{section}"));
        }
    }
    points.extend(calls.points());
    points.extend(copies.points());
    points.extend(few.attached().map(|name| format!("tp_btf/{name}")));
    let attachment = Attachment {
        kernel: kernel_release(),
        points,
        no_fexit: calls.why_not(),
        moving_to: calls.moving_to(),
        no_copies: copies.why_not(),
        syscalls: wanted.names.iter().map(|name| (*name).to_string()).collect(),
        rings: rings.len(),
        ring_bytes,
        iterators,
        notes: can_hide,
        reads_by_page_tables,
        missing: std::mem::take(without).into_list(),
    };
    Ok(Loaded {
        _links: links,
        attached,
        _programs: programs,
        ring_maps,
        rings,
        lost,
        unreadable,
        boot_time,
        attachment,
        globals,
        shared,
        points: few,
        calls,
        copies,
    })
}

/// The error for an object without its variables, which a broken build alone can give.
pub fn no_globals(object: &str) -> ProbeError {
    ProbeError::Map { map: format!("{object}.bss"), source: io::Error::other("the program has no variables") }
}

impl Loaded {
    /// Follows the wall clock when it was set.
    pub fn follow_clock(&mut self) {
        let now = boot_time();
        if now.abs_diff(self.boot_time) > TOLERATED_DRIFT {
            self.boot_time = now;
            self.globals.boot_time = now;
            self.shared.store(&self.globals);
        }
    }

    /// Changes what is dropped before it is written. Whatever happens meanwhile is written.
    pub fn update_prefilter(&mut self, sieves: &Sieves) {
        for plan in &mut self.globals.sieves {
            plan.used = 0;
        }
        self.shared.store(&self.globals);
        // a call that ends now may still be decided by what was there before
        std::thread::sleep(SIEVES_IN_USE);
        fill_sieves(&mut self.globals, sieves);
        let made = self.globals.sieves;
        for plan in &mut self.globals.sieves {
            plan.used = 0;
        }
        self.globals.hiding = 1;
        self.globals.generation += 1;
        self.shared.store(&self.globals);
        self.globals.sieves = made;
        self.shared.store(&self.globals);
    }

    /// The programs that run at every event.
    pub fn programs(&self) -> impl Iterator<Item = &OwnedFd> {
        self.attached.iter().chain(self.copies.programs()).chain(self.calls.programs())
    }

    /// Says of what is opened where the kernel found it, or not.
    pub fn tell_resolved(&mut self, tell: bool) {
        self.globals.want_resolved = u8::from(tell);
        self.shared.store(&self.globals);
    }

    /// Goes on with what is to be attached and detached; an error is told as the reason why it was not.
    pub fn advance(&mut self) {
        match self.calls.advance() {
            Ok(false) => {}
            Ok(true) => self.show_calls(),
            Err(error) => self.attachment.no_fexit = Some(error.to_string()),
        }
    }

    /// Where the ends of calls are seen, for people.
    fn show_calls(&mut self) {
        self.attachment.points.retain(|point| !calls::is_point(point));
        self.attachment.points.extend(self.calls.points());
        self.attachment.no_fexit = self.calls.why_not();
        self.attachment.moving_to = self.calls.moving_to();
    }

    /// Changes what is delivered.
    ///
    /// # Errors
    /// When the kernel does not let a point that is needed now be attached.
    pub fn update(&mut self, events: &EventSet) -> Result<(), ProbeError> {
        let wanted = Wanted::of(events);
        self.calls.follow(&wanted)?;
        fill(&mut self.globals, events, &wanted);
        self.globals.keeping = u8::from(self.copies.follow(&wanted));
        self.shared.store(&self.globals);
        self.show_calls();
        self.attachment.points.retain(|point| !copies::is_point(point));
        self.attachment.points.extend(self.copies.points());
        self.attachment.no_copies = self.copies.why_not();
        self.attachment.syscalls = wanted.names.iter().map(|name| (*name).to_string()).collect();
        self.points.follow(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_without_memory_for_fds_do_without() {
        let options = ProbeOptions { events: EventSet::new(), ring_bytes: 4096, ..ProbeOptions::default() };
        match load_with(&options, &mut Notes::None, &mut Without::default(), &mut Some(|| Ok((1, false)))) {
            Ok(_) => {}
            Err(ProbeError::Refused { log, .. }) if crate::require::check().is_ok() => panic!("{log}"),
            Err(error) => eprintln!("skipped: {error}"),
        }
    }
}
