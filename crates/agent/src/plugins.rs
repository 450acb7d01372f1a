//! The plugins of a run: which are loaded, whose events they give, and the sources that they open.

use std::sync::Arc;

use lanner_alert::Priority;
use lanner_plugin::host::{self, Crew, Foreign, Isolated, Tell};
use lanner_plugin::{BuiltIn, Capability, EventSource, Reporting, Settings, SourceError, SourceStats};

use crate::config::{Config, KERNEL};
use crate::log::Log;

/// Where a plugin's code is.
#[derive(Clone, Copy)]
pub enum Code {
    /// In lanner.
    BuiltIn(&'static BuiltIn),
    /// In a shared object.
    Foreign(&'static Foreign),
}

/// A plugin and how it is set up.
#[derive(Clone)]
pub struct Loaded {
    /// The plugin.
    pub code: Code,
    /// Its settings.
    pub settings: Settings,
    /// Plugins whose fields it has too.
    stands_for: Vec<&'static str>,
}

/// The plugins that the settings ask for, in their order.
#[derive(Clone, Default)]
pub struct Plugins {
    loaded: Vec<Loaded>,
    isolate: bool,
}

/// Why a plugin isn't loaded.
#[derive(Debug, thiserror::Error)]
#[error("cannot load plugin '{name}': {why}")]
pub struct PluginError {
    /// Its name in the settings.
    name: String,
    /// What is wrong.
    why: String,
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
    /// The plugins in shared objects that work on its events.
    pub crew: Option<Arc<Crew>>,
}

impl Loaded {
    fn load(settings: &Settings) -> Result<Loaded, PluginError> {
        let settings = settings.clone();
        if let Some(plugin) = BuiltIn::named(&settings.name) {
            return Ok(Loaded { code: Code::BuiltIn(plugin), settings, stands_for: Vec::new() });
        }
        let refuse = |why: String| PluginError { name: settings.name.clone(), why };
        if settings.library.is_empty() {
            let known = lanner_plugin::BUILT_IN.map(|plugin| plugin.name).join(", ");
            return Err(refuse(format!("it is not built in ({known} are) and has no library_path")));
        }
        let (plugin, stands_for) =
            host::load(&settings.library).map_err(|error| refuse(error.to_string()))?;
        if plugin.name != settings.name {
            return Err(refuse(format!("{} has plugin '{}' in it", settings.library, plugin.name)));
        }
        Ok(Loaded { code: Code::Foreign(plugin), settings, stands_for })
    }

    /// The plugin in a shared object, without settings.
    ///
    /// # Errors
    /// When it can't be loaded.
    pub fn of_library(library: &str) -> Result<Loaded, PluginError> {
        let refuse =
            |error: host::PluginError| PluginError { name: library.to_owned(), why: error.to_string() };
        let (plugin, stands_for) = host::load(library).map_err(refuse)?;
        let settings =
            Settings { name: plugin.name.clone(), library: library.to_owned(), ..Settings::default() };
        Ok(Loaded { code: Code::Foreign(plugin), settings, stands_for })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self.code {
            Code::BuiltIn(plugin) => plugin.name,
            Code::Foreign(plugin) => &plugin.name,
        }
    }

    /// Its version.
    pub fn version(&self) -> &'static str {
        match self.code {
            Code::BuiltIn(plugin) => plugin.version,
            Code::Foreign(plugin) => &plugin.version,
        }
    }

    /// The source whose events it gives, if that isn't the kernel's.
    pub fn source(&self) -> Option<&'static str> {
        match self.code {
            Code::BuiltIn(plugin) => plugin.source(&self.settings),
            Code::Foreign(plugin) if plugin.can(Capability::Sourcing) && plugin.id != 0 => {
                Some(&plugin.source)
            }
            Code::Foreign(_) => None,
        }
    }

    /// Why it can't run in a process of its own.
    fn bound(plugin: &Foreign) -> Option<&'static str> {
        if plugin.can(Capability::Parsing) {
            Some("it looks at each event before the rules do, and may use tables")
        } else if plugin.can(Capability::Extraction) {
            Some("rules ask it for fields at each event")
        } else {
            None
        }
    }
}

