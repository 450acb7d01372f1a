//! Metrics in the text format of Prometheus: Falco's under Falco's names, and lanner's own.

use std::fmt::Write;
use std::sync::Arc;

use lanner_probe::LostReason;
use rustc_hash::FxHashMap;

use super::metric::{Group, Kind, Metric, Number, Unit, metrics};
use super::observation::{LoadedKind, Observation};
use crate::config::MetricsConfig;

/// Where Falco's metrics are described.
const FALCO_HELP: &str = "https://falco.org/docs/metrics/";

/// The endings by which names say their unit; the format has others.
const ENDINGS: [&str; 6] = ["_kb", "_bytes", "_perc", "_ns", "_ts", "_sec"];

/// Samples by name, in the order in which names first come.
#[derive(Default)]
struct Page {
    families: Vec<Family>,
    places: FxHashMap<String, usize>,
}

struct Family {
    name: String,
    kind: Kind,
    help: String,
    samples: Vec<(String, Number)>,
}

type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    fn put(&mut self, name: &str, kind: Kind, help: &str, labels: Labels<'_>, value: Number) {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.places.insert(name.to_owned(), self.families.len());
                let (name, help) = (name.to_owned(), help.to_owned());
                self.families.push(Family { name, kind, help, samples: Vec::new() });
                self.families.len() - 1
            }
        };
        let (labels, samples) = (label_text(labels), &mut self.families[place].samples);
        // The format knows no two samples of the same labels.
        match samples.iter_mut().find(|(known, _)| *known == labels) {
            Some((_, Number::Whole(sum))) if kind == Kind::Counter => {
                *sum += if let Number::Whole(more) = value { more } else { 0 };
            }
            Some(sample) => sample.1 = value,
            None => samples.push((labels, value)),
        }
    }

    fn info(&mut self, name: &str, labels: Labels<'_>) {
        let name = format!("falcosecurity_{name}_info");
        self.put(&name, Kind::Gauge, FALCO_HELP, labels, Number::Whole(1));
    }

    fn falco(&mut self, subsystem: &str, metric: &Metric, labels: Labels<'_>) {
        let (name, value) = named(subsystem, metric);
        self.put(&name, metric.kind, FALCO_HELP, labels, value);
    }

    fn own(&mut self, name: &str, kind: Kind, help: &str, labels: Labels<'_>, value: u64) {
        self.put(&format!("lanner_{name}"), kind, help, labels, Number::Whole(value));
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for Family { name, kind, help, samples } in &self.families {
            let kind = if *kind == Kind::Counter { "counter" } else { "gauge" };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = match value {
                    Number::Whole(n) => writeln!(out, "{name}{labels} {n}"),
                    Number::Real(x) => writeln!(out, "{name}{labels} {x}"),
                };
            }
        }
        out
    }
}

/// `{a="b"}`; nothing for no labels.
fn label_text(labels: Labels<'_>) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let one = |(name, value): &(&str, &str)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{}=\"{value}\"", clean(name))
    };
    format!("{{{}}}", labels.iter().map(one).collect::<Vec<_>>().join(","))
}

/// A name of letters, digits and single underscores.
fn clean(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    if out.starts_with(|c: char| c.is_ascii_digit()) { format!("_{out}") } else { out }
}

/// A metric's full name and value in the unit that the name ends in.
fn named(subsystem: &str, metric: &Metric) -> (String, Number) {
    let real = |factor: f64| match metric.value {
        Number::Whole(n) => Number::Real(n as f64 * factor),
        Number::Real(x) => Number::Real(x * factor),
    };
    let (unit, value) = match metric.unit {
        Unit::Count => ("total", metric.value),
        Unit::Percent => ("ratio", real(0.01)),
        Unit::Bytes => ("bytes", metric.value),
        Unit::Kibibytes => ("bytes", real(1024.0)),
        Unit::Nanoseconds => ("nanoseconds", metric.value),
        Unit::NanosecondsSum => ("nanoseconds_total", metric.value),
        Unit::SecondsSum => ("seconds_total", metric.value),
        Unit::Timestamp => ("timestamp_nanoseconds", metric.value),
    };
    let mut name = metric.name.to_string();
    ENDINGS.iter().for_each(|ending| name = name.replace(ending, ""));
    (clean(&format!("falcosecurity_{subsystem}_{name}_{unit}")), value)
}

