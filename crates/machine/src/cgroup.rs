//! Which container a cgroup belongs to.
//!
//! Every container runtime names its cgroups in a way of its own. A path is read component by component, and
//! the innermost container counts: a container inside one is itself, and whatever a container's own systemd
//! makes below its cgroup stays that container's.

use std::borrow::Cow;

use crate::{ContainerId, Runtime, Text, TextList};

/// Digits of the id that users see of a 64-digit one.
const SHORT: usize = 12;

/// A container as its cgroup names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CgroupContainer {
    /// Short id.
    pub id: ContainerId,
    /// Full id as it stands in the cgroup.
    pub full_id: Text,
    /// The runtime whose shape the cgroup has.
    pub runtime: Runtime,
}

/// The container that a thread's cgroups (`subsystem=path` each) say it is in. Only shapes that a known
/// runtime makes count; a cgroup that merely has a hexadecimal name does not.
pub fn container_of_cgroups(cgroups: &TextList) -> Option<CgroupContainer> {
    let mut last: &[u8] = b"/";
    cgroups.iter().find_map(|cgroup| {
        let path = path_of(cgroup);
        // Most subsystems share one path, and most paths are the root.
        if path == last || path == b"/" {
            return None;
        }
        last = path;
        container_of_path(path)
    })
}

/// The path of `subsystem=path`.
pub(crate) fn path_of(cgroup: &[u8]) -> &[u8] {
    memchr::memchr(b'=', cgroup).map_or(cgroup, |at| &cgroup[at + 1..])
}

/// The container of one cgroup path.
pub fn container_of_path(path: &[u8]) -> Option<CgroupContainer> {
    let mut found = None;
    let mut way = Way::default();
    for part in path.split(|&b| b == b'/').filter(|part| !part.is_empty()) {
        if let Some((runtime, id)) = way.container(part) {
            found = Some((runtime, id));
        }
        way.enter(part);
    }
    let (runtime, id) = found?;
    Some(container(runtime, id))
}

/// A container by the id or the name that its cgroup has.
pub(crate) fn container(runtime: Runtime, id: &[u8]) -> CgroupContainer {
    let name = match runtime {
        Runtime::SystemdNspawn | Runtime::LibvirtLxc => unescaped(id),
        _ => Cow::Borrowed(id),
    };
    // Nobody may name a container so that rules take it for the host.
    let name = if &*name == HOST { Cow::Borrowed(NOT_HOST) } else { name };
    let short = if is_hex(&name, 64) { &name[..SHORT] } else { &name };
    CgroupContainer { id: Text::from(short), full_id: Text::from(&*name), runtime }
}

/// What stands for a container's id outside of containers, and what it is called if it bears that name.
const HOST: &[u8] = b"host";
const NOT_HOST: &[u8] = b"host-container";

/// Prefixes that stand before a container's id, as `PREFIX-ID.scope`, `PREFIX-ID` or `…:PREFIX:ID`.
const PREFIXES: [(&[u8], Runtime); 5] = [
    (b"cri-containerd", Runtime::Containerd),
    (b"docker", Runtime::Docker),
    (b"crio", Runtime::Crio),
    (b"libpod", Runtime::Podman),
    (b"nerdctl", Runtime::Containerd),
];

/// What lies above a component of a path.
#[derive(Default)]
struct Way<'a> {
    depth: usize,
    parent: &'a [u8],
    above_parent: &'a [u8],
    kubernetes: bool,
}

impl<'a> Way<'a> {
    fn enter(&mut self, part: &'a [u8]) {
        self.depth += 1;
        self.above_parent = std::mem::replace(&mut self.parent, part);
        self.kubernetes |= part.starts_with(b"kubepods");
    }

    /// The container that a component below this way is the cgroup of.
    fn container(&self, part: &'a [u8]) -> Option<(Runtime, &'a [u8])> {
        with_prefix(part)
            .or_else(|| self.plain_id(part))
            .or_else(|| self.fargate(part))
            .or_else(|| self.named(part))
            .or_else(|| nspawn(self.parent, part))
    }

