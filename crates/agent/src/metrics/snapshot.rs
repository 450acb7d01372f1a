//! The snapshot of all metrics that is told from time to time, as Falco's users store it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use lanner_alert::{Alert, Fields, Origin, Priority};
use lanner_machine::Interface;
use serde_json::{Value, json};

use super::metric::{Group, Number, Unit, metrics};
use super::observation::{LoadedKind, Observation};
use crate::config::MetricsConfig;

/// The rule name of the alert, which users route by.
const RULE: &str = "Falco internal: metrics snapshot";

/// What changed from one snapshot to the next.
#[derive(Clone, Default, Debug)]
pub(super) struct Snapshots {
    last_ts: u64,
    last_read: u64,
    last_events: u64,
    last_lost: u64,
    /// Snapshots so far.
    samples: u64,
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

impl Snapshots {
    /// The fields of the next snapshot.
    pub fn next(&mut self, seen: &Observation, config: &MetricsConfig, interfaces: &[Interface]) -> Fields {
        self.samples += 1;
        let passed = match self.last_ts {
            0 => 0.0,
            last => seen.ts.saturating_sub(last) as f64 / 1e9,
        };
        self.last_ts = seen.ts;
        let mut fields = Fields::new();
        self.about(&mut fields, seen, passed, interfaces);
        if config.rules {
            rules(&mut fields, seen, config.zeros);
        }
        self.listed(&mut fields, seen, config, passed);
        fields
    }

    /// What says where and when the snapshot was taken; it is always there.
    fn about(&mut self, fields: &mut Fields, seen: &Observation, passed: f64, interfaces: &[Interface]) {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let list = [
            ("evt.time", json!(seen.ts)),
            ("evt.hostname", json!(seen.hostname)),
            ("evt.source", json!(seen.source)),
            ("falco.duration_sec", json!(seen.ts.saturating_sub(seen.started) / 1_000_000_000)),
            ("falco.host_boot_ts", json!(seen.boot)),
            ("falco.host_num_cpus", json!(cpus)),
            ("falco.kernel_release", json!(crate::host::system().release)),
            ("falco.num_evts", json!(seen.events)),
            ("falco.num_evts_prev", json!(self.last_read)),
            ("falco.outputs_queue_num_drops", json!(seen.lost_lines())),
            ("falco.reload_ts", json!(seen.loaded)),
            ("falco.start_ts", json!(seen.started)),
            ("falco.version", json!(seen.version)),
            ("scap.engine_name", json!(seen.engine)),
        ];
        fields.extend(list.map(|(name, value)| (name.to_owned(), value)));
        for file in seen.files.iter() {
            let kind = if file.kind == LoadedKind::Rules { "rules" } else { "config" };
            let name = format!("falco.sha256_{kind}_file.{}", sanitized(&file.name));
            fields.insert(name, json!(file.sha256));
        }
        addresses(fields, interfaces);
        if self.last_read != 0 && passed > 0.0 {
            let rate = tenth(seen.events.saturating_sub(self.last_read) as f64 / passed);
            fields.insert("falco.evts_rate_sec".to_owned(), json!(rate));
        }
        self.last_read = seen.events;
    }

    fn listed(&mut self, fields: &mut Fields, seen: &Observation, config: &MetricsConfig, passed: f64) {
        for metric in metrics(seen, config) {
            let size = matches!(metric.unit, Unit::Bytes | Unit::Kibibytes) && config.megabytes;
            let (name, value) = match metric.value {
                Number::Whole(n) if size => {
                    let bytes = if metric.unit == Unit::Bytes { n } else { n * 1024 };
                    let name = metric.name.replace("_kb", "_mb").replace("_bytes", "_mb");
                    (name, Number::Real(tenth(bytes as f64 / 1024.0 / 1024.0)))
                }
                value => (metric.name.to_string(), value),
            };
            let always = matches!(&*name, "n_evts" | "n_drops");
            if config.zeros || always || !matches!(value, Number::Whole(0) | Number::Real(0.0)) {
                let prefix = match metric.group {
                    Group::Resources | Group::State => "falco",
                    Group::Kernel | Group::PerCpu | Group::Programs | Group::Iterators => "scap",
                };
                let value = match value {
                    Number::Whole(n) => json!(n),
                    Number::Real(x) => json!(x),
                };
                fields.insert(format!("{prefix}.{name}"), value);
            }
        }
        if config.kernel {
            self.rates(fields, seen, passed);
        }
        let (events, lost) = (
            seen.all_events().saturating_sub(self.last_events),
            seen.lost.total().saturating_sub(self.last_lost),
        );
        let share = if config.kernel && events > 0 { 100.0 * lost as f64 / events as f64 } else { 0.0 };
        fields.insert("scap.n_drops_perc".to_owned(), json!(share));
        (self.last_events, self.last_lost) = (seen.all_events(), seen.lost.total());
    }

    fn rates(&self, fields: &mut Fields, seen: &Observation, passed: f64) {
        let rate = |now: u64, before: u64| {
            let more = now.saturating_sub(before);
            if more != 0 && passed > 0.0 { tenth(more as f64 / passed) } else { 0.0 }
        };
        let list = [
            ("scap.n_evts_prev", json!(self.last_events)),
            ("scap.evts_rate_sec", json!(rate(seen.all_events(), self.last_events))),
            ("scap.n_drops_prev", json!(self.last_lost)),
            ("scap.evts_drop_rate_sec", json!(rate(seen.lost.total(), self.last_lost))),
        ];
        fields.extend(list.map(|(name, value)| (name.to_owned(), value)));
    }

