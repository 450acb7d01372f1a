//! Pods and containers, and what is done in them.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, ExecSyncResponse, ImageSpec, KeyValue,
    LinuxContainerConfig, LinuxContainerSecurityContext, LinuxPodSandboxConfig, LinuxSandboxSecurityContext,
    Mount, NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata, RunPodSandboxRequest,
};

use crate::bed::Bed;
use crate::image::MYSQL_IMAGE;
use crate::tty::Tty;

/// A pod to be started.
#[derive(Debug)]
pub struct PodPlan<'a> {
    bed: &'a Bed,
    config: PodSandboxConfig,
    privileged: bool,
}

impl<'a> PodPlan<'a> {
    pub(crate) fn new(bed: &'a Bed, name: &str) -> PodPlan<'a> {
        let metadata = PodSandboxMetadata {
            name: name.to_owned(),
            uid: new_uid(),
            namespace: "default".to_owned(),
            attempt: 0,
        };
        let config = PodSandboxConfig {
            metadata: Some(metadata),
            hostname: String::new(),
            log_directory: bed.place().dir().join("logs").display().to_string(),
            ..PodSandboxConfig::default()
        };
        PodPlan { bed, config, privileged: false }
    }

    /// The Kubernetes namespace.
    pub fn namespace(mut self, namespace: &str) -> Self {
        if let Some(metadata) = &mut self.config.metadata {
            metadata.namespace = namespace.to_owned();
        }
        self
    }

    /// A label of the pod.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.config.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Lets containers of the pod be privileged.
    pub fn privileged(mut self) -> Self {
        self.privileged = true;
        self
    }

    /// Starts it, on the host's network and in the cgroup where a kubelet would put it.
    pub fn start(mut self) -> Result<Pod<'a>> {
        let uid = self.config.metadata.as_ref().map(|metadata| metadata.uid.clone()).unwrap_or_default();
        let mut pods = File::options().create(true).append(true).open(self.bed.place().pods())?;
        // One write, so that pods started at once don't mix their lines.
        pods.write_all(format!("{uid}\n").as_bytes())?;
        self.config.linux = Some(LinuxPodSandboxConfig {
            cgroup_parent: format!("/kubepods/besteffort/pod{uid}"),
            security_context: Some(LinuxSandboxSecurityContext {
                namespace_options: Some(on_host_network()),
                privileged: self.privileged,
                ..LinuxSandboxSecurityContext::default()
            }),
            ..LinuxPodSandboxConfig::default()
        });
        let request =
            RunPodSandboxRequest { config: Some(self.config.clone()), runtime_handler: String::new() };
        let id = self.bed.cri().run_pod(request)?;
        Ok(Pod { bed: self.bed, id, config: self.config, uid })
    }
}

fn on_host_network() -> NamespaceOption {
    NamespaceOption {
        network: NamespaceMode::Node.into(),
        pid: NamespaceMode::Container.into(),
        ..NamespaceOption::default()
    }
}

/// Pods of all beds have ids of their own: the cgroup tree is one for the machine.
fn new_uid() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!(
        "{:08x}-{:04x}-4000-8000-{:012x}",
        std::process::id(),
        count & 0xffff,
        now.as_micros() & 0xffff_ffff_ffff
    )
}

/// A running pod.
#[derive(Debug)]
pub struct Pod<'a> {
    bed: &'a Bed,
    id: String,
    uid: String,
    config: PodSandboxConfig,
}

impl<'a> Pod<'a> {
    /// Full id of the sandbox.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Uid, as Kubernetes would give it.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// A container to be started in the pod: image [`MYSQL_IMAGE`], its main program `mysqld`, unless told
    /// otherwise.
    pub fn container(&'a self, name: &str) -> ContainerPlan<'a> {
        let metadata = ContainerMetadata { name: name.to_owned(), attempt: 0 };
        let config = ContainerConfig {
            metadata: Some(metadata),
            log_path: format!("{name}.log"),
            ..ContainerConfig::default()
        };
        ContainerPlan { pod: self, config, privileged: false }.image(MYSQL_IMAGE)
    }

    /// Stops the pod and its containers.
    pub fn stop(self) -> Result<()> {
        self.bed.cri().stop_pod(&self.id)
    }
}

/// A container to be started.
#[derive(Debug)]
pub struct ContainerPlan<'a> {
    pod: &'a Pod<'a>,
    config: ContainerConfig,
    privileged: bool,
}

