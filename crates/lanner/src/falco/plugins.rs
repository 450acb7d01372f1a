//! Plugins: listed, described and loaded.

use lanner_agent::plugins::{Code, Loaded, Plugins};

use super::Session;
use crate::plugins::{info, params, schema};

/// Name and version of the plugins that are loaded.
pub fn loaded(plugins: &Plugins) -> impl Iterator<Item = (&'static str, &'static str)> {
    plugins.iter().map(|loaded| (loaded.name(), loaded.version()))
}

/// Name and version of what rules may require: the plugins that are loaded, and container, which is there
/// even if it isn't asked for.
pub fn answered_for(plugins: &Plugins) -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = loaded(plugins).collect();
    if !all.iter().any(|(name, _)| *name == "container") {
        all.extend(lanner_plugin::BuiltIn::named("container").map(|plugin| (plugin.name, plugin.version)));
    }
    all
}

/// `--list-plugins` and `--plugin-info`
///
/// # Errors
/// When the plugin that is asked for isn't configured, or refuses its settings.
pub fn listing(session: &Session) -> Result<Option<String>, String> {
    if let Some(wanted) = &session.options.print.plugin_info {
        let is_it = |loaded: &&Loaded| loaded.name() == wanted || loaded.settings.library == *wanted;
        let Some(found) = session.plugins.iter().find(is_it) else {
            return Err(format!("can't find plugin and print its info: {wanted}"));
        };
        return Ok(Some(info(found) + &schema(found) + &params(found)?));
    }
    if session.options.print.list_plugins {
        let infos: String = session.plugins.iter().map(info).collect();
        return Ok(Some(format!("{} Plugins Loaded:\n\n{infos}\n", session.plugins.iter().count())));
    }
    Ok(None)
}

/// Says which plugins are loaded.
pub fn load(session: &Session) {
    for loaded in session.plugins.iter() {
        let from = match loaded.code {
            Code::BuiltIn(_) => "(built in)".to_owned(),
            Code::Foreign(plugin) => format!("from file {}", plugin.path.display()),
        };
        session.log.info(&format!("Loaded plugin '{}@{}' {from}", loaded.name(), loaded.version()));
    }
}
