//! Fields of the container and the pod that a thread runs in. Its id is known at once, the rest when the
//! runtime has answered.

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::LazyLock;

use lanner_machine::{Container as Known, ContainerMount, Machine, Owner, Pod, ProbeKind, Runtime, Thread};

use crate::field::Arg;
use crate::scratch::{Buffer, Sink};
use crate::table::{Container, Extractor};
use crate::{Context, Field, Scratch, Value};

/// The host, which is a container with no more than a name for those who ask.
static HOST: LazyLock<Known> = LazyLock::new(|| Known {
    full_id: "host".into(),
    name: "host".into(),
    complete: true,
    ..Known::default()
});

/// What is known of one container now.
pub(crate) struct View<'a> {
    id: &'a [u8],
    known: Option<&'a Known>,
    scratch: &'a Scratch,
}

impl<'a> View<'a> {
    /// The container of the event's thread; an id of no bytes is the host's.
    fn of_event(cx: &Context<'a>) -> Option<View<'a>> {
        Some(View::of_container(&cx.thread()?.container, cx.machine, cx.scratch))
    }

    /// A container as the machine knows it.
    pub(crate) fn of_container(id: &'a [u8], machine: &'a Machine, scratch: &'a Scratch) -> View<'a> {
        let known = if id.is_empty() { Some(&*HOST) } else { machine.container(id) };
        View { id, known, scratch }
    }

    fn is_host(&self) -> bool {
        self.id.is_empty()
    }

    /// What a runtime told; nothing before it did.
    fn told(&self) -> Option<&'a Known> {
        self.known.filter(|c| c.has_names())
    }
}

/// Whether the runtime has to be asked for the value.
pub(crate) fn is_late(id: Container) -> bool {
    !matches!(
        id,
        Container::ContainerId
            | Container::ContainerStartTs
            | Container::ContainerDuration
            | Container::ProcIsContainerHealthcheck
            | Container::ProcIsContainerLivenessProbe
            | Container::ProcIsContainerReadinessProbe
    )
}

pub(crate) fn extract<'a>(id: Container, arg: &Arg, cx: &Context<'a>) -> Option<Value<'a>> {
    match id {
        // Asked for by nearly every rule: no container is looked up for it.
        Container::ContainerId => Some(Value::Text(id_text(&cx.thread()?.container))),
        Container::ContainerStartTs => start(cx).map(Value::Unsigned),
        Container::ContainerDuration => Some(Value::Unsigned(cx.event.ts.wrapping_sub(start(cx)?))),
        Container::ProcIsContainerHealthcheck => is_probe(ProbeKind::Healthcheck, cx),
        Container::ProcIsContainerLivenessProbe => is_probe(ProbeKind::Liveness, cx),
        Container::ProcIsContainerReadinessProbe => is_probe(ProbeKind::Readiness, cx),
        _ => value(id, arg, &View::of_event(cx)?),
    }
}

/// Whether the thread, or one above it in the same container, runs the command of such a probe. Nothing where
/// the container has none.
fn is_probe<'a>(kind: ProbeKind, cx: &Context<'a>) -> Option<Value<'a>> {
    let thread = cx.thread()?;
    let known = cx.machine.container(&thread.container)?;
    let of_kind = || known.probes.iter().filter(|probe| probe.kind == kind);
    of_kind().next()?;
    let runs = |thread: &Thread| {
        let words = || std::iter::once(&*thread.exe).chain(thread.args.iter());
        of_kind().any(|probe| words().eq(probe.command.iter().map(String::as_bytes)))
    };
    let mut above = cx.machine.ancestors(thread).take_while(|above| above.container == thread.container);
    Some(Value::Bool(runs(thread) || above.any(runs)))
}

/// The command of the container's probe of that kind.
fn probe<'a>(kind: ProbeKind, known: &'a Known, scratch: &'a Scratch) -> Option<Value<'a>> {
    let probe = known.probes.iter().find(|probe| probe.kind == kind)?;
    Some(Value::Text(scratch.format(format_args!("{}", probe.command.join(" ")))))
}

/// When the first process of the thread's pid namespace started, which the kernel tells: no runtime need be
/// asked.
fn start(cx: &Context<'_>) -> Option<u64> {
    cx.thread().map(|t| t.pidns_init_start_ts).filter(|&start| start != 0)
}

/// The value of a container's field after the event.
pub(crate) fn late_value<'a>(field: &Field, view: &View<'a>) -> Value<'a> {
    match field.info().extractor {
        Extractor::Container(id) => Value::or_absent(value(id, &field.arg, view)),
        _ => Value::Absent,
    }
}

