//! Settings that last as long as the process: they are built into what is attached, opened or started once.

use lanner_plugin::{BuiltIn, Settings};

use super::Config;

type Differs = fn(&Config, &Config) -> bool;

/// Their keys, and whether two configurations differ there.
const LASTING: [(&str, Differs); 16] = [
    ("engine.kind", |a, b| a.source != b.source),
    ("engine.modern_ebpf.buf_size_preset", |a, b| a.ring_bytes != b.ring_bytes),
    ("engine.modern_ebpf.cpus_for_each_buffer", |a, b| a.cpus_per_ring != b.cpus_per_ring),
    ("falco_libs.snaplen", |a, b| a.snaplen != b.snaplen),
    ("lanner.attachment", |a, b| a.calls != b.calls),
    ("lanner.entry_events", |a, b| a.base_syscalls.entries != b.base_syscalls.entries),
    ("lanner.kernel_copies", |a, b| a.copies != b.copies),
    ("lanner.hardening", |a, b| a.hardening != b.hardening),
    // Lower values need what was given up.
    ("lanner.nice", |a, b| a.nice != b.nice),
    ("engine.modern_ebpf.disable_iterators", |a, b| a.iterators != b.iterators),
    ("engine.modern_ebpf.drop_failed_exit", |a, b| a.drop_failed != b.drop_failed),
    ("load_plugins", |a, b| a.plugins != b.plugins),
    ("plugins", |a, b| a.containers != b.containers || lasting_plugins(a) != lasting_plugins(b)),
    // What starts programs is made before the process gives up that it may.
    ("program_output.enabled", |a, b| a.sinks.program.is_some() && b.sinks.program.is_none()),
    ("watch_config_files", |a, b| a.watch_files != b.watch_files),
    ("webserver", |a, b| a.web != b.web),
];

/// The settings of plugins that last. Those in shared objects in this process are given another `init_config`, and what
/// one that takes none goes on with is told then.
fn lasting_plugins(config: &Config) -> Vec<Settings> {
    let mut all = config.plugin_settings.clone();
    if !config.isolate_plugins {
        let foreign = all.iter_mut().filter(|settings| BuiltIn::named(&settings.name).is_none());
        foreign.for_each(|settings| settings.init_config.clear());
    }
    all
}

impl Config {
    /// The keys in which this configuration differs from the one that was started with, of those that a running
    /// process can't follow.
    pub fn differs_for_good(&self, started: &Config) -> Vec<&'static str> {
        LASTING.iter().filter(|(_, differs)| differs(self, started)).map(|(key, _)| *key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Matching;

    #[test]
    fn what_is_attached_lasts_and_what_alerts_look_like_does_not() {
        let old = Config::default();
        let new = Config { iso8601: true, matching: Matching::All, ..Config::default() };
        assert!(new.differs_for_good(&old).is_empty());
        let new = Config { ring_bytes: 1, plugins: vec!["json".into()], ..Config::default() };
        assert_eq!(new.differs_for_good(&old), ["engine.modern_ebpf.buf_size_preset", "load_plugins"]);
    }

    #[test]
    fn what_a_plugin_in_a_shared_object_is_set_up_with_may_change() {
        let with = |name: &str, init_config: &str, isolate_plugins| {
            let settings =
                Settings { name: name.into(), init_config: init_config.into(), ..Settings::default() };
            Config { plugin_settings: vec![settings], isolate_plugins, ..Config::default() }
        };
        let differs =
            |name: &str, isolate| with(name, "a", isolate).differs_for_good(&with(name, "b", isolate));
        assert!(differs("okta", false).is_empty());
        assert_eq!((differs("okta", true), differs("json", false)), (vec!["plugins"], vec!["plugins"]));
    }
}