    /// A component that is nothing but a 64-digit id: what the cgroupfs drivers make, below any parent.
    fn plain_id(&self, part: &'a [u8]) -> Option<(Runtime, &'a [u8])> {
        if !is_hex(part, 64) {
            return None;
        }
        let podman = self.parent.strip_prefix(b"podman-").is_some_and(|rest| rest.ends_with(b".scope"));
        let runtime = match self.parent {
            b"docker" => Runtime::Docker,
            b"k8s.io" | b"default" => Runtime::Containerd,
            _ if self.kubernetes => Runtime::Cri,
            _ if podman => Runtime::Podman,
            _ => Runtime::Docker,
        };
        Some((runtime, part))
    }

    /// A task of AWS Fargate: `/ecs/TASK/TASK-NUMBER`.
    fn fargate(&self, part: &'a [u8]) -> Option<(Runtime, &'a [u8])> {
        let (task, number) = part.split_at_checked(32)?;
        let number = number.strip_prefix(b"-")?;
        let ours = task == self.parent && is_hex(task, 32) && !number.is_empty();
        (ours && number.iter().all(u8::is_ascii_digit)).then_some((Runtime::Containerd, part))
    }

    /// Containers that users name: those of `ctr` in its default namespace, LXC's, and others'.
    fn named(&self, part: &'a [u8]) -> Option<(Runtime, &'a [u8])> {
        match (self.depth, self.above_parent, self.parent) {
            (1, _, b"default") => return Some((Runtime::Containerd, part)),
            (_, b"libvirt", b"lxc") => return Some((Runtime::LibvirtLxc, part)),
            (_, _, b"lxc" | b"lxc.payload") => return Some((Runtime::Lxc, part)),
            _ => {}
        }
        let name = part.strip_suffix(b".scope").unwrap_or(part);
        let prefixed =
            NAMES.iter().find_map(|(prefix, runtime)| Some((*runtime, name.strip_prefix(*prefix)?)));
        prefixed
            .or_else(|| part.strip_suffix(b".libvirt-lxc").map(|id| (Runtime::LibvirtLxc, id)))
            .filter(|(_, id)| !id.is_empty() && id.iter().all(|&b| b.is_ascii_graphic()))
    }
}

/// What stands before a name, with or without `.scope` after it. `bpm` is Cloud Foundry's; `runc` and `crun` name
/// scopes so when they have systemd make them.
const NAMES: [(&[u8], Runtime); 4] = [
    (b"lxc.payload.", Runtime::Lxc),
    (b"bpm-", Runtime::Bpm),
    (b"runc-", Runtime::Runc),
    (b"crun-", Runtime::Runc),
];

fn with_prefix(part: &[u8]) -> Option<(Runtime, &[u8])> {
    if let Some(at) = memchr::memrchr(b':', part) {
        let (slice, id) = (&part[..at], &part[at + 1..]);
        let name = &slice[memchr::memrchr(b':', slice).map_or(0, |at| at + 1)..];
        let (_, runtime) = PREFIXES.iter().find(|(prefix, _)| *prefix == name)?;
        return is_hex(id, 64).then_some((*runtime, id));
    }
    let part = part.strip_suffix(b".scope").unwrap_or(part);
    PREFIXES.iter().find_map(|(prefix, runtime)| {
        let id = part.strip_prefix(*prefix)?.strip_prefix(b"-")?;
        is_hex(id, 64).then_some((*runtime, id))
    })
}

/// A machine of systemd-nspawn, started as a service or by hand.
fn nspawn<'a>(parent: &[u8], part: &'a [u8]) -> Option<(Runtime, &'a [u8])> {
    let service = part.strip_prefix(b"systemd-nspawn@").and_then(|rest| rest.strip_suffix(b".service"));
    let scope = || {
        let name = part.strip_prefix(b"machine-")?.strip_suffix(b".scope")?;
        // Virtual machines of libvirt are registered there too.
        (parent == b"machine.slice" && !name.starts_with(b"qemu\\x2d")).then_some(name)
    };
    let name = service.or_else(scope).filter(|name| !name.is_empty())?;
    match name.strip_prefix(b"lxc\\x2d") {
        Some(lxc) => Some((Runtime::LibvirtLxc, lxc)),
        None => Some((Runtime::SystemdNspawn, name)),
    }
}