/// `docker.io/library/mysql` → `mysql`: containerd and CRI-O write the registry out where Docker leaves it away.
fn short_repository(repository: &str) -> &str {
    let path = repository.strip_prefix("docker.io/").unwrap_or(repository);
    path.strip_prefix("library/").unwrap_or(path)
}

/// An id as users see it.
fn id_text(id: &[u8]) -> &[u8] {
    if id.is_empty() { b"host" } else { id }
}

fn text(text: &str) -> Option<Value<'_>> {
    Some(Value::Text(text.as_bytes()))
}

fn value<'a>(id: Container, arg: &Arg, view: &View<'a>) -> Option<Value<'a>> {
    match id {
        Container::ContainerId => return Some(Value::Text(id_text(view.id))),
        Container::ContainerFullId => return text(&view.known?.full_id),
        Container::ContainerType if view.is_host() => return text("host"),
        Container::ContainerType => return text(runtime_name(view.known?.runtime)),
        _ => {}
    }
    let known = view.told()?;
    let scratch = view.scratch;
    match id {
        Container::ContainerName => text(&known.name),
        Container::ContainerImage => text(&known.image),
        Container::ContainerImageId => text(&known.image_id),
        Container::ContainerImageRepository => text(&known.image_repository),
        Container::ContainerImageTag => text(&known.image_tag),
        Container::ContainerImageDigest => text(&known.image_digest),
        Container::ContainerImageShort => text(short_repository(&known.image_repository)),
        Container::ContainerPrivileged => Some(Value::Bool(known.privileged.unwrap_or(false))),
        Container::ContainerHostPid => Some(Value::Bool(known.host_pid)),
        Container::ContainerHostNetwork => Some(Value::Bool(known.host_network)),
        Container::ContainerHostIpc => Some(Value::Bool(known.host_ipc)),
        Container::ContainerIp => Some(address(known.ip, scratch)),
        Container::ContainerLabel => text(known.labels.get(key(arg)?)?),
        Container::ContainerLabels => Some(labels(&known.labels, scratch)),
        Container::ContainerHealthcheck => probe(ProbeKind::Healthcheck, known, scratch),
        Container::ContainerLivenessProbe => probe(ProbeKind::Liveness, known, scratch),
        Container::ContainerReadinessProbe => probe(ProbeKind::Readiness, known, scratch),
        Container::ContainerMounts => {
            let mut out = scratch.buffer();
            for mount in &known.mounts {
                print_mount(mount, &mut out);
            }
            Some(Value::Text(out.into_bump_slice()))
        }
        Container::ContainerMount => {
            let mut out = scratch.buffer();
            print_mount(mount(known, arg, |m| &m.source)?, &mut out);
            Some(Value::Text(out.into_bump_slice()))
        }
        Container::ContainerMountSource => text(&mount(known, arg, |m| &m.dest)?.source),
        Container::ContainerMountDest => text(&mount(known, arg, |m| &m.source)?.dest),
        Container::ContainerMountMode => text(&mount(known, arg, |m| &m.source)?.mode),
        Container::ContainerMountRdwr => {
            text(if mount(known, arg, |m| &m.source)?.rdwr { "true" } else { "false" })
        }
        Container::ContainerMountPropagation => text(&mount(known, arg, |m| &m.source)?.propagation),
        _ => pod_value(id, arg, known, scratch),
    }
}

