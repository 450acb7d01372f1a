//! Fields of events of the kernel.

use crate::table::Syscall;
use crate::{Context, Field, NumberFormat};

/// How numbers of the field are printed.
pub(crate) fn number_format(_id: Syscall, field: &Field, _cx: &Context<'_>) -> NumberFormat {
    field.info().format
}

/// The JSON value where it isn't the value itself.
pub(crate) fn special_json(id: Syscall) -> Option<serde_json::Value> {
    match id {
        Syscall::EvtDeltatime | Syscall::EvtDeltatimeS | Syscall::EvtDeltatimeNs => Some(0.into()),
        _ => None,
    }
}
