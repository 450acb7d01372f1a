//! Images, made on the spot of what the machine has: busybox, bash with its libraries, and small programs of
//! our own under names that matter to rules.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};

pub(crate) const PAUSE_IMAGE: &str = "lanner.test/pause:1";
/// The image of the mission's scenario: `mysqld` for its main program, and a shell.
pub const MYSQL_IMAGE: &str = "docker.io/library/mysql:8.0";
/// An image with Kubernetes clients: `kube-recon` and `kubectl`.
pub const API_CLIENT_IMAGE: &str = "docker.io/octarinesec/kube-recon:latest";

/// The names under which our program plays its parts; `actor.c` says which.
const PARTS: &[&str] = &[
    "mysqld",
    "kube-recon",
    "kubectl",
    "amicontained",
    "dial",
    "dial-apart",
    "run-from",
    "trace",
    "raw-socket",
    "ping",
    "load-module",
    "apk",
];
/// Where they are in the bed's folder.
pub(crate) const PROGRAMS: &str = "programs";
const APPLETS: &[&str] = &[
    "sh", "cat", "ls", "id", "sleep", "echo", "true", "touch", "rm", "nc", "vi", "cp", "mkdir", "mount",
    "umount",
];

/// Builds each image and hands over its archive and the name without the tag.
pub(crate) fn build_all(folder: &Path, import: impl Fn(&Path, &str) -> Result<()>) -> Result<()> {
    let work = folder.join("images");
    fs::create_dir_all(&work)?;
    let add = |name: &str, root: &Path, entrypoint: &str| {
        let repository = name.split(':').next().unwrap_or(name);
        import(&archive(&work, name, root, entrypoint)?, repository)
    };
    let actor = compile(folder)?;

    let pause = work.join("pause-root");
    fs::create_dir_all(&pause)?;
    fs::copy(&actor, pause.join("pause"))?;
    add(PAUSE_IMAGE, &pause, "/pause")?;

    let root = work.join("root");
    fill_root(&root, &actor)?;
    add(MYSQL_IMAGE, &root, "mysqld")?;
    add(API_CLIENT_IMAGE, &root, "pause")?;
    fs::remove_dir_all(&work)?;
    Ok(())
}

/// Builds the program and gives it all its names, for use outside containers too.
fn compile(folder: &Path) -> Result<PathBuf> {
    let programs = folder.join(PROGRAMS);
    fs::create_dir_all(&programs)?;
    let source = folder.join("actor.c");
    let actor = programs.join("actor");
    fs::write(&source, include_str!("../programs/actor.c"))?;
    let output = Command::new("cc").args(["-O1", "-static", "-o"]).arg(&actor).arg(&source).output()?;
    ensure!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
    for part in PARTS {
        fs::hard_link(&actor, programs.join(part))?;
    }
    Ok(actor)
}

fn fill_root(root: &Path, actor: &Path) -> Result<()> {
    for folder in ["bin", "usr/bin", "usr/sbin", "etc", "root", "tmp", "proc", "dev", "sys", "var/lib/mysql"]
    {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::copy(program("busybox")?, root.join("bin/busybox"))?;
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    with_libraries(root, &program("bash")?, "bin/bash")?;
    for part in PARTS {
        fs::copy(actor, root.join("usr/bin").join(part))?;
    }
    fs::copy(actor, root.join("usr/bin/pause"))?;
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/bash\nmysql:x:999:999::/var/lib/mysql:/bin/sh\n",
    )?;
    fs::write(root.join("etc/group"), "root:x:0:\nmysql:x:999:\n")?;
    fs::write(root.join("etc/shadow"), "root:*:19000:0:99999:7:::\n")?;
    Ok(())
}

fn program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.with_context(|| format!("`{name}` is not installed"))
}

/// Copies a program and the libraries that `ldd` names, to where the loader looks for them.
fn with_libraries(root: &Path, program: &Path, target: &str) -> Result<()> {
    fs::copy(program, root.join(target))?;
    let output = Command::new("ldd").arg(program).output().context("can't run ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let libraries: BTreeSet<&str> = text.split_whitespace().filter(|word| word.starts_with('/')).collect();
    if libraries.is_empty() {
        bail!("ldd names no libraries of {}: {text}", program.display());
    }
    for library in libraries {
        let copy = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().context("a library at the root")?)?;
        fs::copy(library, copy)?;
    }
    Ok(())
}

/// One layer and its description, as `docker save` would write them.
fn archive(work: &Path, name: &str, root: &Path, entrypoint: &str) -> Result<PathBuf> {
    let layer = layer(root)?;
    let digest: String = Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {
            "Entrypoint": [entrypoint],
            "Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            // Makes each image's id its own.
            "Labels": {"org.opencontainers.image.title": name},
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        "history": [{"created_by": "lanner-testbed"}],
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    let path = work.join("archive.tar");
    let mut tar = tar::Builder::new(File::create(&path)?);
    let files = [
        ("config.json", config.to_string().into_bytes()),
        ("layer.tar", layer),
        ("manifest.json", manifest.to_string().into_bytes()),
    ];
    for (file, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, file, bytes.as_slice())?;
    }
    tar.finish()?;
    Ok(path)
}

fn layer(root: &Path) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.follow_symlinks(false);
    tar.append_dir_all(".", root)?;
    Ok(tar.into_inner()?)
}
