//! What a host gets: the package is built, installed in a fresh system, its service started as the unit says, with no
//! more capabilities than it allows, read by the relay without any, and removed again.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};

use super::root;

const LIMIT: Duration = Duration::from_secs(30);

fn output(command: &mut Command) -> String {
    let out = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {}{said}", String::from_utf8_lossy(&out.stdout));
    String::from_utf8(out.stdout).unwrap()
}

fn skip(why: &str) {
    println!("skipped: {why}");
}

#[test]
fn the_service_is_hardened() {
    let unit = root().join("deploy/host/lanner.service");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=yes", "--threshold=30", "--no-pager"]).arg(unit);
    match analyze.output() {
        Err(_) => skip("no systemd-analyze here"),
        Ok(out) => assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout)),
    }
}

/// A small system of this machine's own release. Its packages come from the usual mirror.
fn fresh_system(folder: &Path) -> Result<PathBuf, String> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or("stable");
    let system = folder.join("system");
    let made = Command::new("mmdebstrap")
        .args(["--variant=essential", "--include=libelf1,init-system-helpers", suite])
        .arg(&system)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("no mmdebstrap here: {error}"))?;
    if made.status.success() { Ok(system) } else { Err(String::from_utf8_lossy(&made.stderr).into_owned()) }
}

/// A process that the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap()),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = self.0.wait();
    }
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

/// The value of a key of the unit.
fn unit_value<'a>(unit: &'a str, key: &str) -> &'a str {
    unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap()
}

/// Runs in the system, with the capabilities and groups that the unit allows.
fn as_service(system: &Path, unit: &str) -> Command {
    let allowed = unit_value(unit, "CapabilityBoundingSet").to_lowercase().replace("cap_", "+");
    let mut command = Command::new("setpriv");
    command.arg("--bounding-set").arg(format!("-all,{}", allowed.replace(' ', ",")));
    // For chroot itself, which is not the service's doing.
    command.args(["--no-new-privs", "--groups", "65534"]);
    let mut outside = Command::new("chroot");
    outside.arg(system).arg(command.get_program()).args(command.get_args());
    outside.args(unit_value(unit, "ExecStart").split(' '));
    outside
}

#[test]
fn the_package_is_installed_runs_and_is_removed() {
    if !nix::unistd::geteuid().is_root() || !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return skip("watching needs root and a kernel with BTF");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut package = Command::new(root().join("scripts/package.sh"));
    package.args(["--bin", env!("CARGO_BIN_EXE_lanner"), "--out"]).arg(folder.path());
    let made = output(&mut package);
    let files: Vec<&str> = made.lines().collect();
    let listed = output(Command::new("tar").args(["-tzf", files[1]]));
    assert!(listed.contains("/usr/lib/systemd/system/lanner.service\n"), "{listed}");

    let system = match fresh_system(folder.path()) {
        Ok(system) => system,
        Err(why) => return skip(&why),
    };
    // What is mounted there goes with this process's own view of mounts.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    for part in ["proc", "sys"] {
        let from = Path::new("/").join(part);
        mount(
            Some(&from),
            &system.join(part),
            None::<&str>,
            MsFlags::MS_BIND | MsFlags::MS_REC,
            None::<&str>,
        )
        .unwrap();
    }
    let inside = |words: &[&str]| output(Command::new("chroot").arg(&system).args(words));
    fs::copy(files[0], system.join("lanner.deb")).unwrap();
    inside(&["dpkg", "--install", "/lanner.deb"]);
    let status = inside(&["dpkg", "--status", "lanner"]);
    assert!(status.contains("Provides: falco\n") && status.contains("Conflicts: falco\n"), "{status}");
    let enabled = system.join("etc/systemd/system/falco.service");
    assert_eq!(fs::read_link(enabled).unwrap(), Path::new("/lib/systemd/system/lanner.service"));
    let checked = inside(&["falco", "--dry-run"]);
    assert!(!checked.to_lowercase().contains("error"), "{checked}");

    let unit = fs::read_to_string(system.join("usr/lib/systemd/system/lanner.service")).unwrap();
    runs(&system, &unit);

    inside(&["dpkg", "--remove", "lanner"]);
    assert!(!system.join("usr/bin/falco").exists() && !system.join("usr/bin/lanner").exists());
    assert!(system.join("etc/falco/falco.yaml").exists(), "settings stay until they are purged");
    inside(&["dpkg", "--purge", "lanner"]);
    assert!(!system.join("etc/falco/falco.yaml").exists());
    assert!(fs::symlink_metadata(system.join("etc/systemd/system/falco.service")).is_err());
}

