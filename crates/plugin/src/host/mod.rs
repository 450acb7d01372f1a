//! Plugins in shared objects, by Falco's C API.

mod abi;
mod asking;
mod async_events;
mod crew;
mod guard;
mod instance;
mod isolated;
mod library;
mod owner;
mod routines;
mod schema;
mod source;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lanner_fields::ForeignClass;

pub use crew::Crew;
pub use instance::Metric;
pub use isolated::{Isolated, prepare, read_message, run_if_asked};
pub use library::{Foreign, PluginError};
pub use owner::Tell;

/// Where plugins are that are named without a folder.
const FOLDER: &str = "/usr/share/falco/plugins";

/// Loads a plugin, once in the life of the process: its code may always be in use. Its fields become known.
///
/// # Errors
/// When it can't be loaded.
pub fn load(library: &str) -> Result<(&'static Foreign, Vec<&'static str>), PluginError> {
    static LOADED: Mutex<Vec<(PathBuf, &'static Foreign)>> = Mutex::new(Vec::new());
    let mut path = PathBuf::from(library);
    if path.is_relative() && !path.exists() {
        path = Path::new(FOLDER).join(path);
    }
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let plugin = match loaded.iter().find(|known| known.0 == path) {
        Some((_, plugin)) => *plugin,
        None => {
            let plugin: &'static Foreign = Box::leak(Box::new(Foreign::load(&path)?));
            loaded.push((path, plugin));
            plugin
        }
    };
    let stands_for = lanner_fields::register(&ForeignClass {
        plugin: plugin.name.clone(),
        about: plugin.description.clone(),
        sources: plugin.extract_sources.clone(),
        fields: plugin.fields.clone(),
    });
    Ok((plugin, stands_for))
}
