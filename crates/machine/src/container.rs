//! Containers as the machine knows them. Ids come from cgroups, in the event path; the rest arrives later
//! from whoever asks the runtimes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::Text;

/// Short id of a container (12 hex digits for the known runtimes); empty for the host.
pub type ContainerId = Text;

/// Which runtime made a container.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names are the runtimes'")]
pub enum Runtime {
    #[default]
    Unknown,
    Docker,
    Containerd,
    /// Known through CRI, runtime not told apart.
    Cri,
    Crio,
    Podman,
    Lxc,
    LibvirtLxc,
    SystemdNspawn,
    /// Cloud Foundry's.
    Bpm,
    /// runc, crun or another OCI runtime by itself.
    Runc,
}

/// A mount of a container.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct ContainerMount {
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub dest: String,
    /// Mode text.
    pub mode: String,
    /// Writable.
    pub rdwr: bool,
    /// Propagation.
    pub propagation: String,
}

/// What a health check or a probe is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeKind {
    /// Docker's and Podman's health check.
    Healthcheck,
    /// Kubernetes' liveness probe.
    Liveness,
    /// Kubernetes' readiness probe.
    Readiness,
}

/// A command that a runtime or a kubelet runs in a container to see whether it is well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// What it is for.
    pub kind: ProbeKind,
    /// Program and arguments.
    pub command: Vec<String>,
}

/// The Kubernetes pod a container belongs to.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Pod {
    /// `k8s.pod.name`.
    pub name: String,
    /// `k8s.ns.name`.
    pub namespace: String,
    /// `k8s.pod.uid`.
    pub uid: String,
    /// Full id of the sandbox.
    pub sandbox_id: String,
    /// Labels of the pod.
    pub labels: BTreeMap<String, String>,
    /// Address.
    pub ip: Option<IpAddr>,
    /// Result of the network plugin, JSON.
    pub cni_json: String,
    /// The node, as Kubernetes names it.
    pub node: String,
    /// The service account its containers act as.
    pub service_account: String,
    /// Who controls it, nearest first: replica set, deployment, …
    pub owners: Vec<Owner>,
    /// Unique id of the namespace.
    pub namespace_uid: String,
    /// Labels of the namespace.
    pub namespace_labels: BTreeMap<String, String>,
}

/// A workload that controls a pod, or another workload.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Owner {
    /// `ReplicaSet`, `Deployment`, `DaemonSet`, `Job`, …
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its unique id.
    pub uid: String,
    /// Its labels, where they were read.
    pub labels: BTreeMap<String, String>,
}

/// What is known of a container beyond its id. Absent parts are `None` or empty.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Container {
    /// Short id.
    pub id: String,
    /// Full id.
    pub full_id: String,
    /// Runtime.
    pub runtime: Runtime,
    /// `container.name`.
    pub name: String,
    /// `container.image`, as the runtime names it.
    pub image: String,
    /// `container.image.repository`.
    pub image_repository: String,
    /// `container.image.tag`.
    pub image_tag: String,
    /// `container.image.digest`.
    pub image_digest: String,
    /// `container.image.id`.
    pub image_id: String,
    /// `container.privileged`.
    pub privileged: Option<bool>,
    /// Mounts.
    pub mounts: Vec<ContainerMount>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Address.
    pub ip: Option<IpAddr>,
    /// Shares the host's pid namespace.
    pub host_pid: bool,
    /// Shares the host's network namespace.
    pub host_network: bool,
    /// Shares the host's IPC namespace.
    pub host_ipc: bool,
    /// When it was created, ns since 1970.
    pub created_ts: u64,
    /// It is a pod's sandbox (pause) container.
    pub is_sandbox: bool,
    /// Its health checks and probes, as far as they are commands.
    pub probes: Vec<Probe>,
    /// The pod, where there is one.
    pub pod: Option<Pod>,
    /// A runtime has answered (or none will): nothing more is to be waited for.
    pub complete: bool,
}

impl Container {
    /// More is known of it than its ids.
    pub fn has_names(&self) -> bool {
        !self.name.is_empty()
            || !self.image.is_empty()
            || !self.labels.is_empty()
            || self.pod.is_some()
            || self.is_sandbox
    }
}
