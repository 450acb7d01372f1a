//! What there is to know of a plugin, in Falco's form.

use std::sync::Arc;

use lanner_agent::plugins::{Code, Loaded};
use lanner_plugin::Capability;
use lanner_plugin::host::Crew;

/// Name, version and what it can do.
pub fn info(loaded: &Loaded) -> String {
    let (description, contact, capabilities, id, source) = match loaded.code {
        Code::BuiltIn(plugin) => {
            (plugin.description, "lanner", plugin.capabilities, plugin.id, plugin.source)
        }
        Code::Foreign(plugin) => {
            (&*plugin.description, &*plugin.contact, &*plugin.capabilities, plugin.id, &*plugin.source)
        }
    };
    let what = |capability: &Capability| match capability {
        Capability::Sourcing if id == 0 => "Event Sourcing (system events)".to_owned(),
        Capability::Sourcing => format!("Event Sourcing (ID={id}, source='{source}')"),
        Capability::Extraction => "Field Extraction".to_owned(),
        Capability::Parsing => "Event Parsing".to_owned(),
        Capability::Async => "Async Events".to_owned(),
        Capability::Listening => "Capture Listening".to_owned(),
    };
    let capabilities: String =
        capabilities.iter().map(|capability| format!("  - {}\n", what(capability))).collect();
    format!(
        "Name: {}\nDescription: {description}\nContact: {contact}\nVersion: {}\nCapabilities: \n{capabilities}\n",
        loaded.name(),
        loaded.version()
    )
}

/// How its settings must look.
pub fn schema(loaded: &Loaded) -> String {
    let schema = match loaded.code {
        Code::BuiltIn(plugin) => Some(plugin.schema),
        Code::Foreign(plugin) => plugin.schema.as_deref(),
    };
    match schema {
        Some(schema) => format!("Init config schema type: JSON\n{schema}\n\n"),
        None => "Init config schema type: Not available, plugin does not implement the init config schema \
                 functionality\n\n\n"
            .to_owned(),
    }
}

/// What its source may be opened with.
///
/// # Errors
/// When it refuses its settings.
pub fn params(loaded: &Loaded) -> Result<String, String> {
    let suggested: Vec<(String, String)> = match loaded.code {
        Code::BuiltIn(plugin) => {
            plugin.params.iter().map(|(value, what)| ((*value).to_owned(), (*what).to_owned())).collect()
        }
        Code::Foreign(plugin) if !plugin.can(Capability::Sourcing) => return Ok(String::new()),
        Code::Foreign(plugin) => {
            let source = if plugin.id == 0 { "syscall" } else { &plugin.source };
            let told = Crew::start(&[(plugin, loaded.settings.clone())], source, Arc::new(|_, _| {}));
            from_json(&told.map_err(|error| error.to_string())?.params(&plugin.name))
        }
    };
    if suggested.is_empty() {
        return Ok(match loaded.code {
            Code::BuiltIn(_) => String::new(),
            Code::Foreign(_) => {
                "No suggested open params available: plugin has not been configured, or it does not \
                                 implement the open params suggestion functionality\n\n"
                    .to_owned()
            }
        });
    }
    let line = |(value, what): &(String, String)| {
        if what.is_empty() { format!("{value}\n") } else { format!("{value}: {what}\n") }
    };
    let lines: String = suggested.iter().map(line).collect();
    Ok(format!("Suggested open params:\n{lines}\n"))
}

fn from_json(text: &str) -> Vec<(String, String)> {
    let list: Vec<serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
    let text = |item: &serde_json::Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    list.iter().map(|item| (text(item, "value"), text(item, "desc"))).collect()
}
