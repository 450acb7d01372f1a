//! lanner in a container of its own making: its own root, mounts and pid namespace, and the host's root at `/host`.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::watch::{Turn, Watch};

/// What happens in the new mount namespace before lanner takes it over: only the executable, libraries and what a
/// kernel gives are there beside `/host`, which is read-only.
const ENTER: &str = r#"
set -e
mount --make-rprivate /
cd "$1"
for dir in usr lib lib64 sys dev; do
    [ -d "/$dir" ] || continue
    mkdir -p "$dir" && mount --rbind "/$dir" "$dir"
done
mkdir -p host proc
mount --rbind / host && mount -o remount,bind,ro host
mount -t proc proc proc
export HOST_ROOT=/host
exec chroot . /lanner run --config /falco.yaml
"#;

const RULES: &str = "\
- rule: Marked
  desc: A marked file was opened.
  condition: evt.type in (open, openat) and fd.name endswith lanner-host-mark
  output: marked by=%proc.name user=%user.name parent=%proc.pname pid=%proc.pid
  priority: WARNING
";

#[test]
fn the_host_is_seen_through_its_mounted_root() {
    let Some(_turn) = Turn::take() else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::copy(env!("CARGO_BIN_EXE_lanner"), at("lanner")).unwrap();
    fs::write(at("rules.yaml"), RULES).unwrap();
    fs::write(at("falco.yaml"), "stdout_output: {enabled: true}\nrules_files: [/rules.yaml]\n").unwrap();
    // The container's own accounts are not the host's.
    fs::create_dir(at("etc")).unwrap();
    fs::write(at("etc/passwd"), "inner:x:0:0::/:/bin/false\n").unwrap();
    let mark = at("lanner-host-mark");
    fs::write(&mark, "").unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "sh"]).arg(folder.path());
    let mut watch = Watch::start_by(command, folder);
    // A parent that ran before lanner did, of which the container's own /proc knows nothing.
    let own = fs::read_to_string("/proc/self/comm").unwrap();
    let child = Command::new("cat").arg(&mark).spawn().unwrap();
    let pid = child.id();
    child.wait_with_output().unwrap();
    let parts = ["marked by=cat user=root ", &format!("parent={} pid={pid}", own.trim())];
    watch.alert(&parts);
    let inner = fs::read_to_string(format!("/proc/{0}/task/{0}/children", watch.pid())).unwrap();
    kill(Pid::from_raw(inner.trim().parse().unwrap()), Signal::SIGINT).unwrap();
    watch.ended();
}
