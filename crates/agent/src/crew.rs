//! What a loop does with the plugins that sail along with its events: new settings, their counters, what they can't parse.

use std::collections::HashMap;

use lanner_plugin::host::{Crew, Metric, PluginError};

use crate::config::Config;
use crate::log::Log;
use crate::metrics::Counted;

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

/// A loop's dealings with its crew.
pub(crate) struct Dealings {
    /// The settings that each plugin was given last. A configuration that doesn't name one, a file that is just being
    /// written perhaps, takes nothing from it.
    given: HashMap<String, String>,
    /// Events that could not be parsed.
    unparsed: u64,
}

impl Dealings {
    /// With plugins that were loaded by a configuration.
    pub(crate) fn new(config: &Config) -> Dealings {
        let settings = config.plugin_settings.iter();
        let given = settings.map(|plugin| (plugin.name.clone(), plugin.init_config.clone())).collect();
        Dealings { given, unparsed: 0 }
    }

    /// Gives plugins their other settings, where a reload has brought some.
    pub(crate) fn configure(&mut self, crew: &Crew, new: &Config, log: &Log) {
        for settings in &new.plugin_settings {
            let (name, wanted) = (&settings.name, &settings.init_config);
            let before = self.given.insert(name.clone(), wanted.clone());
            if before.is_none_or(|before| before == *wanted) {
                continue;
            }
            match crew.configure(name, wanted) {
                Ok(true) => log.info(&format!("plugin '{name}' has its new settings")),
                // It has nothing to do with this loop.
                Ok(false) => {}
                Err(error) => log.warning(&format!("{error}; it goes on with its old ones")),
            }
        }
    }

    /// Tells of events that plugins can't parse, ever more rarely.
    pub(crate) fn note(&mut self, parsed: Result<(), PluginError>, log: &Log) {
        let Err(error) = parsed else { return };
        self.unparsed += 1;
        if self.unparsed.is_power_of_two() {
            log.warning(&format!("{error} ({} such events so far)", self.unparsed));
        }
    }
}
