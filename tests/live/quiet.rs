//! A host at rest, and one that builds software, raise nothing; and in the same run each attack is told.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lanner_testbed::{API_CLIENT_IMAGE, bed_or_skip};

use crate::watch::{Turn, Watch};

/// Seconds of rest asked for by `make soak-idle`, which also builds all of lanner rather than a small crate.
fn soak() -> Option<u64> {
    std::env::var("LANNER_SOAK_SECONDS").ok().and_then(|text| text.parse().ok())
}

#[test]
fn rest_and_work_raise_nothing_and_then_attacks_are_told() {
    let Some(_turn) = Turn::take() else { return };
    let bed = bed_or_skip!();
    let pod = bed.pod("recon-0").privileged().start().unwrap();
    let recon = pod.container("recon").image(API_CLIENT_IMAGE).privileged().start().unwrap();
    let mut watch = Watch::with_bed(&bed, "");

    let rest = Duration::from_secs(soak().unwrap_or(10));
    assert_eq!(watch.alerts_within(rest), Vec::<String>::new(), "at rest");
    let built = build(&watch.folder()).status().unwrap();
    assert!(built.success(), "{built}");
    assert_eq!(watch.alerts_within(Duration::from_secs(2)), Vec::<String>::new(), "while building");

    let _server = TcpListener::bind("127.0.0.1:6443");
    let _shell = recon.exec_tty(&["bash", "-il"]).unwrap();
    watch.alert(&["terminal=34816", "bash -il"]);
    recon.exec(&["kube-recon", "kubectl", "version"]).unwrap();
    watch.alert(&["kubectl version"]);
    recon.exec(&["dial", "127.0.0.1", "6443"]).unwrap();
    watch.alert(&["127.0.0.1:6443"]);
    recon.exec(&["bash", "-c", "amicontained /proc/self/ns/ipc && true"]).unwrap();
    watch.alert(&["amicontained"]);
    Command::new("cat").arg("/etc/shadow").output().unwrap();
    watch.alert(&["cat /etc/shadow"]);
    let summary = watch.stop();
    // most opens of a build matter to no rule
    assert!(summary.events > 100, "hardly anything was seen: {summary:?}");
    assert!(summary.alerts >= 5, "{summary:?}");
}

/// A build of lanner, or of a crate that needs nothing from a registry.
fn build(folder: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--offline", "--quiet", "--target-dir"]).arg(folder.join("target"));
    if soak().is_some() {
        cargo.args(["--package", "lanner", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    } else {
        let source = folder.join("src");
        fs::create_dir_all(&source).unwrap();
        let manifest = "[package]\nname = \"built\"\nversion = \"0.1.0\"\n[workspace]\n";
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        fs::write(folder.join("build.rs"), "fn main() {}").unwrap();
        fs::write(source.join("main.rs"), "fn main() { println!(\"built\"); }").unwrap();
        cargo.current_dir(folder);
    }
    cargo
}
