//! Loading the programs into the kernel and attaching them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use lanner_event::prefilter::Sieves;
use libbpf_rs::MapHandle;

use crate::calls::preemption;
use crate::calls::{self, Calls};
use crate::cgroups::{self, NewCgroups};
use crate::copies::{self, Copies};
use crate::direct;
use crate::homes::KnownCgroups;
use crate::log;
use crate::lost::Losses;
use crate::missing::Without;
use crate::object::{self, Notes, Purpose, Taken};
use crate::plans::Wanted;
use crate::points::{self, Kernel, Points};
use crate::require::kernel_release;
use crate::rings::Rings;
use crate::sys::{Ring, SharedGlobals, clock};
use crate::threads::Threads;
use crate::tracepoints::Tracepoints;
use crate::types::KernelTypes;
use crate::variables::{Globals, fill, fill_sieves};
use crate::{Attachment, EventSet, ProbeError, ProbeOptions};

/// Everything that keeps the probe alive in the kernel.
pub struct Loaded {
    threads: Threads,
    /// A program array is emptied when its last holder lets it go.
    _of_calls: MapHandle,
    /// The rings' maps, for waiting.
    pub ring_maps: Vec<MapHandle>,
    /// The rings' memory.
    pub rings: Vec<Ring>,
    /// Counters of what was lost.
    pub losses: Losses,
    /// Nanoseconds between 1970 and boot.
    pub boot_time: u64,
    /// How it is attached.
    pub attachment: Attachment,
    globals: Box<Globals>,
    shared: SharedGlobals,
    points: Points,
    calls: Calls,
    copies: Copies,
    /// Word of new cgroups, until somebody wants it.
    pub new_cgroups: Option<NewCgroups>,
    /// Which cgroups are the host's.
    pub known_cgroups: KnownCgroups,
    _of_cgroups: [Option<OwnedFd>; 2],
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

/// What the loading of the iterators came to.
pub struct Snapshot {
    /// This process's id, as the kernel numbers it.
    pub own_pid: u32,
    /// Whether the snapshot comes from them.
    pub iterators: bool,
    /// Why it doesn't, although nobody asked for another way.
    pub why_not: Option<String>,
}

/// Loads the programs and attaches them. `snapshot` is asked when they are loaded. Kernels before 5.13 have no memory
/// for a thread's notes that these programs may use: there no file is opened unseen, and no copies are kept.
pub fn load(
    options: &ProbeOptions,
    types: Option<&KernelTypes>,
    homes: &MapHandle,
    snapshot: impl FnOnce() -> Result<Snapshot, ProbeError>,
) -> Result<Loaded, ProbeError> {
    let rings = Rings::create(options)?;
    let mut kernel = Kernel::look(options, types);
    let wanted = Wanted::of(&options.events);
    let mut without = Without::default();
    let purpose = Purpose { options, kernel: &kernel, rings: &rings, homes, wanted: &wanted };
    let taken = match object::take(&purpose, &mut without) {
        Err(error) if kernel.tracepoints.are_recorded() => {
            let why = error.reason().map_or_else(|| error.to_string(), |(_, why)| why);
            kernel.tracepoints = Tracepoints::called(preemption::leaves_out().as_deref(), &why);
            without = Without::default();
            let purpose = Purpose { options, kernel: &kernel, rings: &rings, homes, wanted: &wanted };
            object::take(&purpose, &mut without)?
        }
        taken => taken?,
    };
    attach(options, kernel, rings, &wanted, taken, without, snapshot)
}

/// Attaches what was loaded.
fn attach(
    options: &ProbeOptions,
    kernel: Kernel<'_>,
    mut rings: Rings,
    wanted: &Wanted,
    taken: Taken,
    mut without: Without,
    snapshot: impl FnOnce() -> Result<Snapshot, ProbeError>,
) -> Result<Loaded, ProbeError> {
    let Taken { notes, why_no_more, boot_time, mut globals, variables, maps, of_calls, programs } = taken;
    let losses = Losses::new(&maps.handle("lost_map")?, &maps.handle("unreadable")?)?;
    let new_cgroups = maps.handle("new_cgroups")?;
    let [listed, made, unsure] =
        ["known_cgroups", "cgroups_made", "homes_unsure"].map(|map| maps.handle(map));
    let known_cgroups = KnownCgroups::new(&listed?, &made?, &unsure?)?;
    let mut shared = SharedGlobals::new(variables.as_fd())
        .map_err(|source| ProbeError::Map { map: ".bss".into(), source })?;
    let ring_bytes = rings.bytes;
    let mapped = rings.map()?;
    let ring_maps = std::mem::take(&mut rings.maps);
    let snapshot = snapshot()?;
    let own = (!options.include_self).then_some(snapshot.own_pid);
    for (slot, pid) in
        globals.skip_pids.iter_mut().zip(own.into_iter().chain(options.skip_pids.iter().copied()))
    {
        *slot = pid;
        globals.skip_count += 1;
    }
    // what `/proc` says has no part in it
    globals.homes_kept = u8::from(snapshot.iterators);
    shared.store(&globals);
    let reads_by_page_tables =
        programs.get(direct::PROGRAM).is_some_and(|program| direct::find(program.as_fd()));
    *globals = shared.load();

    // threads first, so that no call comes from one that was never seen to begin
    let tracepoints = &kernel.tracepoints;
    let threads = Threads::attach(&programs, tracepoints, &mut without)?;
    globals.names_told = u8::from(threads.tell_names());
    globals.births_told = u8::from(threads.tell_births());
    globals.ends_told = u8::from(threads.tell_ends() && tracepoints.leaves_out.is_none());
    let of_ends = cgroups::attach(cgroups::ENDED, &programs, tracepoints, &mut without)?;
    let of_cgroups = cgroups::attach(cgroups::MADE, &programs, tracepoints, &mut without)?;
    let new_cgroups = of_cgroups.is_some().then(|| NewCgroups::new(new_cgroups)).transpose()?;
    let copies = kernel.copies.and_then(|specs| match (notes, &why_no_more) {
        (Notes::All, _) => Ok(specs),
        (_, why) => Err(copies::WhyNot::NoNotes(why.clone().unwrap_or_default())),
    });
    let mut copies = Copies::load(&maps, kernel.types, copies);
    globals.keeping = u8::from(copies.follow(wanted));
    shared.store(&globals);
    let on_syscall = programs.needed("on_syscall")?.as_fd();
    let mut calls = Calls::attach(options.calls, on_syscall, tracepoints, kernel.functions, maps, wanted)?;
    if options.ahead {
        calls.load_ahead();
    }
    let mut few = Points::default();
    for spec in &points::SPECS {
        let Some(program) = programs.get(spec.program) else { continue };
        match few.add(spec, program.as_fd(), tracepoints) {
            Err(error) if !without.leave_out(&error) => return Err(error),
            _ => {}
        }
    }
    match few.follow(&options.events) {
        Err(error) if !without.leave_out(&error) => return Err(error),
        _ => {}
    }
    let mut points = threads.points();
    points.extend(calls.points());
    points.extend(copies.points());
    points.extend(of_cgroups.iter().map(|_| tracepoints.point(cgroups::MADE.1)));
    points.extend(of_ends.iter().map(|_| tracepoints.point(cgroups::ENDED.1)));
    points.extend(few.attached().map(|name| tracepoints.point(name)));
    let attachment = Attachment {
        kernel: kernel_release(),
        points,
        no_fexit: calls.why_not(),
        moving_to: calls.moving_to(),
        no_copies: copies.why_not(),
        kprobes: copies.are_by_kprobes(),
        leaves_out: tracepoints.leaves_out.clone(),
        syscalls: wanted.names.iter().map(|name| (*name).to_string()).collect(),
        rings: mapped.len(),
        ring_bytes,
        iterators: snapshot.iterators,
        no_iterators: snapshot.why_not,
        no_notes: why_no_more.filter(|_| notes == Notes::None),
        reads_by_page_tables,
        missing: without.into_list(),
    };
    Ok(Loaded {
        threads,
        _of_calls: of_calls,
        ring_maps,
        rings: mapped,
        losses,
        boot_time,
        attachment,
        globals,
        shared,
        points: few,
        calls,
        copies,
        new_cgroups,
        known_cgroups,
        _of_cgroups: [of_cgroups, of_ends],
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

    /// The snapshot has been read: what threads are called from now on is known, and in which cgroups they are.
    pub fn settle(&mut self) {
        self.globals.names_settled = 1;
        self.globals.homes_kept = 1;
        self.shared.store(&self.globals);
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

    /// The programs that tell of events.
    pub fn telling(&self) -> impl Iterator<Item = &OwnedFd> {
        self.threads.programs().chain(self.calls.programs()).chain(self.points.programs())
    }

    /// The programs that run at every event.
    pub fn programs(&self) -> impl Iterator<Item = &OwnedFd> {
        self.threads.programs().chain(self.copies.programs()).chain(self.calls.programs())
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
