//! The way through a capture: each of its events with what is known of its thread at that moment.

use std::sync::Arc;

use lanner_capture::{CaptureError, Reader, Snapshot};
use lanner_event::{BufferFormat, Event, EventType, params, types};
use lanner_fields::{Context, EventMeta, Foreign, ForeignFields, Progress, Scratch};
use lanner_machine::{Container, Machine, MachineOptions};
use lanner_plugin::BUILT_IN;
use lanner_plugin::host::Crew;

use crate::announce::local_offset;
use crate::{learnt, records};

/// Shows `see` every event that rules look at, and what the capture says of its host beside threads and files.
/// Nothing is asked of this host.
///
/// # Errors
/// When the capture can't be read to its end, or what `see` says.
pub fn walk<E: From<CaptureError>>(
    reader: &mut Reader,
    buffers: BufferFormat,
    see: impl FnMut(&Context<'_>, &Snapshot) -> Result<(), E>,
) -> Result<(), E> {
    walk_with(reader, buffers, None, |_| Ok(()), see)
}

/// The same, with plugins that look at the events, too. `begin` is shown what is known before the first of them.
///
/// # Errors
/// As [`walk`], and what `begin` says; an event that a plugin can't parse is no error.
pub fn walk_with<E: From<CaptureError>>(
    reader: &mut Reader,
    buffers: BufferFormat,
    crew: Option<&Arc<Crew>>,
    begin: impl FnOnce(&Machine) -> Result<(), E>,
    see: impl FnMut(&Context<'_>, &Snapshot) -> Result<(), E>,
) -> Result<(), E> {
    let mut walk = Walk {
        buffers,
        crew: crew.cloned(),
        machine: Machine::default(),
        around: Snapshot::default(),
        progress: Progress::default(),
        scratch: Scratch::new(),
        begun: false,
        elsewhere: false,
    };
    let result = walk.go(reader, begin, see);
    if let Some(crew) = crew {
        crew.end(&walk.machine);
    }
    result
}

struct Walk {
    buffers: BufferFormat,
    crew: Option<Arc<Crew>>,
    machine: Machine,
    /// The section's snapshot without threads and files.
    around: Snapshot,
    progress: Progress,
    scratch: Scratch,
    /// An event was seen that is no more of the section's beginning.
    begun: bool,
    /// The last event was none of the kernel's.
    elsewhere: bool,
}

impl Walk {
    fn go<E: From<CaptureError>>(
        &mut self,
        reader: &mut Reader,
        begin: impl FnOnce(&Machine) -> Result<(), E>,
        mut see: impl FnMut(&Context<'_>, &Snapshot) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut section = 0;
        let mut begin = Some(begin);
        while reader.advance()? {
            if reader.sections() != section {
                section = reader.sections();
                self.begin(reader);
                begin.take().map_or(Ok(()), |begin| begin(&self.machine))?;
            }
            self.step(reader, &mut see)?;
        }
        Ok(())
    }

    /// Forgets all and takes the snapshot of the section that begins.
    fn begin(&mut self, reader: &mut Reader) {
        self.machine = Machine::new(MachineOptions::default());
        let snapshot = reader.take_snapshot();
        self.around = Snapshot {
            host: snapshot.host.clone(),
            interfaces: snapshot.interfaces.clone(),
            users: snapshot.users.clone(),
            groups: snapshot.groups.clone(),
            ..Snapshot::default()
        };
        records::give_to(snapshot, &mut self.machine);
        (self.begun, self.elsewhere) = (false, false);
        // `evt.hostname` stays empty, as in Falco: a capture tells of a host that is not this one.
        self.progress = Progress::new(EventMeta {
            utc_offset: local_offset,
            buffer_format: self.buffers,
            foreign: Foreign(self.crew.clone().map(|crew| crew as Arc<dyn ForeignFields>)),
            ..EventMeta::default()
        });
    }

    /// Source and name of the plugin whose number an event has: of one that is loaded, before one that is built in.
    fn made_by(&self, event: &Event<'_>) -> (&'static str, &'static str) {
        const KERNELS: (&str, &str) = ("syscall", "");
        let id = match event.ty() {
            types::PLUGINEVENT_E => event.u32(0).unwrap_or(0),
            types::ASYNCEVENT_E => match event.u32(0) {
                None | Some(0) => return KERNELS,
                Some(id) => id,
            },
            _ => return KERNELS,
        };
        let loaded = self.crew.as_ref().and_then(|crew| crew.maker(id));
        let built_in = || BUILT_IN.iter().find(|plugin| plugin.id == id && id != 0);
        loaded.or_else(|| built_in().map(|plugin| (plugin.source, plugin.name))).unwrap_or(("", ""))
    }

    /// Takes in what an event tells of a container, and whose event it is. Also to be called for the first of the
    /// kernel's after one from elsewhere.
    #[cold]
    fn take_told(&mut self, event: &Event<'_>) {
        if let Some(container) = container_told(event) {
            self.machine.set_container(container);
        }
        let (source, plugin) = self.made_by(event);
        self.progress.set_source(source, plugin);
        self.elsewhere = is_told(event.ty());
    }

    fn step<E>(
        &mut self,
        reader: &Reader,
        see: &mut impl FnMut(&Context<'_>, &Snapshot) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(event) = reader.event() else { return Ok(()) };
        let subject = self.machine.apply(&event);
        if is_told(event.ty()) || self.elsewhere {
            self.take_told(&event);
        }
        if reader.is_learnt() {
            learnt::give_to(&event, &mut self.machine);
        }
        self.progress.advance(&event);
        if let Some(crew) = &self.crew {
            // The event's fields show what a plugin could not take from it.
            let _ = crew.parse(&event, self.progress.meta(), &self.machine);
        }
        self.begun = self.begun || !completes_snapshot(event.ty());
        if reader.is_state_only() || !self.begun {
            return Ok(());
        }
        self.scratch.reset();
        let cx = Context {
            event: &event,
            machine: &self.machine,
            subject: &subject,
            meta: self.progress.meta(),
            scratch: &self.scratch,
        };
        see(&cx, &self.around)
    }
}

/// Whether events of a type come from elsewhere than the kernel, or may.
fn is_told(ty: EventType) -> bool {
    matches!(ty, types::PLUGINEVENT_E | types::CONTAINER_JSON_2_E | types::ASYNCEVENT_E)
}

/// Whether events of a type, where a section's events begin, belong to its snapshot: rules don't see them.
fn completes_snapshot(ty: EventType) -> bool {
    matches!(
        ty,
        types::CONTAINER_JSON_2_E
            | types::USER_ADDED_E
            | types::USER_DELETED_E
            | types::GROUP_ADDED_E
            | types::GROUP_DELETED_E
            | types::ASYNCEVENT_E
    )
}

/// The container that an event tells of.
fn container_told(event: &Event<'_>) -> Option<Container> {
    let json = match event.ty() {
        types::CONTAINER_JSON_2_E => event.param(params::container_json_2_e::JSON)?,
        types::ASYNCEVENT_E if event.text(params::asyncevent_e::NAME)? == b"container" => {
            event.param(params::asyncevent_e::DATA)?
        }
        _ => return None,
    };
    lanner_container::from_event(json)
}