fn tell(log: &Log) -> Tell {
    let log = log.clone();
    Arc::new(move |severity, text| {
        let levels = [Priority::Emergency, Priority::Critical, Priority::Error, Priority::Warning];
        let finer = [Priority::Notice, Priority::Informational, Priority::Debug, Priority::Debug];
        let all = levels.into_iter().chain(finer);
        log.write(all.clone().nth(severity.saturating_sub(1) as usize).unwrap_or(Priority::Debug), text);
    })
}

/// A plugin in a shared object, and its settings.
type InObject = (&'static Foreign, Settings);

impl Plugins {
    /// Loads those that the settings name. Plugins whose fields one of them has in their place count as loaded, too.
    ///
    /// # Errors
    /// Names the first that there isn't or that can't be loaded.
    pub fn load(config: &mut Config) -> Result<Plugins, PluginError> {
        let loaded: Vec<Loaded> =
            config.plugin_settings.iter().map(Loaded::load).collect::<Result<_, _>>()?;
        for name in loaded.iter().flat_map(|loaded| &loaded.stands_for) {
            if !config.plugins.iter().any(|known| known == name) {
                config.plugins.push((*name).to_owned());
            }
        }
        Ok(Plugins { loaded, isolate: config.isolate_plugins })
    }

    /// In the order of loading.
    pub fn iter(&self) -> impl Iterator<Item = &Loaded> {
        self.loaded.iter()
    }

    /// The sources whose events they give, each once.
    pub fn sources(&self) -> Vec<&'static str> {
        let mut sources = Vec::new();
        for source in self.loaded.iter().filter_map(Loaded::source) {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        sources
    }

    /// Those in shared objects that run in this process, and those that run in one of their own.
    fn divided(&self, log: &Log) -> (Vec<InObject>, Vec<InObject>) {
        let (mut here, mut apart) = (Vec::new(), Vec::new());
        for loaded in &self.loaded {
            let Code::Foreign(plugin) = loaded.code else { continue };
            let pair = (plugin, loaded.settings.clone());
            match Loaded::bound(plugin).filter(|_| self.isolate) {
                Some(why) => {
                    let name = &plugin.name;
                    log.warning(&format!(
                        "plugin '{name}' can't have a process of its own: {why}; it runs in lanner's"
                    ));
                    here.push(pair);
                }
                None if self.isolate => apart.push(pair),
                None => here.push(pair),
            }
        }
        (here, apart)
    }

    /// To be called while the process may still start programs: makes the processes that plugins will run in, and
    /// answers with a plugin that runs in lanner's own, if there is one.
    pub fn prepare(&self, sources: &[&str], log: &Log) -> Option<&'static str> {
        let foreign = self.loaded.iter().filter_map(|loaded| match loaded.code {
            Code::Foreign(plugin) => Some(plugin),
            Code::BuiltIn(_) => None,
        });
        let (apart, here): (Vec<_>, Vec<_>) =
            foreign.partition(|plugin| self.isolate && Loaded::bound(plugin).is_none());
        // One that gives events runs once, one that only sends them once for each source.
        let times = |plugin: &&Foreign| if plugin.can(Capability::Sourcing) { 1 } else { sources.len() };
        if let Err(error) = host::prepare(apart.iter().map(times).sum()) {
            log.write(Priority::Error, &format!("processes for plugins can't be started: {error}"));
        }
        here.first().map(|plugin| plugin.name.as_str())
    }

    /// The plugins in shared objects that work on the events of a source, those in processes of their own included.
    ///
    /// # Errors
    /// Names the first that refuses to start.
    pub fn crew(&self, source: &str, log: &Log) -> Result<Option<Arc<Crew>>, SourceError> {
        let (here, apart) = self.divided(log);
        let failed = |error: host::PluginError| SourceError::Failed(error.to_string());
        let crew = Crew::start(&here, source, tell(log)).map_err(failed)?;
        let sends = |plugin: &Foreign| {
            let sources = &plugin.async_sources;
            let here = sources.is_empty() || sources.iter().any(|known| known == source);
            plugin.can(Capability::Async) && !plugin.can(Capability::Sourcing) && here
        };
        let beside = apart.iter().filter(|(plugin, _)| sends(plugin));
        let beside = beside
            .map(|(plugin, settings)| Isolated::start(plugin, settings, source, &Arc::default(), tell(log)));
        let crew = crew.with_apart(beside.collect::<Result<_, _>>()?);
        Ok(Some(crew).filter(|crew| !crew.is_empty()).map(Arc::new))
    }

    /// The plugins in shared objects, for the events of a capture. They run in this process: what could give or send
    /// events only sums up those that it has made.
    ///
    /// # Errors
    /// Names the first that refuses to start.
    pub fn crew_for_capture(&self, log: &Log) -> Result<Option<Arc<Crew>>, SourceError> {
        let foreign = self.loaded.iter().filter_map(|loaded| match loaded.code {
            Code::Foreign(plugin) => Some((plugin, loaded.settings.clone())),
            Code::BuiltIn(_) => None,
        });
        let crew = Crew::for_capture(&foreign.collect::<Vec<_>>(), tell(log))
            .map_err(|error| SourceError::Failed(error.to_string()))?;
        Ok(Some(crew).filter(|crew| !crew.is_empty()).map(Arc::new))
    }

    /// The first plugin that gives the kernel's events in the place of the probe.
    pub fn kernel_like(&self) -> Option<&'static str> {
        let gives = |loaded: &&Loaded| match loaded.code {
            Code::Foreign(plugin) => plugin.can(Capability::Sourcing) && plugin.id == 0,
            Code::BuiltIn(_) => false,
        };
        self.loaded.iter().find(gives).map(Loaded::name)
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
        let like = self.kernel_like().filter(|_| source == KERNEL);
        let gives = |loaded: &&Loaded| loaded.source() == Some(source) || Some(loaded.name()) == like;
        let Some(loaded) = self.loaded.iter().find(gives) else {
            return Err(SourceError::Settings(format!("Can't find plugin for event source: {source}")));
        };
        log.info(&format!("Opening '{source}' source with plugin '{}'", loaded.name()));
        let crew = self.crew(source, log)?;
        let stats = Arc::new(SourceStats::default());
        let settings = &loaded.settings;
        let source = loaded.source().unwrap_or(KERNEL);
        let events = match loaded.code {
            Code::BuiltIn(plugin) => {
                let log = log.clone();
                let tell = move |text: &str| log.warning(&format!("source '{source}': {text}"));
                plugin.open(settings, Reporting::new(Arc::clone(&stats), Arc::new(tell)))?
            }
            Code::Foreign(plugin) if self.isolate && Loaded::bound(plugin).is_none() => {
                Box::new(Isolated::start(plugin, settings, source, &stats, tell(log))?)
            }
            Code::Foreign(plugin) => {
                let crew =
                    crew.as_ref().ok_or_else(|| SourceError::Failed("the plugin is gone".to_owned()))?;
                crew.open(&plugin.name, &settings.open_params, &stats)?
            }
        };
        Ok(Opened { source, plugin: loaded.name(), events, stats, crew })
    }
}

/// The source whose events a plugin of these settings gives, if there is such a plugin.
pub fn source_of(settings: &Settings) -> Option<&'static str> {
    Loaded::load(settings).ok()?.source()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, open_params: &str) -> Settings {
        Settings { name: name.into(), open_params: open_params.into(), ..Settings::default() }
    }

    fn load(plugin_settings: Vec<Settings>) -> Result<Plugins, String> {
        let mut config = Config { plugin_settings, ..Config::default() };
        Plugins::load(&mut config).map_err(|error| error.to_string())
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
        let error = load(vec![settings("okta", "")]).err().unwrap();
        assert!(error.starts_with("cannot load plugin 'okta': it is not built in (container, "), "{error}");
        let missing = Settings { library: "/nowhere.so".into(), ..settings("okta", "") };
        let error = load(vec![missing]).err().unwrap();
        assert!(
            error.starts_with("cannot load plugin 'okta': can't load plugin dynamic library: "),
            "{error}"
        );
    }
}
