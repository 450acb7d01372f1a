//! A plugin that was started for one loop.

use std::ffi::{CString, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lanner_event::EventBuf;
use lanner_machine::Machine;

use super::abi::{self, State};
use super::async_events::{self, Inbox};
use super::guard::Named;
use super::library::{Foreign, PluginError, fits, shown, text};
use super::owner::{self, Owner, Tell};
use super::routines;
use super::schema;
use super::tables::{READER, Tables, WRITER};
use crate::builtin::{BUILT_IN, Capability, Settings};

/// A number that a plugin tells of itself.
#[derive(Clone, PartialEq, Debug)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// It only grows.
    pub monotonic: bool,
}

/// A plugin that was started.
pub(super) struct Instance {
    pub(super) plugin: &'static Foreign,
    pub(super) owner: Box<Owner>,
    pub(super) named: Named,
    /// The sources whose events it may be shown, the loop's own first.
    pub(super) sources: Vec<CString>,
    pub(super) extract_types: Option<Vec<u16>>,
    parse_types: Option<Vec<u16>>,
    /// One call at a time; plugins aren't made for more.
    pub(super) call: Mutex<()>,
    /// It was told that events come, and not yet that they have ended.
    begun: AtomicBool,
    /// How much of its source was read, in hundredths of a percent; `NO_PROGRESS`: it doesn't say.
    progress: AtomicU32,
}

/// Stands for a progress that isn't known.
const NO_PROGRESS: u32 = u32::MAX;
/// All has been read.
const ALL_READ: u32 = 10_000;

/// What all plugins of a loop share.
pub(super) struct Shared {
    pub(super) tables: Arc<Tables>,
    pub(super) inbox: Arc<Inbox>,
    /// The number in the events of the loop's source.
    pub(super) source_id: u32,
}

impl Instance {
    /// Starts a plugin for the loop of a source.
    pub(super) fn start(
        plugin: &'static Foreign,
        settings: &Settings,
        source: &str,
        shared: &Shared,
        tell: Tell,
    ) -> Result<Instance, PluginError> {
        let failed = |what: String| PluginError::Failed { plugin: plugin.name.clone(), what };
        let config = schema::checked(plugin.schema.as_deref(), &settings.init_config).map_err(failed)?;
        let c_text =
            |text: &str| CString::new(text).map_err(|_| failed("a zero byte in a setting".to_owned()));
        let config = c_text(&config)?;
        let owner = Box::new(Owner::new(plugin, tell, shared));
        let uses_tables = plugin.can(Capability::Extraction) || plugin.can(Capability::Parsing);
        let input = abi::InitInput {
            config: config.as_ptr(),
            owner: owner.as_ptr(),
            last_error: owner::last_error,
            tables: if uses_tables { &raw const owner::TABLES } else { ptr::null() },
            log: owner::log,
        };
        let named = Named::new(&plugin.name);
        let mut rc = abi::FAILURE;
        let init = plugin.api.init.ok_or_else(|| failed("no plugin_init".to_owned()))?;
        // SAFETY: the plugin API says what `init` may do with its input, which outlives the call.
        let state = named.run(|| unsafe { init(&input, &mut rc) });
        owner.set_state(state);
        let mut instance = Instance {
            plugin,
            owner,
            named,
            sources: std::iter::once(source)
                .chain(["syscall", plugin.source.as_str()])
                .chain(BUILT_IN.iter().map(|plugin| plugin.source))
                .map(c_text)
                .collect::<Result<_, _>>()?,
            extract_types: None,
            parse_types: None,
            call: Mutex::new(()),
            begun: AtomicBool::new(false),
            progress: AtomicU32::new(NO_PROGRESS),
        };
        if rc != abi::SUCCESS {
            return Err(failed(format!("can't be initialised: {}", instance.last_error())));
        }
        instance.check_schema()?;
        instance.extract_types = instance.types(plugin.api.get_extract_event_types);
        instance.parse_types = instance.types(plugin.api.get_parse_event_types);
        Ok(instance)
    }

    pub(super) fn state(&self) -> State {
        self.owner.state()
    }

    pub(super) fn failed(&self, what: String) -> PluginError {
        PluginError::Failed { plugin: self.plugin.name.clone(), what }
    }

    /// What the plugin says went wrong.
    pub(super) fn last_error(&self) -> String {
        let Some(ask) = self.plugin.api.get_last_error else { return String::new() };
        // SAFETY: a function of the plugin API with the plugin's own state, which may be null.
        let said = text(self.named.run(|| unsafe { ask(self.state()) }));
        if said.is_empty() { "it doesn't say why".to_owned() } else { said }
    }

