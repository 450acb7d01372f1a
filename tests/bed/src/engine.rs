//! Docker and Podman: a daemon of our own that serves the Docker Engine API, private in root, state and
//! socket, with one small image.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Unavailable;
use crate::guard::{self, Guard};

/// The image there is: busybox, under a name of the tutorial's kind.
pub const ENGINE_IMAGE: &str = "localhost/shop/web:1.4";
const START_LIMIT: Duration = Duration::from_secs(30);
const APPLETS: &[&str] = &["sh", "cat", "sleep", "true", "echo", "id"];

/// Which engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EngineKind {
    /// `dockerd`, with a containerd of its own.
    Docker,
    /// `podman system service`.
    Podman,
}

/// A running engine. Dropping it removes it and its containers.
#[derive(Debug)]
pub struct Engine {
    kind: EngineKind,
    folder: PathBuf,
    process: Child,
    /// Last, so that it cleans up behind everything else.
    _guard: Guard,
}

impl Engine {
    /// Starts one. The error is an [`Unavailable`] where the machine can't have one.
    pub fn start(kind: EngineKind) -> Result<Engine> {
        let programs: &[&str] = match kind {
            EngineKind::Docker => &["dockerd", "docker", "containerd", "runc", "busybox"],
            EngineKind::Podman => &["podman", "conmon", "runc", "busybox"],
        };
        if let Some(missing) = programs.iter().find(|program| !is_installed(program)) {
            bail!(Unavailable(format!("the program `{missing}` is not installed")));
        }
        if !nix::unistd::geteuid().is_root() {
            bail!(Unavailable("it needs root".to_owned()));
        }
        let folder = guard::new_folder(Path::new("/run")).map_err(|e| Unavailable(e.to_string()))?;
        let guard = Guard::over(&folder)?;
        fs::write(folder.join("containers.conf"), PODMAN_SETTINGS)?;
        fs::write(folder.join("daemon.json"), docker_settings(&folder))?;
        let process = serve(kind, &folder)?;
        let mut engine = Engine { kind, folder, process, _guard: guard };
        engine.wait()?;
        engine.import().map_err(|e| Unavailable(format!("{kind:?} takes no image: {e:#}")))?;
        // Some kernels and cgroup trees let no container start.
        engine
            .run(&["--rm"], &["true"])
            .map_err(|e| Unavailable(format!("{kind:?} starts no container here: {e:#}")))?;
        Ok(engine)
    }

