//! Plugins: listed, described and loaded.

use lanner_agent::config::Config;
use lanner_plugin::{BUILT_IN, BuiltIn, Capability};

use super::Session;

/// What there is to know of a plugin, in Falco's form.
fn info(plugin: &BuiltIn) -> String {
    let what = |capability: &Capability| match capability {
        Capability::Sourcing => format!("Event Sourcing (ID={}, source='{}')", plugin.id, plugin.source),
        Capability::Extraction => "Field Extraction".to_owned(),
        Capability::Parsing => "Event Parsing".to_owned(),
        Capability::Async => "Async Events".to_owned(),
    };
    let capabilities: String =
        plugin.capabilities.iter().map(|capability| format!("  - {}\n", what(capability))).collect();
    format!(
        "Name: {}\nDescription: {}\nContact: lanner\nVersion: {}\nCapabilities: \n{capabilities}\n",
        plugin.name, plugin.description, plugin.version
    )
}

/// What its source may be opened with.
fn params(plugin: &BuiltIn) -> String {
    if plugin.params.is_empty() {
        return String::new();
    }
    let params: String = plugin.params.iter().map(|(value, what)| format!("{value}: {what}\n")).collect();
    format!("Suggested open params:\n{params}\n")
}

/// Name and version of the plugins that are configured and built in.
pub fn loaded(config: &Config) -> impl Iterator<Item = (&'static str, &'static str)> {
    config.plugins.iter().filter_map(|name| BuiltIn::named(name)).map(|plugin| (plugin.name, plugin.version))
}

/// Name and version of what rules may require: the plugins that are loaded, and container, which is there
/// even if it isn't asked for.
pub fn answered_for(config: &Config) -> Vec<(&'static str, &'static str)> {
    let is_there =
        |plugin: &&BuiltIn| plugin.name == "container" || config.plugins.iter().any(|n| n == plugin.name);
    BUILT_IN.iter().filter(is_there).map(|plugin| (plugin.name, plugin.version)).collect()
}

/// `--list-plugins` and `--plugin-info`
///
/// # Errors
/// When the plugin that is asked for isn't configured.
pub fn listing(session: &Session) -> Result<Option<String>, String> {
    if let Some(wanted) = &session.options.print.plugin_info {
        let is_it =
            |settings: &lanner_plugin::Settings| settings.name == *wanted || settings.library == *wanted;
        let Some(found) = session.plugins.iter().find(|loaded| is_it(&loaded.settings)) else {
            return Err(format!("can't find plugin and print its info: {wanted}"));
        };
        let schema = format!("Init config schema type: JSON\n{}\n\n", found.plugin.schema);
        return Ok(Some(info(found.plugin) + &schema + &params(found.plugin)));
    }
    if session.options.print.list_plugins {
        let infos: String = session.plugins.iter().map(|loaded| info(loaded.plugin)).collect();
        return Ok(Some(format!("{} Plugins Loaded:\n\n{infos}\n", session.plugins.iter().count())));
    }
    Ok(None)
}

/// Says which plugins are loaded.
pub fn load(session: &Session) {
    for loaded in session.plugins.iter() {
        let (name, version) = (loaded.plugin.name, loaded.plugin.version);
        session.log.info(&format!("Loaded plugin '{name}@{version}' (built in)"));
    }
}
