//! Settings that last as long as the process: they are built into what is attached, opened or started once.

use super::Config;

type Differs = fn(&Config, &Config) -> bool;

/// Their keys, and whether two configurations differ there.
const LASTING: [(&str, Differs); 13] = [
    ("engine.kind", |a, b| a.source != b.source),
    ("engine.modern_ebpf.buf_size_preset", |a, b| a.ring_bytes != b.ring_bytes),
    ("engine.modern_ebpf.cpus_for_each_buffer", |a, b| a.cpus_per_ring != b.cpus_per_ring),
    ("falco_libs.snaplen", |a, b| a.snaplen != b.snaplen),
    ("lanner.entry_events", |a, b| a.base_syscalls.entries != b.base_syscalls.entries),
    ("lanner.hardening", |a, b| a.hardening != b.hardening),
    ("engine.modern_ebpf.disable_iterators", |a, b| a.iterators != b.iterators),
    ("engine.modern_ebpf.drop_failed_exit", |a, b| a.drop_failed != b.drop_failed),
    ("load_plugins", |a, b| a.plugins != b.plugins),
    ("plugins", |a, b| a.containers != b.containers || a.plugin_settings != b.plugin_settings),
    // What starts programs is made before the process gives up that it may.
    ("program_output.enabled", |a, b| a.sinks.program.is_some() && b.sinks.program.is_none()),
    ("watch_config_files", |a, b| a.watch_files != b.watch_files),
    ("webserver", |a, b| a.web != b.web),
];

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
}