    /// The alert of a snapshot.
    pub fn alert(ts: u64, fields: Fields) -> Alert {
        Alert {
            ts,
            priority: Priority::Informational,
            rule: RULE.into(),
            origin: Origin::Internal,
            message: "Falco metrics snapshot".to_owned(),
            fields,
        }
    }

    /// Appends a snapshot to a file, as one line.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn append(&self, path: &Path, fields: &Fields) -> io::Result<()> {
        let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
        let line = format!("{}\n", json!({ "output_fields": sorted, "sample": self.samples }));
        OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
    }
}

fn rules(fields: &mut Fields, seen: &Observation, zeros: bool) {
    let total: u64 = seen.rules.iter().map(|rule| rule.matches).sum();
    fields.insert("falco.rules.matches_total".to_owned(), json!(total));
    for rule in seen.rules.iter().filter(|rule| zeros || rule.matches > 0) {
        fields.insert(format!("falco.rules.{}", sanitized(&rule.name)), json!(rule.matches));
    }
}

/// The host's addresses, by interface; the loopback is every host's.
fn addresses(fields: &mut Fields, interfaces: &[Interface]) {
    let mut lists: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for interface in interfaces.iter().filter(|i| i.name != "lo") {
        let protocol = if interface.address.is_ipv4() { "ipv4" } else { "ipv6" };
        lists.entry((&interface.name, protocol)).or_default().push(interface.address.to_string());
    }
    for ((name, protocol), list) in lists {
        let field = format!("falco.host_netinfo.interfaces.{name}.protocols.{protocol}.addresses");
        fields.insert(field, json!(list.join(",")));
    }
}

/// A rule's or a file's name as part of a field's: letters, digits, colons and single underscores.
fn sanitized(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    if out.ends_with('_') {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::station::tests::observation;

    fn plain(observation: &Observation, config: &MetricsConfig) -> Fields {
        Snapshots::default().next(observation, config, &[])
    }

    #[test]
    fn rates_and_shares_are_those_since_the_last_snapshot() {
        let (mut snapshots, config) = (Snapshots::default(), MetricsConfig::default());
        let mut seen = observation();
        let first = snapshots.next(&seen, &config, &[]);
        assert_eq!((&first["scap.n_evts"], &first["scap.n_drops"]), (&json!(103), &json!(3)));
        assert_eq!((first.get("falco.evts_rate_sec"), &first["scap.evts_rate_sec"]), (None, &json!(0.0)));
        seen.ts += 2_000_000_000;
        seen.events += 50;
        let second = snapshots.next(&seen, &config, &[]);
        assert_eq!((&second["falco.num_evts_prev"], &second["falco.num_evts"]), (&json!(100), &json!(150)));
        assert_eq!(
            (&second["falco.evts_rate_sec"], &second["scap.evts_rate_sec"]),
            (&json!(25.0), &json!(25.0))
        );
        assert_eq!((&second["scap.n_evts_prev"], &second["scap.n_drops_perc"]), (&json!(103), &json!(0.0)));
    }

    #[test]
    fn the_settings_choose_what_is_told() {
        let seen = observation();
        let all = plain(&seen, &MetricsConfig::default());
        assert_eq!(all["falco.rules.Read_a_file"], 4);
        assert_eq!(all["scap.n_drops_buffer_open_exit"], 3);
        assert!(all.contains_key("falco.memory_rss_mb") && all.contains_key("scap.n_evts_cpu_0"));
        assert!(
            !all.contains_key("falco.rules.Never") && !all.contains_key("scap.n_drops_buffer_close_exit")
        );
        let zeros = plain(&seen, &MetricsConfig { zeros: true, megabytes: false, ..Default::default() });
        assert_eq!(
            (&zeros["falco.rules.Never"], &zeros["scap.n_drops_buffer_close_exit"]),
            (&json!(0), &json!(0))
        );
        assert!(zeros.contains_key("falco.memory_rss_kb"));
        let none = MetricsConfig {
            rules: false,
            resources: false,
            state: false,
            kernel: false,
            per_cpu: false,
            programs: false,
            iterators: false,
            ..Default::default()
        };
        let none = plain(&seen, &none);
        assert!(
            none.keys().all(|key| !key.contains("cpu_usage") && !key.contains("n_drops_buffer")),
            "{none:?}"
        );
        assert!(!none.contains_key("falco.n_threads") && !none.contains_key("falco.rules.matches_total"));
    }

    #[test]
    fn addresses_and_files_are_named_as_falco_names_them() {
        let address = |name: &str, text: &str| Interface {
            name: name.to_owned(),
            address: text.parse().unwrap(),
            netmask: text.parse().unwrap(),
        };
        let interfaces =
            [address("lo", "127.0.0.1"), address("eth0", "10.0.0.1"), address("eth0", "10.0.0.2")];
        let fields = Snapshots::default().next(&observation(), &MetricsConfig::default(), &interfaces);
        let key = "falco.host_netinfo.interfaces.eth0.protocols.ipv4.addresses";
        assert_eq!(fields[key], "10.0.0.1,10.0.0.2");
        assert_eq!(fields["falco.sha256_rules_file.my_rules_yaml"].as_str().unwrap().len(), 64);
        assert_eq!(sanitized("A (b) -- c!"), "A_b_c");
    }

    #[test]
    fn a_file_gets_a_line_for_each_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.jsonl");
        let mut snapshots = Snapshots::default();
        for _ in 0..2 {
            let fields = snapshots.next(&observation(), &MetricsConfig::default(), &[]);
            snapshots.append(&path, &fields).unwrap();
        }
        let text = std::fs::read_to_string(path).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!((&last["sample"], &last["output_fields"]["evt.source"]), (&json!(2), &json!("syscall")));
    }
}
