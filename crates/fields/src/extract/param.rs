//! Parameters of events as typed values.

use std::net::IpAddr;

use lanner_event::{Category, Direction, Event, EventInfo, ParamType, types};

use crate::{FieldType, Value};

/// Old sources wrote this where a text could not be read.
const OLD_ABSENT: &[u8] = b"(NULL)\0";

/// A text parameter up to its NUL; `<NA>` where the source could not read it.
pub(crate) fn text<'a>(event: &Event<'a>, index: usize) -> Option<&'a [u8]> {
    let bytes = event.param(index)?;
    if bytes.is_empty() || bytes == OLD_ABSENT {
        return Some(b"<NA>");
    }
    Some(&bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())])
}

/// Where an event type has the parameter of that name.
pub(crate) fn place(info: &EventInfo, name: &str) -> Option<usize> {
    info.params.iter().position(|p| p.name == name)
}

/// A parameter as the number, text or bytes that it is; `None` where the source could not tell it.
pub(crate) fn value<'a>(event: &Event<'a>, index: usize) -> Option<Value<'a>> {
    let bytes = event.param(index)?;
    let param = event.info.params.get(index)?;
    Some(match FieldType::of_param(param.ty) {
        FieldType::Text => Value::Text(text(event, index)?),
        FieldType::Bytes | FieldType::Opaque if !bytes.is_empty() => Value::Bytes(bytes),
        FieldType::Ip => Value::Ip(address(param.ty, bytes)?),
        FieldType::Int8 | FieldType::Int16 | FieldType::Int32 | FieldType::Int64 => {
            Value::Signed(signed(bytes)?)
        }
        ty if ty.is_number() => Value::Unsigned(unsigned(bytes)?),
        _ => return None,
    })
}

fn address(ty: ParamType, bytes: &[u8]) -> Option<IpAddr> {
    Some(match ty {
        ParamType::Ipv4addr => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    })
}

fn signed(bytes: &[u8]) -> Option<i64> {
    Some(match *bytes {
        [a] => i64::from(a as i8),
        [a, b] => i64::from(i16::from_ne_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_ne_bytes([a, b, c, d])),
        _ => i64::from_ne_bytes(bytes.try_into().ok()?),
    })
}

fn unsigned(bytes: &[u8]) -> Option<u64> {
    Some(match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_ne_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_ne_bytes([a, b, c, d])),
        _ => u64::from_ne_bytes(bytes.try_into().ok()?),
    })
}

/// Whether events of a type carry the result of a call.
pub(crate) fn has_result(info: &EventInfo) -> bool {
    info.code != types::GENERIC_X && info.is(Category::Syscall) && info.direction == Direction::Exit
}

/// What the call returned, for events at the end of a call whose parameters are known.
pub(crate) fn result(event: &Event<'_>) -> Option<i64> {
    if !has_result(event.info) || event.param_count() == 0 {
        return None;
    }
    match event.param(0)?.len() {
        4 | 8 => signed(event.param(0)?),
        _ => Some(0),
    }
}