impl<'a> ContainerPlan<'a> {
    /// The image.
    pub fn image(mut self, image: &str) -> Self {
        self.config.image = Some(ImageSpec { image: image.to_owned(), ..ImageSpec::default() });
        self
    }

    /// What runs in it, instead of the image's own.
    pub fn command(mut self, command: &[&str]) -> Self {
        self.config.command = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// A label of the container.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.config.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// An environment variable.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.config.envs.push(KeyValue { key: key.to_owned(), value: value.to_owned() });
        self
    }

    /// A read-only view of a path of the host.
    pub fn mount(mut self, host: &str, inside: &str) -> Self {
        self.config.mounts.push(Mount {
            host_path: host.to_owned(),
            container_path: inside.to_owned(),
            readonly: true,
            ..Mount::default()
        });
        self
    }

    /// With all privileges; the pod must allow it.
    pub fn privileged(mut self) -> Self {
        self.privileged = true;
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Result<Container<'a>> {
        self.config.linux = Some(LinuxContainerConfig {
            security_context: Some(LinuxContainerSecurityContext {
                privileged: self.privileged,
                namespace_options: Some(on_host_network()),
                ..LinuxContainerSecurityContext::default()
            }),
            ..LinuxContainerConfig::default()
        });
        let request = CreateContainerRequest {
            pod_sandbox_id: self.pod.id.clone(),
            config: Some(self.config),
            sandbox_config: Some(self.pod.config.clone()),
        };
        let id = self.pod.bed.cri().create(request)?;
        self.pod.bed.cri().start(&id)?;
        Ok(Container { bed: self.pod.bed, id })
    }
}

/// A running container.
#[derive(Debug)]
pub struct Container<'a> {
    bed: &'a Bed,
    id: String,
}

impl Container<'_> {
    /// Full id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The first twelve digits, by which people know it.
    pub fn short_id(&self) -> &str {
        &self.id[..12]
    }

    /// Its first process, as the host numbers it.
    pub fn pid(&self) -> Result<i32> {
        let file = self.bed.place().runc_root().join(&self.id).join("state.json");
        let state: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
        let pid = state.get("init_process_pid").and_then(serde_json::Value::as_i64);
        i32::try_from(pid.context("runc's state names no process")?).context("a process id")
    }

    /// Runs a program in it through CRI, as a probe of the kubelet does, and waits for its end.
    pub fn exec(&self, command: &[&str]) -> Result<ExecSyncResponse> {
        self.bed.cri().exec(&self.id, command)
    }

    /// Runs a program in it by `runc exec -t`, on a terminal of its own; `runc` stays its parent.
    pub fn exec_tty(&self, command: &[&str]) -> Result<Tty> {
        let mut runc = Command::new("runc");
        runc.arg("--root").arg(self.bed.place().runc_root()).args(["exec", "-t", &self.id]).args(command);
        Tty::start(runc).context("runc exec -t")
    }

    /// The same by way of containerd and its shim, as `kubectl exec -it` does.
    pub fn exec_tty_by_shim(&self, command: &[&str]) -> Result<Tty> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("exec-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut ctr = self.bed.ctr();
        ctr.args(["tasks", "exec", "--tty", "--exec-id", &name, &self.id]).args(command);
        Tty::start(ctr).context("ctr tasks exec --tty")
    }

    /// Stops it at once.
    pub fn stop(self) -> Result<()> {
        self.bed.cri().stop(&self.id)
    }
}