/// All that the loops told, as Prometheus reads it.
pub fn exposition(seen: &[Arc<Observation>], config: &MetricsConfig) -> String {
    let mut page = Page::default();
    let Some(first) = seen.first() else { return String::new() };
    page.info("falco_version", &[("version", &first.version)]);
    files(&mut page, first);
    for seen in seen {
        if config.rules {
            rules(&mut page, seen);
        }
        page.info("scap_engine_name", &[("engine_name", seen.engine), ("evt_source", &seen.source)]);
    }
    // What is counted of the kernel's events and of the process comes from one loop: that of the kernel's events.
    for metric in metrics(first, config) {
        listed(&mut page, &metric);
    }
    if config.kernel {
        entries_of_old(&mut page);
    }
    host(&mut page, first);
    for seen in seen {
        own(&mut page, seen);
        counted(&mut page, seen, config);
    }
    sinks(&mut page, first);
    page.text()
}

/// What plugins count, and what came to the sources that are built in.
fn counted(page: &mut Page, seen: &Observation, config: &MetricsConfig) {
    for counted in &seen.counted {
        let kind = if counted.monotonic { Kind::Counter } else { Kind::Gauge };
        if counted.plugin.is_empty() {
            let mut labels = vec![("source", seen.source.as_str())];
            labels.extend(Some(("reason", counted.reason)).filter(|_| !counted.reason.is_empty()));
            let help = "What a source took, what it refused, and how much of it was read.";
            page.put(&format!("lanner_{}", counted.name), kind, help, &labels, number(counted.value));
        } else if config.plugins {
            let name = format!("falcosecurity_plugins_{}", clean(&counted.name));
            let value = number(counted.value);
            page.put(
                &name,
                kind,
                FALCO_HELP,
                &[("raw_name", &counted.name), ("plugin", counted.plugin)],
                value,
            );
        }
    }
}

fn number(value: f64) -> Number {
    match value {
        whole if whole >= 0.0 && whole.fract() == 0.0 => Number::Whole(whole as u64),
        real => Number::Real(real),
    }
}

fn files(page: &mut Page, seen: &Observation) {
    for (kind, name) in [(LoadedKind::Rules, "rules"), (LoadedKind::Config, "config")] {
        for file in seen.files.iter().filter(|file| file.kind == kind) {
            let labels = [("file_name", file.name.as_str()), ("sha256", file.sha256.as_str())];
            page.info(&format!("falco_sha256_{name}_files"), &labels);
        }
    }
}

fn plain(name: &'static str, unit: Unit, kind: Kind, value: u64) -> Metric {
    Metric { name: name.into(), group: Group::Kernel, unit, kind, value: Number::Whole(value) }
}

fn rules(page: &mut Page, seen: &Observation) {
    for rule in seen.rules.iter().filter(|rule| rule.matches > 0 && !rule.source.is_empty()) {
        let priority = (rule.priority as u8).to_string();
        let tags: Vec<String> = rule.tags.iter().map(|tag| format!("tag_{tag}")).collect();
        let mut labels =
            vec![("priority", priority.as_str()), ("rule_name", &rule.name), ("source", &rule.source)];
        labels.extend(tags.iter().map(|tag| (tag.as_str(), "true")));
        page.falco("falco", &plain("rules_matches", Unit::Count, Kind::Counter, rule.matches), &labels);
    }
}

/// One of Falco's metrics; some of them have a number or a kind of call in their name, which is a label here.
fn listed(page: &mut Page, metric: &Metric) {
    let subsystem = if metric.group == Group::Resources { "falco" } else { "scap" };
    let renamed = |name| Metric { name, ..metric.clone() };
    for name in ["n_evts_cpu", "n_drops_cpu"] {
        if let Some(cpu) = metric.name.strip_prefix(name).and_then(|rest| rest.strip_prefix('_')) {
            return page.falco(subsystem, &renamed(name.into()), &[("cpu", cpu)]);
        }
    }
    match metric.name.strip_prefix("n_drops_buffer_") {
        // The labels' sum.
        Some("total") => {}
        Some(rest) => {
            let drop = rest.strip_suffix("_exit").unwrap_or(rest);
            page.falco(subsystem, &renamed("n_drops_buffer".into()), &[("dir", "exit"), ("drop", drop)]);
        }
        None => page.falco(subsystem, metric, &[]),
    }
}

/// Losses of entry events, which there are no more: Falco still shows them.
fn entries_of_old(page: &mut Page) {
    let metric = plain("n_drops_buffer", Unit::Count, Kind::Counter, 0);
    for drop in ["clone_fork", "execve", "connect", "open", "dir_file", "other_interest"] {
        page.falco("scap", &metric, &[("dir", "enter"), ("drop", drop)]);
    }
}

