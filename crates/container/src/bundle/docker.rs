//! Docker's own description of a container.

use std::collections::BTreeMap;
use std::path::Path;

use lanner_machine::{Container, ContainerMount};
use serde::Deserialize;

use super::read_json;
use crate::config::Config;
use crate::{image, labels, time};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Record {
    created: String,
    name: String,
    image: String,
    config: Settings,
    host_config: HostSettings,
    mount_points: BTreeMap<String, MountPoint>,
    network_settings: NetworkSettings,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Settings {
    image: String,
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct HostSettings {
    privileged: Option<bool>,
    network_mode: String,
    pid_mode: String,
    ipc_mode: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct MountPoint {
    source: String,
    destination: String,
    #[serde(rename = "RW")]
    rw: bool,
    propagation: String,
    relabel: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct NetworkSettings {
    networks: BTreeMap<String, Network>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Network {
    #[serde(rename = "IPAddress")]
    ip_address: String,
}

/// Fills the container from the file; says whether it could be read.
pub(super) fn read(file: &Path, config: &Config, container: &mut Container) -> bool {
    let Some(record) = read_json::<Record>(file) else { return false };
    container.name = record.name.trim_start_matches('/').to_owned();
    image::set_name(container, &record.config.image);
    container.image_id = image::short_id(&record.image);
    container.labels = labels::kept(record.config.labels, config);
    container.created_ts = time::parse(&record.created).unwrap_or(container.created_ts);
    // Since 25.0 the host part is in hostconfig.json beside this file.
    let beside = file.with_file_name("hostconfig.json");
    let host = read_json::<HostSettings>(&beside).unwrap_or(record.host_config);
    container.privileged = host.privileged;
    container.host_network = host.network_mode == "host";
    container.host_pid = host.pid_mode == "host";
    container.host_ipc = host.ipc_mode == "host";
    container.mounts = record.mount_points.into_values().map(as_mount).collect();
    container.ip = record.network_settings.networks.values().find_map(|net| net.ip_address.parse().ok());
    true
}

fn as_mount(point: MountPoint) -> ContainerMount {
    ContainerMount {
        source: point.source,
        dest: point.destination,
        mode: point.relabel,
        rdwr: point.rw,
        propagation: point.propagation,
    }
}
