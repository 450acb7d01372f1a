//! The containerd process of a bed.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Unavailable;
use crate::bed::Place;
use crate::cri::Cri;

const START_LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Containerd {
    process: Child,
}

impl Containerd {
    /// Starts it and waits until its CRI plugin is ready.
    pub(crate) fn start(place: &Place, cri: &Cri) -> Result<Containerd> {
        let log = File::options().create(true).append(true).open(place.log())?;
        let process = Command::new("containerd")
            .arg("--config")
            .arg(place.config())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Unavailable(format!("containerd doesn't start: {error}")))?;
        let mut containerd = Containerd { process };
        let started = Instant::now();
        while !cri.is_ready() {
            if let Some(status) = containerd.process.try_wait()? {
                bail!(Unavailable(format!("containerd ended with {status}: {}", last_words(&place.log()))));
            }
            if started.elapsed() > START_LIMIT {
                bail!(Unavailable(format!("containerd isn't ready: {}", last_words(&place.log()))));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(containerd)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.process.id())?), signal)?)
    }

    /// Kills it. Containers live on, as their shims do.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

/// The configuration: everything private, no network plugin needed by pods on the host's network, and no
/// adjustment that a machine without CAP_SYS_RESOURCE would refuse.
pub(crate) fn configuration(place: &Place, snapshotter: &str, sandbox_image: &str) -> String {
    let at = |name: &str| place.dir().join(name).display().to_string();
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{opt}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{sandbox_image}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{cni}"
  conf_dir = "{cni}"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "{snapshotter}"
  default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "{runc}"
"#,
        root = at("root"),
        state = at("state"),
        socket = place.socket().display(),
        opt = at("opt"),
        cni = at("cni"),
        runc = at("runc"),
    )
}