/// A name as it was before systemd escaped it for its unit: `a\x2db` is `a-b` (systemd.unit(5)).
fn unescaped(name: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memmem::find(name, b"\\x").is_none() {
        return Cow::Borrowed(name);
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, after)) = rest.split_first() {
        let code = after.strip_prefix(b"x").and_then(|digits| {
            let digits = std::str::from_utf8(digits.get(..2)?).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        match code.filter(|_| first == b'\\') {
            Some(code) => {
                plain.push(code);
                rest = &after[3..];
            }
            None => {
                plain.push(first);
                rest = after;
            }
        }
    }
    Cow::Owned(plain)
}

fn is_hex(text: &[u8], len: usize) -> bool {
    text.len() == len && text.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "8ccfeddbf91f9bd933b4842130cd61492ea189b413a603500dd20687602cd52c";
    const B: &str = "3ad7b26ded6d8e7b23da7d48fe889434573036c27ae5a74837233de441c3601e";

    fn found(path: &str) -> Option<(String, String, Runtime)> {
        let path = path.replace("{A}", A).replace("{B}", B);
        container_of_path(path.as_bytes()).map(|c| (c.id.to_string(), c.full_id.to_string(), c.runtime))
    }

    #[test]
    fn every_runtime_is_known_by_its_shape() {
        use Runtime::{Containerd, Cri, Crio, Docker, Podman};
        for (path, runtime) in [
            ("/docker/{A}", Docker),
            ("/docker/{A}/init.scope", Docker),
            ("/docker/{A}/system.slice/nginx.service", Docker),
            ("/docker/{B}/docker/{A}", Docker),
            ("/system.slice/docker-{A}.scope", Docker),
            ("/system.slice:docker:{A}", Docker),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope", Docker),
            ("/actions_job/{A}", Docker),
            ("/ecs/9f86d081884c7d659a2feaa0c55ad015/{A}", Docker),
            ("/kubepods/burstable/pod2d9ea0c4-11bf-4ec7-a8bb-5d1d3b7e7b2e/{A}", Cri),
            ("/kubepods/pod2d9ea0c4-11bf-4ec7-a8bb-5d1d3b7e7b2e/{A}", Cri),
            ("/kubepods/besteffort/poduid-mysql-db-d5dc6b85d-77hrm-1795547465/{A}", Cri),
            ("/docker/{B}/kubelet/kubepods/besteffort/pod2d9ea0c4/{A}", Cri),
            ("/kubepods.slice/kubepods-pod2d9e.slice/docker-{A}.scope", Docker),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod2d9e.slice/cri-containerd-{A}.scope",
                Containerd,
            ),
            (
                "/system.slice/containerd.service/kubepods-besteffort-pod2d9e.slice:cri-containerd:{A}",
                Containerd,
            ),
            ("/kubepods-besteffort-pod2d9e.slice:cri-containerd:{A}", Containerd),
            ("/k8s.io/{A}", Containerd),
            ("/default/{A}", Containerd),
            ("/system.slice/nerdctl-{A}.scope", Containerd),
            (
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod2d9e.slice/crio-{A}.scope",
                Crio,
            ),
            ("/kubepods.slice/kubepods-pod2d9e.slice/crio-{A}.scope/container", Crio),
            ("/kubepods/burstable/pod2d9ea0c4/crio-{A}", Crio),
            ("/machine.slice/libpod-{A}.scope", Podman),
            ("/machine.slice/libpod-{A}.scope/container", Podman),
            ("/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope/container", Podman),
            ("/libpod_parent/libpod-{A}", Podman),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container", Podman),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/podman-4711.scope/{A}", Podman),
        ] {
            assert_eq!(found(path), Some((A[..12].to_owned(), A.to_owned(), runtime)), "{path}");
        }
    }

    #[test]
    fn names_that_users_give_are_ids_too() {
        for (path, id, runtime) in [
            ("/default/demo", "demo", Runtime::Containerd),
            ("/lxc/web", "web", Runtime::Lxc),
            ("/lxc/web/system.slice/cron.service", "web", Runtime::Lxc),
            ("/lxc.payload/web", "web", Runtime::Lxc),
            ("/lxc.payload.web/init.scope", "web", Runtime::Lxc),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/lxc.payload.web", "web", Runtime::Lxc),
            ("/user/1000.user/1.session/lxc/web", "web", Runtime::Lxc),
            ("/machine.slice/machine-lxc\\x2d42\\x2dweb.scope", "42-web", Runtime::LibvirtLxc),
            ("/machine.slice/machine-lxc\\x2d42\\x2dweb.scope/libvirt", "42-web", Runtime::LibvirtLxc),
            ("/machine/web.libvirt-lxc", "web", Runtime::LibvirtLxc),
            ("/libvirt/lxc/web", "web", Runtime::LibvirtLxc),
            ("/system.slice/runc-web.scope", "web", Runtime::Runc),
            ("/user.slice/user-0.slice/session-1.scope/system.slice/crun-web.scope", "web", Runtime::Runc),
            ("/bpm-garden.api-1", "garden.api-1", Runtime::Bpm),
            ("/system.slice/bpm-garden.scope", "garden", Runtime::Bpm),
            ("/lxc/host", "host-container", Runtime::Lxc),
            ("/machine.slice/machine-ho\\x73t.scope", "host-container", Runtime::SystemdNspawn),
            ("/machine.slice/machine-a\\x2db\\x.scope", "a-b\\x", Runtime::SystemdNspawn),
            ("/machine.slice/systemd-nspawn@deb.service/payload", "deb", Runtime::SystemdNspawn),
            ("/machine.slice/machine-deb.scope", "deb", Runtime::SystemdNspawn),
            (
                "/ecs/34dc0b5e626f2c5c4c5170e34b10e765/34dc0b5e626f2c5c4c5170e34b10e765-1234567890",
                "34dc0b5e626f2c5c4c5170e34b10e765-1234567890",
                Runtime::Containerd,
            ),
        ] {
            assert_eq!(found(path), Some((id.to_owned(), id.to_owned(), runtime)), "{path}");
        }
    }

    #[test]
    fn what_is_no_container_stays_the_host() {
        for path in [
            "/",
            "",
            "/init.scope",
            "/system.slice/sshd.service",
            "/system.slice/docker.service",
            "/system.slice/containerd.service",
            "/user.slice/user-0.slice/session-000001.scope",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/podman-4711.scope",
            "/kubepods/burstable/pod2d9ea0c4-11bf-4ec7-a8bb-5d1d3b7e7b2e",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod2d9e.slice",
            "/machine.slice/libpod-conmon-{A}.scope",
            "/kubepods.slice/kubepods-pod2d9e.slice/crio-conmon-{A}.scope",
            "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
            "/lxc.monitor/web",
            "/lxc.monitor.web",
            "/lxc",
            "/lxc.payload.",
            "/runc-.scope",
            "/.libvirt-lxc",
            "/libvirt/lxc",
            "/default",
            "/name/0123456789abcdef0123456789abcdef",
            "/0123456789abcdef0123456789abcdef",
            "/name/0123456789abcdef0123456789abcdef-1234567890",
            "/docker-0123456789ab.scope",
            "/system.slice/docker-zzzz.scope",
            "/a/default/b",
            "/buildkit",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    /// Whoever lists cgroups that are in no container need not look below one that is.
    #[test]
    fn what_is_in_a_containers_cgroup_is_in_a_container() {
        let id = [A, &format!("docker-{A}.scope"), "default", "lxc", "lxc.payload", "machine.slice"];
        let others =
            ["machine-x.scope", "kubepods", "x", "..", "init.scope", "runc-x", "ecs", "libvirt", "docker"];
        let parts: Vec<&str> = id.into_iter().chain(others).collect();
        for number in 0..parts.len().pow(4) {
            let chosen: Vec<&str> =
                (0..4).map(|at| parts[number / parts.len().pow(at) % parts.len()]).collect();
            let paths = (1..=4).map(|len| format!("/{}", chosen[..len].join("/")));
            let within: Vec<bool> = paths.map(|path| container_of_path(path.as_bytes()).is_some()).collect();
            assert!(within.is_sorted(), "{chosen:?}: {within:?}");
        }
    }

    #[test]
    fn the_first_subsystem_in_a_container_decides() {
        let cgroups =
            TextList::from_iter(["cpuset=/", &format!("cpu=/docker/{A}"), &format!("memory=/docker/{B}")]);
        assert_eq!(container_of_cgroups(&cgroups).unwrap().full_id.to_string(), A);
        assert_eq!(container_of_cgroups(&TextList::from_iter(["cpuset=/", "memory=/user.slice"])), None);
        assert_eq!(container_of_cgroups(&TextList::default()), None);
    }
}
