//! The container list of containers/storage, in which Podman and CRI-O keep names and images.

use std::path::Path;

use lanner_machine::Container;
use serde::Deserialize;

use super::read_json;
use crate::{image, time};

/// Containers that outlive a boot, and those started with `--rm`.
const LISTS: &[&str] = &["containers.json", "volatile-containers.json"];

#[derive(Deserialize, Default)]
#[serde(default)]
struct Record {
    id: String,
    names: Vec<String>,
    image: String,
    /// JSON within JSON, of the engine's own making.
    metadata: String,
    created: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct Metadata {
    image_name: String,
    name: String,
}

/// Fills what the list of this store knows; says whether the container is in it.
pub(super) fn read(root: &Path, container: &mut Container) -> bool {
    let lists = LISTS.iter().filter_map(|name| read_json::<Vec<Record>>(&root.join(name)));
    let Some(record) = lists.flatten().find(|record| record.id == container.full_id) else { return false };
    let metadata: Metadata = serde_json::from_str(&record.metadata).unwrap_or_default();
    if container.name.is_empty() {
        container.name = if metadata.name.is_empty() {
            record.names.into_iter().next().unwrap_or_default()
        } else {
            metadata.name
        };
    }
    image::set_name(container, &metadata.image_name);
    container.image_id = image::short_id(&record.image);
    if let Some(created) = time::parse(&record.created) {
        container.created_ts = created;
    }
    true
}
