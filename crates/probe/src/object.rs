//! The object that the programs come in: opened, told what is constant, fitted to this kernel, and its programs loaded.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{MapCore, MapHandle, OpenProgram, ProgramType};

use crate::calls::{self, Shared};
use crate::cgroups;
use crate::direct;
use crate::load::{boot_time, map_error, no_globals, refused};
use crate::missing::Without;
use crate::plans::Wanted;
use crate::points::{self, Kernel};
use crate::rings::Rings;
use crate::skeleton::probe::{OpenProbeSkel, ProbeSkelBuilder};
use crate::sys::program::{self, Place};
use crate::types::{KernelTypes, fit_to};
use crate::variables::{Globals, fill};
use crate::verify::{self, Program};
use crate::{ProbeError, ProbeOptions, log};

/// What programs note of a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Notes {
    /// What fds it has that nobody was told of, and what its call was given.
    All,
    /// The fds alone.
    Fds,
    /// Nothing.
    None,
}

/// What the kernel has taken.
pub struct Taken {
    /// What the programs note of a thread.
    pub notes: Notes,
    /// Why no more.
    pub why_no_more: Option<String>,
    /// Nanoseconds between 1970 and boot.
    pub boot_time: u64,
    /// What the variables hold.
    pub globals: Box<Globals>,
    /// Where they are.
    pub variables: MapHandle,
    /// All maps but the next.
    pub maps: Shared,
    /// The programs that tell of a call. The kernel empties it when its last holder lets it go.
    pub of_calls: MapHandle,
    /// The programs.
    pub programs: Programs,
}

/// Programs by their names.
pub struct Programs(HashMap<String, OwnedFd>);

impl Programs {
    /// One that was loaded.
    pub fn get(&self, name: &str) -> Option<&OwnedFd> {
        self.0.get(name)
    }

    /// One without which there is no probe.
    ///
    /// # Errors
    /// When it isn't there, which a broken build alone can give.
    pub fn needed(&self, name: &str) -> Result<&OwnedFd, ProbeError> {
        self.get(name).ok_or_else(|| no_globals(name))
    }
}

/// Why nothing was taken.
enum Failure {
    /// The kernel refused these programs, or a map that they need.
    Refused(Vec<ProbeError>),
    /// It would refuse anything.
    Other(ProbeError),
}

impl From<ProbeError> for Failure {
    fn from(error: ProbeError) -> Failure {
        match error {
            ProbeError::Refused { .. } => Failure::Refused(vec![error]),
            other => Failure::Other(other),
        }
    }
}

/// What the programs are loaded for.
pub struct Purpose<'a> {
    /// How the probe is to be.
    pub options: &'a ProbeOptions,
    /// What the kernel has.
    pub kernel: &'a Kernel<'a>,
    /// The rings.
    pub rings: &'a Rings,
    /// In which cgroup each thread is.
    pub homes: &'a MapHandle,
    /// The calls that are wanted.
    pub wanted: &'a Wanted,
}

/// Has the kernel take the programs: if need be with fewer notes, and if that doesn't help without those that can be
/// spared.
///
/// # Errors
/// When it refuses one that can't be.
pub fn take(purpose: &Purpose<'_>, without: &mut Without) -> Result<Taken, ProbeError> {
    let most = if purpose.kernel.copies.is_ok() { Notes::All } else { Notes::Fds };
    let (mut notes, mut why_no_more) = (most, None);
    loop {
        let refused = match attempt(purpose, notes, without) {
            Ok(taken) => return Ok(Taken { why_no_more, ..taken }),
            Err(Failure::Other(error)) => return Err(error),
            Err(Failure::Refused(refused)) => refused,
        };
        // it notes nothing
        let notes_nothing =
            |error: &ProbeError| error.reason().is_some_and(|(name, _)| name == direct::PROGRAM);
        if refused.iter().all(notes_nothing) && refused.iter().all(|error| without.leave_out(error)) {
            continue;
        }
        why_no_more = refused.first().map(said);
        notes = match notes {
            Notes::All => Notes::Fds,
            Notes::Fds => Notes::None,
            Notes::None => {
                why_no_more = None;
                // it was not for want of that memory, but of these programs
                for error in refused {
                    if !without.leave_out(&error) {
                        return Err(error);
                    }
                }
                most
            }
        };
    }
}

/// What the kernel said to a program.
fn said(error: &ProbeError) -> String {
    match error.reason() {
        Some(("", why)) => format!("the kernel refused what they are kept in: {why}"),
        Some((program, why)) => format!("the kernel refused the program {program} with them: {why}"),
        None => error.to_string(),
    }
}

