//! Fields of Kubernetes audit events that are more than one place in them.

use super::payload;
use crate::field::Arg;
use crate::json::{Json, Kind};
use crate::table::K8sAudit;
use crate::{Context, Scratch, Value};

pub(crate) fn extract<'a>(id: K8sAudit, arg: &Arg, cx: &Context<'a>) -> Option<Value<'a>> {
    let root = payload::root(cx)?;
    root.get("auditID")?;
    let key = match arg {
        Arg::Key(key) => key,
        _ => "",
    };
    match id {
        K8sAudit::KaUriParam => parameter(root.get("requestURI")?.show(cx.scratch), key, cx.scratch),
        K8sAudit::KaTargetPodName => pod_name(root, cx.scratch),
        K8sAudit::KaReqBindingSubjectsUserNames => subjects(root, b"User", false, cx.scratch),
        K8sAudit::KaReqBindingSubjectsServiceaccountNames => {
            subjects(root, b"ServiceAccount", false, cx.scratch)
        }
        K8sAudit::KaReqBindingSubjectsServiceaccountNsNames => {
            subjects(root, b"ServiceAccount", true, cx.scratch)
        }
        K8sAudit::KaReqBindingSubjectsGroupNames => subjects(root, b"Group", false, cx.scratch),
        // Falco answers so whatever the event says.
        K8sAudit::KaReqBindingSubjectHasName => Some(payload::truth(true)),
        K8sAudit::KaReqVolumeHostpath => mounts(root, key.as_bytes(), cx.scratch),
    }
}

/// The pod that a request for no part of a pod was answered with.
fn pod_name<'a>(root: Json<'a>, scratch: &'a Scratch) -> Option<Value<'a>> {
    let target = root.get("objectRef")?;
    let is_pod = target.get("resource")?.as_text(scratch)? == b"pods";
    let part = target.get("subresource").and_then(|part| part.as_text(scratch)).unwrap_or_default();
    let name = root.at_path(&["responseObject", "metadata", "name"])?;
    (is_pod && part.is_empty()).then(|| Value::Text(name.show(scratch)))
}

/// The names of a binding's subjects of one kind, after their namespace if that is wanted.
fn subjects<'a>(root: Json<'a>, kind: &[u8], namespaced: bool, scratch: &'a Scratch) -> Option<Value<'a>> {
    let mut names = scratch.value_buffer();
    for subject in root.at_path(&["requestObject", "subjects"])?.items() {
        let (Some(its_kind), Some(name)) = (subject.get("kind"), subject.get("name")) else { continue };
        if its_kind.show(scratch) != kind {
            continue;
        }
        let name = name.show(scratch);
        if !namespaced {
            names.push(Value::Text(name));
        } else if let Some(namespace) = subject.get("namespace") {
            names.push(Value::Text(scratch.concat(&[namespace.show(scratch), b":", name])));
        }
    }
    payload::list(names)
}

/// Whether a path of the host is mounted; with a star at its end, anything that begins so.
fn mounts<'a>(root: Json<'a>, wanted: &[u8], scratch: &'a Scratch) -> Option<Value<'a>> {
    let volumes = root.at_path(&["requestObject", "spec", "volumes"])?;
    let mut paths = volumes.items().filter_map(|volume| volume.at_path(&["hostPath", "path"]));
    let is_it = |path: Json<'a>| {
        let path = path.show(scratch);
        path == wanted || wanted.strip_suffix(b"*").is_some_and(|prefix| path.starts_with(prefix))
    };
    (volumes.kind() == Kind::Array).then(|| payload::truth(paths.any(is_it)))
}

/// The first parameter of that name in an address.
fn parameter<'a>(uri: &'a [u8], name: &str, scratch: &'a Scratch) -> Option<Value<'a>> {
    let uri = uri.split(|&byte| byte == b'#').next()?;
    let query = &uri[uri.iter().position(|&byte| byte == b'?')? + 1..];
    for pair in query.split(|&byte| byte == b'&') {
        let equals = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        if decoded(&pair[..equals], scratch)? == name.as_bytes() {
            return decoded(pair.get(equals + 1..).unwrap_or_default(), scratch).map(Value::Text);
        }
    }
    None
}

/// A part of an address without its escapes; `None` where one is broken.
fn decoded<'a>(text: &'a [u8], scratch: &'a Scratch) -> Option<&'a [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(text);
    }
    let mut out = scratch.buffer();
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: &u8| (*byte as char).to_digit(16);
                let (high, low) = (rest.next().and_then(digit)?, rest.next().and_then(digit)?);
                (high * 16 + low) as u8
            }
            _ => byte,
        });
    }
    Some(out.into_bump_slice())
}
