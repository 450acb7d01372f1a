//! Plugins as far as they are built in: Falco's container plugin is what lanner itself does.

use super::Session;

/// The version of the container plugin that is answered for.
pub const CONTAINER_VERSION: &str = "0.7.1";

const CONTAINER_INFO: &str = "Name: container
Description: Container metadata enrichment, built into lanner
Contact: lanner
Version: 0.7.1
Capabilities: 
  - Field Extraction
  - Event Parsing
  - Async Events

";

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
        built_in(wanted)?;
        let schema = r#"{"type":"object","properties":{"label_max_len":{"type":"integer"},"with_size":{"type":"boolean"}}}"#;
        return Ok(Some(format!("{CONTAINER_INFO}Init config schema type: JSON\n{schema}\n\n")));
    }
    if session.options.print.list_plugins {
        let infos = names
            .iter()
            .map(|name| built_in(name).map(|()| CONTAINER_INFO))
            .collect::<Result<String, _>>()?;
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
        built_in(name)?;
        session.log.info(&format!("Loaded plugin '{name}@{CONTAINER_VERSION}' (built in)"));
    }
    Ok(())
}

fn built_in(name: &str) -> Result<(), String> {
    if name == "container" {
        return Ok(());
    }
    Err(format!(
        "cannot load plugin '{name}': only the container plugin is built in so far; take it out of load_plugins"
    ))
}
