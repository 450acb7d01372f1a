//! Values of fields, class by class. A field that no extractor knows is absent; `tests/values.rs` shows all that
//! have a value on a small host.

mod capabilities;
mod cloudtrail;
pub(crate) mod container;
pub(crate) mod evt;
pub(crate) mod fd;
mod fdlist;
mod fspath;
mod json;
mod k8s_audit;
mod names;
mod param;
mod path;
mod payload;
mod process;
pub(crate) mod syscall;
mod user;

use lanner_event::EventInfo;

use crate::field::Arg;
use crate::table::Extractor;
use crate::{Context, Field, ForeignArgument, ForeignRequest, Value};

/// The value as an output shows it.
pub(crate) fn extract<'a>(field: &Field, extractor: Extractor, cx: &Context<'a>) -> Value<'a> {
    Value::or_absent(match extractor {
        Extractor::Evt(id) => evt::extract(id, cx),
        Extractor::Syscall(id) => syscall::extract(id, &field.arg, cx),
        Extractor::Process(id) => process::extract(id, &field.arg, cx),
        Extractor::User(id) => user::user(id, cx),
        Extractor::Group(id) => user::group(id, cx),
        Extractor::Fd(id) => fd::extract(id, &field.arg, cx),
        Extractor::FsPath(id) => fspath::extract(id, cx),
        Extractor::Fdlist(id) => fdlist::extract(id, cx),
        Extractor::Container(id) => container::extract(id, &field.arg, cx),
        Extractor::Read(read) => payload::read(read, field, cx),
        Extractor::Foreign(id) => foreign(id, field, cx),
        Extractor::Json(id) => json::extract(id, &field.arg, cx),
        Extractor::K8sAudit(id) => k8s_audit::extract(id, &field.arg, cx),
        Extractor::AwsCloudtrail(id) => cloudtrail::extract(id, &field.arg, cx),
    })
}

/// What a plugin says of an event.
fn foreign<'a>(id: u32, field: &Field, cx: &Context<'a>) -> Option<Value<'a>> {
    let plugins = cx.meta.foreign.0.as_ref()?;
    let argument = match &field.arg {
        Arg::Index(index) => ForeignArgument::Index(*index),
        Arg::Key(key) => ForeignArgument::Key(key),
        _ => ForeignArgument::None,
    };
    let plugin = field.info().class.plugin?;
    plugins.extract(&ForeignRequest { plugin, id, info: field.info(), argument }, cx)
}

/// The value as a condition compares it.
pub(crate) fn operand<'a>(field: &Field, extractor: Extractor, cx: &Context<'a>) -> Value<'a> {
    let special = match extractor {
        Extractor::Syscall(id) if syscall::has_operand(id) => syscall::operand(id, &field.arg, cx),
        Extractor::Process(id) if process::has_operand(id) => process::operand(id, &field.arg, cx),
        Extractor::Fd(id) if fd::has_operand(id) => fd::operand(id, cx),
        _ => return extract(field, extractor, cx),
    };
    special.unwrap_or_else(|| extract(field, extractor, cx))
}

/// The value, as a condition compares it, that the field has for every event of a type.
pub(crate) fn fixed(field: &Field, extractor: Extractor, info: &'static EventInfo) -> Option<Value<'static>> {
    let absent = |absent: bool| absent.then_some(Value::Absent);
    match extractor {
        Extractor::Syscall(id) => syscall::fixed(id, &field.arg, info),
        Extractor::Fd(_) => absent(!fd::has_fd(info)),
        Extractor::FsPath(id) => absent(!fspath::has(id, info.code)),
        Extractor::Fdlist(_) => absent(fdlist::place(info.code).is_none()),
        Extractor::Read(_) | Extractor::Json(_) | Extractor::K8sAudit(_) | Extractor::AwsCloudtrail(_) => {
            absent(info.code != lanner_event::types::PLUGINEVENT_E)
        }
        _ => None,
    }
}
