//! Values of fields, class by class. Each class matches over all its fields, so that none is forgotten.

pub(crate) mod container;
pub(crate) mod evt;
pub(crate) mod syscall;

use crate::table::Extractor;
use crate::{Context, Field, Value};

/// The value as an output shows it.
pub(crate) fn extract<'a>(field: &Field, extractor: Extractor, cx: &Context<'a>) -> Value<'a> {
    match extractor {
        Extractor::Evt(id) => evt::extract(id, cx),
        Extractor::Container(id) => container::extract(id, &field.arg, cx),
        _ => Value::Absent,
    }
}

/// The value as a condition compares it.
pub(crate) fn operand<'a>(field: &Field, extractor: Extractor, cx: &Context<'a>) -> Value<'a> {
    extract(field, extractor, cx)
}
