//! Containers that nobody can be asked about are known by their cgroups.

use lanner_testbed::{Bare, BareKind, bed_or_skip};

use crate::watch::{Turn, Watch};

const RULES: &str = "- rule: echo\n  desc: somebody in a container has something to say\n  priority: NOTICE\n  \
    condition: evt.type = execve and container.id != host and proc.name = echo\n  \
    output: ran %proc.cmdline id=%container.id name=%container.name type=%container.type \
    mounts=%container.mounts privileged=%container.privileged\n";

fn watch() -> Watch {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, RULES).unwrap();
    Watch::start(&format!("rules_files: [{}]", rules.display()))
}

fn named_by_its_cgroup(kind: BareKind, runtime: &str) {
    let Some(_turn) = Turn::take() else { return };
    let bare = bed_or_skip!(Bare::new(kind));
    let mut watch = watch();
    std::process::Command::new("echo").arg("outside").output().unwrap();
    bare.run("lanner-web-1", &["echo", "inside"]).unwrap();
    let line = watch.alert(&["ran echo inside "]);
    assert!(line.contains(&format!("id=lanner-web-1 name=lanner-web-1 type={runtime} ")), "{line}");
    assert_eq!(watch.alerts_with(&["outside"]), Vec::<String>::new());
    watch.stop();
}

#[test]
fn a_container_of_lxc_has_its_name() {
    named_by_its_cgroup(BareKind::Lxc, "lxc");
}

#[test]
fn a_container_of_systemd_nspawn_has_its_name() {
    named_by_its_cgroup(BareKind::Nspawn, "systemd-nspawn");
}

#[test]
fn a_container_of_runc_by_itself_has_its_name() {
    named_by_its_cgroup(BareKind::Runc, "runc");
}

#[test]
fn what_runc_ran_before_and_what_enters_it_is_known_with_its_mounts() {
    let Some(_turn) = Turn::take() else { return };
    let bare = bed_or_skip!(Bare::new(BareKind::Runc));
    bare.start("lanner-old").unwrap();
    let mut watch = watch();
    bare.start("lanner-new").unwrap();
    for name in ["lanner-old", "lanner-new"] {
        bare.exec(name, &["echo", name]).unwrap();
        let line = watch.alert(&[&format!("ran echo {name} ")]);
        let wanted = format!("id={name} name={name} type=runc mounts=/etc:/tmp:");
        assert!(line.contains(&wanted), "{line}");
    }
    watch.stop();
}
