//! The Helm chart.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{NAMESPACE, files_of, render, root, source, validate};

/// Each file of `values/`: its name and path.
fn value_sets() -> Vec<(String, PathBuf)> {
    let mut sets: Vec<(String, PathBuf)> = std::fs::read_dir(root().join("tests/deploy/values"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path))
        .collect();
    sets.sort();
    assert!(sets.len() >= 8, "eight sets of values at the least");
    sets
}

#[test]
fn objects_and_values_are_valid_in_kubernetes() {
    for (name, values) in value_sets() {
        let Some(rendered) = render("falcon", NAMESPACE, &[&values]) else { return };
        let rendered = rendered.unwrap();
        let Some(checked) = validate(&rendered, &[&values]) else { return };
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&checked.stderr));
        assert!(!said.starts_with('0'), "{name}: {said}");
    }
}

/// Its schemas, defaults and admission, not a copy of them. Prometheus' own kind it doesn't know.
#[test]
fn a_real_api_server_would_take_the_objects_and_refuses_a_fault() {
    let api = lanner_testbed::bed_or_skip!(lanner_testbed::ApiServer::start());
    for namespace in [NAMESPACE, "kube-guard"] {
        api.kubectl(&["create", "namespace", namespace], "").unwrap();
    }
    let known = |object: &&str| object.contains("\nkind: ") && !object.contains("\nkind: ServiceMonitor");
    let dry = ["apply", "--dry-run=server", "-f", "-"];
    for (name, values) in value_sets() {
        let Some(rendered) = render("falcon", NAMESPACE, &[&values]) else { return };
        let rendered = rendered.unwrap();
        let objects: Vec<&str> = rendered.split("\n---\n").filter(known).collect();
        let taken = api.kubectl(&dry, &objects.join("\n---\n")).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        assert_eq!(taken.lines().count(), objects.len(), "{name}: {taken}");
        if let Some(set) = objects.iter().find(|object| object.contains("\nkind: DaemonSet")) {
            let refused = api.kubectl(&dry, &set.replace("hostPID: true", "hostPID: sometimes"));
            assert!(refused.is_err() || !set.contains("hostPID: true"), "{name}");
        }
    }
}

#[test]
fn a_fault_in_the_values_or_the_objects_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let values = dir.path().join("bad.yaml");
    std::fs::write(&values, "hostPID: sometimes\nresources: {limits: {memory: [1]}}\n").unwrap();
    let Some(rendered) = render("falcon", NAMESPACE, &[&values]) else { return };
    let Some(checked) = validate(&rendered.unwrap(), &[&values]) else { return };
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success());
    assert!(said.contains("hostPID: 'sometimes' is not of type 'boolean'"), "{said}");
    assert!(said.contains("DaemonSet falcon-lanner"), "{said}");
}

#[test]
fn an_unknown_driver_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let values = dir.path().join("gvisor.yaml");
    std::fs::write(&values, "driver: {kind: gvisor}\n").unwrap();
    let Some(rendered) = render("falcon", NAMESPACE, &[&values]) else { return };
    let refused = rendered.unwrap_err();
    assert!(refused.contains("driver.kind is \"gvisor\"; there are auto, modern_ebpf and kmod"), "{refused}");
}

#[test]
fn what_an_installation_holds() {
    for (name, values) in value_sets() {
        let Some(rendered) = render("falcon", NAMESPACE, &[&values]) else { return };
        insta::assert_snapshot!(name, rendered.unwrap());
    }
}

/// The settings and rules of each set are put where the pod would have them, and the executable takes them.
#[test]
fn settings_and_rules_are_taken_by_lanner() {
    for (name, values) in value_sets() {
        let Some(rendered) = render("falcon", NAMESPACE, &[&values]) else { return };
        let rendered = rendered.unwrap();
        let Some(settings) = source(&rendered, "configmap.yaml") else {
            assert_eq!(name, "relay", "only a relay has no settings");
            continue;
        };
        let dir = tempfile::tempdir().unwrap();
        let (pod, rules) = (dir.path(), dir.path().join("rules.d"));
        std::fs::create_dir(&rules).unwrap();
        let config_map = source(&rendered, "rules-configmap.yaml").unwrap_or("");
        write_all(&rules, &files_of(config_map));
        let files = files_of(settings);
        assert_eq!(files.len(), 1, "{name}: falco.yaml alone");
        let own_rules = files[0].1.contains("rules_files: []");
        // Rule files that the values take from elsewhere aren't there; the folder of the values' own is. Where
        // lanner's own rules come first, the settings are looked at without the values' rules, which change them.
        let text: String = files[0]
            .1
            .lines()
            .filter(|line| !line.starts_with("  - /etc/falco/falco_rules"))
            .map(|line| format!("{line}\n"))
            .collect();
        let empty = pod.join("empty");
        std::fs::create_dir(&empty).unwrap();
        let text = text
            .replace("/etc/falco/rules.d", &rules.display().to_string())
            .replace("rules_files: []", &format!("rules_files: [{}]", empty.display()));
        std::fs::write(pod.join("falco.yaml"), text).unwrap();
        let lanner = || Command::new(env!("CARGO_BIN_EXE_lanner"));
        taken(&name, lanner().args(["falco", "--dry-run", "-c"]).arg(pod.join("falco.yaml")));
        if own_rules && !config_map.is_empty() {
            taken(&name, lanner().args(["rules", "check", "--also"]).arg(&rules));
        }
    }
}

fn taken(name: &str, command: &mut Command) {
    let out = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{name}: {said}");
}

fn write_all(dir: &Path, files: &[(String, String)]) {
    for (name, text) in files {
        std::fs::write(dir.join(name), text).unwrap();
    }
}
