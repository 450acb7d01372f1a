//! What plugins are asked at events: to look at them, to give values of fields, to sum them up.

use std::ffi::{CString, c_char};
use std::net::IpAddr;
use std::ptr;
use std::sync::PoisonError;

use lanner_event::{Event, types};
use lanner_fields::{Context, FieldType, ForeignArgument, ForeignRequest, Scratch, Value};
use lanner_machine::Machine;

use super::abi::{self, field_type};
use super::instance::Instance;
use super::library::{PluginError, text};
use super::owner;
use super::tables::{READER, WRITER};
use crate::builtin::Capability;

/// Whether a plugin is to be shown events of a type: those it names, or all, or, where it has nothing to do with the
/// kernel's, those of plugins.
fn wants(types: Option<&[u16]>, sources: &[String], event: &Event<'_>) -> bool {
    match types {
        Some(types) => types.contains(&event.ty().0),
        None if sources.is_empty() || sources.iter().any(|source| source == "syscall") => true,
        None => event.ty() == types::PLUGINEVENT_E,
    }
}

impl Instance {
    fn input(&self, event: &Event<'_>, number: u64, source: &str) -> abi::EventInput {
        abi::EventInput { event: event.as_bytes().as_ptr(), number, source: self.c_source(source) }
    }

    /// The name of a source, as C has it.
    fn c_source(&self, source: &str) -> *const c_char {
        let known = self.sources.iter().find(|known| known.as_bytes() == source.as_bytes());
        known.or(self.sources.first()).map_or(ptr::null(), |source| source.as_ptr())
    }

    /// Shows it an event, before the rules see it.
    pub(super) fn parse(
        &self,
        event: &Event<'_>,
        (number, source): (u64, &str),
        machine: &Machine,
    ) -> Result<(), PluginError> {
        let Some(parse) = self.plugin.api.parse_event else { return Ok(()) };
        if !self.plugin.does(Capability::Parsing, source)
            || !wants(self.parse_types(), &self.plugin.parse_sources, event)
        {
            return Ok(());
        }
        let _one = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let input = self.input(event, number, source);
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
        match self.owner.tables.lend(machine, call) {
            abi::SUCCESS => Ok(()),
            _ => Err(self.failed(format!("can't parse event {number}: {}", self.last_error()))),
        }
    }

    /// The value of a field.
    pub(super) fn extract<'a>(&self, request: &ForeignRequest<'_>, cx: &Context<'a>) -> Option<Value<'a>> {
        let extract = self.plugin.api.extract_fields?;
        if !self.plugin.does(Capability::Extraction, cx.meta.source)
            || !wants(self.extract_types.as_deref(), &self.plugin.extract_sources, cx.event)
        {
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
        let input = self.input(cx.event, cx.meta.num, cx.meta.source);
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
        let rc = self.owner.tables.lend(cx.machine, call);
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
        let input = self.input(cx.event, cx.meta.num, cx.meta.source);
        // SAFETY: a function of the plugin API; its input outlives the call.
        let said = text(self.named.run(|| unsafe { ask(self.state(), &input) }));
        Some(cx.scratch.concat(&[said.as_bytes()]))
    }
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
                    let told = text(*field.values.cast::<*const c_char>().add(nth));
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