/// What is in a package: its files with their modes, its relations, its scripts.
fn contents(package: &Path) -> Vec<String> {
    let dpkg = |words: &[&str]| {
        let (option, rest) = words.split_first().unwrap();
        output(Command::new("dpkg-deb").arg(option).arg(package).args(rest))
    };
    let files = dpkg(&["--contents"]);
    let file = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (!line.starts_with('d')).then(|| format!("{} {}", words[0], words[5..].join(" ")))
    };
    let mut contents: Vec<String> = files.lines().filter_map(file).collect();
    contents.sort();
    for field in ["Package", "Version", "Section", "Maintainer", "Provides", "Conflicts", "Replaces"] {
        contents.push(format!("{field}: {}", dpkg(&["--field", field])));
    }
    contents.extend(["conffiles", "postinst", "prerm", "postrm"].map(|part| dpkg(&["--info", part])));
    contents
}

#[test]
fn cargo_deb_makes_the_same_package() {
    let has_it = Command::new("cargo").args(["deb", "--version"]).output();
    if !has_it.is_ok_and(|out| out.status.success()) {
        return skip("no cargo-deb here");
    }
    let folder = tempfile::tempdir().unwrap();
    let executable = folder.path().join("release/lanner");
    fs::create_dir_all(executable.parent().unwrap()).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_lanner"), &executable).unwrap();
    let mut ours = Command::new(root().join("scripts/package.sh"));
    let made = output(ours.arg("--bin").arg(&executable).arg("--out").arg(folder.path().join("ours")));
    let theirs = folder.path().join("theirs.deb");
    let mut cargo_deb = Command::new("cargo");
    cargo_deb.args(["deb", "--package", "lanner", "--no-build", "--no-strip", "--output"]).arg(&theirs);
    output(cargo_deb.env("CARGO_TARGET_DIR", folder.path()).current_dir(root()));
    assert_eq!(contents(Path::new(made.lines().next().unwrap())), contents(&theirs));
}

/// The service says that it is ready; what it raises then reaches the relay, which nobody runs.
fn runs(system: &Path, unit: &str) {
    let turn = File::create(std::env::temp_dir().join("lanner-live-tests.lock")).unwrap();
    let _turn = Flock::lock(turn, FlockArg::LockExclusive).unwrap();
    fs::create_dir_all(system.join("run/lanner")).unwrap();
    fs::write(system.join("etc/shadow"), "root:*:19000:0:99999:7:::\n").unwrap();
    let notices = UnixDatagram::bind(system.join("run/notify")).unwrap();
    notices.set_read_timeout(Some(LIMIT)).unwrap();
    let mut service = as_service(system, unit);
    service.env("NOTIFY_SOCKET", "/run/notify").stdin(Stdio::null()).stdout(Stdio::null());
    let _service = Running(service.spawn().unwrap());
    let mut said = [0; 512];
    let length = notices.recv(&mut said).expect("the service says nothing");
    assert!(String::from_utf8_lossy(&said[..length]).contains("READY=1"));

    let mut relay = Command::new("chroot");
    relay.args(["--userspec=65534:65534"]).arg(system).args(["/usr/bin/lanner", "relay"]);
    let relay = relay.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
    let mut relay = Running(relay);
    let alerts = lines_of(&mut relay.0);
    output(Command::new("chroot").arg(system).args(["cat", "/etc/shadow"]));
    let end = Instant::now() + LIMIT;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let line = alerts.recv_timeout(left).expect("no alert of the reading of /etc/shadow");
        if line.contains("cat /etc/shadow") {
            break;
        }
    }
}
