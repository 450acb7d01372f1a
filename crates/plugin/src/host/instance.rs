//! A plugin that was started for one loop.

use std::ffi::{CString, c_void};
use std::net::IpAddr;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use lanner_event::Event;
use lanner_fields::{Context, FieldType, ForeignArgument, ForeignRequest, Scratch, Value};
use lanner_machine::Machine;

use super::abi::{self, State, field_type};
use super::async_events::{self, Inbox};
use super::guard::Named;
use super::library::{Foreign, PluginError, fits, shown, text};
use super::owner::{self, Owner, Tell};
use super::routines;
use super::schema;
use super::tables::{READER, Tables, WRITER};
use crate::builtin::{Capability, Settings};

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
    named: Named,
    source: CString,
    extract_types: Option<Vec<u16>>,
    parse_types: Option<Vec<u16>>,
    /// One call at a time; plugins aren't made for more.
    call: Mutex<()>,
    listens: bool,
}

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
        let owner = Box::new(Owner::new(&plugin.name, tell, shared));
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
            source: c_text(source)?,
            extract_types: None,
            parse_types: None,
            call: Mutex::new(()),
            listens: false,
        };
        if rc != abi::SUCCESS {
            return Err(failed(format!("can't be initialised: {}", instance.last_error())));
        }
        instance.check_schema()?;
        instance.extract_types = instance.types(plugin.api.get_extract_event_types);
        instance.parse_types = instance.types(plugin.api.get_parse_event_types);
        instance.begin_sending()?;
        Ok(instance)
    }

    fn state(&self) -> State {
        self.owner.state()
    }

    fn failed(&self, what: String) -> PluginError {
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

    fn begin_sending(&self) -> Result<(), PluginError> {
        let Some(set) = self.plugin.api.set_async_event_handler.filter(|_| self.works_on(Capability::Async))
        else {
            return Ok(());
        };
        // SAFETY: a function of the plugin API; the owner lives until the handler is taken back.
        let rc =
            self.named.run(|| unsafe { set(self.state(), self.owner.as_ptr(), Some(async_events::handler)) });
        if rc == abi::SUCCESS {
            Ok(())
        } else {
            Err(self.failed(format!("can't send events: {}", self.last_error())))
        }
    }

    /// Whether it does something over this loop's source.
    pub(super) fn works_on(&self, capability: Capability) -> bool {
        let source = self.source.to_str().unwrap_or_default();
        let sources = match capability {
            Capability::Extraction => &self.plugin.extract_sources,
            Capability::Parsing => &self.plugin.parse_sources,
            Capability::Async => &self.plugin.async_sources,
            _ => return self.plugin.can(capability),
        };
        self.plugin.can(capability) && (sources.is_empty() || sources.iter().any(|known| known == source))
    }

    /// Types of events that it parses; `None`: all.
    pub(super) fn parse_types(&self) -> Option<&[u16]> {
        self.parse_types.as_deref()
    }

    fn input(&self, event: &Event<'_>, number: u64) -> abi::EventInput {
        abi::EventInput { event: event.as_bytes().as_ptr(), number, source: self.source.as_ptr() }
    }

    /// Shows it an event, before the rules see it.
    pub(super) fn parse(&self, event: &Event<'_>, number: u64, machine: &Machine) -> Result<(), PluginError> {
        let Some(parse) = self.plugin.api.parse_event else { return Ok(()) };
        if self.parse_types.as_ref().is_some_and(|types| !types.contains(&event.ty().0)) {
            return Ok(());
        }
        let _one = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let input = self.input(event, number);
        let tables = abi::ParseInput {
            owner: self.owner.as_ptr(),
            last_error: owner::last_error,
            old_reader: READER.old,
            old_writer: WRITER,
            reader: &raw const READER,
            writer: &raw const WRITER,
        };
        let call = || {
            self.named.run(|| {
                // SAFETY: a function of the plugin API; all that its inputs point to outlives the call.
                unsafe { parse(self.state(), &input, &tables) }
            })
        };
        match self.owner.tables.current.lend(machine, call) {
            abi::SUCCESS => Ok(()),
            _ => Err(self.failed(format!("can't parse event {number}: {}", self.last_error()))),
        }
    }

    /// The value of a field.
    pub(super) fn extract<'a>(&self, request: &ForeignRequest<'_>, cx: &Context<'a>) -> Option<Value<'a>> {
        let extract = self.plugin.api.extract_fields?;
        if self.extract_types.as_ref().is_some_and(|types| !types.contains(&cx.event.ty().0)) {
            return None;
        }
        let name = CString::new(request.info.name).ok()?;
        let (key, index) = match request.argument {
            ForeignArgument::Key(key) => (Some(CString::new(key).ok()?), 0),
            ForeignArgument::Index(index) => (None, index),
            ForeignArgument::None => (None, 0),
        };
        let ty = match request.info.ty {
            FieldType::Text => field_type::STRING,
            FieldType::Uint64 => field_type::UINT64,
            FieldType::RelTime => field_type::RELTIME,
            FieldType::AbsTime => field_type::ABSTIME,
            FieldType::Bool => field_type::BOOL,
            FieldType::Ip => field_type::IPADDR,
            FieldType::Net => field_type::IPNET,
            _ => return None,
        };
        let mut field = abi::ExtractField {
            values: ptr::null(),
            count: 0,
            id: request.id,
            name: name.as_ptr(),
            key: key.as_ref().map_or(ptr::null(), |key| key.as_ptr()),
            index,
            has_argument: u32::from(request.argument != ForeignArgument::None),
            ty,
            list: u32::from(request.info.list),
        };
        let _one = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let input = self.input(cx.event, cx.meta.num);
        let mut asked = abi::ExtractInput {
            owner: self.owner.as_ptr(),
            last_error: owner::last_error,
            count: 1,
            fields: &raw mut field,
            old_reader: READER.old,
            reader: &raw const READER,
            offsets: ptr::null_mut(),
        };
        let call = || {
            self.named.run(|| {
                // SAFETY: a function of the plugin API; all that its inputs point to outlives the call.
                unsafe { extract(self.state(), &input, &raw mut asked) }
            })
        };
        let rc = self.owner.tables.current.lend(cx.machine, call);
        // What a plugin can't tell has no value.
        if rc != abi::SUCCESS || field.count == 0 || field.values.is_null() {
            return None;
        }
        // SAFETY: the plugin has filled the field as its type says; values stay valid until its next call, which the
        // lock holds back.
        unsafe { values(&field, cx.scratch) }
    }

    /// An event in one line.
    pub(super) fn summary<'a>(&self, cx: &Context<'a>) -> Option<&'a [u8]> {
        let ask = self.plugin.api.event_to_string?;
        let _one = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let input = self.input(cx.event, cx.meta.num);
        // SAFETY: a function of the plugin API; its input outlives the call.
        let said = text(self.named.run(|| unsafe { ask(self.state(), &input) }));
        Some(cx.scratch.concat(&[said.as_bytes()]))
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

    fn listen(
        &self,
        function: Option<unsafe extern "C" fn(State, *const abi::CaptureInput) -> abi::Rc>,
    ) -> bool {
        let Some(function) = function else { return true };
        let input = abi::CaptureInput {
            owner: self.owner.as_ptr(),
            routines: &raw const routines::FUNCTIONS,
            reader: &raw const READER,
            writer: &raw const WRITER,
            last_error: owner::last_error,
        };
        // SAFETY: a function of the plugin API; its input outlives the call.
        self.named.run(|| unsafe { function(self.state(), &input) }) == abi::SUCCESS
    }

    /// Events are about to come.
    pub(super) fn begin(&mut self) -> Result<(), PluginError> {
        if !self.listen(self.plugin.api.capture_open) {
            return Err(self.failed(format!("capture_open: {}", self.last_error())));
        }
        self.listens = true;
        Ok(())
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
        if self.listens {
            // There is nobody to tell.
            self.listen(self.plugin.api.capture_close);
        }
        self.owner.routines.stop_all();
        let state = self.state();
        if let Some(set) = self.plugin.api.set_async_event_handler.filter(|_| !state.is_null()) {
            // SAFETY: a function of the plugin API; null takes the handler back.
            self.named.run(|| unsafe { set(state, self.owner.as_ptr(), None) });
        }
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

/// The values that a plugin has filled in.
///
/// # Safety
/// They must be there as the field's type says.
unsafe fn values<'a>(field: &abi::ExtractField, scratch: &'a Scratch) -> Option<Value<'a>> {
    let mut values = scratch.value_buffer();
    for nth in 0..usize::try_from(field.count).ok()?.min(1 << 20) {
        // SAFETY: as the caller promises.
        let value = unsafe {
            match field.ty {
                field_type::STRING => {
                    let told = text(*field.values.cast::<*const std::ffi::c_char>().add(nth));
                    Value::Text(scratch.concat(&[told.as_bytes()]))
                }
                field_type::BOOL => Value::Bool(*field.values.cast::<u32>().add(nth) != 0),
                field_type::IPADDR | field_type::IPNET => {
                    address(&*field.values.cast::<abi::Buffer>().add(nth))?
                }
                _ => Value::Unsigned(*field.values.cast::<u64>().add(nth)),
            }
        };
        if field.list == 0 {
            return Some(value);
        }
        values.push(value);
    }
    (!values.is_empty()).then(|| Value::List(values.into_bump_slice()))
}

/// An address: four or sixteen bytes.
///
/// # Safety
/// The buffer must have as many bytes as it says.
unsafe fn address(buffer: &abi::Buffer) -> Option<Value<'static>> {
    if buffer.data.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.data, buffer.length as usize) };
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(Value::Ip(ip))
}