    fn check_schema(&self) -> Result<(), PluginError> {
        let Some(ask) = self.plugin.api.get_required_event_schema_version else { return Ok(()) };
        // SAFETY: a function of the plugin API with the plugin's own state.
        let wanted = text(self.named.run(|| unsafe { ask(self.state()) }));
        if wanted.is_empty() || fits(&wanted, abi::EVENT_SCHEMA) {
            return Ok(());
        }
        let offered = shown(abi::EVENT_SCHEMA);
        Err(self.failed(format!("it needs version {wanted} of the event schema, offered is {offered}")))
    }

    /// The event types that a function names; `None`: it names none.
    fn types(&self, ask: Option<unsafe extern "C" fn(*mut u32, State) -> *const u16>) -> Option<Vec<u16>> {
        let mut count = 0u32;
        // SAFETY: a function of the plugin API, which fills the number it is given.
        let types = self.named.run(|| unsafe { ask?(&mut count, self.state()).as_ref() })?;
        // SAFETY: the plugin API says that there are as many as the number says.
        (count > 0).then(|| unsafe { std::slice::from_raw_parts(types, count as usize) }.to_vec())
    }

    /// The loop's source.
    fn source(&self) -> &str {
        self.sources.first().and_then(|source| source.to_str().ok()).unwrap_or_default()
    }

    /// Types of events that it parses; `None`: all.
    pub(super) fn parse_types(&self) -> Option<&[u16]> {
        self.parse_types.as_deref()
    }

