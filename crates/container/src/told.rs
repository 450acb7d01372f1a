//! Containers as captures tell of them: Falco and sysdig write what they learnt of a container into an event,
//! as JSON.

use std::collections::BTreeMap;

use lanner_machine::{Container, ContainerMount, Pod, Runtime};
use serde::{Deserialize, Deserializer};

/// The text of such an event.
#[derive(Deserialize)]
struct Told {
    container: Body,
}

/// What it may say. Whatever is missing or null has its default.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    #[serde(rename = "type")]
    kind: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    id: String,
    #[serde(deserialize_with = "or_default")]
    full_id: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    image: String,
    #[serde(deserialize_with = "or_default")]
    imageid: String,
    #[serde(deserialize_with = "or_default")]
    imagerepo: String,
    #[serde(deserialize_with = "or_default")]
    imagetag: String,
    #[serde(deserialize_with = "or_default")]
    imagedigest: String,
    #[serde(deserialize_with = "or_default")]
    ip: String,
    #[serde(deserialize_with = "or_default")]
    cni_json: String,
    #[serde(deserialize_with = "or_default")]
    created_time: u64,
    #[serde(deserialize_with = "or_default")]
    privileged: bool,
    #[serde(deserialize_with = "or_default")]
    host_pid: bool,
    #[serde(deserialize_with = "or_default")]
    host_network: bool,
    #[serde(deserialize_with = "or_default")]
    host_ipc: bool,
    #[serde(deserialize_with = "or_default")]
    is_pod_sandbox: bool,
    #[serde(deserialize_with = "or_default")]
    pod_sandbox_id: String,
    #[serde(deserialize_with = "or_default")]
    pod_sandbox_labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(rename = "Mounts", deserialize_with = "or_default")]
    mounts: Vec<Mount>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Mount {
    source: String,
    destination: String,
    mode: String,
    #[serde(rename = "RW")]
    rw: bool,
    propagation: String,
}

/// A value, or its default where null stands.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(value: D) -> Result<T, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

/// The container that the JSON of an event tells of; nothing if it isn't such JSON or names none.
pub fn from_event(json: &[u8]) -> Option<Container> {
    let json = json.strip_suffix(b"\0").unwrap_or(json);
    let body = serde_json::from_slice::<Told>(json).ok()?.container;
    (!body.id.is_empty()).then(|| container(body))
}

fn container(body: Body) -> Container {
    let pod = pod(&body);
    let mount = |m: Mount| ContainerMount {
        source: m.source,
        dest: m.destination,
        mode: m.mode,
        rdwr: m.rw,
        propagation: m.propagation,
    };
    Container {
        id: body.id,
        full_id: body.full_id,
        runtime: runtime(body.kind),
        name: body.name,
        image: body.image,
        image_repository: body.imagerepo,
        image_tag: body.imagetag,
        image_digest: body.imagedigest,
        image_id: body.imageid,
        privileged: Some(body.privileged),
        mounts: body.mounts.into_iter().map(mount).collect(),
        labels: body.labels,
        ip: body.ip.parse().ok(),
        host_pid: body.host_pid,
        host_network: body.host_network,
        host_ipc: body.host_ipc,
        created_ts: body.created_time.saturating_mul(1_000_000_000),
        is_sandbox: body.is_pod_sandbox,
        probes: Vec::new(),
        pod,
        complete: true,
    }
}

fn pod(body: &Body) -> Option<Pod> {
    let label = |name| body.labels.get(name).cloned().unwrap_or_default();
    let pod = Pod {
        name: label("io.kubernetes.pod.name"),
        namespace: label("io.kubernetes.pod.namespace"),
        uid: label("io.kubernetes.pod.uid"),
        sandbox_id: body.pod_sandbox_id.clone(),
        labels: body.pod_sandbox_labels.clone(),
        ip: None,
        cni_json: body.cni_json.clone(),
    };
    (pod != Pod::default()).then_some(pod)
}

/// Runtimes by the numbers that these events give them.
fn runtime(number: Option<i64>) -> Runtime {
    match number {
        Some(0) => Runtime::Docker,
        Some(1) => Runtime::Lxc,
        Some(6) => Runtime::Cri,
        Some(7) => Runtime::Containerd,
        Some(8) => Runtime::Crio,
        Some(11) => Runtime::Podman,
        _ => Runtime::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_taken() {
        let json = r#"{"container":{"id":"0123456789ab","type":7,"name":"web","image":"nginx:1","imagerepo":"nginx",
            "imagetag":"1","ip":"172.17.0.3","privileged":true,"labels":{"io.kubernetes.pod.name":"web-1"},
            "pod_sandbox_labels":null,"Mounts":[{"Source":"/a","Destination":"/b","RW":true}],"new":[1]}}"#;
        let container = from_event(json.as_bytes()).unwrap();
        assert_eq!((&*container.name, &*container.image_repository), ("web", "nginx"));
        assert_eq!(container.runtime, Runtime::Containerd);
        assert_eq!(container.mounts[0].dest, "/b");
        assert_eq!(container.pod.unwrap().name, "web-1");
        assert_eq!(container.ip.unwrap().to_string(), "172.17.0.3");
    }

    #[test]
    fn what_is_no_such_text_tells_nothing() {
        for json in ["", "{}", "{\"container\":{}}", "{\"container\":{\"id\":7}}", "[1", "\u{0}"] {
            assert!(from_event(json.as_bytes()).is_none(), "{json}");
        }
    }
}
