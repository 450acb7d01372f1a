//! What is on disk of a container before its first process runs: the OCI bundle's `config.json`, whose
//! annotations carry image and pod, and the runtimes' own records beside it.

mod docker;
pub(crate) mod spec;
pub(crate) mod state;
mod storage;

use std::fs;
use std::path::{Path, PathBuf};

use lanner_machine::{Container, Runtime};

use crate::config::Config;
use crate::early::Early;
use crate::keeper::{CONFIG, DOCKER_CONFIG, Keeper, Records, STATE, STATUS};
use crate::request::Request;

/// Files above this size are not a container's description.
const MAX_FILE: u64 = 16 << 20;

/// What was found on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// Nothing, yet.
    Nothing,
    /// A container of a pod, or one that may be: its CRI runtime knows more.
    Pod,
    /// A container outside Kubernetes, of which no CRI runtime knows.
    Alone,
}

/// Looks for the container in every known place and fills in what is found.
pub(crate) fn read(
    config: &Config,
    learned: &[Records],
    early: &Early,
    request: &Request,
    container: &mut Container,
) -> Found {
    if !is_id(&request.full_id) {
        return Found::Nothing;
    }
    if early.tell(container) && (container.complete || !container.name.is_empty()) {
        // The runtime's own record or word: bundles say no more.
        return if container.pod.is_some() { Found::Pod } else { Found::Alone };
    }
    let mut found = container.has_names();
    let mut bundle = None;
    for (keeper, root) in config.records().chain(learned.iter().cloned()) {
        let root = config.seen(&root);
        match keeper {
            Keeper::Containerd => bundle = bundle.or_else(|| in_namespaces(&root, &request.full_id)),
            Keeper::Storage => found |= read_stored(&root, config, container),
            Keeper::Docker => {
                found |= read_docker(&root.join(&request.full_id).join(DOCKER_CONFIG), config, container);
            }
            // Engines have their containers run by these too; what they know is more.
            Keeper::Runc | Keeper::Crun if request.runtime != Runtime::Runc => {}
            Keeper::Runc => found |= state::read(&root.join(&request.full_id).join(STATE), config, container),
            Keeper::Crun => {
                found |= state::read(&root.join(&request.full_id).join(STATUS), config, container)
            }
        }
    }
    if !found {
        bundle = bundle.or_else(|| by_mount(config, &request.full_id));
    }
    // Of Docker's containers its own record says more than the bundle that it makes of it.
    if container.name.is_empty() {
        found |= bundle.is_some_and(|bundle| read_at(&bundle, config, container));
    }
    match found {
        false => Found::Nothing,
        true if container.pod.is_some() => Found::Pod,
        true => Found::Alone,
    }
}

/// Reads a description that has just been written. The container is named after its folder.
pub(crate) fn read_written(keeper: Keeper, file: &Path, config: &Config) -> Option<Container> {
    let above = if keeper == Keeper::Storage { file.parent()? } else { file };
    let folder = above.parent()?;
    let full_id = folder.file_name()?.to_str().filter(|id| is_id(id))?.to_owned();
    let mut container = Container { full_id, ..Container::default() };
    let found = match keeper {
        Keeper::Containerd => read_at(folder, config, &mut container),
        Keeper::Storage => read_stored(folder.parent()?, config, &mut container),
        Keeper::Docker => read_docker(file, config, &mut container),
        // Such ids are engines'.
        Keeper::Runc | Keeper::Crun if is_given(&container.full_id) => false,
        Keeper::Runc | Keeper::Crun => {
            container.runtime = Runtime::Runc;
            state::read(file, config, &mut container)
        }
    };
    found.then_some(container)
}

/// Reads a bundle of containerd's, whose folder is that of its namespace.
fn read_at(bundle: &Path, config: &Config, container: &mut Container) -> bool {
    let is_docker = bundle.parent().is_some_and(|namespace| namespace.ends_with("moby"));
    settle_runtime(container, if is_docker { Runtime::Docker } else { Runtime::Containerd });
    spec::read(&bundle.join(CONFIG), config, container)
}

/// Reads what a store of containers/storage has of the container.
fn read_stored(root: &Path, config: &Config, container: &mut Container) -> bool {
    let file = root.join(&container.full_id).join("userdata").join(CONFIG);
    let found = spec::read(&file, config, container);
    if found {
        settle_runtime(container, if container.pod.is_some() { Runtime::Crio } else { Runtime::Podman });
    }
    storage::read(root, container) | found
}

fn read_docker(file: &Path, config: &Config, container: &mut Container) -> bool {
    let found = docker::read(file, config, container);
    if found {
        settle_runtime(container, Runtime::Docker);
    }
    found
}

/// Ids become parts of paths: only hex digits and names without a slash may.
fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 128
        && !id.starts_with('.')
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
}

