//! Containers of programs that nobody can ask about them: LXC, systemd-nspawn, and runc used by itself. All have one
//! small root file system.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::Unavailable;
use crate::guard::{self, Guard};

/// What can run one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BareKind {
    /// `lxc-execute`.
    Lxc,
    /// `systemd-nspawn`, in the cgroup that systemd gives to its service: there need be no systemd here to do so.
    Nspawn,
    /// `runc run`.
    Runc,
}

const APPLETS: &[&str] = &["sh", "cat", "sleep", "true", "echo"];

/// Runs containers of a kind. Dropping it removes what is left of them.
#[derive(Debug)]
pub struct Bare {
    kind: BareKind,
    folder: PathBuf,
    /// Last, so that it cleans up behind everything else.
    _guard: Guard,
}

impl Bare {
    /// Makes the root file system. The error is an [`Unavailable`] where the machine can't run such containers.
    pub fn new(kind: BareKind) -> Result<Bare> {
        let program = match kind {
            BareKind::Lxc => "lxc-execute",
            BareKind::Nspawn => "systemd-nspawn",
            BareKind::Runc => "runc",
        };
        for program in [program, "busybox"] {
            if crate::bed::find_program(program).is_none() {
                bail!(Unavailable(format!("the program `{program}` is not installed")));
            }
        }
        if !nix::unistd::geteuid().is_root() {
            bail!(Unavailable("it needs root".to_owned()));
        }
        let folder = guard::new_folder(Path::new("/run")).map_err(|e| Unavailable(e.to_string()))?;
        let guard = Guard::over(&folder)?;
        let bare = Bare { kind, folder, _guard: guard };
        bare.make_root()?;
        bare.run("lanner-trial", &["true"])
            .map_err(|e| Unavailable(format!("{kind:?} starts no container here: {e:#}")))?;
        Ok(bare)
    }

    fn make_root(&self) -> Result<()> {
        let root = self.folder.join("rootfs");
        for folder in ["bin", "dev", "etc", "proc", "sys", "tmp", "usr", "run"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::copy(crate::bed::find_program("busybox").context("no busybox")?, root.join("bin/busybox"))?;
        for applet in APPLETS {
            symlink("busybox", root.join("bin").join(applet))?;
        }
        let lxc = format!(
            "lxc.rootfs.path = dir:{}\nlxc.net.0.type = empty\nlxc.mount.auto = proc\nlxc.autodev = 0\n\
             lxc.apparmor.profile = unconfined\n",
            root.display()
        );
        fs::write(self.folder.join("lxc.conf"), lxc)?;
        Ok(())
    }

    /// Runs a command as a container of that name, to its end.
    pub fn run(&self, name: &str, command: &[&str]) -> Result<()> {
        finish(&mut self.command(name, command)?)
    }

    /// Starts a container in the background. It is of runc, whatever the kind.
    pub fn start(&self, name: &str) -> Result<()> {
        let bundle = self.bundle(name, &["sleep", "600"])?;
        finish(Command::new("runc").args(["run", "--detach", "--bundle"]).arg(bundle).arg(name))
    }

    /// Runs a command in such a container.
    pub fn exec(&self, name: &str, command: &[&str]) -> Result<()> {
        finish(Command::new("runc").args(["exec", name]).args(command))
    }

    fn command(&self, name: &str, command: &[&str]) -> Result<Command> {
        let root = self.folder.join("rootfs");
        let mut run;
        match self.kind {
            BareKind::Lxc => {
                fs::create_dir_all(self.folder.join("lxc"))?;
                run = Command::new("lxc-execute");
                run.arg("--lxcpath").arg(self.folder.join("lxc")).args(["--name", name]);
                run.arg("--rcfile").arg(self.folder.join("lxc.conf")).arg("--").args(command);
            }
            BareKind::Nspawn => {
                run = Command::new("sh");
                run.args(["-c", IN_CGROUP, "sh", &format!("{SLICE}/systemd-nspawn@{name}.service")]);
                run.args(["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--as-pid2"]);
                run.args(["--machine", name, "--directory"]).arg(root).args(command);
            }
            BareKind::Runc => {
                run = Command::new("runc");
                run.args(["run", "--bundle"]).arg(self.bundle(name, command)?).arg(name);
            }
        }
        Ok(run)
    }

    fn bundle(&self, name: &str, command: &[&str]) -> Result<PathBuf> {
        let bundle = self.folder.join(name);
        fs::create_dir_all(&bundle)?;
        let namespaces = ["pid", "mount", "ipc", "uts"].map(|kind| serde_json::json!({ "type": kind }));
        let description = serde_json::json!({
            "ociVersion": "1.0.2",
            "process": { "args": command, "cwd": "/", "user": { "uid": 0, "gid": 0 },
                "env": ["PATH=/bin"] },
            "root": { "path": self.folder.join("rootfs") },
            "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/tmp", "source": "/etc", "options": ["bind", "ro"] }],
            "linux": { "namespaces": namespaces },
        });
        fs::write(bundle.join("config.json"), description.to_string())?;
        Ok(bundle)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for group in ["/sys/fs/cgroup", "/sys/fs/cgroup/*"] {
            let remove = format!("rmdir {group}/{SLICE}/systemd-nspawn@lanner-*.service {group}/{SLICE}");
            let _ = Command::new("sh").args(["-c", &remove]).stderr(Stdio::null()).status();
        }
    }
}

const SLICE: &str = "machine.slice";

/// Goes into a cgroup of a name, under every controller there is, and becomes a program.
const IN_CGROUP: &str = r#"
for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -e "$root/cgroup.procs" ] || continue
    mkdir -p "$root/$1" 2>/dev/null || continue
    # Some want to be told which processors they have before they take a process.
    for file in cpuset.cpus cpuset.mems; do
        for folder in "$root/${1%/*}" "$root/$1"; do
            [ ! -e "$folder/$file" ] || cat "${folder%/*}/$file" >"$folder/$file"
        done
    done
    echo $$ >"$root/$1/cgroup.procs"
done
shift
exec "$@"
"#;

fn finish(command: &mut Command) -> Result<()> {
    // Of what is started in the background the output stays open.
    let Output { status, stderr, .. } = match command.get_args().any(|word| word == "--detach") {
        true => command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).output()?,
        false => command.stdin(Stdio::null()).output()?,
    };
    ensure!(status.success(), "{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    Ok(())
}
