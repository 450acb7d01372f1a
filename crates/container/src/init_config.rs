//! Settings as users of Falco's container plugin write them: its `init_config`, whose keys and defaults its
//! README documents.

use std::path::PathBuf;

use serde::Deserialize;
use thiserror::Error;

use crate::config::Config;

/// An `init_config` that can't be read.
#[derive(Debug, Error)]
#[error("init_config of the container plugin: {0}")]
pub struct InitConfigError(#[from] serde_json::Error);

#[derive(Deserialize)]
#[serde(default)]
struct InitConfig {
    label_max_len: usize,
    engines: Engines,
}

impl Default for InitConfig {
    fn default() -> InitConfig {
        InitConfig { label_max_len: 100, engines: Engines::default() }
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
    /// name; keys that mean nothing here (`hooks`, `with_size`, engines that have no metadata) are accepted.
    pub fn from_init_config(text: &str) -> Result<Config, InitConfigError> {
        let text = text.trim();
        let given: InitConfig =
            if text.is_empty() { InitConfig::default() } else { serde_json::from_str(text)? };
        let mut config = Config { label_max_len: given.label_max_len, ..Config::default() };
        let Engines { docker, podman, containerd, cri } = given.engines;
        if !docker.enabled {
            config.docker_containers.clear();
        }
        // CRI-O and Podman share their stores, which answer for both.
        if !podman.enabled && !cri.enabled {
            config.storage_bundles.clear();
        }
        if !containerd.enabled && !cri.enabled {
            config.containerd_bundles.clear();
        }
        // A containerd socket serves CRI as well; being asked on it twice would gain nothing.
        if !cri.enabled {
            config.cri_sockets.clear();
        } else if !cri.sockets.is_empty() {
            config.cri_sockets = cri.sockets;
        }
        for socket in containerd.sockets.into_iter().filter(|_| containerd.enabled) {
            if !config.cri_sockets.contains(&socket) {
                config.cri_sockets.push(socket);
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_or_partial_config_keeps_the_defaults() {
        for text in ["", "{}", r#"{"hooks":["create"],"engines":{"lxc":{"enabled":true}}}"#] {
            let config = Config::from_init_config(text).unwrap();
            assert_eq!(config.cri_sockets, Config::default().cri_sockets, "{text}");
            assert_eq!(config.label_max_len, 100, "{text}");
        }
    }

    #[test]
    fn sockets_replace_the_defaults() {
        let text = r#"{"label_max_len":20,"engines":{"cri":{"sockets":["/b.sock","/a.sock"]},
            "containerd":{"enabled":true,"sockets":["/a.sock"]},"docker":{"enabled":false}}}"#;
        let config = Config::from_init_config(text).unwrap();
        assert_eq!(config.cri_sockets, ["/b.sock", "/a.sock"].map(PathBuf::from));
        assert_eq!(config.label_max_len, 20);
        assert!(config.docker_containers.is_empty());
        assert!(!config.storage_bundles.is_empty());
    }

    #[test]
    fn engines_switched_off_are_not_looked_for() {
        let off = r#"{"enabled":false}"#;
        let text =
            format!(r#"{{"engines":{{"cri":{off},"containerd":{off},"podman":{off},"docker":{off}}}}}"#);
        let config = Config::from_init_config(&text).unwrap();
        let places =
            [config.cri_sockets, config.containerd_bundles, config.storage_bundles, config.docker_containers];
        assert!(places.iter().all(Vec::is_empty), "{places:?}");
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
