//! What OCI runtimes that are used by themselves keep of each container: runc's `state.json` and crun's `status`.
//! They name the process and the bundle.

use std::fs;
use std::path::{Path, PathBuf};

use lanner_machine::Container;
use serde::Deserialize;

use super::{CONFIG, Keeper, is_id, read_json, spec};
use crate::config::Config;
use crate::time;

/// Either file, as far as both are read; crun's names come second.
#[derive(Deserialize, Default)]
#[serde(default)]
struct State {
    #[serde(alias = "pid")]
    init_process_pid: i32,
    /// Clock ticks since boot, as in `/proc/PID/stat`: numbers of processes come again.
    #[serde(alias = "process-start-time")]
    init_process_start: u64,
    created: String,
    config: Settings,
    bundle: PathBuf,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Settings {
    /// `KEY=VALUE` each; `bundle` is among them.
    labels: Vec<String>,
}

impl State {
    fn bundle(&self) -> PathBuf {
        let labelled = self.config.labels.iter().find_map(|label| label.strip_prefix("bundle="));
        labelled.map_or_else(|| self.bundle.clone(), PathBuf::from)
    }
}

/// Fills the container from such a file and the bundle that it names; says whether it could be read.
pub(super) fn read(file: &Path, config: &Config, container: &mut Container) -> bool {
    let Some(state) = read_json::<State>(file) else { return false };
    spec::read(&config.seen(&state.bundle().join(CONFIG)), config, container);
    if container.name.is_empty() {
        container.name.clone_from(&container.full_id);
    }
    container.created_ts = time::parse(&state.created).unwrap_or(container.created_ts);
    true
}

/// A container of an OCI runtime used by itself, whose cgroup bears no runtime's mark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BareContainer {
    /// One of its cgroups, as in `/proc/PID/cgroup`.
    pub cgroup: String,
    /// Its name.
    pub name: String,
}

/// The containers that runc and crun run by themselves now.
pub fn bare_containers(config: &Config) -> Vec<BareContainer> {
    let keepers = config.records().filter(|(keeper, _)| matches!(keeper, Keeper::Runc | Keeper::Crun));
    let folders = keepers.flat_map(|(keeper, root)| {
        let folders = fs::read_dir(config.seen(&root)).into_iter().flatten().flatten();
        folders.map(move |folder| (keeper, folder.path()))
    });
    folders.filter_map(|(keeper, folder)| running(keeper, &folder, config)).flatten().collect()
}

/// The cgroups of a container that bear its name.
fn running(keeper: Keeper, folder: &Path, config: &Config) -> Option<Vec<BareContainer>> {
    let name = folder.file_name()?.to_str().filter(|name| is_id(name))?;
    let state: State = read_json(&folder.join(keeper.way().last().copied().flatten()?))?;
    let process = config.host_root.join("proc").join(state.init_process_pid.to_string());
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // proc(5): the twenty-second word; the second, which may hold spaces, is in parentheses.
    let began: u64 = stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()?;
    if began != state.init_process_start {
        return None;
    }
    let cgroups = fs::read_to_string(process.join("cgroup")).ok()?;
    let paths = cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let mut paths: Vec<&str> = paths.filter(|path| path.rsplit('/').next() == Some(name)).collect();
    paths.sort_unstable();
    paths.dedup();
    let bare = |path: &str| BareContainer { cgroup: path.to_owned(), name: name.to_owned() };
    Some(paths.into_iter().map(bare).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tests::write;
    use super::*;
    use lanner_machine::Runtime;

    const RUNC: &str = r#"{"id":"web","init_process_pid":77,"init_process_start":84699,
        "created":"2024-01-02T03:04:05.9Z","config":{"labels":["a=b","bundle=/b/web"]}}"#;
    const CRUN: &str = r#"{"pid":78,"process-start-time":5,"cgroup-path":"/job","bundle":"/b/job",
        "created":"2024-01-02T03:04:05.9Z"}"#;

    fn host(root: &Path) -> Config {
        write(root, "run/runc/web/state.json", RUNC);
        write(root, "run/crun/job/status", CRUN);
        for bundle in ["web", "job"] {
            let spec = r#"{"mounts":[{"destination":"/d","source":"/s","options":["bind"]}],"linux":{}}"#;
            write(root, &format!("b/{bundle}/config.json"), spec);
        }
        let stat = |start: u64| format!("77 (a ) b) S {}{start} 0", "0 ".repeat(18));
        write(root, "proc/77/stat", &stat(84_699));
        write(root, "proc/77/cgroup", "2:cpu:/web\n1:memory:/login/web\n3:pids:/login\n0::/web\n");
        write(root, "proc/78/stat", &stat(6));
        write(root, "proc/78/cgroup", "0::/job\n");
        Config { host_root: root.to_path_buf(), ..Config::default() }
    }

    #[test]
    fn a_bundle_is_found_by_the_state() {
        let root = tempfile::tempdir().unwrap();
        let config = host(root.path());
        for (file, name) in [("run/runc/web/state.json", "web"), ("run/crun/job/status", "job")] {
            let mut container =
                Container { full_id: name.into(), runtime: Runtime::Runc, ..Container::default() };
            assert!(read(&root.path().join(file), &config, &mut container));
            assert_eq!((container.name.as_str(), container.mounts[0].dest.as_str()), (name, "/d"));
            assert!(container.host_network && container.created_ts > 1_700_000_000_000_000_000);
        }
    }

    #[test]
    fn what_runs_is_known_by_its_cgroups_and_what_is_gone_by_none() {
        let root = tempfile::tempdir().unwrap();
        let config = host(root.path());
        let cgroups: Vec<_> = bare_containers(&config).into_iter().map(|bare| bare.cgroup).collect();
        // The process of `job` is another one by now.
        assert_eq!(cgroups, ["/login/web", "/web"]);
        write(root.path(), "run/runc/web/state.json", "{\"init_process_pid\":");
        assert_eq!(bare_containers(&config), []);
    }
}
