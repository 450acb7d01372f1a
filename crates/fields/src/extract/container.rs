//! Fields of the container and the pod that a thread runs in. Its id is known at once, the rest when the
//! runtime has answered.

use std::io::Write as _;

use lanner_machine::{Container as Known, ContainerMount, Machine, Pod, Runtime};

use crate::field::Arg;
use crate::scratch::{Buffer, Sink};
use crate::table::{Container, Extractor};
use crate::{Context, Field, Scratch, Value};

/// What is known of one container now.
pub(crate) struct View<'a> {
    id: &'a [u8],
    known: Option<&'a Known>,
    scratch: &'a Scratch,
}

impl<'a> View<'a> {
    /// The container of the event's thread; an id of no bytes is the host's.
    fn of_event(cx: &Context<'a>) -> Option<View<'a>> {
        let id: &[u8] = &cx.thread()?.container;
        Some(View::of_container(id, cx.machine, cx.scratch))
    }

    /// A container as the machine knows it.
    pub(crate) fn of_container(id: &'a [u8], machine: &'a Machine, scratch: &'a Scratch) -> View<'a> {
        View { id, known: machine.container(id), scratch }
    }

    fn host_or(&self, other: impl FnOnce(&'a Known) -> Option<&'a [u8]>) -> Option<Value<'a>> {
        if self.id.is_empty() {
            return Some(Value::Text(b"host"));
        }
        other(self.known?).map(Value::Text)
    }
}

/// Whether the runtime has to be asked for the value.
pub(crate) fn is_late(id: Container) -> bool {
    !matches!(id, Container::ContainerId | Container::ContainerStartTs | Container::ContainerDuration)
}

pub(crate) fn extract<'a>(id: Container, arg: &Arg, cx: &Context<'a>) -> Option<Value<'a>> {
    match id {
        Container::ContainerStartTs => start(cx).map(Value::Unsigned),
        Container::ContainerDuration => Some(Value::Unsigned(cx.event.ts.wrapping_sub(start(cx)?))),
        _ => value(id, arg, &View::of_event(cx)?),
    }
}

/// When the container started: when the first process of the thread's pid namespace did, if the
/// thread is in a container. The kernel knows; no runtime need be asked.
fn start(cx: &Context<'_>) -> Option<u64> {
    let thread = cx.thread()?;
    let started = thread.pidns_init_start_ts;
    (started > 0 && !thread.container.is_empty()).then_some(started)
}

/// The value of a container's field after the event.
pub(crate) fn late_value<'a>(field: &Field, view: &View<'a>) -> Value<'a> {
    match field.info().extractor {
        Extractor::Container(id) => Value::or_absent(value(id, &field.arg, view)),
        _ => Value::Absent,
    }
}

fn text(text: &str) -> Option<Value<'_>> {
    (!text.is_empty()).then_some(Value::Text(text.as_bytes()))
}

fn value<'a>(id: Container, arg: &Arg, view: &View<'a>) -> Option<Value<'a>> {
    match id {
        Container::ContainerId if view.id.is_empty() => return Some(Value::Text(b"host")),
        Container::ContainerId => return Some(Value::Text(view.id)),
        Container::ContainerFullId => return view.host_or(|c| filled(&c.full_id)),
        Container::ContainerName => return view.host_or(|c| filled(&c.name)),
        Container::ContainerType => return view.host_or(|c| runtime_name(c.runtime).map(str::as_bytes)),
        _ => {}
    }
    let known = view.known?;
    match id {
        Container::ContainerImage => text(&known.image),
        Container::ContainerImageId => text(&known.image_id),
        Container::ContainerImageRepository => text(&known.image_repository),
        Container::ContainerImageTag => text(&known.image_tag),
        Container::ContainerImageDigest => text(&known.image_digest),
        Container::ContainerPrivileged => known.privileged.map(Value::Bool),
        Container::ContainerHostPid => Some(Value::Bool(known.host_pid)),
        Container::ContainerHostNetwork => Some(Value::Bool(known.host_network)),
        Container::ContainerHostIpc => Some(Value::Bool(known.host_ipc)),
        Container::ContainerIp => Some(Value::Text(view.scratch.format(format_args!("{}", known.ip?)))),
        Container::ContainerLabel => text(known.labels.get(key(arg)?)?),
        Container::ContainerLabels => labels(&known.labels, view.scratch),
        Container::ContainerMounts => {
            let mut out = view.scratch.buffer();
            for mount in &known.mounts {
                print_mount(mount, &mut out);
            }
            Some(Value::Text(out.into_bump_slice()))
        }
        Container::ContainerMount => {
            let mut out = view.scratch.buffer();
            print_mount(mount(known, arg, |m| &m.source)?, &mut out);
            Some(Value::Text(out.into_bump_slice()))
        }
        Container::ContainerMountSource => text(&mount(known, arg, |m| &m.dest)?.source),
        Container::ContainerMountDest => text(&mount(known, arg, |m| &m.source)?.dest),
        Container::ContainerMountMode => text(&mount(known, arg, |m| &m.source)?.mode),
        Container::ContainerMountRdwr => {
            let writable = mount(known, arg, |m| &m.source)?.rdwr;
            Some(Value::Text(if writable { b"true" } else { b"false" }))
        }
        Container::ContainerMountPropagation => text(&mount(known, arg, |m| &m.source)?.propagation),
        _ => pod_value(id, arg, known.pod.as_ref()?, view.scratch),
    }
}

