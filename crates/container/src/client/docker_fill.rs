//! From the Docker Engine API's answers to the machine's container.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lanner_machine::{Container, ContainerMount, Pod, Probe, ProbeKind};
use serde::{Deserialize, Deserializer};

use crate::config::Config;
use crate::{image as names, labels, time};

/// Mounts of a container that are kept.
const MAX_MOUNTS: usize = 256;

/// `GET /containers/ID/json`, as far as it tells who a container is.
#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Inspected {
    pub(super) id: String,
    created: String,
    name: String,
    /// Id of the image.
    pub(super) image: String,
    #[serde(deserialize_with = "or_default")]
    config: Settings,
    #[serde(deserialize_with = "or_default")]
    host_config: HostSettings,
    #[serde(deserialize_with = "or_default")]
    mounts: Vec<Mount>,
    #[serde(deserialize_with = "or_default")]
    network_settings: NetworkSettings,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "PascalCase")]
struct Settings {
    image: String,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    healthcheck: Healthcheck,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "PascalCase")]
struct Healthcheck {
    #[serde(deserialize_with = "or_default")]
    test: Vec<String>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "PascalCase")]
struct HostSettings {
    privileged: bool,
    network_mode: String,
    pid_mode: String,
    ipc_mode: String,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "PascalCase")]
struct Mount {
    source: String,
    destination: String,
    mode: String,
    #[serde(rename = "RW")]
    rw: bool,
    propagation: String,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
struct NetworkSettings {
    #[serde(rename = "IPAddress")]
    ip_address: String,
    #[serde(rename = "Networks", deserialize_with = "or_default")]
    networks: BTreeMap<String, Network>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
struct Network {
    #[serde(rename = "IPAddress")]
    ip_address: String,
}

/// `GET /images/ID/json`.
#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Image {
    id: String,
    #[serde(deserialize_with = "or_default")]
    repo_tags: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    repo_digests: Vec<String>,
}

/// A value, or its default where null stands.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(value: D) -> Result<T, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

impl Inspected {
    /// Its address in its first network.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        let networks = self.network_settings.networks.values().map(|network| &network.ip_address);
        std::iter::once(&self.network_settings.ip_address).chain(networks).find_map(|text| text.parse().ok())
    }

    /// The container whose network it has joined.
    pub(super) fn network_of(&self) -> Option<&str> {
        self.host_config.network_mode.strip_prefix("container:")
    }
}

/// What the description of a container tells.
pub(super) fn container(container: &mut Container, inspected: Inspected, config: &Config) {
    container.ip = inspected.ip();
    container.name = inspected.name.trim_start_matches('/').to_owned();
    names::set_name(container, &inspected.config.image);
    container.image_id = names::short_id(&inspected.image);
    container.created_ts = time::parse(&inspected.created).unwrap_or(container.created_ts);
    let host = inspected.host_config;
    container.privileged = Some(host.privileged);
    container.host_network = host.network_mode == "host";
    container.host_pid = host.pid_mode == "host";
    container.host_ipc = host.ipc_mode == "host";
    // The sandbox of a pod that a kubelet made with Docker.
    container.is_sandbox = container.name.contains("k8s_POD");
    container.pod = pod(&inspected.config.labels);
    container.probes = healthcheck(inspected.config.healthcheck.test).into_iter().collect();
    container.labels = labels::kept(inspected.config.labels, config);
    container.mounts = inspected.mounts.into_iter().take(MAX_MOUNTS).map(mount).collect();
}

/// The pod that the labels of a kubelet name.
fn pod(labels: &BTreeMap<String, String>) -> Option<Pod> {
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    let name = labels.get("io.kubernetes.pod.name")?.clone();
    Some(Pod {
        name,
        namespace: label("io.kubernetes.pod.namespace"),
        uid: label("io.kubernetes.pod.uid"),
        sandbox_id: label("io.kubernetes.sandbox.id"),
        ..Pod::default()
    })
}

/// `["CMD", "curl", "-f", "…"]`, `["CMD-SHELL", "curl -f …"]`; `NONE` and nothing are none.
fn healthcheck(test: Vec<String>) -> Option<Probe> {
    let mut words = test.into_iter();
    let command = match words.next()?.as_str() {
        "CMD" => words.collect(),
        "CMD-SHELL" => ["/bin/sh".to_owned(), "-c".to_owned()].into_iter().chain(words).collect(),
        _ => return None,
    };
    Some(Probe { kind: ProbeKind::Healthcheck, command })
}

/// What the description of its image tells: digest, and a name where the container was made by the image's id.
pub(super) fn image(container: &mut Container, image: &Image) {
    if container.image_repository.is_empty() || container.image.starts_with("sha256:") {
        if let Some(name) = image.repo_tags.first().or(image.repo_digests.first()) {
            names::set_name(container, name);
        }
    }
    if !image.id.is_empty() {
        container.image_id = names::short_id(&image.id);
    }
    let short = |name: &str| names::split(name).repository.trim_start_matches("docker.io/").to_owned();
    let own = short(&container.image_repository);
    let digest = image.repo_digests.iter().find(|name| short(name) == own).or(image.repo_digests.first());
    if let Some(digest) = digest {
        container.image_digest = names::split(digest).digest.to_owned();
    }
    // `docker run nginx` means its latest.
    if container.image_tag.is_empty() && !container.image.contains('@') {
        if let Some(tag) = image.repo_tags.iter().find(|name| short(name) == own) {
            container.image_tag = names::split(tag).tag.to_owned();
        }
    }
}

fn mount(mount: Mount) -> ContainerMount {
    ContainerMount {
        source: mount.source,
        dest: mount.destination,
        mode: mount.mode,
        rdwr: mount.rw,
        propagation: mount.propagation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_check_is_a_command() {
        let check = |words: &[&str]| healthcheck(words.iter().map(|&word| word.to_owned()).collect());
        assert_eq!(check(&["CMD", "curl", "-f"]).unwrap().command, ["curl", "-f"]);
        assert_eq!(check(&["CMD-SHELL", "exit 0"]).unwrap().command, ["/bin/sh", "-c", "exit 0"]);
        assert!(check(&["NONE"]).is_none() && check(&[]).is_none());
    }

    #[test]
    fn a_kubelets_labels_name_the_pod() {
        let inspected = r#"{"Id":"a","Name":"/k8s_POD_web-0","Config":{"Image":"pause:3","Labels":
            {"io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop"}},"Mounts":null}"#;
        let mut known = Container::default();
        container(&mut known, serde_json::from_str(inspected).unwrap(), &Config::default());
        let pod = known.pod.unwrap();
        assert_eq!((pod.name.as_str(), pod.namespace.as_str(), known.is_sandbox), ("web-0", "shop", true));
    }

    #[test]
    fn an_image_named_by_its_id_gets_its_tag_and_digest() {
        let mut known = Container { image_repository: String::new(), ..Container::default() };
        let json = r#"{"Id":"sha256:0011","RepoTags":["nginx:1.25"],"RepoDigests":["nginx@sha256:ab"]}"#;
        image(&mut known, &serde_json::from_str(json).unwrap());
        let parts = (known.image_repository, known.image_tag, known.image_digest, known.image_id);
        assert_eq!(parts, ("nginx".into(), "1.25".into(), "sha256:ab".into(), "0011".into()));
    }
}
