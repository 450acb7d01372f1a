//! Containers as captures tell of them: Falco, sysdig and lanner write what they learnt of a container into an
//! event, as JSON.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lanner_machine::{Container, ContainerMount, Pod, Runtime};
use serde::{Deserialize, Deserializer, Serialize};

/// The text of such an event.
#[derive(Serialize, Deserialize)]
struct Told {
    container: Body,
}

/// What it may say. Whatever is missing or null has its default.
#[derive(Serialize, Deserialize, Default)]
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
    /// What lanner adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    lanner: Option<Added>,
}

/// What the form has no room for.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Added {
    runtime: String,
    privileged: Option<bool>,
    created_ts: u64,
    pod: Option<AddedPod>,
}

#[derive(Serialize, Deserialize, Default, Clone)]
#[serde(default)]
struct AddedPod {
    name: String,
    namespace: String,
    uid: String,
    ip: Option<IpAddr>,
}

#[derive(Serialize, Deserialize, Default)]
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

/// The JSON of an event that tells of a container.
pub fn to_event(container: &Container) -> Vec<u8> {
    let mut json = serde_json::to_vec(&Told { container: body(container) }).unwrap_or_default();
    json.push(0);
    json
}

fn container(body: Body) -> Container {
    let added = body.lanner.as_ref();
    let pod = pod(&body);
    let mount = |m: Mount| ContainerMount {
        source: m.source,
        dest: m.destination,
        mode: m.mode,
        rdwr: m.rw,
        propagation: m.propagation,
    };
    Container {
        runtime: runtime(body.kind, added.map_or("", |added| &added.runtime)),
        privileged: added.map_or(Some(body.privileged), |added| added.privileged),
        created_ts: added.map_or(body.created_time.saturating_mul(SECOND), |added| added.created_ts),
        id: body.id,
        full_id: body.full_id,
        name: body.name,
        image: body.image,
        image_repository: body.imagerepo,
        image_tag: body.imagetag,
        image_digest: body.imagedigest,
        image_id: body.imageid,
        mounts: body.mounts.into_iter().map(mount).collect(),
        labels: body.labels,
        ip: body.ip.parse().ok(),
        host_pid: body.host_pid,
        host_network: body.host_network,
        host_ipc: body.host_ipc,
        is_sandbox: body.is_pod_sandbox,
        probes: Vec::new(),
        pod,
        complete: true,
    }
}

fn pod(body: &Body) -> Option<Pod> {
    let label = |name| body.labels.get(name).cloned().unwrap_or_default();
    let labelled = || AddedPod {
        name: label("io.kubernetes.pod.name"),
        namespace: label("io.kubernetes.pod.namespace"),
        uid: label("io.kubernetes.pod.uid"),
        ip: None,
    };
    let AddedPod { name, namespace, uid, ip } = match &body.lanner {
        Some(added) => added.pod.clone()?,
        None => labelled(),
    };
    let pod = Pod {
        name,
        namespace,
        uid,
        ip,
        sandbox_id: body.pod_sandbox_id.clone(),
        labels: body.pod_sandbox_labels.clone(),
        cni_json: body.cni_json.clone(),
        ..Pod::default()
    };
    (pod != Pod::default()).then_some(pod)
}