fn host(page: &mut Page, seen: &Observation) {
    page.info("falco_kernel_release", &[("kernel_release", &crate::host::system().release)]);
    page.info("evt_hostname", &[("hostname", &seen.hostname)]);
    let passed = seen.ts.saturating_sub(seen.started) / 1_000_000_000;
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let list = [
        plain("outputs_queue_num_drops", Unit::Count, Kind::Counter, seen.lost_lines()),
        plain("reload_ts", Unit::Timestamp, Kind::Gauge, seen.loaded),
        plain("start_ts", Unit::Timestamp, Kind::Gauge, seen.started),
        plain("duration_sec", Unit::SecondsSum, Kind::Counter, passed),
        plain("host_boot_ts", Unit::Timestamp, Kind::Gauge, seen.boot),
        plain("host_num_cpus", Unit::Count, Kind::Gauge, cpus),
    ];
    list.iter().for_each(|metric| page.falco("falco", metric, &[]));
}

/// What only lanner counts.
fn own(page: &mut Page, seen: &Observation) {
    use Kind::{Counter, Gauge};
    let source = ("source", seen.source.as_str());
    for (name, count) in seen.events_by_name() {
        page.own("events_total", Counter, "Events by type.", &[source, ("event", name)], count);
    }
    for reason in LostReason::ALL {
        let text = reason.to_string();
        let help = "Events lost, by reason.";
        page.own(
            "events_lost_total",
            Counter,
            help,
            &[source, ("reason", &text)],
            seen.lost.by_reason(reason),
        );
    }
    for (reason, count) in [("damaged", seen.lost.damaged), ("program left out", seen.lost.left_out)] {
        let labels = [source, ("reason", reason)];
        page.own("events_lost_total", Counter, "Events lost, by reason.", &labels, count);
    }
    for ((ty, _), count) in &seen.lost.by_type {
        let name = ty.info().map_or("unknown", |info| info.name);
        let help = "Events lost, by type.";
        page.own("events_lost_by_type_total", Counter, help, &[source, ("event", name)], *count);
    }
    let help = "Event parameters that could not be read from a process.";
    page.own("parameters_unreadable_total", Counter, help, &[source], seen.lost.unreadable);
    for rule in seen.rules.iter().filter(|rule| rule.time > 0 && !rule.source.is_empty()) {
        let labels = [("rule_name", rule.name.as_str()), ("source", &rule.source)];
        let help = "Time that a rule's evaluation took, estimated from samples.";
        let seconds = Number::Real(rule.time as f64 / 1e9);
        page.put("lanner_rule_evaluation_seconds_total", Counter, help, &labels, seconds);
    }
    let machine = &seen.machine;
    for (kind, size) in
        [("threads", machine.threads), ("fds", machine.fds), ("containers", machine.containers)]
    {
        page.own("state_entries", Gauge, "Entries of the host's state.", &[source, ("kind", kind)], size);
    }
    for (kind, count) in [("threads", machine.threads_refused), ("fds", machine.fds_refused)] {
        let help = "Entries left out of the state because it was full.";
        page.own("state_refused_total", Counter, help, &[source, ("kind", kind)], count);
    }
    let waiting = &seen.waiting;
    let help = "Alerts and questions that wait for a container's names.";
    page.own("queue_length", Gauge, help, &[source, ("queue", "alerts_held")], waiting.held);
    page.own("queue_length", Gauge, help, &[source, ("queue", "containers_unasked")], waiting.unasked);
    let help = "Alerts sent before all was known of their container.";
    let shed = "How often caches were shed to stay below memory_limit.";
    page.own("alerts_incomplete_total", Counter, help, &[source], waiting.incomplete);
    page.own("memory_sheds_total", Counter, shed, &[source], seen.sheds);
}