fn attempt(purpose: &Purpose<'_>, notes: Notes, without: &Without) -> Result<Taken, Failure> {
    log::start();
    let mut object = MaybeUninit::uninit();
    let mut builder = ProbeSkelBuilder::default();
    fit_to(purpose.kernel.types, builder.object_builder_mut());
    let mut open = builder.open(&mut object).map_err(|e| refused(&e))?;
    let boot_time = boot_time();
    let globals = set_variables(purpose, &mut open, boot_time)?;
    set_constants(purpose, &mut open, notes)?;
    choose_maps(purpose, &mut open, notes)?;
    choose_programs(purpose, &mut open, notes, without);
    let casts = purpose.kernel.types.map(|types| types.casts);
    program::prepare(open.open_object_mut(), |code| casts?.fit(code)).map_err(|e| refused(&e))?;
    let (programs, failed): (Vec<_>, Vec<_>) =
        verify::all(&fitted(purpose, &open)).into_iter().partition(|(_, taken)| taken.is_ok());
    if !failed.is_empty() {
        return Err(Failure::Refused(failed.into_iter().filter_map(|(_, taken)| taken.err()).collect()));
    }
    let taken = programs.into_iter().filter_map(|(name, taken)| Some((name, taken.ok()?)));
    let programs = Programs(taken.collect());
    // libbpf is to give the maps, and has nothing left to load
    for mut program in open.open_object_mut().progs_mut() {
        program.set_autoload(false);
    }
    let loaded = open.load().map_err(|e| refused(&e))?;
    let of_calls = MapHandle::try_from(&loaded.maps.programs).map_err(map_error("programs"))?;
    let called = [programs.needed("interpret")?, programs.needed("clone")?, programs.needed("execve")?];
    calls::fill(&of_calls, &called.map(AsFd::as_fd))?;
    let variables = MapHandle::try_from(&loaded.maps.bss).map_err(map_error("bss"))?;
    let others = loaded.object().maps().filter(|map| map.name() != "programs" && map.autocreate());
    let maps = others
        .map(|map| Ok((map.name().to_os_string(), MapHandle::try_from(&map)?)))
        .collect::<Result<_, _>>()
        .map_err(map_error("shared"))?;
    let maps = Shared { maps, can_note: notes != Notes::None, casts };
    Ok(Taken { notes, why_no_more: None, boot_time, globals, variables, maps, of_calls, programs })
}

fn set_variables(
    purpose: &Purpose<'_>,
    open: &mut OpenProbeSkel<'_>,
    boot_time: u64,
) -> Result<Box<Globals>, ProbeError> {
    let options = purpose.options;
    let globals = open.maps.bss_data.as_deref_mut().ok_or_else(|| no_globals("probe"))?;
    globals.boot_time = boot_time;
    globals.snaplen = options.snaplen.min(ProbeOptions::MOST_SHOWN);
    globals.want_resolved = u8::from(options.resolved);
    let part = |eighths: usize| (purpose.rings.bytes / 8 * eighths) as u64;
    globals.wakeup_bytes = part(1);
    globals.fair_bytes = part(4);
    globals.reserve_bytes = part(6);
    globals.share_bytes = part(1) / 8;
    fill(globals, &options.events, purpose.wanted);
    Ok(Box::new(*globals))
}

fn set_constants(
    purpose: &Purpose<'_>,
    open: &mut OpenProbeSkel<'_>,
    notes: Notes,
) -> Result<(), ProbeError> {
    let kernel = purpose.kernel;
    let constants = open.maps.rodata_data.as_deref_mut().ok_or_else(|| no_globals("probe"))?;
    constants.completion_by_value = u8::from(kernel.io_uring.as_ref().is_some_and(|found| found.by_value));
    constants.drop_failed = u8::from(purpose.options.drop_failed);
    constants.can_hide = u8::from(notes != Notes::None);
    constants.recorded = u8::from(kernel.tracepoints.are_recorded());
    constants.can_change = u8::from(kernel.functions.is_some());
    constants.can_cast = u8::from(can_cast(purpose, notes));
    constants.can_keep = u8::from(notes == Notes::All);
    let filter = kernel.functions.as_ref().and_then(|functions| functions.filter.as_ref());
    constants.filter_takes_one = u8::from(filter.is_some_and(|(_, takes_one)| *takes_one));
    Ok(())
}