    /// The socket of its API.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("engine.sock")
    }

    /// Where it keeps its containers' descriptions.
    pub fn records(&self) -> PathBuf {
        match self.kind {
            EngineKind::Docker => self.folder.join("root/containers"),
            EngineKind::Podman => self.folder.join("root/vfs-containers"),
        }
    }

    /// The kind of this one.
    pub fn kind(&self) -> EngineKind {
        self.kind
    }

    /// `docker run OPTIONS IMAGE COMMAND`, to its end.
    pub fn run(&self, options: &[&str], command: &[&str]) -> Result<String> {
        let mut run = self.client();
        run.args(["run", "--network", "none"]).args(options).arg(ENGINE_IMAGE).args(command);
        output(run)
    }

    /// The same in the background; hands back the container's full id.
    pub fn start_container(&self, options: &[&str], command: &[&str]) -> Result<String> {
        let id = self.run(&[&["--detach"], options].concat(), command)?.trim().to_owned();
        let mut known = File::options().create(true).append(true).open(self.folder.join("pods"))?;
        // One write, so that containers started at once don't mix their lines.
        known.write_all(format!("{id}\n").as_bytes())?;
        Ok(id)
    }

    /// The command line of the engine, for anything else.
    pub fn client(&self) -> Command {
        match self.kind {
            EngineKind::Docker => {
                let mut docker = Command::new("docker");
                docker.args(["--host", &format!("unix://{}", self.socket().display())]);
                docker
            }
            EngineKind::Podman => podman(&self.folder),
        }
    }

    /// Serves the same containers at another socket too: Podman's only.
    pub fn serve_also(&self, socket: &Path) -> Result<Served> {
        ensure!(self.kind == EngineKind::Podman, "Docker listens where its settings say");
        let service =
            serve_podman(&self.folder, socket).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        Ok(Served { service, socket: socket.to_path_buf() })
    }

    /// Stops it in its tracks: its socket takes connections and answers nothing.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Ends the daemon; its socket file stays, with nobody listening.
    pub fn stop(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Starts it again.
    pub fn restart(&mut self) -> Result<()> {
        let _ = fs::remove_file(self.folder.join("pid"));
        self.process = serve(self.kind, &self.folder)?;
        self.wait()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.process.id())?), signal)?)
    }

    fn wait(&mut self) -> Result<()> {
        let end = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = self.process.try_wait()? {
                bail!(Unavailable(format!("{:?} ended with {status}: {}", self.kind, self.last_words())));
            }
            let mut version = Command::new("docker");
            version.args(["--host", &format!("unix://{}", self.socket().display()), "version"]);
            if self.kind == EngineKind::Podman {
                // The options of a local one are unknown to a remote one.
                version = Command::new("podman");
                version.args([
                    "--remote",
                    "--url",
                    &format!("unix://{}", self.socket().display()),
                    "version",
                ]);
            }
            if version.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
                return Ok(());
            }
            if Instant::now() > end {
                bail!(Unavailable(format!("{:?} is not ready: {}", self.kind, self.last_words())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    fn import(&self) -> Result<()> {
        let root = self.folder.join("image");
        fs::create_dir_all(root.join("bin"))?;
        fs::copy(find("busybox")?, root.join("bin/busybox"))?;
        for applet in APPLETS {
            symlink("busybox", root.join("bin").join(applet))?;
        }
        let archive = self.folder.join("image.tar");
        let mut tar = tar::Builder::new(File::create(&archive)?);
        tar.follow_symlinks(false);
        tar.append_dir_all(".", &root)?;
        tar.finish()?;
        let mut import = self.client();
        import.arg("import").arg(&archive).arg(ENGINE_IMAGE);
        output(import)?;
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.thaw();
        let list = self.client().args(["ps", "--all", "--quiet"]).output();
        let ids = list.map(|list| String::from_utf8_lossy(&list.stdout).into_owned()).unwrap_or_default();
        for id in ids.split_whitespace() {
            // Podman would wait for it to end by itself.
            let at_once: &[&str] = if self.kind == EngineKind::Podman { &["--time", "0"] } else { &[] };
            let _ = self.client().args(["rm", "--force"]).args(at_once).arg(id).output();
        }
        let _ = self.signal(Signal::SIGTERM);
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.stop();
    }
}

/// Without the limits that a machine without CAP_SYS_RESOURCE refuses, and by the runtime that works with every
/// arrangement of cgroups.
const PODMAN_SETTINGS: &str = r#"[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"#;

/// A daemon that changes nothing of the host's network.
fn docker_settings(folder: &Path) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    serde_json::json!({
        "data-root": at("root"), "exec-root": at("exec"), "pidfile": at("pid"),
        "hosts": [format!("unix://{}", at("engine.sock"))],
        "iptables": false, "ip-forward": false, "ip-masq": false, "bridge": "none",
        "storage-driver": "vfs",
    })
    .to_string()
}

fn serve(kind: EngineKind, folder: &Path) -> Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let mut command = match kind {
        EngineKind::Docker => {
            let mut docker = Command::new("dockerd");
            docker.arg("--config-file").arg(folder.join("daemon.json"));
            docker
        }
        EngineKind::Podman => serve_podman(folder, &folder.join("engine.sock")),
    };
    let process = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
    Ok(process.map_err(|error| Unavailable(format!("{kind:?} doesn't start: {error}")))?)
}

fn serve_podman(folder: &Path, socket: &Path) -> Command {
    let mut podman = podman(folder);
    podman.args(["system", "service", "--time", "0"]).arg(format!("unix://{}", socket.display()));
    podman
}

/// A further service, as long as it is kept.
#[derive(Debug)]
pub struct Served {
    service: Child,
    socket: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
        let _ = fs::remove_file(&self.socket);
    }
}

fn podman(folder: &Path) -> Command {
    let mut podman = Command::new("podman");
    podman.env("CONTAINERS_CONF", folder.join("containers.conf"));
    podman.args(["--storage-driver", "vfs"]);
    podman.arg("--root").arg(folder.join("root")).arg("--runroot").arg(folder.join("run"));
    podman.arg("--tmpdir").arg(folder.join("tmp"));
    podman
}

fn output(mut command: Command) -> Result<String> {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output()?;
    ensure!(status.success(), "{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    Ok(String::from_utf8(stdout)?)
}

fn find(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.with_context(|| format!("`{name}` is not installed"))
}

fn is_installed(program: &str) -> bool {
    find(program).is_ok()
}
