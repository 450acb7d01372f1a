//! The plugins of a run: which are loaded, whose events they give, and the sources that they open.

use std::sync::Arc;

use lanner_plugin::{BuiltIn, EventSource, Reporting, Settings, SourceError, SourceStats};

use crate::config::Config;
use crate::log::Log;
use crate::together::KERNEL;

/// A plugin and how it is set up.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The plugin.
    pub plugin: &'static BuiltIn,
    /// Its settings.
    pub settings: Settings,
}

/// The plugins that the settings ask for, in their order.
#[derive(Clone, Debug, Default)]
pub struct Plugins(Vec<Loaded>);

/// Why a plugin isn't loaded.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// There is none of that name here.
    #[error(
        "cannot load plugin '{name}': only the plugins {known} are built in so far; take it out of load_plugins"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
}

/// A source that is open.
pub struct Opened {
    /// Its name.
    pub source: &'static str,
    /// The plugin that gives its events.
    pub plugin: &'static str,
    /// Its events.
    pub events: Box<dyn EventSource>,
    /// What came in.
    pub stats: Arc<SourceStats>,
}

impl Plugins {
    /// Loads those that the settings name.
    ///
    /// # Errors
    /// Names the first that there isn't.
    pub fn load(config: &Config) -> Result<Plugins, PluginError> {
        let load = |settings: &Settings| match BuiltIn::named(&settings.name) {
            Some(plugin) => Ok(Loaded { plugin, settings: settings.clone() }),
            None => {
                let known = lanner_plugin::BUILT_IN.map(|plugin| plugin.name).join(", ");
                Err(PluginError::Unknown { name: settings.name.clone(), known })
            }
        };
        config.plugin_settings.iter().map(load).collect::<Result<_, _>>().map(Plugins)
    }

    /// In the order of loading.
    pub fn iter(&self) -> impl Iterator<Item = &Loaded> {
        self.0.iter()
    }

    /// The sources whose events they give, each once.
    pub fn sources(&self) -> Vec<&'static str> {
        let mut sources = Vec::new();
        for source in self.0.iter().filter_map(|loaded| loaded.plugin.source(&loaded.settings)) {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        sources
    }

    /// The sources that are on, the kernel's first: those that are enabled, or all but those that are disabled.
    ///
    /// # Errors
    /// When both are given, a name is unknown or none is left, in Falco's words.
    pub fn select(&self, enable: &[String], disable: &[String]) -> Result<Vec<&'static str>, String> {
        let mut sources = self.all_sources();
        if !enable.is_empty() && !disable.is_empty() {
            return Err("You can not mix --enable-source and --disable-source".to_owned());
        }
        for (names, doing) in [(enable, "enabling"), (disable, "disabling")] {
            if let Some(name) = names.iter().find(|name| !sources.contains(&name.as_str())) {
                return Err(format!("Attempted {doing} an unknown event source: {name}"));
            }
        }
        let among = |names: &[String], source: &str| names.iter().any(|name| name == source);
        sources.retain(|source| (enable.is_empty() || among(enable, source)) && !among(disable, source));
        if sources.is_empty() {
            return Err("Must enable at least one event source".to_owned());
        }
        Ok(sources)
    }

    /// The kernel's source and those of the plugins.
    pub fn all_sources(&self) -> Vec<&'static str> {
        std::iter::once(KERNEL).chain(self.sources()).collect()
    }

    /// Opens a source with the first plugin that has it.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open(&self, source: &str, log: &Log) -> Result<Opened, SourceError> {
        let gives = |loaded: &&Loaded| loaded.plugin.source(&loaded.settings) == Some(source);
        let Some(loaded) = self.0.iter().find(gives) else {
            return Err(SourceError::Settings(format!("Can't find plugin for event source: {source}")));
        };
        let plugin = loaded.plugin;
        log.info(&format!("Opening '{source}' source with plugin '{}'", plugin.name));
        let stats = Arc::new(SourceStats::default());
        let log = log.clone();
        let tell = move |text: &str| log.warning(&format!("source '{}': {text}", plugin.source));
        let reporting = Reporting::new(Arc::clone(&stats), Arc::new(tell));
        let events = plugin.open(&loaded.settings, reporting)?;
        Ok(Opened { source: plugin.source, plugin: plugin.name, events, stats })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, open_params: &str) -> Settings {
        Settings { name: name.into(), open_params: open_params.into(), ..Settings::default() }
    }

    fn load(plugin_settings: Vec<Settings>) -> Result<Plugins, String> {
        Plugins::load(&Config { plugin_settings, ..Config::default() }).map_err(|error| error.to_string())
    }

    #[test]
    fn sources_are_chosen_as_falco_does() {
        let plugins = load(vec![settings("json", ""), settings("k8saudit", "x")]).unwrap();
        let select = |enable: &[&str], disable: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            plugins.select(&owned(enable), &owned(disable))
        };
        assert_eq!(select(&[], &[]).unwrap(), ["syscall", "k8s_audit"]);
        assert_eq!(select(&["k8s_audit"], &[]).unwrap(), ["k8s_audit"]);
        assert_eq!(select(&[], &["k8s_audit"]).unwrap(), ["syscall"]);
        assert!(select(&["syscall"], &["syscall"]).unwrap_err().contains("can not mix"));
        assert_eq!(select(&["x"], &[]).unwrap_err(), "Attempted enabling an unknown event source: x");
        let none = select(&[], &["syscall", "k8s_audit"]).unwrap_err();
        assert_eq!(none, "Must enable at least one event source");
    }

    #[test]
    fn a_plugin_that_there_is_not_is_named() {
        let error = load(vec![settings("okta", "")]).unwrap_err();
        assert!(
            error.starts_with("cannot load plugin 'okta': only the plugins container, k8saudit"),
            "{error}"
        );
    }
}
