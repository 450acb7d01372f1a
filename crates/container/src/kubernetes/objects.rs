//! Kubernetes' objects as far as they tell who a pod is (kubernetes.io/docs/reference/kubernetes-api).

use std::collections::BTreeMap;

use lanner_machine::{Probe, ProbeKind};
use serde::Deserialize;

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodList {
    pub(super) metadata: Meta,
    pub(super) items: Vec<PodObject>,
}

/// One line of a watch.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Event {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) object: PodObject,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct PodObject {
    pub(super) metadata: Meta,
    pub(super) spec: PodSpec,
    #[serde(deserialize_with = "lenient")]
    pub(super) status: PodStatus,
}

/// The errors that a watch may tell have a text for their status.
fn lenient<'de, D: serde::Deserializer<'de>>(value: D) -> Result<PodStatus, D::Error> {
    let value = serde_json::Value::deserialize(value)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

#[derive(Deserialize, Default, Clone, Debug)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) labels: BTreeMap<String, String>,
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
    containers: Vec<ContainerSpec>,
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