fn choose_maps(purpose: &Purpose<'_>, open: &mut OpenProbeSkel<'_>, notes: Notes) -> Result<(), ProbeError> {
    let maps = &mut open.maps;
    maps.rings.reuse_fd(purpose.rings.by_cpu.as_fd()).map_err(map_error("rings"))?;
    maps.homes.reuse_fd(purpose.homes.as_fd()).map_err(map_error("homes"))?;
    maps.scratch_map.set_max_entries(purpose.rings.cpus).map_err(map_error("scratch_map"))?;
    let counters = purpose.rings.cpus.saturating_mul(maps.lost_map.max_entries());
    maps.lost_map.set_max_entries(counters).map_err(map_error("lost_map"))?;
    maps.near_fds.set_autocreate(notes != Notes::None).map_err(map_error("near_fds"))?;
    maps.far_fds.set_autocreate(notes != Notes::None).map_err(map_error("far_fds"))?;
    maps.told_sockets.set_autocreate(notes != Notes::None).map_err(map_error("told_sockets"))?;
    maps.told.set_autocreate(notes != Notes::None).map_err(map_error("told"))?;
    let of_copies =
        [&mut maps.copies, &mut maps.long_names, &mut maps.long_name_buffer, &mut maps.message_addresses];
    for map in of_copies {
        map.set_autocreate(notes == Notes::All).map_err(map_error("copies"))?;
    }
    Ok(())
}

/// Whether programs say what addresses point to.
fn can_cast(purpose: &Purpose<'_>, notes: Notes) -> bool {
    notes != Notes::None && purpose.kernel.types.is_some_and(KernelTypes::can_cast)
}

/// Whether names may be read by way of the caller's page tables.
fn by_page_tables(purpose: &Purpose<'_>, notes: Notes) -> bool {
    can_cast(purpose, notes) && cfg!(target_arch = "x86_64")
}

fn choose_programs(purpose: &Purpose<'_>, open: &mut OpenProbeSkel<'_>, notes: Notes, without: &Without) {
    // it takes long to be checked, and few want it
    open.progs.on_enter.set_autoload(points::beginnings(&purpose.options.events));
    for program in [&mut open.progs.on_submit, &mut open.progs.on_complete] {
        program.set_autoload(purpose.kernel.io_uring.is_some());
    }
    let has = |tracepoint| purpose.kernel.types.is_some_and(|types| types.tracepoint(tracepoint).is_some());
    open.progs.on_cgroup.set_autoload(has(cgroups::MADE.1));
    open.progs.on_cgroup_end.set_autoload(has(cgroups::ENDED.1));
    open.progs.find_direct_map.set_autoload(by_page_tables(purpose, notes));
    for mut program in open.open_object_mut().progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        if without.has(&name) {
            program.set_autoload(false);
        } else if purpose.options.spoilt.iter().any(|spoilt| *spoilt == name)
            || (name == "on_syscall" && purpose.options.spoil_notes && notes != Notes::None)
        {
            program.set_prog_type(ProgramType::SocketFilter);
        }
    }
}

/// The programs of a prepared object that are to be loaded.
fn fitted<'a>(purpose: &Purpose<'_>, open: &'a OpenProbeSkel<'_>) -> Vec<Program<'a>> {
    let object = open.open_object();
    let programs = object.progs().filter(OpenProgram::autoload);
    programs
        .map(|program| Program {
            name: program.name().to_string_lossy().into_owned(),
            place: place(purpose, &program),
            code: program::fitted(object, &program),
        })
        .collect()
}

/// Where a program goes in this kernel.
fn place(purpose: &Purpose<'_>, program: &OpenProgram<'_>) -> Result<Place, String> {
    let section = program.section().to_string_lossy();
    if section == "raw_tp" {
        // it is not attached at all
        return Ok(Place { program: program.prog_type() as u32, attach: 0, btf_id: 0 });
    }
    let named = section.strip_prefix("tp_btf/").unwrap_or(&section);
    let tracepoint = match (program.name() == "on_submit", &purpose.kernel.io_uring) {
        (true, Some(found)) => found.submit,
        _ => named,
    };
    let types = purpose.kernel.types.ok_or("the kernel's types are of a form that isn't known")?;
    purpose.kernel.tracepoints.place(tracepoint, program.prog_type() as u32, types)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventSet;

    #[test]
    fn kernels_without_memory_for_notes_do_without() {
        let options = ProbeOptions { events: EventSet::new(), ring_bytes: 4096, ..ProbeOptions::default() };
        let types = KernelTypes::read();
        let kernel = Kernel::look(&options, types.as_ref());
        let taken = Rings::create(&options).map_err(Failure::Other).and_then(|rings| {
            let wanted = Wanted::of(&options.events);
            let homes = crate::homes::create().map_err(Failure::Other)?;
            let purpose =
                Purpose { options: &options, kernel: &kernel, rings: &rings, homes: &homes, wanted: &wanted };
            attempt(&purpose, Notes::None, &Without::default())
        });
        match taken {
            Ok(_) => {}
            Err(Failure::Refused(refused)) if crate::require::check().is_ok() => panic!("{refused:?}"),
            Err(Failure::Refused(refused)) => eprintln!("skipped: {refused:?}"),
            Err(Failure::Other(error)) => eprintln!("skipped: {error}"),
        }
    }
}