/// What is known of the container's pod. Without a pod some texts are empty, others absent.
fn pod_value<'a>(id: Container, arg: &Arg, known: &'a Known, scratch: &'a Scratch) -> Option<Value<'a>> {
    let pod = known.pod.as_ref();
    let sandbox = pod.map_or("", |p| &p.sandbox_id);
    let filled = |part: fn(&Pod) -> &str| text(part(pod?)).filter(|value| *value != Value::Text(b""));
    match id {
        Container::K8sPodName => filled(|p| &p.name),
        Container::K8sNsName => filled(|p| &p.namespace),
        Container::K8sPodId | Container::K8sPodUid => filled(|p| &p.uid),
        Container::K8sPodSandboxId => text(sandbox.get(..12).unwrap_or(sandbox)),
        Container::K8sPodFullSandboxId => text(sandbox),
        Container::K8sPodLabel => text(pod?.labels.get(key(arg)?)?),
        Container::K8sPodLabels => Some(pod.map_or(Value::Text(b""), |p| labels(&p.labels, scratch))),
        Container::K8sPodIp => Some(address(pod.and_then(|p| p.ip).or(known.ip), scratch)),
        Container::K8sPodCniJson | Container::ContainerCniJson => text(pod.map_or("", |p| &p.cni_json)),
        Container::K8sRsName => owner(pod?, "ReplicaSet", |owner| &owner.name),
        Container::K8sRsId => owner(pod?, "ReplicaSet", |owner| &owner.uid),
        Container::K8sRsLabel => text(of_kind(pod?, "ReplicaSet")?.labels.get(key(arg)?)?),
        Container::K8sRsLabels => Some(labels(&of_kind(pod?, "ReplicaSet")?.labels, scratch)),
        Container::K8sRcName => owner(pod?, "ReplicationController", |owner| &owner.name),
        Container::K8sRcId => owner(pod?, "ReplicationController", |owner| &owner.uid),
        Container::K8sDeploymentName => owner(pod?, "Deployment", |owner| &owner.name),
        Container::K8sDeploymentId => owner(pod?, "Deployment", |owner| &owner.uid),
        Container::K8sOwnerKind => text(&pod?.owners.last()?.kind),
        Container::K8sOwnerName => text(&pod?.owners.last()?.name),
        Container::K8sNsId => filled(|p| &p.namespace_uid),
        Container::K8sNsLabel => text(pod?.namespace_labels.get(key(arg)?)?),
        Container::K8sNsLabels => {
            let pod = pod.filter(|pod| !pod.namespace_uid.is_empty())?;
            Some(labels(&pod.namespace_labels, scratch))
        }
        Container::K8sNodeName => filled(|p| &p.node),
        Container::K8sServiceaccountName => filled(|p| &p.service_account),
        // The rest is kept for old rules only.
        _ => None,
    }
}

/// The workload of that kind that controls the pod, directly or not.
fn of_kind<'a>(pod: &'a Pod, kind: &str) -> Option<&'a Owner> {
    pod.owners.iter().find(|owner| owner.kind == kind)
}

fn owner<'a>(pod: &'a Pod, kind: &str, part: fn(&Owner) -> &str) -> Option<Value<'a>> {
    text(part(of_kind(pod, kind)?))
}

fn address(ip: Option<IpAddr>, scratch: &Scratch) -> Value<'_> {
    Value::Text(ip.map_or(b"", |ip| scratch.format(format_args!("{ip}"))))
}

fn runtime_name(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Unknown => "",
        Runtime::Docker => "docker",
        Runtime::Containerd => "containerd",
        Runtime::Cri => "cri",
        Runtime::Crio => "cri-o",
        Runtime::Podman => "podman",
        Runtime::Lxc => "lxc",
        Runtime::LibvirtLxc => "libvirt-lxc",
        Runtime::SystemdNspawn => "systemd-nspawn",
        Runtime::Bpm => "bpm",
        Runtime::Runc => "runc",
    }
}

fn key(arg: &Arg) -> Option<&str> {
    match arg {
        Arg::Key(key) => Some(key),
        _ => None,
    }
}

type Labels = std::collections::BTreeMap<String, String>;

/// All labels but those that Kubernetes adds for itself.
fn labels<'a>(labels: &Labels, scratch: &'a Scratch) -> Value<'a> {
    let mut out = scratch.buffer();
    let shown = |key: &str| !key.starts_with("annotation.") && !key.starts_with("io.kubernetes.");
    for (key, value) in labels.iter().filter(|(key, _)| shown(key)) {
        let separator = if out.is_empty() { "" } else { ", " };
        let colon = if value.is_empty() { "" } else { ":" };
        // Writing into memory cannot fail.
        let _ = write!(Sink(&mut out), "{separator}{key}{colon}{value}");
    }
    Value::Text(out.into_bump_slice())
}

/// The mount at a position, or the first in whose `by` a regular expression is found.
fn mount<'a>(
    known: &'a Known,
    arg: &Arg,
    by: impl Fn(&ContainerMount) -> &str,
) -> Option<&'a ContainerMount> {
    match arg {
        Arg::Index(at) => known.mounts.get(usize::try_from(*at).ok()?),
        Arg::Pattern(pattern) => known.mounts.iter().find(|m| pattern.is_match(by(m))),
        _ => None,
    }
}

fn print_mount(mount: &ContainerMount, out: &mut Buffer<'_, u8>) {
    let ContainerMount { source, dest, mode, rdwr, propagation } = mount;
    let separator = if out.is_empty() { "" } else { "," };
    // Writing into memory cannot fail.
    let _ = write!(Sink(out), "{separator}{source}:{dest}:{mode}:{rdwr}:{propagation}");
}
