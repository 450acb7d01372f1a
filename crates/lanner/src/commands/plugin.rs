//! `lanner plugin`

use std::path::PathBuf;

use lanner_agent::config::Config;
use lanner_agent::plugins::{Code, Loaded, Plugins};
use lanner_plugin::{BUILT_IN, BuiltIn, Settings};

use super::{config, print};
use crate::cli::{AlertArgs, PluginCommand};
use crate::plugins::{info, params, schema};

/// Lists or describes plugins.
pub fn plugin(command: PluginCommand) -> Result<(), String> {
    match command {
        PluginCommand::List { config } => list(config),
        PluginCommand::Info { name, config } => describe(&name, config),
    }
}

/// The plugins of the settings, and those that are built in.
fn known(file: Option<PathBuf>) -> Result<Plugins, String> {
    let mut config = match &file {
        None => Config::default(),
        Some(_) => config(file.as_ref(), &AlertArgs::default())?,
    };
    for plugin in &BUILT_IN {
        if !config.plugin_settings.iter().any(|settings| settings.name == plugin.name) {
            config.plugin_settings.push(Settings { name: plugin.name.into(), ..Settings::default() });
        }
    }
    Plugins::load(&mut config).map_err(|error| format!("lanner: {error}"))
}

fn list(file: Option<PathBuf>) -> Result<(), String> {
    let line = |loaded: &Loaded| {
        let (from, about) = match loaded.code {
            Code::BuiltIn(plugin) => ("built in", plugin.description),
            Code::Foreign(plugin) => ("loaded", &*plugin.description),
        };
        format!("{:<12} {:<10} {from:<10} {about}\n", loaded.name(), loaded.version())
    };
    print(&known(file)?.iter().map(line).collect::<String>())
}

fn describe(name: &str, file: Option<PathBuf>) -> Result<(), String> {
    let plugins = known(file)?;
    let is_it = |loaded: &&Loaded| loaded.name() == name;
    if let Some(loaded) = plugins.iter().find(is_it) {
        return print(&(info(loaded) + &schema(loaded) + &params(loaded)?));
    }
    if name.contains(['/', '.']) {
        let loaded = Loaded::of_library(name).map_err(|error| format!("lanner: {error}"))?;
        return print(&(info(&loaded) + &schema(&loaded)));
    }
    let names = BUILT_IN.each_ref().map(|plugin: &BuiltIn| plugin.name).join(", ");
    Err(format!(
        "lanner: there is no plugin '{name}'; built in are {names}; others are named in a falco.yaml (-c), or by path"
    ))
}
