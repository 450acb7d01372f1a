//! Kubernetes' objects as far as they tell who a pod is (kubernetes.io/docs/reference/kubernetes-api).

use std::collections::BTreeMap;

use lanner_machine::{Probe, ProbeKind};
use serde::{Deserialize, Deserializer};

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodList {
    pub(super) metadata: Meta,
    #[serde(deserialize_with = "listed")]
    pub(super) items: Vec<PodObject>,
}

/// One line of a watch.
#[derive(Deserialize, Debug)]
#[serde(tag = "type", content = "object", rename_all = "UPPERCASE")]
pub(super) enum Event {
    Added(PodObject),
    Modified(PodObject),
    Deleted(PodObject),
    /// Nothing has happened up to the version that it names.
    Bookmark(PodObject),
    Error(Status),
}

/// What the server says of an error.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) message: String,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct PodObject {
    pub(super) metadata: Meta,
    pub(super) spec: PodSpec,
    pub(super) status: PodStatus,
}

/// A list, or none where null stands: the pod of a bookmark has `"containers":null`.
fn listed<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Vec<T>, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

#[derive(Deserialize, Default, Clone, Debug)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "listed")]
    owner_references: Vec<OwnerReference>,
}

#[derive(Deserialize, Default, Clone, Debug)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct OwnerReference {
    api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
    controller: bool,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodSpec {
    pub(super) node_name: String,
    pub(super) service_account_name: String,
    #[serde(deserialize_with = "listed")]
    containers: Vec<ContainerSpec>,
    #[serde(deserialize_with = "listed")]
    init_containers: Vec<ContainerSpec>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
struct ContainerSpec {
    name: String,
    liveness_probe: ProbeSpec,
    readiness_probe: ProbeSpec,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
struct ProbeSpec {
    exec: Option<Exec>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
struct Exec {
    #[serde(deserialize_with = "listed")]
    command: Vec<String>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct PodStatus {
    #[serde(rename = "podIP")]
    pub(super) pod_ip: String,
}

/// A replica set, a job, …: what may stand above a pod.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Workload {
    pub(super) metadata: Meta,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Namespace {
    pub(super) metadata: Meta,
}

impl Meta {
    /// The one that made it and keeps it.
    pub(super) fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }
}

impl OwnerReference {
    /// Where it is read: of replica sets and jobs alone, above which deployments and cron jobs stand.
    pub(super) fn path(&self, namespace: &str) -> Option<String> {
        let plural = match self.kind.as_str() {
            "ReplicaSet" => "replicasets",
            "Job" => "jobs",
            _ => return None,
        };
        Some(format!("/apis/{}/namespaces/{namespace}/{plural}/{}", self.api_version, self.name))
    }
}

impl PodObject {
    /// The probes of one of its containers that are commands; others reach it from without.
    pub(super) fn probes(&self, container: &str) -> Vec<Probe> {
        let all = self.spec.containers.iter().chain(&self.spec.init_containers);
        let Some(spec) = all.into_iter().find(|spec| spec.name == container) else { return Vec::new() };
        let of_kind = |kind, probe: &ProbeSpec| {
            let command = probe.exec.as_ref()?.command.clone();
            Some(Probe { kind, command })
        };
        let liveness = of_kind(ProbeKind::Liveness, &spec.liveness_probe);
        liveness.into_iter().chain(of_kind(ProbeKind::Readiness, &spec.readiness_probe)).collect()
    }
}