    /// What it counts.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let Some(ask) = self.plugin.api.get_metrics else { return Vec::new() };
        let _one = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = 0u32;
        // SAFETY: a function of the plugin API, which fills the number it is given.
        let first = self.named.run(|| unsafe { ask(self.state(), &mut count) });
        if first.is_null() {
            return Vec::new();
        }
        // SAFETY: the plugin API says that there are as many as the number says.
        unsafe { std::slice::from_raw_parts(first, count as usize) }.iter().map(metric).collect()
    }

    /// What its source may be opened with, as it says itself, in JSON.
    pub(super) fn params(&self) -> String {
        let Some(ask) = self.plugin.api.list_open_params else { return String::new() };
        let mut rc = abi::FAILURE;
        // SAFETY: a function of the plugin API, which fills the number it is given.
        let said = text(self.named.run(|| unsafe { ask(self.state(), &mut rc) }));
        if rc == abi::SUCCESS { said } else { String::new() }
    }

    /// Has it send events, or takes that back.
    fn let_send(&self, on: bool) -> Result<(), PluginError> {
        let Some(set) = self.plugin.api.set_async_event_handler else { return Ok(()) };
        let handler: Option<abi::AsyncHandler> = if on { Some(async_events::handler) } else { None };
        // SAFETY: a function of the plugin API; the owner lives until the handler is taken back.
        let rc = self.named.run(|| unsafe { set(self.state(), self.owner.as_ptr(), handler) });
        if rc == abi::SUCCESS {
            Ok(())
        } else {
            Err(self.failed(format!("can't send events: {}", self.last_error())))
        }
    }

    fn listen(
        &self,
        function: Option<unsafe extern "C" fn(State, *const abi::CaptureInput) -> abi::Rc>,
        machine: &Machine,
    ) -> bool {
        let Some(function) = function else { return true };
        let input = abi::CaptureInput {
            owner: self.owner.as_ptr(),
            routines: &raw const routines::FUNCTIONS,
            reader: &raw const READER,
            writer: &raw const WRITER,
            last_error: owner::last_error,
        };
        let call = || {
            self.named.run(|| {
                // SAFETY: a function of the plugin API; its input outlives the call.
                unsafe { function(self.state(), &input) }
            })
        };
        self.owner.tables.lend(machine, call) == abi::SUCCESS
    }

    /// Events are about to come. `live`: from what happens now, so that it may send some of its own.
    pub(super) fn begin(&self, machine: &Machine, live: bool) -> Result<(), PluginError> {
        if live && self.plugin.does(Capability::Async, self.source()) {
            self.let_send(true)?;
        }
        self.begun.store(true, Ordering::Release);
        if self.plugin.can(Capability::Listening) && !self.listen(self.plugin.api.capture_open, machine) {
            return Err(self.failed(format!("capture_open: {}", self.last_error())));
        }
        Ok(())
    }

    /// No more events come.
    pub(super) fn end(&self, machine: &Machine) {
        if !self.begun.swap(false, Ordering::AcqRel) {
            return;
        }
        // There is nothing that could be done about a plugin that fails here.
        let _ = self.let_send(false);
        if self.plugin.can(Capability::Listening) {
            self.listen(self.plugin.api.capture_close, machine);
        }
        self.owner.routines.stop_all();
    }

    /// Gives it other settings.
    pub(super) fn configure(&self, init_config: &str) -> Result<(), PluginError> {
        let set =
            self.plugin.api.set_config.ok_or_else(|| self.failed("takes no new settings".to_owned()))?;
        let config =
            schema::checked(self.plugin.schema.as_deref(), init_config).map_err(|what| self.failed(what))?;
        let config = CString::new(config).map_err(|_| self.failed("a zero byte in a setting".to_owned()))?;
        let _one = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let input = abi::ConfigInput { config: config.as_ptr() };
        // SAFETY: a function of the plugin API; its input outlives the call.
        match self.named.run(|| unsafe { set(self.state(), &input) }) {
            abi::SUCCESS => Ok(()),
            _ => Err(self.failed(format!("refuses its new settings: {}", self.last_error()))),
        }
    }

    /// Events that tell, to readers of a capture that begins, what it has found out so far.
    pub(super) fn dump(&self, machine: &Machine) -> Result<Vec<EventBuf>, PluginError> {
        let Some(dump) = self.plugin.api.dump_state.filter(|_| self.plugin.can(Capability::Async)) else {
            return Ok(Vec::new());
        };
        let _one = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let call = || {
            self.named.run(|| {
                // SAFETY: a function of the plugin API; it sends while it runs only.
                unsafe { dump(self.state(), self.owner.as_ptr(), Some(async_events::dumper)) }
            })
        };
        let rc = self.owner.tables.lend(machine, call);
        let told = self.owner.dump.take();
        if rc == abi::SUCCESS {
            Ok(told)
        } else {
            Err(self.failed(format!("can't tell of its state: {}", self.last_error())))
        }
    }

    /// How much of its source has been read, from 0 to 1, if it says so.
    pub(super) fn progress(&self) -> Option<f64> {
        let known = self.progress.load(Ordering::Relaxed);
        (known != NO_PROGRESS).then(|| f64::from(known.min(ALL_READ)) / f64::from(ALL_READ))
    }

    /// Asks how much of its source has been read.
    ///
    /// # Safety
    /// As [`Instance::next`].
    pub(super) unsafe fn ask_progress(&self, handle: *mut c_void) {
        let Some(ask) = self.plugin.api.get_progress else { return };
        let mut read = 0;
        // SAFETY: as the caller promises; the number outlives the call.
        self.named.run(|| unsafe { ask(self.state(), handle, &mut read) });
        self.progress.store(read, Ordering::Relaxed);
    }

    /// Opens its source.
    pub(super) fn open(&self, params: &str) -> Result<*mut c_void, PluginError> {
        let open = self.plugin.api.open.ok_or_else(|| self.failed("it gives no events".to_owned()))?;
        let params =
            CString::new(params).map_err(|_| self.failed("a zero byte in open_params".to_owned()))?;
        let mut rc = abi::FAILURE;
        // SAFETY: a function of the plugin API; its input outlives the call.
        let handle = self.named.run(|| unsafe { open(self.state(), params.as_ptr(), &mut rc) });
        if rc == abi::SUCCESS {
            Ok(handle)
        } else {
            Err(self.failed(format!("can't open its source: {}", self.last_error())))
        }
    }

    /// Asks for events; they stay valid until the next call.
    ///
    /// # Safety
    /// `handle` must come from [`Instance::open`] and not have been closed.
    pub(super) unsafe fn next(&self, handle: *mut c_void) -> (abi::Rc, &[*const u8]) {
        let Some(next) = self.plugin.api.next_batch else { return (abi::EOF, &[]) };
        let (mut count, mut events) = (0u32, ptr::null_mut());
        // SAFETY: as the caller promises; both outputs outlive the call.
        let rc = self.named.run(|| unsafe { next(self.state(), handle, &mut count, &mut events) });
        if events.is_null() || count == 0 {
            return (rc, &[]);
        }
        // SAFETY: the plugin API says that there are as many pointers as the number says.
        (rc, unsafe { std::slice::from_raw_parts(events, count as usize) })
    }

    /// Closes its source.
    ///
    /// # Safety
    /// As [`Instance::next`]; the handle is no good afterwards.
    pub(super) unsafe fn close(&self, handle: *mut c_void) {
        if let Some(close) = self.plugin.api.close {
            // SAFETY: as the caller promises.
            self.named.run(|| unsafe { close(self.state(), handle) });
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.end(&Machine::default());
        let state = self.state();
        if let Some(destroy) = self.plugin.api.destroy.filter(|_| !state.is_null()) {
            // SAFETY: the state is not used afterwards.
            self.named.run(|| unsafe { destroy(state) });
        }
    }
}

fn metric(metric: &abi::Metric) -> Metric {
    let bytes = metric.value.to_ne_bytes();
    let short = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let value = match metric.value_type {
        0 => f64::from(short),
        1 | 6 => f64::from(short as i32),
        2 => metric.value as f64,
        3 => metric.value as i64 as f64,
        4 => f64::from_bits(metric.value),
        _ => f64::from(f32::from_bits(short)),
    };
    Metric { name: text(metric.name), value, monotonic: metric.kind == 0 }
}