/// Whether an id is one that an engine gives, not a name.
fn is_given(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The cgroup's word on the runtime stands; only where it had none does the place of the bundle decide.
fn settle_runtime(container: &mut Container, runtime: Runtime) {
    if matches!(container.runtime, Runtime::Unknown | Runtime::Cri) {
        container.runtime = runtime;
    }
}

fn in_namespaces(root: &Path, id: &str) -> Option<PathBuf> {
    let namespaces = fs::read_dir(root).ok()?.flatten();
    namespaces.map(|namespace| namespace.path().join(id)).find(|bundle| bundle.join(CONFIG).exists())
}

/// A containerd in an unusual place is found by the mount of the container's root, which is in its bundle.
fn by_mount(config: &Config, id: &str) -> Option<PathBuf> {
    // Within a container of our own, the host's mounts are those of its first process.
    let process = if config.host_root == Path::new("/") { "self" } else { "1" };
    let mounts = fs::read_to_string(config.host_root.join("proc").join(process).join("mountinfo")).ok()?;
    let end = format!("/{id}/rootfs");
    // proc(5): the fifth word of a line is the mount point.
    let roots =
        mounts.lines().filter_map(|line| line.split(' ').nth(4)).filter(|point| point.ends_with(&end));
    let bundles = roots.filter_map(|point| Some(config.seen(Path::new(point).parent()?)));
    bundles.into_iter().find(|bundle| bundle.join(CONFIG).exists())
}

/// Reads a JSON file as far as `T` knows it; anything unreadable is as good as absent, since it may just be
/// half written or vanish.
fn read_json<T: serde::de::DeserializeOwned>(file: &Path) -> Option<T> {
    let metadata = fs::metadata(file).ok()?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return None;
    }
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const ID: &str = "3ad7b26ded6d8e7b23da7d48fe889434573036c27ae5a74837233de441c3601e";

    fn request() -> Request {
        Request { id: ID[..12].into(), full_id: ID.into(), runtime: Runtime::Unknown }
    }

    pub(super) fn write(root: &Path, path: &str, text: &str) {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn read_under(root: &Path) -> Option<Container> {
        let config = Config { host_root: root.to_path_buf(), ..Config::default() };
        let mut container = Container { full_id: ID.into(), ..Container::default() };
        (read(&config, &[], &Early::default(), &request(), &mut container) != Found::Nothing)
            .then_some(container)
    }

    #[test]
    fn containerd_annotations_name_image_and_pod() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &format!("run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"),
            r#"{"annotations":{"io.kubernetes.cri.container-name":"mysql",
                "io.kubernetes.cri.container-type":"container",
                "io.kubernetes.cri.image-name":"docker.io/library/mysql:8.0",
                "io.kubernetes.cri.sandbox-id":"5ab7", "io.kubernetes.cri.sandbox-name":"mysql-db",
                "io.kubernetes.cri.sandbox-namespace":"default", "io.kubernetes.cri.sandbox-uid":"u-1"},
               "mounts":[{"destination":"/proc","type":"proc","source":"proc"},
                {"destination":"/etc/hosts","type":"bind","source":"/h","options":["rbind","rprivate","ro"]}]}"#,
        );
        let container = read_under(root.path()).unwrap();
        insta::assert_debug_snapshot!(container);
    }

    #[test]
    fn crio_annotations_name_image_and_pod() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &format!("run/containers/storage/overlay-containers/{ID}/userdata/config.json"),
            r#"{"annotations":{"io.kubernetes.container.name":"web",
                "io.kubernetes.cri-o.ContainerType":"container",
                "io.kubernetes.cri-o.ImageName":"quay.io/org/web:v2",
                "io.kubernetes.cri-o.SandboxID":"77aa",
                "io.kubernetes.cri-o.Labels":"{\"app\":\"web\",\"io.kubernetes.pod.name\":\"web-0\"}",
                "io.kubernetes.cri-o.Created":"2024-01-02T03:04:05.000000006Z",
                "io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop",
                "io.kubernetes.pod.uid":"u-2"}}"#,
        );
        let container = read_under(root.path()).unwrap();
        insta::assert_debug_snapshot!(container);
    }

    #[test]
    fn podman_keeps_name_and_image_in_its_store() {
        let root = tempfile::tempdir().unwrap();
        let store = "var/lib/containers/storage/overlay-containers";
        write(
            root.path(),
            &format!("{store}/{ID}/userdata/config.json"),
            r#"{"annotations":
            {"io.container.manager":"libpod","io.podman.annotations.privileged":"TRUE",
             "io.kubernetes.cri-o.Created":"2024-01-02T03:04:05.9Z"}}"#,
        );
        write(
            root.path(),
            &format!("{store}/containers.json"),
            &format!(
                r#"[{{"id":"{ID}","names":["sleepy"],"image":"05455a08881ea9cf0e752bc48e61bbd71a34c029bb13df01e40e3e70e0d007bd",
                   "metadata":"{{\"image-name\":\"docker.io/library/alpine:3.19\",\"name\":\"sleepy\"}}",
                   "created":"2024-01-02T03:04:05Z"}}]"#
            ),
        );
        let container = read_under(root.path()).unwrap();
        insta::assert_debug_snapshot!(container);
    }

    #[test]
    fn docker_keeps_everything_in_its_own_file() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &format!("var/lib/docker/containers/{ID}/config.v2.json"),
            r#"{"Created":"2024-01-02T03:04:05Z","Name":"/web","Image":"sha256:6f7e2741b66b0011",
               "Config":{"Image":"nginx:1.25","Labels":{"a":"b"}},
               "HostConfig":{"Privileged":true},
               "MountPoints":{"/d":{"Source":"/s","Destination":"/d","RW":true,"Propagation":"rprivate","Relabel":"z"}},
               "NetworkSettings":{"Networks":{"bridge":{"IPAddress":"172.17.0.2"}}}}"#,
        );
        let container = read_under(root.path()).unwrap();
        insta::assert_debug_snapshot!(container);
    }

    #[test]
    fn broken_absent_and_hostile_places_yield_nothing() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read_under(root.path()), None);
        write(
            root.path(),
            &format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"),
            "{\"annotations\":",
        );
        assert_eq!(read_under(root.path()), None);
        assert!(!is_id("../../etc"));
        assert!(!is_id(""));
    }
}