/// The sinks, which all loops share.
fn sinks(page: &mut Page, seen: &Observation) {
    use Kind::{Counter, Gauge};
    for sink in &seen.outputs {
        let labels = [("output", sink.sink)];
        page.own("output_queue_alerts", Gauge, "Alerts that wait for an output.", &labels, sink.waiting);
        page.own("output_queue_bytes", Gauge, "Bytes that wait for an output.", &labels, sink.waiting_bytes);
        page.own("output_alerts_written_total", Counter, "Alerts an output took.", &labels, sink.written);
        page.own("output_alerts_lost_total", Counter, "Alerts an output lost.", &labels, sink.lost);
        page.own("output_retries_total", Counter, "Further tries of an output.", &labels, sink.retries);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use lanner_probe::ProgramStats;

    use super::*;
    use crate::metrics::station::tests::observation;

    #[test]
    fn names_end_in_their_unit_and_hold_no_second_one() {
        let name = |name: &'static str, unit| named("falco", &plain(name, unit, Kind::Gauge, 2)).0;
        assert_eq!(name("memory_rss_kb", Unit::Kibibytes), "falcosecurity_falco_memory_rss_bytes");
        assert_eq!(name("cpu_usage_perc", Unit::Percent), "falcosecurity_falco_cpu_usage_ratio");
        assert_eq!(name("reload_ts", Unit::Timestamp), "falcosecurity_falco_reload_timestamp_nanoseconds");
        assert_eq!(name("duration_sec", Unit::SecondsSum), "falcosecurity_falco_duration_seconds_total");
        assert_eq!(
            name("sys_exit.run_time_ns", Unit::NanosecondsSum),
            "falcosecurity_falco_sys_exit_run_time_nanoseconds_total"
        );
    }

    #[test]
    fn samples_of_a_name_stand_together_and_labels_are_escaped() {
        let mut page = Page::default();
        let kind = Kind::Counter;
        page.own("x_total", kind, "X.", &[("a b", "q\"\\\n")], 1);
        page.own("y", Kind::Gauge, "Y.", &[], 2);
        page.own("x_total", kind, "X.", &[("a b", "r")], 3);
        page.own("x_total", kind, "X.", &[("a b", "r")], 4);
        assert_eq!(
            page.text(),
            "# HELP lanner_x_total X.\n# TYPE lanner_x_total counter\n\
             lanner_x_total{a_b=\"q\\\"\\\\\\n\"} 1\nlanner_x_total{a_b=\"r\"} 7\n\
             # HELP lanner_y Y.\n# TYPE lanner_y gauge\nlanner_y 2\n"
        );
    }

    /// What promtool says of a page that it can read at all: its wishes for better names.
    fn wishes(text: &str) -> Option<Vec<String>> {
        let mut command = Command::new("promtool");
        command
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut tool = command.spawn().ok()?;
        tool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = tool.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
        let said = [output.stdout, output.stderr].concat();
        Some(String::from_utf8(said).unwrap().lines().map(str::to_owned).collect())
    }

    #[test]
    fn promtool_reads_all_and_finds_nothing_but_falcos_own_names_wanting() {
        let mut seen = observation();
        seen.programs = vec![ProgramStats { name: "sys_exit".into(), runs: 2, time: 10 }];
        let other = Observation { source: "k8s_audit".into(), engine: "source_plugin", ..observation() };
        let text = exposition(&[Arc::new(seen), Arc::new(other)], &MetricsConfig::default());
        let Some(wishes) = wishes(&text) else {
            println!("skipped: promtool is missing (scripts/setup.sh --test installs it)");
            return;
        };
        // Falco gives some gauges the ending of counters, and times in nanoseconds.
        let of_falco = |wish: &&String| {
            wish.starts_with("falcosecurity_")
                && (wish.contains("nanoseconds") || wish.contains("should not have \"_total\" suffix"))
        };
        let ours: Vec<_> = wishes.iter().filter(|wish| !of_falco(wish)).collect();
        assert!(ours.is_empty(), "{ours:#?}");
    }

    #[test]
    fn metrics_have_falcos_names_labels_and_units() {
        let text = exposition(&[Arc::new(observation())], &MetricsConfig::default());
        for line in [
            "falcosecurity_falco_version_info{version=\"0.45.0\"} 1",
            "falcosecurity_falco_rules_matches_total{priority=\"4\",rule_name=\"Read \\\"a\\\" file\",\
             source=\"syscall\",tag_host=\"true\",tag_T1555_001=\"true\"} 4",
            "falcosecurity_scap_engine_name_info{engine_name=\"modern_bpf\",evt_source=\"syscall\"} 1",
            "falcosecurity_scap_n_evts_total 103",
            "falcosecurity_scap_n_drops_total 3",
            "falcosecurity_scap_n_drops_buffer_total{dir=\"exit\",drop=\"open\"} 3",
            "falcosecurity_scap_n_drops_buffer_total{dir=\"enter\",drop=\"open\"} 0",
            "falcosecurity_scap_n_evts_cpu_total{cpu=\"1\"} 43",
            "falcosecurity_scap_n_drops_cpu_total{cpu=\"1\"} 3",
            "falcosecurity_scap_n_threads_total 7",
            "falcosecurity_scap_n_evts_task_file_pipe_total 1",
            "falcosecurity_falco_outputs_queue_num_drops_total 1",
            "falcosecurity_falco_duration_seconds_total 21",
            "falcosecurity_evt_hostname_info{hostname=\"stage\"} 1",
            "lanner_rule_evaluation_seconds_total{rule_name=\"Read \\\"a\\\" file\",source=\"syscall\"} 0.000004",
            "lanner_events_lost_by_type_total{source=\"syscall\",event=\"openat\"} 3",
            "lanner_output_alerts_lost_total{output=\"http\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in:\n{text}");
        }
        assert!(!text.contains("Never"), "a rule that never matched is not shown");
    }
}
