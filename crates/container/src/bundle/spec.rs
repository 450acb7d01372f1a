//! The OCI runtime specification, as far as it tells who a container is.

use std::collections::BTreeMap;
use std::path::Path;

use lanner_machine::{Container, ContainerMount, Pod};
use serde::Deserialize;

use super::read_json;
use crate::config::Config;
use crate::{image, labels, time};

/// Parts of `config.json` (opencontainers/runtime-spec, config.md).
#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    annotations: BTreeMap<String, String>,
    mounts: Vec<Mount>,
    process: Process,
    linux: Option<Linux>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Process {
    apparmor_profile: String,
    selinux_label: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Linux {
    namespaces: Vec<Namespace>,
    masked_paths: Option<Vec<String>>,
    readonly_paths: Option<Vec<String>>,
    seccomp: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Namespace {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Mount {
    destination: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    options: Vec<String>,
}

/// Annotations that name the same thing, the runtime's own first: containerd's CRI plugin, CRI-O, and what
/// the kubelet hands to both.
const CONTAINER_NAME: &[&str] =
    &["io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"];
const CONTAINER_TYPE: &[&str] = &["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"];
const IMAGE_NAME: &[&str] =
    &["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "io.kubernetes.cri-o.Image"];
const SANDBOX_ID: &[&str] = &["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"];
const POD_NAME: &[&str] = &["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"];
const POD_NAMESPACE: &[&str] = &["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"];
const POD_UID: &[&str] = &["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"];
const LABELS: &str = "io.kubernetes.cri-o.Labels";
const PRIVILEGED: &str = "io.podman.annotations.privileged";
const CREATED: &str = "io.kubernetes.cri-o.Created";

/// Fills the container from the file; says whether it could be read.
pub(super) fn read(file: &Path, config: &Config, container: &mut Container) -> bool {
    let Some(spec) = read_json::<Spec>(file) else { return false };
    fill(&spec, config, container);
    true
}

/// Fills the container from the text of such a file.
pub(crate) fn read_bytes(text: &[u8], config: &Config, container: &mut Container) {
    if let Ok(spec) = serde_json::from_slice::<Spec>(text) {
        fill(&spec, config, container);
    }
}

fn fill(spec: &Spec, config: &Config, container: &mut Container) {
    let first = |names: &[&str]| {
        names.iter().find_map(|name| spec.annotations.get(*name)).filter(|value| !value.is_empty())
    };
    if let Some(name) = first(CONTAINER_NAME) {
        container.name.clone_from(name);
    }
    if let Some(kind) = first(CONTAINER_TYPE) {
        container.is_sandbox = kind == "sandbox";
    }
    if let Some(name) = first(IMAGE_NAME) {
        image::set_name(container, name);
    }
    if let Some(own) =
        spec.annotations.get(LABELS).and_then(|text| serde_json::from_str::<BTreeMap<_, _>>(text).ok())
    {
        container.labels = labels::kept(own, config);
    }
    if let Some(created) = spec.annotations.get(CREATED).and_then(|text| time::parse(text)) {
        container.created_ts = created;
    }
    if let Some(linux) = &spec.linux {
        // Who shares the host's namespace is given none of that kind.
        let shares = |kind: &str| linux.namespaces.iter().all(|namespace| namespace.kind != kind);
        container.host_pid = shares("pid");
        container.host_network = shares("network");
        container.host_ipc = shares("ipc");
        container.privileged = Some(is_privileged(spec, linux));
    }
    if let Some(word) = spec.annotations.get(PRIVILEGED) {
        container.privileged = Some(word.eq_ignore_ascii_case("true"));
    }
    if let Some(name) = first(POD_NAME) {
        let pod = container.pod.get_or_insert_with(Pod::default);
        pod.name.clone_from(name);
        pod.namespace = first(POD_NAMESPACE).cloned().unwrap_or_default();
        pod.uid = first(POD_UID).cloned().unwrap_or_default();
        pod.sandbox_id = first(SANDBOX_ID).cloned().unwrap_or_default();
    }
    container.mounts = spec.mounts.iter().filter(|mount| is_bind(mount)).map(as_mount).collect();
}

/// No runtime writes the word into a bundle; a privileged container is one without any of the protections that
/// they give to others.
fn is_privileged(spec: &Spec, linux: &Linux) -> bool {
    let filled = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let confined = !matches!(spec.process.apparmor_profile.as_str(), "" | "unconfined");
    let is_locked = |mount: &Mount| {
        matches!(mount.kind.as_str(), "sysfs" | "cgroup") && mount.options.iter().any(|option| option == "ro")
    };
    !filled(&linux.masked_paths)
        && !filled(&linux.readonly_paths)
        && linux.seccomp.is_none()
        && spec.process.selinux_label.is_empty()
        && !confined
        && !spec.mounts.iter().any(is_locked)
}

fn is_bind(mount: &Mount) -> bool {
    mount.kind == "bind" || mount.options.iter().any(|option| option == "bind" || option == "rbind")
}

fn as_mount(mount: &Mount) -> ContainerMount {
    let has = |name: &str| mount.options.iter().any(|option| option == name);
    let propagation = ["rprivate", "private", "rslave", "slave", "rshared", "shared"]
        .into_iter()
        .find(|name| has(name))
        .unwrap_or_default();
    ContainerMount {
        source: mount.source.clone(),
        dest: mount.destination.clone(),
        mode: String::new(),
        rdwr: !has("ro"),
        propagation: propagation.to_owned(),
    }
}
