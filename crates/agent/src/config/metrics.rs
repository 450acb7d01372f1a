//! What `falco.yaml` says of metrics and of the web server that shows them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use super::reader::Reader;

/// Which metrics there are, and where they go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetricsConfig {
    /// Metrics are collected.
    pub enabled: bool,
    /// Between two snapshots, as it is written.
    pub interval_text: String,
    /// The same; zero if it can't be read.
    pub interval: Duration,
    /// Snapshots are alerts.
    pub output_rule: bool,
    /// Snapshots are appended to this file, one JSON object a line.
    pub output_file: Option<PathBuf>,
    /// Matches of each rule.
    pub rules: bool,
    /// CPU and memory of lanner and the host.
    pub resources: bool,
    /// Sizes of the host's state.
    pub state: bool,
    /// Events and losses.
    pub kernel: bool,
    /// The same for each CPU.
    pub per_cpu: bool,
    /// What the kernel counts of BPF programs.
    pub programs: bool,
    /// What plugins count.
    pub plugins: bool,
    /// What the snapshot at the start read.
    pub iterators: bool,
    /// Sizes in MB rather than in the unit that they are counted in.
    pub megabytes: bool,
    /// Zeros are shown too.
    pub zeros: bool,
}

/// The web server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebConfig {
    /// It runs.
    pub enabled: bool,
    /// Threads that serve.
    pub threads: usize,
    /// Address.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// Path under which it tells whether lanner works.
    pub health: String,
    /// `/metrics` is there.
    pub prometheus: bool,
    /// Certificate and key, one PEM file, if it speaks TLS.
    pub certificate: Option<PathBuf>,
}

impl Default for MetricsConfig {
    fn default() -> MetricsConfig {
        MetricsConfig {
            enabled: false,
            interval_text: "1h".to_owned(),
            interval: Duration::from_secs(3600),
            output_rule: false,
            output_file: None,
            rules: true,
            resources: true,
            state: true,
            kernel: true,
            per_cpu: true,
            programs: true,
            plugins: true,
            iterators: true,
            megabytes: true,
            zeros: false,
        }
    }
}

impl Default for WebConfig {
    fn default() -> WebConfig {
        WebConfig {
            enabled: false,
            threads: 1,
            address: IpAddr::from([0, 0, 0, 0]),
            port: 8765,
            health: "/healthz".to_owned(),
            prometheus: false,
            certificate: None,
        }
    }
}

/// The shortest time between two snapshots.
const LEAST: Duration = Duration::from_millis(100);

impl MetricsConfig {
    /// Whether snapshots can be taken as the settings say.
    ///
    /// # Errors
    /// In Falco's words.
    pub fn check(&self, web: &WebConfig) -> Result<(), String> {
        if !self.enabled {
            return Ok(());
        }
        if self.interval < LEAST {
            return Err("Metrics interval must have a minimum value of 100ms and reflect a Prometheus \
                        compliant time duration format: \
                        https://prometheus.io/docs/prometheus/latest/querying/basics/#time-durations. "
                .to_owned());
        }
        if !self.has_snapshots() && !web.prometheus {
            return Err("Metrics are enabled with no output configured. Please enable at least one output \
                        channel ('metrics.output_rule', 'metrics.output_file' or \
                        'webserver.prometheus_metrics_enabled')"
                .to_owned());
        }
        Ok(())
    }

    /// Whether snapshots go anywhere.
    pub fn has_snapshots(&self) -> bool {
        self.output_rule || self.output_file.is_some()
    }
}

/// Units of time as Prometheus writes them, in ms, the longest first: that is the order they may stand in.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// A time such as `1h30m`; zero for anything else.
fn interval(text: &str) -> Duration {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut rest = text.as_str();
    let mut sum = 0u64;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        let Some((_, length)) = units.find(|(name, _)| *name == unit) else { return Duration::ZERO };
        let Ok(number) = number.parse::<u64>() else { return Duration::ZERO };
        sum = sum.saturating_add(number.saturating_mul(*length));
        rest = behind;
    }
    Duration::from_millis(sum)
}

/// Threads of the web server where the settings leave it to lanner: answers are short and few.
const MOST_THREADS: usize = 4;

impl Reader<'_> {
    pub(super) fn metrics(&mut self) -> MetricsConfig {
        let interval_text = self.text("metrics.interval", "5000");
        let file = self.text("metrics.output_file", "");
        let mut on = |key: &str| self.flag(&format!("metrics.{key}_enabled"), true);
        let (rules, resources, state) =
            (on("rules_counters"), on("resource_utilization"), on("state_counters"));
        let (kernel, per_cpu) = (on("kernel_event_counters"), on("kernel_event_counters_per_cpu"));
        let (programs, plugins, iterators) =
            (on("libbpf_stats"), on("plugins_metrics"), on("kernel_iter_event_counters"));
        // Read for its type alone: there is no jemalloc here.
        on("jemalloc_stats");
        MetricsConfig {
            enabled: self.flag("metrics.enabled", false),
            interval: interval(&interval_text),
            interval_text,
            output_rule: self.flag("metrics.output_rule", false),
            output_file: (!file.is_empty()).then(|| file.into()),
            rules,
            resources,
            state,
            kernel: kernel || per_cpu,
            per_cpu,
            programs,
            plugins,
            iterators,
            megabytes: self.flag("metrics.convert_memory_to_mb", true),
            zeros: self.flag("metrics.include_empty_values", false),
        }
    }

    pub(super) fn web(&mut self) -> Result<WebConfig, ConfigError> {
        let address = self.text("webserver.listen_address", "0.0.0.0");
        let parsed = address.trim().parse::<IpAddr>().map_err(|_| {
            self.error(&format!("webserver listen address \"{address}\" is not a valid IP address"))
        })?;
        let ssl = self.flag("webserver.ssl_enabled", false);
        let certificate = self.text("webserver.ssl_certificate", "/etc/falco/falco.pem");
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(WebConfig {
            enabled: self.flag("webserver.enabled", false),
            threads: match self.number("webserver.threadiness", 0usize) {
                0 => cpus.min(MOST_THREADS),
                n => n.min(256),
            },
            address: parsed,
            port: self.number("webserver.listen_port", 8765),
            health: self.text("webserver.k8s_healthz_endpoint", "/healthz"),
            prometheus: self.flag("webserver.prometheus_metrics_enabled", false),
            certificate: ssl.then(|| certificate.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_prometheus_durations() {
        let ms = |text| interval(text).as_millis();
        assert_eq!(
            (ms("100ms"), ms("1h"), ms(" 1h 30m "), ms("1d2s3ms")),
            (100, 3_600_000, 5_400_000, 86_402_003)
        );
        for wrong in ["", "5000", "1m1h", "h", "1x", "-1s", "99999999999999999999y"] {
            assert_eq!(ms(wrong), 0, "{wrong}");
        }
    }

    #[test]
    fn metrics_need_an_interval_and_somewhere_to_go() {
        let (mut metrics, mut web) = (MetricsConfig::default(), WebConfig::default());
        metrics.check(&web).unwrap();
        metrics.enabled = true;
        assert!(metrics.check(&web).unwrap_err().contains("no output configured"));
        web.prometheus = true;
        metrics.check(&web).unwrap();
        metrics.interval = Duration::from_millis(99);
        assert!(metrics.check(&web).unwrap_err().contains("minimum value of 100ms"));
    }
}
