//! The plain manifests are what the chart gives with its own values, so that both stay the same.

use super::{render, root};

/// Manifests of one file: its namespace first, then the chart's objects without the notes.
fn manifest(values: Option<&str>) -> Option<String> {
    let values = values.map(|name| root().join("tests/deploy/values").join(name));
    let paths: Vec<&std::path::Path> = values.iter().map(|path| path.as_path()).collect();
    let rendered = render("lanner", "lanner", &paths)?.unwrap();
    let objects = rendered.split("\n---\n# Source: lanner/templates/NOTES.txt").next().unwrap_or(&rendered);
    let lines =
        objects.lines().filter(|line| !line.starts_with("# Source: ") && !line.contains("helm.sh/chart"));
    let lines = lines.map(|line| line.replace("managed-by: Helm", "managed-by: kubectl"));
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: lanner\n  labels:\n    \
                     pod-security.kubernetes.io/enforce: privileged\n";
    Some(lines.fold(namespace.to_owned(), |text, line| text + &line + "\n"))
}

fn same(file: &str, values: Option<&str>) {
    let Some(wanted) = manifest(values) else { return };
    let path = root().join("deploy/kubernetes").join(file);
    if std::env::var_os("UPDATE_MANIFESTS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == wanted, "{file} differs from the chart; UPDATE_MANIFESTS=1 writes it anew");
}

#[test]
fn the_agents_manifest_is_the_charts() {
    same("lanner.yaml", None);
}

#[test]
fn the_relays_manifest_is_the_charts() {
    same("relay.yaml", Some("../relay-only.yaml"));
}
