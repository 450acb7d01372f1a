//! Plugins in shared objects, by Falco's C API.

mod abi;
mod async_events;
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
use std::sync::{Arc, Mutex, PoisonError};

use lanner_event::Event;
use lanner_fields::{Context, ForeignClass, ForeignFields, ForeignRequest, Value};
use lanner_machine::Machine;

pub use instance::Metric;
pub use isolated::{Isolated, prepare, read_message, run_if_asked};
pub use library::{Foreign, PluginError};
pub use owner::Tell;

use crate::builtin::{Capability, Settings};
use crate::source::{EventSource, Sink, SourceError};
use instance::{Instance, Shared};
use source::HostSource;
use tables::Tables;

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

/// The plugins that work on the events of one source.
pub struct Crew {
    instances: Vec<Arc<Instance>>,
    shared: Shared,
    tell: Tell,
}

impl Crew {
    /// Starts those of the plugins that have to do with a source.
    ///
    /// # Errors
    /// Names the first that refuses to start.
    pub fn start(
        plugins: &[(&'static Foreign, Settings)],
        source: &str,
        tell: Tell,
    ) -> Result<Crew, PluginError> {
        let source_id =
            plugins.iter().find(|(plugin, _)| plugin.source == source).map_or(0, |(plugin, _)| plugin.id);
        let shared = Shared { tables: Arc::new(Tables::new()), inbox: Arc::default(), source_id };
        let mut instances = Vec::new();
        for (plugin, settings) in plugins {
            if !concerns(plugin, source) {
                continue;
            }
            let mut instance = Instance::start(plugin, settings, source, &shared, Arc::clone(&tell))?;
            instance.begin()?;
            instances.push(Arc::new(instance));
        }
        Ok(Crew { instances, shared, tell })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// Whether one of them looks at events before the rules do.
    pub fn parses(&self) -> bool {
        self.instances.iter().any(|instance| instance.works_on(Capability::Parsing))
    }

    /// Types of events that they parse; `None`: all.
    pub fn parse_types(&self) -> Option<Vec<u16>> {
        let parsing = self.instances.iter().filter(|instance| instance.works_on(Capability::Parsing));
        parsing.map(|instance| instance.parse_types().map(<[u16]>::to_vec)).try_fold(
            Vec::new(),
            |mut all, types| {
                all.extend(types?);
                Some(all)
            },
        )
    }

    /// Shows them an event.
    ///
    /// # Errors
    /// Names a plugin that can't parse it; all have seen it.
    pub fn parse(&self, event: &Event<'_>, number: u64, machine: &Machine) -> Result<(), PluginError> {
        let mut result = Ok(());
        for instance in self.instances.iter().filter(|instance| instance.works_on(Capability::Parsing)) {
            let parsed = instance.parse(event, number, machine);
            if result.is_ok() {
                result = parsed;
            }
        }
        result
    }

    /// Hands over events that they sent beside the source's own; says how many.
    pub fn sent(&self, sink: &mut Sink<'_>) -> usize {
        self.shared.inbox.drain(sink)
    }

    /// Events that they sent and that there was no room for.
    pub fn lost(&self) -> u64 {
        self.shared.inbox.lost()
    }

    /// Forgets what they kept about threads that are gone.
    pub fn sweep(&self, machine: &Machine) {
        self.shared.tables.sweep(machine);
    }

    /// What they count, by plugin.
    pub fn metrics(&self) -> Vec<(&'static str, Vec<Metric>)> {
        self.instances.iter().map(|instance| (instance.plugin.name.as_str(), instance.metrics())).collect()
    }

    /// Opens the source of a plugin of these.
    ///
    /// # Errors
    /// When it isn't there or refuses.
    pub fn open(&self, plugin: &str, params: &str) -> Result<Box<dyn EventSource>, SourceError> {
        let instance = self.instances.iter().find(|instance| instance.plugin.name == plugin);
        let instance =
            instance.ok_or_else(|| SourceError::Settings(format!("plugin '{plugin}' is not there")))?;
        Ok(Box::new(HostSource::open(instance, params, Arc::clone(&self.tell))?))
    }

    /// What the source of a plugin of these may be opened with, as it says itself, in JSON.
    pub fn params(&self, plugin: &str) -> String {
        let instance = self.instances.iter().find(|instance| instance.plugin.name == plugin);
        instance.map(|instance| instance.params()).unwrap_or_default()
    }
}

/// Whether a plugin has to do with a source.
fn concerns(plugin: &Foreign, source: &str) -> bool {
    let among = |capability, sources: &[String]| {
        plugin.can(capability) && (sources.is_empty() || sources.iter().any(|known| known == source))
    };
    let gives = plugin.can(Capability::Sourcing) && plugin.id != 0 && plugin.source == source;
    let gives_kernels = plugin.can(Capability::Sourcing) && plugin.id == 0 && source == "syscall";
    gives
        || gives_kernels
        || among(Capability::Extraction, &plugin.extract_sources)
        || among(Capability::Parsing, &plugin.parse_sources)
        || among(Capability::Async, &plugin.async_sources)
}

impl ForeignFields for Crew {
    fn extract<'a>(&self, request: &ForeignRequest<'_>, cx: &Context<'a>) -> Option<Value<'a>> {
        self.instances.iter().find(|instance| instance.plugin.name == request.plugin)?.extract(request, cx)
    }

    fn summary<'a>(&self, cx: &Context<'a>) -> Option<&'a [u8]> {
        let made = |instance: &&Arc<Instance>| instance.plugin.name == cx.meta.plugin;
        self.instances.iter().find(made)?.summary(cx)
    }
}

// SAFETY: calls into a plugin are made one at a time (`Instance::call`); what it is lent is checked for its thread.
unsafe impl Send for Crew {}
// SAFETY: as above.
unsafe impl Sync for Crew {}
