//! What `deploy/` gives to a cluster: the chart is rendered as Helm does it (`render/`), with the values of
//! `values/*.yaml`; its objects are held against Kubernetes' schemas and its settings are given to the executable. And
//! what it gives to a host: the package, installed and run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod chart;
mod manifests;
mod package;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

const NAMESPACE: &str = "security";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The renderer, built once from Debian's Go packages; the reason where that is impossible.
fn renderer() -> Result<&'static Path, &'static str> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("render");
        let go = Command::new("go")
            .args(["build", "-o"])
            .arg(&binary)
            .arg(".")
            .current_dir(root().join("tests/deploy/render"))
            .env("GO111MODULE", "off")
            .env("GOPATH", "/usr/share/gocode")
            .output()
            .map_err(|error| format!("no Go here: {error}"))?;
        if go.status.success() { Ok(binary) } else { Err(text(&go.stderr)) }
    });
    built.as_deref().map_err(String::as_str)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The chart's objects and notes with these values, as release `falcon`; or what the templates refuse.
fn render(release: &str, namespace: &str, values: &[&Path]) -> Option<Result<String, String>> {
    let renderer = match renderer() {
        Ok(renderer) => renderer,
        Err(why) => {
            println!("skipped: {why}");
            return None;
        }
    };
    let chart = root().join("deploy/helm/lanner");
    let out = Command::new(renderer).arg(chart).args([release, namespace]).args(values).output().unwrap();
    Some(if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) })
}

/// Runs the validator over rendered objects; nothing where its Python packages are missing.
fn validate(rendered: &str, values: &[&Path]) -> Option<Output> {
    use std::io::Write as _;
    // Where scripts/setup.sh --test installs the packages.
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../python/bin/python3");
    let there = Command::new(&python).args(["-c", "import kubernetes_validate"]).output();
    if !there.is_ok_and(|out| out.status.success()) {
        println!("skipped: no Python package kubernetes-validate here (scripts/setup.sh --test installs it)");
        return None;
    }
    let mut child = Command::new(&python)
        .arg(root().join("tests/deploy/validate.py"))
        .arg(root().join("deploy/helm/lanner"))
        .args(values)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(rendered.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

/// The rendered text of one template.
fn source<'a>(rendered: &'a str, template: &str) -> Option<&'a str> {
    let mark = format!("# Source: lanner/templates/{template}\n");
    let start = rendered.find(&mark)? + mark.len();
    let rest = &rendered[start..];
    Some(&rest[..rest.find("\n---\n# Source: ").unwrap_or(rest.len())])
}

/// The files that a ConfigMap carries, by name.
fn files_of(config_map: &str) -> Vec<(String, String)> {
    let data = config_map.split_once("\ndata:\n").map_or("", |(_, data)| data);
    let mut files: Vec<(String, String)> = Vec::new();
    for line in data.lines() {
        if let Some(name) =
            line.strip_prefix("  ").and_then(|l| l.strip_suffix(": |-")).filter(|l| !l.starts_with(' '))
        {
            files.push((name.to_owned(), String::new()));
        } else if let Some((_, file)) = files.last_mut() {
            file.push_str(line.strip_prefix("    ").unwrap_or(line));
            file.push('\n');
        }
    }
    files
}
