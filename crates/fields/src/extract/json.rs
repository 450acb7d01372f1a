//! Any value of any payload that is JSON.

use super::payload;
use crate::field::Arg;
use crate::table::Json;
use crate::{Context, Value};

pub(crate) fn extract<'a>(id: Json, arg: &Arg, cx: &Context<'a>) -> Option<Value<'a>> {
    let text = match id {
        Json::JsonValue | Json::JevtValue => {
            let root = payload::root(cx)?;
            match arg {
                Arg::Key(pointer) => root.at_pointer(pointer)?.show(cx.scratch),
                _ => return None,
            }
        }
        Json::JsonObj | Json::JevtObj => {
            payload::root(cx)?;
            let payload = payload::bytes(cx)?;
            cx.scratch.built(|out| crate::json::indent(payload, out))
        }
        Json::JsonRawtime | Json::JevtRawtime => {
            payload::root(cx)?;
            cx.scratch.format(format_args!("{}", cx.event.ts))
        }
    };
    Some(Value::Text(text))
}