fn body(container: &Container) -> Body {
    let mount = |m: &ContainerMount| Mount {
        source: m.source.clone(),
        destination: m.dest.clone(),
        mode: m.mode.clone(),
        rw: m.rdwr,
        propagation: m.propagation.clone(),
    };
    let pod = container.pod.as_ref();
    let (number, name) = number(container.runtime);
    let added_pod = |pod: &Pod| AddedPod {
        name: pod.name.clone(),
        namespace: pod.namespace.clone(),
        uid: pod.uid.clone(),
        ip: pod.ip,
    };
    Body {
        kind: Some(number),
        id: container.id.clone(),
        full_id: container.full_id.clone(),
        name: container.name.clone(),
        image: container.image.clone(),
        imageid: container.image_id.clone(),
        imagerepo: container.image_repository.clone(),
        imagetag: container.image_tag.clone(),
        imagedigest: container.image_digest.clone(),
        ip: container.ip.map_or_else(String::new, |ip| ip.to_string()),
        cni_json: pod.map_or_else(String::new, |pod| pod.cni_json.clone()),
        created_time: container.created_ts / SECOND,
        privileged: container.privileged.unwrap_or_default(),
        host_pid: container.host_pid,
        host_network: container.host_network,
        host_ipc: container.host_ipc,
        is_pod_sandbox: container.is_sandbox,
        pod_sandbox_id: pod.map_or_else(String::new, |pod| pod.sandbox_id.clone()),
        pod_sandbox_labels: pod.map_or_else(BTreeMap::new, |pod| pod.labels.clone()),
        labels: container.labels.clone(),
        mounts: container.mounts.iter().map(mount).collect(),
        lanner: Some(Added {
            runtime: name.to_owned(),
            privileged: container.privileged,
            created_ts: container.created_ts,
            pod: pod.map(added_pod),
        }),
    }
}

const SECOND: u64 = 1_000_000_000;
/// The number of a runtime that has none.
const NO_NUMBER: i64 = 0xffff;

/// Runtimes by the numbers that these events give them, or by name where they have none.
const RUNTIMES: [(Runtime, i64, &str); 10] = [
    (Runtime::Docker, 0, ""),
    (Runtime::Lxc, 1, ""),
    (Runtime::LibvirtLxc, 2, ""),
    (Runtime::Cri, 6, ""),
    (Runtime::Containerd, 7, ""),
    (Runtime::Crio, 8, ""),
    (Runtime::Bpm, 9, ""),
    (Runtime::Podman, 11, ""),
    (Runtime::Runc, NO_NUMBER, "runc"),
    (Runtime::SystemdNspawn, NO_NUMBER, "systemd-nspawn"),
];

fn runtime(number: Option<i64>, name: &str) -> Runtime {
    let known = RUNTIMES.iter().find(|known| Some(known.1) == number && known.2 == name);
    known.map_or(Runtime::Unknown, |known| known.0)
}

fn number(runtime: Runtime) -> (i64, &'static str) {
    RUNTIMES.iter().find(|known| known.0 == runtime).map_or((NO_NUMBER, ""), |known| (known.1, known.2))
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
    fn a_container_that_was_told_comes_back_whole() {
        let text = |name: &str| name.to_owned();
        let mut container = Container {
            id: text("0123456789ab"),
            full_id: text("0123456789abcdef"),
            name: text("web"),
            image: text("nginx:1"),
            image_repository: text("nginx"),
            image_tag: text("1"),
            image_digest: text("sha256:1"),
            image_id: text("5"),
            mounts: vec![ContainerMount { source: text("/a"), rdwr: true, ..ContainerMount::default() }],
            labels: BTreeMap::from([(text("a"), text("b\"\0"))]),
            ip: Some(IpAddr::from([10, 0, 0, 7])),
            host_pid: true,
            created_ts: 1_700_000_000_123_456_789,
            pod: Some(Pod { name: text("p"), ip: Some(IpAddr::from([10, 0, 0, 1])), ..Pod::default() }),
            complete: true,
            ..Container::default()
        };
        for (runtime, ..) in RUNTIMES.into_iter().chain([(Runtime::Unknown, 0, "")]) {
            for privileged in [None, Some(false), Some(true)] {
                (container.runtime, container.privileged) = (runtime, privileged);
                assert_eq!(from_event(&to_event(&container)).as_ref(), Some(&container));
            }
        }
        container.pod = None;
        assert_eq!(from_event(&to_event(&container)), Some(container));
    }

    #[test]
    fn what_is_no_such_text_tells_nothing() {
        for json in ["", "{}", "{\"container\":{}}", "{\"container\":{\"id\":7}}", "[1", "\u{0}"] {
            assert!(from_event(json.as_bytes()).is_none(), "{json}");
        }
    }
}