fn pod_value<'a>(id: Container, arg: &Arg, pod: &'a Pod, scratch: &'a Scratch) -> Option<Value<'a>> {
    match id {
        Container::K8sPodName => text(&pod.name),
        Container::K8sNsName => text(&pod.namespace),
        Container::K8sPodId | Container::K8sPodUid => text(&pod.uid),
        Container::K8sPodSandboxId => text(pod.sandbox_id.get(..12).unwrap_or(&pod.sandbox_id)),
        Container::K8sPodFullSandboxId => text(&pod.sandbox_id),
        Container::K8sPodLabel => text(pod.labels.get(key(arg)?)?),
        Container::K8sPodLabels => labels(&pod.labels, scratch),
        Container::K8sPodIp => Some(Value::Text(scratch.format(format_args!("{}", pod.ip?)))),
        Container::K8sPodCniJson | Container::ContainerCniJson => text(&pod.cni_json),
        // The rest is what no runtime tells.
        _ => None,
    }
}

fn filled(text: &str) -> Option<&[u8]> {
    (!text.is_empty()).then_some(text.as_bytes())
}

fn runtime_name(runtime: Runtime) -> Option<&'static str> {
    Some(match runtime {
        Runtime::Unknown => return None,
        Runtime::Docker => "docker",
        Runtime::Containerd => "containerd",
        Runtime::Cri => "cri",
        Runtime::Crio => "cri-o",
        Runtime::Podman => "podman",
        Runtime::Lxc => "lxc",
        Runtime::SystemdNspawn => "systemd-nspawn",
        Runtime::Runc => "runc",
    })
}

fn key(arg: &Arg) -> Option<&str> {
    match arg {
        Arg::Key(key) => Some(key),
        _ => None,
    }
}

type Labels = std::collections::BTreeMap<String, String>;

fn labels<'a>(labels: &Labels, scratch: &'a Scratch) -> Option<Value<'a>> {
    if labels.is_empty() {
        return None;
    }
    let mut out = scratch.buffer();
    for (i, (key, value)) in labels.iter().enumerate() {
        let separator = if i > 0 { ", " } else { "" };
        // Writing into memory cannot fail.
        let _ = write!(Sink(&mut out), "{separator}{key}:{value}");
    }
    Some(Value::Text(out.into_bump_slice()))
}

/// The mount at a position, or the first whose `by` fits a pattern.
fn mount<'a>(
    known: &'a Known,
    arg: &Arg,
    by: impl Fn(&ContainerMount) -> &str,
) -> Option<&'a ContainerMount> {
    match arg {
        Arg::Index(at) => known.mounts.get(usize::try_from(*at).ok()?),
        Arg::Key(pattern) => known.mounts.iter().find(|m| fits(pattern.as_bytes(), by(m).as_bytes())),
        _ => None,
    }
}

fn print_mount(mount: &ContainerMount, out: &mut Buffer<'_, u8>) {
    let ContainerMount { source, dest, mode, rdwr, propagation } = mount;
    let separator = if out.is_empty() { "" } else { "," };
    // Writing into memory cannot fail.
    let _ = write!(Sink(out), "{separator}{source}:{dest}:{mode}:{rdwr}:{propagation}");
}

/// Whether a text fits a shell pattern of `*` and `?`.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after_star, from)) = retry else { return false };
                retry = Some((after_star, from + 1));
                p = after_star;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, text, want) in [
            ("/etc", "/etc", true),
            ("/etc*", "/etc/passwd", true),
            ("*/docker.sock", "/var/run/docker.sock", true),
            ("/a?c", "/abc", true),
            ("/a?c", "/ac", false),
            ("*a*b", "xxaxxbxb", true),
            ("*a*b", "xxaxxbx", false),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), want, "{pattern} {text}");
        }
    }
}
