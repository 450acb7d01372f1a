//! Settings as users of Falco's container plugin write them: its `init_config`, whose keys and defaults its
//! README documents.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::config::{Config, DOCKER_SOCKETS, PODMAN_SOCKETS, USER_DOCKER, USER_PODMAN};
use crate::kubernetes::KubernetesConfig;

/// An `init_config` that can't be read.
#[derive(Debug, Error)]
#[error("init_config of the container plugin: {0}")]
pub struct InitConfigError(#[from] serde_json::Error);

#[derive(Deserialize)]
#[serde(default)]
struct InitConfig {
    label_max_len: usize,
    with_size: bool,
    engines: Engines,
    /// lanner's own.
    kubernetes: KubernetesConfig,
}

impl Default for InitConfig {
    fn default() -> InitConfig {
        InitConfig {
            label_max_len: 100,
            with_size: false,
            engines: Engines::default(),
            kubernetes: KubernetesConfig::default(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Engines {
    docker: Engine,
    podman: Engine,
    containerd: Engine,
    cri: Engine,
}

#[derive(Deserialize)]
#[serde(default)]
struct Engine {
    enabled: bool,
    sockets: Vec<PathBuf>,
}

impl Default for Engine {
    fn default() -> Engine {
        Engine { enabled: true, sockets: Vec::new() }
    }
}

impl Config {
    /// Reads an `init_config`, which is JSON. An empty one stands for the defaults, as do engines it doesn't
    /// name. `hooks` and `engine_timeout` are accepted: containers are heard of when they are made and when they
    /// start, and no engine holds up the start. What changes nothing is said in [`Config::ignored`].
    pub fn from_init_config(text: &str) -> Result<Config, InitConfigError> {
        let text = text.trim();
        let given: InitConfig =
            if text.is_empty() { InitConfig::default() } else { serde_json::from_str(text)? };
        let InitConfig { label_max_len, with_size, engines, kubernetes } = given;
        let kubernetes = Some(kubernetes).filter(|kubernetes| kubernetes.enabled);
        let mut config = Config { label_max_len, with_size, kubernetes, ..Config::default() };
        config.take(engines);
        config.ignored = ignored(&serde_json::from_str(text).unwrap_or_default());
        Ok(config)
    }

    fn take(&mut self, engines: Engines) {
        let Engines { docker, podman, containerd, cri } = engines;
        if !docker.enabled {
            self.docker_containers.clear();
        }
        // CRI-O and Podman share their stores, which answer for both.
        if !podman.enabled && !cri.enabled {
            self.storage_bundles.clear();
        }
        if !containerd.enabled && !cri.enabled {
            self.containerd_bundles.clear();
        }
        self.docker_sockets.clear();
        self.user_sockets.clear();
        for (engine, own, users) in
            [(docker, DOCKER_SOCKETS, USER_DOCKER), (podman, PODMAN_SOCKETS, USER_PODMAN)]
        {
            if engine.enabled && engine.sockets.is_empty() {
                self.user_sockets.push(users.into());
            }
            let default = own.iter().map(PathBuf::from).collect();
            self.docker_sockets.extend(engine.or_default(default));
        }
        // A containerd's socket serves CRI as well, or its own API alone: whichever was meant, both are tried.
        let named = containerd.sockets.clone();
        self.containerd_sockets = containerd.or_default(std::mem::take(&mut self.containerd_sockets));
        self.cri_sockets = cri.or_default(std::mem::take(&mut self.cri_sockets));
        if !self.cri_sockets.is_empty() {
            let new: Vec<PathBuf> =
                named.into_iter().filter(|path| !self.cri_sockets.contains(path)).collect();
            self.cri_sockets.extend(new);
        }
    }
}

const KEYS: &[&str] = &["label_max_len", "with_size", "hooks", "engine_timeout", "engines", "kubernetes"];
const ENGINES: &[&str] = &["docker", "podman", "containerd", "cri", "lxc", "libvirt_lxc", "bpm"];
/// Known by their cgroups alone, whether they are switched off or not: a container is never the host.
const BY_CGROUP: &[&str] = &["lxc", "libvirt_lxc", "bpm"];

/// The settings that change nothing, each with the reason.
fn ignored(given: &Value) -> Vec<String> {
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let unknown = |prefix: &str, names: &[&str], value: &Value| {
        let keys = object(value).into_iter().map(|(key, _)| key).filter(|key| !names.contains(&key.as_str()));
        keys.map(|key| format!("{prefix}{key}: there is no such setting")).collect::<Vec<_>>()
    };
    let engines = given.get("engines").unwrap_or(&Value::Null);
    let mut list = unknown("", KEYS, given);
    list.extend(unknown("engines.", ENGINES, engines));
    let off = |name: &&&str| engines.pointer(&format!("/{name}/enabled")) == Some(&Value::Bool(false));
    let why = |name: &&str| {
        format!("engines.{name}.enabled: such containers are told apart from the host all the same")
    };
    list.extend(BY_CGROUP.iter().filter(off).map(why));
    list
}

impl Engine {
    /// Its sockets: none where it is switched off, the default where it names none.
    fn or_default(self, default: Vec<PathBuf>) -> Vec<PathBuf> {
        match (self.enabled, self.sockets.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => default,
            (true, false) => self.sockets.into_iter().map(in_run).collect(),
        }
    }
}

/// `/var/run` is a link to `/run` wherever it is not broken; seen below another root it may lead astray.
/// `unix://` is how clients write such a socket.
fn in_run(socket: PathBuf) -> PathBuf {
    let socket = match socket.to_str().and_then(|text| text.strip_prefix("unix://")) {
        Some(path) => PathBuf::from(path),
        None => socket,
    };
    match socket.strip_prefix("/var/run") {
        Ok(rest) => Path::new("/run").join(rest),
        Err(_) => socket,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_or_partial_config_keeps_the_defaults() {
        for text in
            ["", "{}", r#"{"hooks":["create"],"engine_timeout":3,"engines":{"lxc":{"enabled":true}}}"#]
        {
            let config = Config::from_init_config(text).unwrap();
            assert_eq!(config, Config::default(), "{text}");
        }
    }

    #[test]
    fn sockets_replace_the_defaults() {
        let text = r#"{"label_max_len":20,"with_size":true,"engines":{"cri":{"sockets":["/b.sock","/a.sock"]},
            "containerd":{"enabled":true,"sockets":["/a.sock"]},"docker":{"enabled":false},
            "podman":{"sockets":["unix:///var/run/p.sock"]}}}"#;
        let config = Config::from_init_config(text).unwrap();
        assert_eq!(config.cri_sockets, ["/b.sock", "/a.sock"].map(PathBuf::from));
        assert_eq!(config.label_max_len, 20);
        assert_eq!(config.containerd_sockets, [PathBuf::from("/a.sock")]);
        assert_eq!(config.docker_sockets, [PathBuf::from("/run/p.sock")]);
        assert!(config.user_sockets.is_empty() && config.with_size);
        assert_eq!(config.kubernetes, None);
        let config = Config::from_init_config(r#"{"kubernetes":{"enabled":true,"node":"n"}}"#).unwrap();
        assert_eq!(config.kubernetes.unwrap().node, "n");
        let config = Config::from_init_config(text).unwrap();
        assert!(config.docker_containers.is_empty());
        assert!(!config.storage_bundles.is_empty());
    }

    #[test]
    fn engines_switched_off_are_not_looked_for() {
        let off = r#"{"enabled":false}"#;
        let text =
            format!(r#"{{"engines":{{"cri":{off},"containerd":{off},"podman":{off},"docker":{off}}}}}"#);
        let config = Config::from_init_config(&text).unwrap();
        let places = [
            config.cri_sockets,
            config.containerd_sockets,
            config.docker_sockets,
            config.user_sockets,
            config.containerd_bundles,
            config.storage_bundles,
            config.docker_containers,
        ];
        assert!(places.iter().all(Vec::is_empty), "{places:?}");
    }

    #[test]
    fn what_changes_nothing_is_said() {
        let text = r#"{"label_len":1,"engines":{"lxc":{"enabled":false},"bpm":{"enabled":true},
            "static":{"enabled":true,"container_id":"a"}}}"#;
        assert_eq!(
            Config::from_init_config(text).unwrap().ignored,
            [
                "label_len: there is no such setting",
                "engines.static: there is no such setting",
                "engines.lxc.enabled: such containers are told apart from the host all the same",
            ]
        );
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        let error = Config::from_init_config(r#"{"engines": {"cri": {"enabled": "maybe"}}}"#).err().unwrap();
        assert_eq!(
            error.to_string(),
            "init_config of the container plugin: invalid type: string \"maybe\", expected a boolean at line 1 column 39"
        );
    }
}
