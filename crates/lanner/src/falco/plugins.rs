//! Plugins as far as they are built in: what Falco's container plugin does lanner does itself, and the json
//! plugin is a class of fields.

use lanner_agent::config::Config;

use super::Session;

/// A plugin whose place lanner takes.
struct Plugin {
    name: &'static str,
    /// The version that is answered for: rules may require it or an earlier one.
    version: &'static str,
    description: &'static str,
    capabilities: &'static [&'static str],
    /// The JSON schema of its `init_config`.
    schema: &'static str,
}

const PLUGINS: [Plugin; 2] = [
    Plugin {
        name: "container",
        version: "0.7.1",
        description: "Container metadata enrichment, built into lanner",
        capabilities: &["Field Extraction", "Event Parsing", "Async Events"],
        schema: r#"{"type":"object","properties":{"label_max_len":{"type":"integer"},"with_size":{"type":"boolean"}}}"#,
    },
    Plugin {
        name: "json",
        version: "0.7.4",
        description: "Fields of events whose payload is JSON, built into lanner",
        capabilities: &["Field Extraction"],
        // It chooses between two ways of extracting, of which lanner has one.
        schema: r#"{"type":"object","properties":{"useAsync":{"type":"boolean"}}}"#,
    },
];

impl Plugin {
    fn named(name: &str) -> Option<&'static Plugin> {
        PLUGINS.iter().find(|plugin| plugin.name == name)
    }

    fn info(&self) -> String {
        let capabilities: String = self.capabilities.iter().map(|what| format!("  - {what}\n")).collect();
        format!(
            "Name: {}\nDescription: {}\nContact: lanner\nVersion: {}\nCapabilities: \n{capabilities}\n",
            self.name, self.description, self.version
        )
    }
}

/// Name and version of the plugins that are configured and built in.
pub fn loaded(config: &Config) -> impl Iterator<Item = (&'static str, &'static str)> {
    config.plugins.iter().filter_map(|name| Plugin::named(name)).map(|plugin| (plugin.name, plugin.version))
}

/// Name and version of what rules may require: the plugins that are loaded, and container, which is there
/// even if it isn't asked for.
pub fn answered_for(config: &Config) -> Vec<(&'static str, &'static str)> {
    let is_there =
        |plugin: &&Plugin| plugin.name == "container" || config.plugins.iter().any(|n| n == plugin.name);
    PLUGINS.iter().filter(is_there).map(|plugin| (plugin.name, plugin.version)).collect()
}

/// `--list-plugins` and `--plugin-info`
///
/// # Errors
/// When the plugin that is asked for isn't configured, or isn't built in.
pub fn listing(session: &Session) -> Result<Option<String>, String> {
    let names = &session.config.plugins;
    if let Some(wanted) = &session.options.print.plugin_info {
        if !names.contains(wanted) {
            return Err(format!("can't find plugin and print its info: {wanted}"));
        }
        let plugin = built_in(wanted)?;
        let schema = format!("Init config schema type: JSON\n{}\n\n", plugin.schema);
        return Ok(Some(plugin.info() + &schema));
    }
    if session.options.print.list_plugins {
        let infos =
            names.iter().map(|name| built_in(name).map(Plugin::info)).collect::<Result<String, _>>()?;
        return Ok(Some(format!("{} Plugins Loaded:\n\n{infos}\n", names.len())));
    }
    Ok(None)
}

/// Loads the configured plugins.
///
/// # Errors
/// When one isn't built in.
pub fn load(session: &Session) -> Result<(), String> {
    for name in &session.config.plugins {
        let version = built_in(name)?.version;
        session.log.info(&format!("Loaded plugin '{name}@{version}' (built in)"));
    }
    Ok(())
}

fn built_in(name: &str) -> Result<&'static Plugin, String> {
    Plugin::named(name).ok_or_else(|| {
        let names = PLUGINS.map(|plugin| plugin.name).join(" and ");
        format!(
            "cannot load plugin '{name}': only the plugins {names} are built in so far; take it out of load_plugins"
        )
    })
}
