//! What a loop does with the plugins that sail along with its events: new settings, their counters, what they can't parse.

use lanner_plugin::host::{Crew, Metric, PluginError};

use crate::config::Config;
use crate::log::Log;
use crate::metrics::Counted;

/// Gives plugins their other settings, where a reload has brought some.
pub(crate) fn configure(crew: &Crew, old: &Config, new: &Config, log: &Log) {
    for settings in &new.plugin_settings {
        let name = &settings.name;
        let before = old.plugin_settings.iter().find(|known| known.name == *name);
        if before.is_none_or(|before| before.init_config == settings.init_config) {
            continue;
        }
        match crew.configure(name, &settings.init_config) {
            Ok(true) => log.info(&format!("plugin '{name}' has its new settings")),
            // It has nothing to do with this loop.
            Ok(false) => {}
            Err(error) => log.warning(&format!("{error}; it goes on with its old ones")),
        }
    }
}

/// What plugins in shared objects count.
pub(crate) fn counts_of_plugins(crew: &Crew) -> Vec<Counted> {
    let of = |(plugin, metrics): (&'static str, Vec<Metric>)| {
        metrics.into_iter().map(move |metric| Counted {
            plugin,
            name: metric.name,
            reason: "",
            value: metric.value,
            monotonic: metric.monotonic,
        })
    };
    crew.metrics().into_iter().flat_map(of).collect()
}

/// Tells of events that plugins can't parse, ever more rarely.
#[derive(Default)]
pub(crate) struct Parsing(u64);

impl Parsing {
    pub(crate) fn note(&mut self, parsed: Result<(), PluginError>, log: &Log) {
        let Err(error) = parsed else { return };
        self.0 += 1;
        if self.0.is_power_of_two() {
            log.warning(&format!("{error} ({} such events so far)", self.0));
        }
    }
}
