//! The bed: a private containerd with its images.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;

use crate::Unavailable;
use crate::containerd::{Containerd, configuration};
use crate::cri::Cri;
use crate::guard::{self, Guard};
use crate::image::{self, PAUSE_IMAGE};
use crate::pod::PodPlan;
use crate::register::Registered;

/// Where everything of a bed lies.
#[derive(Clone, Debug)]
pub struct Place(PathBuf);

impl Place {
    /// The folder that holds it all.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// containerd's socket, for its own API and for CRI.
    pub fn socket(&self) -> PathBuf {
        self.0.join("containerd.sock")
    }

    /// Where bundles are: `NAMESPACE/ID/config.json`.
    pub fn bundles(&self) -> PathBuf {
        self.0.join("state/io.containerd.runtime.v2.task")
    }

    /// What `runc --root` needs to see the containers.
    pub fn runc_root(&self) -> PathBuf {
        self.0.join("runc/k8s.io")
    }

    /// The log of containerd.
    pub fn log(&self) -> PathBuf {
        self.0.join("containerd.log")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// One of our own programs (`kubectl`, `amicontained`, …) for use on the host.
    pub fn program(&self, name: &str) -> PathBuf {
        self.0.join(image::PROGRAMS).join(name)
    }

    /// Ids of the pods whose cgroups are to be removed.
    pub(crate) fn pods(&self) -> PathBuf {
        self.0.join("pods")
    }
}

/// A private containerd, ready to take pods. Dropping it removes everything.
#[derive(Debug)]
pub struct Bed {
    containerd: Containerd,
    cri: Cri,
    place: Place,
    /// Last, so that it cleans up behind everything else.
    _guard: Guard,
}

impl Bed {
    /// Starts one. The error is an [`Unavailable`] where the machine can't have one.
    pub fn start() -> Result<Bed> {
        for program in ["containerd", "containerd-shim-runc-v2", "ctr", "runc", "busybox", "bash", "cc"] {
            if find_program(program).is_none() {
                bail!(Unavailable(format!("the program `{program}` is not installed")));
            }
        }
        if !nix::unistd::geteuid().is_root() {
            bail!(Unavailable("it needs root".to_owned()));
        }
        let place = Place(guard::new_folder(Path::new("/run")).map_err(|e| Unavailable(e.to_string()))?);
        let guard = Guard::over(place.dir())?;
        let snapshotter = if overlay_works(place.dir()) { "overlayfs" } else { "native" };
        fs::write(place.config(), configuration(&place, snapshotter, PAUSE_IMAGE))?;
        let cri = Cri::new(place.socket())?;
        let containerd = Containerd::start(&place, &cri)?;
        let bed = Bed { containerd, cri, place, _guard: guard };
        image::build_all(bed.place.dir(), |archive, name| bed.import(archive, name, snapshotter))?;
        Ok(bed)
    }

    fn import(&self, archive: &Path, name: &str, snapshotter: &str) -> Result<()> {
        let output = self
            .ctr()
            .args(["images", "import", "--digests", "--base-name", name, "--snapshotter", snapshotter])
            .arg(archive)
            .output()
            .context("can't run ctr")?;
        ensure!(output.status.success(), "ctr import: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// `ctr` against this containerd and the namespace of its pods.
    pub fn ctr(&self) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.place.socket()).args(["--namespace", "k8s.io"]);
        command
    }

    /// Makes a container outside Kubernetes known to containerd, in a namespace of its own; nothing runs.
    pub fn register(&self, namespace: &str, container: Registered) -> Result<()> {
        self.cri.register(namespace, container)
    }

    /// A pod to be started; in namespace `default` unless told otherwise.
    pub fn pod(&self, name: &str) -> PodPlan<'_> {
        PodPlan::new(self, name)
    }

    /// Where everything is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Stops containerd in its tracks: its socket takes connections and answers nothing.
    pub fn freeze(&self) -> Result<()> {
        self.containerd.signal(Signal::SIGSTOP)
    }

    /// Lets it go on.
    pub fn thaw(&self) -> Result<()> {
        self.containerd.signal(Signal::SIGCONT)
    }

    /// Kills containerd; containers run on. Its socket file stays, with nobody listening.
    pub fn stop_containerd(&mut self) -> Result<()> {
        self.containerd.stop()
    }

    /// Starts it again.
    pub fn start_containerd(&mut self) -> Result<()> {
        self.containerd = Containerd::start(&self.place, &self.cri)?;
        Ok(())
    }

    pub(crate) fn cri(&self) -> &Cri {
        &self.cri
    }
}

pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Whether an overlay can be mounted there: not on top of another overlay.
fn overlay_works(folder: &Path) -> bool {
    let base = folder.join("overlay-trial");
    let part = |name: &str| base.join(name);
    if ["lower", "upper", "work", "merged"].iter().any(|name| fs::create_dir_all(part(name)).is_err()) {
        return false;
    }
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        part("lower").display(),
        part("upper").display(),
        part("work").display()
    );
    let target = part("merged");
    let mounted = mount(Some("overlay"), &target, Some("overlay"), MsFlags::empty(), Some(options.as_str()));
    if mounted.is_ok() {
        let _ = umount2(&target, MntFlags::MNT_DETACH);
    }
    let _ = fs::remove_dir_all(&base);
    mounted.is_ok()
}
