//! Versions: of lanner, and of the Falco whose place it takes. Tools compare the latter with what rules and
//! plugins require.

use lanner_agent::plugins::Plugins;
use lanner_alert::Form;
use serde_json::{Value, json};

use super::Session;
use super::rules::Loaded;

/// The Falco that lanner stands for.
pub const FALCO: &str = "0.45.0-lanner";
/// Its libraries.
const LIBS: &str = "0.26.0";
/// The plugin API.
const PLUGIN_API: &str = "3.12.0";
/// The rule engine: what rules' `required_engine_version` is held against.
const ENGINE: &str = "0.63.0";
/// The kernel side's API.
const DRIVER_API: &str = "10.1.0";
/// Its event schema.
pub const DRIVER_SCHEMA: &str = "4.5.1";
const DRIVER: &str = "10.2.0+driver";

/// All versions, as `/versions` of the web server shows them.
pub fn json(plugins: &Plugins) -> Value {
    let mut versions = json!({
        "default_driver_version": DRIVER,
        "driver_api_version": DRIVER_API,
        "driver_schema_version": DRIVER_SCHEMA,
        "engine_version": ENGINE.split('.').nth(1).unwrap_or_default(),
        "engine_version_semver": ENGINE,
        "falco_version": FALCO,
        "libs_version": LIBS,
        "plugin_api_version": PLUGIN_API,
    });
    for (name, version) in super::plugins::loaded(plugins) {
        versions["plugin_versions"][name] = json!(version);
    }
    versions
}

/// `--version`
pub(super) fn text(session: &Session) -> String {
    if session.config.form == Form::Json {
        return format!("{}\n", json(&session.plugins));
    }
    format!(
        "Falco version: {FALCO}\nLibs version:  {LIBS}\nPlugin API:    {PLUGIN_API}\nEngine:        {ENGINE}\n\
         Driver:\n  API version:    {DRIVER_API}\n  Schema version: {DRIVER_SCHEMA}\n  Default driver: {DRIVER}\n"
    )
}

/// `--support`
pub(super) fn support(session: &Session, rules: &Loaded) -> String {
    let file = |name: &String, text: &String| json!({ "name": name, "variants": [{ "content": text }] });
    let system = lanner_agent::host::system();
    let report = json!({
        "cmdline": session.command_line,
        "config": session.settings.root.to_json().to_string(),
        "engine_info": json(&session.plugins),
        "rules_files": rules.texts.iter().map(|t| file(&t.name, &t.text)).collect::<Vec<_>>(),
        "system_info": {
            "machine": system.machine,
            "nodename": system.node,
            "release": system.release,
            "sysname": system.name,
            "version": system.version,
        },
        "version": FALCO,
    });
    format!("{report}\n")
}

/// Bytes of a page of memory.
pub fn page_size() -> usize {
    lanner_agent::host::page_size()
}
