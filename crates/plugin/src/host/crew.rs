//! The plugins that work on the events of a loop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lanner_event::{Event, EventBuf};
use lanner_fields::{Context, EventMeta, ForeignFields, ForeignRequest, Value};
use lanner_machine::Machine;

use super::instance::{Instance, Metric, Shared};
use super::isolated::Isolated;
use super::library::{Foreign, PluginError};
use super::owner::Tell;
use super::source::HostSource;
use super::tables::Tables;
use crate::builtin::{Capability, Settings};
use crate::source::{EventSource, Given, Sink, SourceError};
use crate::stats::SourceStats;

/// How serious it is that a plugin has failed.
const ERROR: u32 = 3;

/// Plugins that were started for a loop.
pub struct Crew {
    source: String,
    live: bool,
    instances: Vec<Arc<Instance>>,
    /// Plugins in processes of their own, that send events beside the source's.
    apart: Mutex<Vec<Isolated>>,
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
        Crew::start_those(plugins, source, true, tell)
    }

    /// Starts all plugins, for the events of a capture, which may be of any source. None of them sends events: what was
    /// sent is in the capture.
    ///
    /// # Errors
    /// Names the first that refuses to start.
    pub fn for_capture(plugins: &[(&'static Foreign, Settings)], tell: Tell) -> Result<Crew, PluginError> {
        Crew::start_those(plugins, "syscall", false, tell)
    }

    fn start_those(
        plugins: &[(&'static Foreign, Settings)],
        source: &str,
        live: bool,
        tell: Tell,
    ) -> Result<Crew, PluginError> {
        let gives = plugins.iter().find(|(plugin, _)| plugin.source == source);
        let source_id = gives.map_or(0, |(plugin, _)| plugin.id);
        let shared = Shared { tables: Arc::new(Tables::new()), inbox: Arc::default(), source_id };
        let mut instances = Vec::new();
        for (plugin, settings) in plugins.iter().filter(|(plugin, _)| !live || concerns(plugin, source)) {
            let instance = Instance::start(plugin, settings, source, &shared, Arc::clone(&tell))?;
            instances.push(Arc::new(instance));
        }
        Ok(Crew { source: source.to_owned(), live, instances, apart: Mutex::default(), shared, tell })
    }

    /// Takes in plugins that send their events from processes of their own.
    pub fn with_apart(mut self, apart: Vec<Isolated>) -> Crew {
        self.apart = Mutex::new(apart);
        self
    }

    fn apart(&self) -> MutexGuard<'_, Vec<Isolated>> {
        self.apart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.apart().is_empty()
    }

    /// Tells them that events are about to come, and what is known of the host before.
    ///
    /// # Errors
    /// Names the first that refuses.
    pub fn begin(&self, machine: &Machine) -> Result<(), PluginError> {
        self.instances.iter().try_for_each(|instance| instance.begin(machine, self.live))
    }

    /// Tells them that no more events come. It is not told twice.
    pub fn end(&self, machine: &Machine) {
        self.instances.iter().for_each(|instance| instance.end(machine));
    }

    fn parsing(&self) -> impl Iterator<Item = &Arc<Instance>> {
        let parses = |instance: &&Arc<Instance>| match self.live {
            true => instance.plugin.does(Capability::Parsing, &self.source),
            false => instance.plugin.can(Capability::Parsing),
        };
        self.instances.iter().filter(parses)
    }

    /// Whether one of them looks at events before the rules do.
    pub fn parses(&self) -> bool {
        self.parsing().next().is_some()
    }

    /// Types of events that they parse; `None`: all.
    pub fn parse_types(&self) -> Option<Vec<u16>> {
        self.parsing().map(|instance| instance.parse_types()).try_fold(Vec::new(), |mut all, types| {
            all.extend(types?);
            Some(all)
        })
    }

    /// Shows them an event; `meta` says its number and its source.
    ///
    /// # Errors
    /// Names a plugin that can't parse it; all have seen it.
    pub fn parse(&self, event: &Event<'_>, meta: &EventMeta, machine: &Machine) -> Result<(), PluginError> {
        let mut result = Ok(());
        for instance in self.parsing() {
            let parsed = instance.parse(event, (meta.num, meta.source), machine);
            if result.is_ok() {
                result = parsed;
            }
        }
        result
    }

    /// Hands over events that they sent beside the source's own; says how many. One whose process has ended is named.
    pub fn sent(&self, sink: &mut Sink<'_>) -> usize {
        let mut given = self.shared.inbox.drain(sink);
        self.apart().retain_mut(|sender| match sender.give(Duration::ZERO, sink) {
            Ok(Given::Events(count)) => {
                given += count;
                true
            }
            Ok(Given::Nothing) => true,
            Ok(Given::End) => false,
            Err(error) => {
                (self.tell)(ERROR, &format!("{error}; it sends no more events"));
                false
            }
        });
        given
    }

    /// Events that they sent and that there was no room for.
    pub fn lost(&self) -> u64 {
        self.shared.inbox.lost()
    }

    /// Events by which they tell readers of a capture that begins what they have found out so far.
    pub fn dump(&self, machine: &Machine) -> Vec<EventBuf> {
        let dumped = self.instances.iter().map(|instance| {
            instance.dump(machine).unwrap_or_else(|error| {
                (self.tell)(ERROR, &error.to_string());
                Vec::new()
            })
        });
        dumped.flatten().collect()
    }

    /// Gives one of them other settings; says whether it is one of them.
    ///
    /// # Errors
    /// When it takes none, or not these.
    pub fn configure(&self, plugin: &str, init_config: &str) -> Result<bool, PluginError> {
        self.named(plugin).map_or(Ok(false), |instance| instance.configure(init_config).map(|()| true))
    }

    /// Forgets what they kept about threads, fds and containers that are gone.
    pub fn sweep(&self, machine: &Machine) {
        self.shared.tables.sweep(machine);
    }

    /// What they count, by plugin.
    pub fn metrics(&self) -> Vec<(&'static str, Vec<Metric>)> {
        self.instances.iter().map(|instance| (instance.plugin.name.as_str(), instance.metrics())).collect()
    }

    /// How much of its source the plugin that gives the events has read, from 0 to 1, if it says so.
    pub fn progress(&self) -> Option<f64> {
        self.instances.iter().find_map(|instance| instance.progress())
    }

    fn named(&self, plugin: &str) -> Option<&Arc<Instance>> {
        self.instances.iter().find(|instance| instance.plugin.name == plugin)
    }

    /// Source and name of the plugin whose number is in its events.
    pub fn maker(&self, id: u32) -> Option<(&'static str, &'static str)> {
        let made = |instance: &&Arc<Instance>| id != 0 && instance.plugin.id == id;
        let plugin = self.instances.iter().find(made)?.plugin;
        Some((&plugin.source, &plugin.name))
    }

    /// Opens the source of a plugin of these, whose events are counted.
    ///
    /// # Errors
    /// When it isn't there or refuses.
    pub fn open(
        &self,
        plugin: &str,
        params: &str,
        stats: &Arc<SourceStats>,
    ) -> Result<Box<dyn EventSource>, SourceError> {
        let gone = || SourceError::Settings(format!("plugin '{plugin}' is not there"));
        let instance = self.named(plugin).ok_or_else(gone)?;
        Ok(Box::new(HostSource::open(instance, params, stats, Arc::clone(&self.tell))?))
    }

    /// What the source of a plugin of these may be opened with, as it says itself, in JSON.
    pub fn params(&self, plugin: &str) -> String {
        self.named(plugin).map(|instance| instance.params()).unwrap_or_default()
    }
}

/// Whether a plugin has to do with a source.
fn concerns(plugin: &Foreign, source: &str) -> bool {
    let gives = plugin.can(Capability::Sourcing) && plugin.id != 0 && plugin.source == source;
    let gives_kernels = plugin.can(Capability::Sourcing) && plugin.id == 0 && source == "syscall";
    let works = [Capability::Extraction, Capability::Parsing, Capability::Async];
    gives || gives_kernels || works.into_iter().any(|capability| plugin.does(capability, source))
}

impl ForeignFields for Crew {
    fn extract<'a>(&self, request: &ForeignRequest<'_>, cx: &Context<'a>) -> Option<Value<'a>> {
        self.named(request.plugin)?.extract(request, cx)
    }

    fn summary<'a>(&self, cx: &Context<'a>) -> Option<&'a [u8]> {
        self.named(cx.meta.plugin)?.summary(cx)
    }
}

// SAFETY: calls into a plugin are made one at a time (`Instance::call`); what it is lent is checked for its thread.
unsafe impl Send for Crew {}
// SAFETY: as above.
unsafe impl Sync for Crew {}
