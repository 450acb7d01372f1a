//! What the resolver looks at and how long it waits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::keeper::Keeper;
use crate::keeper::Records;
use crate::kubernetes::KubernetesConfig;

/// Settings of a [`Resolver`](crate::Resolver). [`Config::default`] finds the runtimes by themselves.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Where the host's root file system is seen: `/`, or where it is mounted when lanner itself runs in a
    /// container. Every path below is looked up beneath it.
    pub host_root: PathBuf,
    /// CRI sockets to speak to. They need not exist yet.
    pub cri_sockets: Vec<PathBuf>,
    /// Sockets of containerd's own API, for containers outside Kubernetes. They need not exist yet.
    pub containerd_sockets: Vec<PathBuf>,
    /// Sockets on which Docker or Podman serve the Docker Engine API. They need not exist yet.
    pub docker_sockets: Vec<PathBuf>,
    /// The same of users who run such a runtime for themselves: below each folder of `/run/user`. They are
    /// asked last: whoever owns one of these may claim what he likes.
    pub user_sockets: Vec<PathBuf>,
    /// Folders in which containerd keeps bundles as `NAMESPACE/ID/config.json`. What a containerd says of
    /// its own state folder over CRI is added to these.
    pub containerd_bundles: Vec<PathBuf>,
    /// Folders of containers/storage (CRI-O, Podman) in which bundles are `ID/userdata/config.json`.
    pub storage_bundles: Vec<PathBuf>,
    /// Folders in which Docker keeps `ID/config.v2.json`.
    pub docker_containers: Vec<PathBuf>,
    /// Folders in which runc keeps `NAME/state.json` when it is used by itself.
    pub runc_states: Vec<PathBuf>,
    /// Folders in which crun keeps `NAME/status`.
    pub crun_states: Vec<PathBuf>,
    /// Whether and how Kubernetes' API server is asked about pods.
    pub kubernetes: Option<KubernetesConfig>,
    /// How long one call to a runtime may take.
    pub call_timeout: Duration,
    /// After this long a container that no runtime has told of is delivered as complete, with what is known.
    pub patience: Duration,
    /// How long a runtime is asked again, at growing intervals, after that: for one that comes back late.
    pub give_up: Duration,
    /// Containers asked about at one time; beyond it a request is refused.
    pub max_pending: usize,
    /// Whether runtimes are asked to work out sizes, which is slow, as Falco's `with_size` does. No field tells
    /// them.
    pub with_size: bool,
    /// Labels whose value is longer, in bytes, are left out, as Falco's `label_max_len` does.
    pub label_max_len: usize,
    /// What was set and changes nothing, each with the reason.
    pub ignored: Vec<String>,
}

impl Default for Config {
    fn default() -> Config {
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect::<Vec<_>>();
        Config {
            host_root: PathBuf::from("/"),
            cri_sockets: paths(CRI_SOCKETS),
            containerd_sockets: paths(CONTAINERD_SOCKETS),
            docker_sockets: paths(&[DOCKER_SOCKETS, PODMAN_SOCKETS].concat()),
            user_sockets: paths(&[USER_DOCKER, USER_PODMAN]),
            containerd_bundles: paths(CONTAINERD_BUNDLES),
            storage_bundles: paths(STORAGE_BUNDLES),
            docker_containers: paths(DOCKER_CONTAINERS),
            runc_states: paths(&["/run/runc"]),
            crun_states: paths(&["/run/crun"]),
            kubernetes: None,
            call_timeout: Duration::from_millis(500),
            patience: Duration::from_secs(3),
            give_up: Duration::from_secs(300),
            max_pending: 4096,
            with_size: false,
            label_max_len: 100,
            ignored: Vec::new(),
        }
    }
}

impl Config {
    /// The users' sockets that are there now.
    pub(crate) fn present_user_sockets(&self) -> Vec<PathBuf> {
        let users = std::fs::read_dir(self.seen(Path::new(USERS))).into_iter().flatten().flatten();
        let users: Vec<PathBuf> = users.map(|user| Path::new(USERS).join(user.file_name())).collect();
        let sockets = users.iter().flat_map(|user| self.user_sockets.iter().map(|socket| user.join(socket)));
        sockets.filter(|socket| self.seen(socket).exists()).collect()
    }

    /// Every folder of records, with who keeps it.
    pub(crate) fn records(&self) -> impl Iterator<Item = Records> {
        let of = |keeper, roots: &[PathBuf]| {
            roots.iter().map(|root| (keeper, root.clone())).collect::<Vec<Records>>()
        };
        [
            of(Keeper::Containerd, &self.containerd_bundles),
            of(Keeper::Storage, &self.storage_bundles),
            of(Keeper::Docker, &self.docker_containers),
            of(Keeper::Runc, &self.runc_states),
            of(Keeper::Crun, &self.crun_states),
        ]
        .into_iter()
        .flatten()
    }

    /// A path as this process sees it.
    pub(crate) fn seen(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/") {
            Ok(relative) => self.host_root.join(relative),
            Err(_) => path.to_path_buf(),
        }
    }
}

/// Holds a folder for each user with a session.
pub(crate) const USERS: &str = "/run/user";
pub(crate) const USER_DOCKER: &str = "docker.sock";
pub(crate) const USER_PODMAN: &str = "podman/podman.sock";
pub(crate) const DOCKER_SOCKETS: &[&str] = &["/run/docker.sock"];
pub(crate) const PODMAN_SOCKETS: &[&str] = &["/run/podman/podman.sock"];

const CONTAINERD_SOCKETS: &[&str] = &[
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/run/host-containerd/containerd.sock",
    "/run/docker/containerd/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
];

const CRI_SOCKETS: &[&str] = &[
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/run/crio/crio.sock",
    "/run/host-containerd/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
];

const CONTAINERD_BUNDLES: &[&str] = &[
    "/run/containerd/io.containerd.runtime.v2.task",
    "/run/k3s/containerd/io.containerd.runtime.v2.task",
    "/run/k0s/containerd/io.containerd.runtime.v2.task",
    "/run/host-containerd/io.containerd.runtime.v2.task",
    "/run/docker/containerd/daemon/io.containerd.runtime.v2.task",
    "/var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task",
];

const STORAGE_BUNDLES: &[&str] = &[
    "/run/containers/storage/overlay-containers",
    "/var/lib/containers/storage/overlay-containers",
    "/var/lib/containers/storage/vfs-containers",
];

const DOCKER_CONTAINERS: &[&str] = &["/var/lib/docker/containers"];
