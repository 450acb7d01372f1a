//! From CRI's answers to the machine's container.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use k8s_cri::v1::{
    ContainerStatusResponse, Image, Mount, MountPropagation, NamespaceMode, PodSandboxStatusResponse,
};
use lanner_machine::{Container, ContainerMount, Pod, Runtime};
use serde_json::Value;

use crate::config::Config;
use crate::{image as names, labels};

/// Longest result of a network plugin that is kept.
const MAX_CNI: usize = 4096;

/// The verbose part of an answer: JSON of the runtime's own making under the key `info`.
fn info(map: &HashMap<String, String>) -> Value {
    map.get("info").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// What to ask next.
#[derive(Default)]
pub(super) struct Leads {
    /// Id of the container's sandbox.
    pub(super) sandbox: Option<String>,
    /// By what the runtime should know the image, best first.
    pub(super) images: Vec<String>,
}

/// What the status of a container tells.
pub(super) fn container(
    container: &mut Container,
    answer: &ContainerStatusResponse,
    config: &Config,
) -> Leads {
    let mut leads = Leads::default();
    let info = info(&answer.info);
    if let Some(status) = &answer.status {
        if let Some(metadata) = &status.metadata {
            container.name.clone_from(&metadata.name);
        }
        container.created_ts = u64::try_from(status.created_at).unwrap_or_default();
        container.labels = labels::kept(status.labels.clone(), config);
        container.mounts = status.mounts.iter().map(mount).collect();
        leads.images.push(status.image_ref.clone());
        if let Some(spec) = &status.image {
            names::set_name(container, &spec.image);
            leads.images.push(spec.image.clone());
        }
        let reference = names::split(&status.image_ref);
        container.image_digest = reference.digest.to_owned();
        if !status.image_id.is_empty() {
            container.image_id = names::short_id(&status.image_id);
        }
    }
    // containerd hands back the request by which the container was made, CRI-O a word of its own.
    container.privileged = info
        .pointer("/config/linux/security_context/privileged")
        .or_else(|| info.get("privileged"))
        .map_or(container.privileged.or(Some(false)), Value::as_bool);
    container.is_sandbox = false;
    let sandbox = info.get("sandboxID").and_then(Value::as_str).map(str::to_owned);
    let on_disk = container.pod.as_ref().map(|pod| pod.sandbox_id.clone());
    leads.sandbox = sandbox.or(on_disk).filter(|id| !id.is_empty());
    leads
}

/// What the store of images tells of the container's.
pub(super) fn image(container: &mut Container, image: &Image) {
    container.image_id = names::short_id(&image.id);
    // A container made by the image's id has no name from its own status.
    if container.image_repository.is_empty() {
        if let Some(name) = image.repo_tags.first().or(image.repo_digests.first()) {
            names::set_name(container, name);
        }
    }
    let of_same_name = |name: &&String| names::split(name).repository == container.image_repository;
    let digest = image.repo_digests.iter().find(of_same_name).or(image.repo_digests.first());
    let digest = digest.map_or(image.id.as_str(), |name| names::split(name).digest);
    container.image_digest = digest.to_owned();
}

/// What the status of its sandbox tells of a container.
pub(super) fn pod(container: &mut Container, answer: &PodSandboxStatusResponse, config: &Config) {
    let Some(status) = &answer.status else { return };
    let namespaces = status.linux.as_ref().and_then(|linux| linux.namespaces.as_ref());
    let namespaces = namespaces.and_then(|namespaces| namespaces.options.clone()).unwrap_or_default();
    container.host_network = namespaces.network() == NamespaceMode::Node;
    container.host_pid = namespaces.pid() == NamespaceMode::Node;
    container.host_ipc = namespaces.ipc() == NamespaceMode::Node;
    let ip = status.network.as_ref().and_then(|network| network.ip.parse().ok());
    container.ip = ip;
    let metadata = status.metadata.clone().unwrap_or_default();
    container.pod = Some(Pod {
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        sandbox_id: status.id.clone(),
        labels: labels::kept(status.labels.clone(), config),
        ip,
        cni_json: cni_result(&info(&answer.info)),
        ..Pod::default()
    });
}

/// A sandbox's own (pause) container.
pub(super) fn sandbox(
    container: &mut Container,
    answer: &PodSandboxStatusResponse,
    config: &Config,
) -> Leads {
    pod(container, answer, config);
    let info = info(&answer.info);
    container.is_sandbox = true;
    if let Some(status) = &answer.status {
        container.created_ts = u64::try_from(status.created_at).unwrap_or_default();
        container.labels = labels::kept(status.labels.clone(), config);
        if let Some(metadata) = &status.metadata {
            container.name.clone_from(&metadata.name);
        }
    }
    if let Some(name) = info.get("image").and_then(Value::as_str) {
        names::set_name(container, name);
    }
    container.privileged =
        info.pointer("/config/linux/security_context/privileged").map_or(Some(false), Value::as_bool);
    Leads { sandbox: None, images: vec![container.image.clone()] }
}

/// The interfaces that the network plugin made, as JSON.
fn cni_result(info: &Value) -> String {
    let mut text = match info.pointer("/cniResult/Interfaces") {
        Some(Value::Null) => String::new(),
        Some(interfaces) => interfaces.to_string(),
        None => {
            let annotation = info.pointer("/runtimeSpec/annotations/io.kubernetes.cri-o.CNIResult");
            annotation.and_then(Value::as_str).unwrap_or_default().to_owned()
        }
    };
    // As long as Falco keeps it.
    let end = (0..=text.len().min(MAX_CNI)).rev().find(|&at| text.is_char_boundary(at));
    text.truncate(end.unwrap_or_default());
    text
}

/// The runtime's own word on its name settles what the cgroup left open.
pub(super) fn runtime(container: &mut Container, name: &str) {
    if matches!(container.runtime, Runtime::Unknown | Runtime::Cri) {
        container.runtime = match name {
            "containerd" => Runtime::Containerd,
            "cri-o" => Runtime::Crio,
            _ => Runtime::Cri,
        };
    }
}

/// Where a containerd keeps its bundles: beside the CRI plugin's state folder, which its status names.
pub(super) fn bundle_folder(map: &HashMap<String, String>) -> Option<PathBuf> {
    let config: Value = serde_json::from_str(map.get("config")?).ok()?;
    let plugin = Path::new(config.get("stateDir")?.as_str()?);
    Some(plugin.parent()?.join("io.containerd.runtime.v2.task"))
}

fn mount(mount: &Mount) -> ContainerMount {
    let propagation = match mount.propagation() {
        MountPropagation::PropagationPrivate => "private",
        MountPropagation::PropagationHostToContainer => "rslave",
        MountPropagation::PropagationBidirectional => "rshared",
    };
    ContainerMount {
        source: mount.host_path.clone(),
        dest: mount.container_path.clone(),
        mode: String::new(),
        rdwr: !mount.readonly,
        propagation: propagation.to_owned(),
    }
}
