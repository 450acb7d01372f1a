//! Settings: our own defaults, and `falco.yaml` with its included files and `-o` assignments.

mod containers;
mod engine;
mod falco;
mod files;
mod findings;
mod keys;
mod lasting;
mod limits;
mod metrics;
mod node;
mod outputs;
mod path;
mod plugins;
mod reader;
mod variables;

use lanner_event::BufferFormat;
use std::path::PathBuf;
use std::time::Duration;

use lanner_alert::{Form, JsonParts, Priority};
use lanner_output::{HttpOptions, SocketOptions};
use lanner_probe::CallPoint;
use lanner_rules::Selection;

pub use files::{ConfigError, Settings, SettingsFile};
pub use keys::config_schema;
pub use limits::{CaptureConfig, StateConfig};
pub use metrics::{MetricsConfig, WebConfig};
pub use node::{Node, Place, YamlError};
pub use path::PathError;

/// The name of the kernel's source.
pub const KERNEL: &str = "syscall";

/// Where events come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// The running kernel.
    Live,
    /// A capture file.
    Replay(PathBuf),
    /// Nowhere: plugins only.
    None,
}

/// How many of the rules that match an event are told.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Matching {
    /// The first in the order of loading.
    #[default]
    First,
    /// All of them.
    All,
}

/// What the process gives up once the probe is attached.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Hardening {
    /// Capabilities, new privileges, and all system calls that it doesn't make.
    #[default]
    Full,
    /// Capabilities and new privileges.
    Capabilities,
    /// Nothing.
    None,
}

/// Which sinks there are.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SinkConfig {
    /// Lines go to standard output.
    pub stdout: bool,
    /// Lines go to a file.
    pub file: Option<FileConfig>,
    /// Lines go to a program's standard input.
    pub program: Option<ProgramConfig>,
    /// Lines go to the syslog daemon.
    pub syslog: bool,
    /// Lines go to a web server.
    pub http: Option<HttpOptions>,
    /// Lines go to whoever connects to a socket.
    pub socket: Option<SocketOptions>,
}

impl SinkConfig {
    /// Whether lines go nowhere.
    pub fn is_empty(&self) -> bool {
        *self == SinkConfig::default()
    }
}

/// The file sink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileConfig {
    /// The file.
    pub path: PathBuf,
    /// Keep it open between lines.
    pub keep_alive: bool,
}

/// The program sink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramConfig {
    /// The shell command.
    pub command: String,
    /// Keep it running between lines.
    pub keep_alive: bool,
}

/// Text and fields that are added to alerts of some rules.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Append {
    /// Only rules of this source; empty for all.
    pub source: String,
    /// Only rules with all these tags.
    pub tags: Vec<String>,
    /// Only this rule; empty for all.
    pub rule: String,
    /// Text appended to the message, a format.
    pub output: String,
    /// Append the fields that enrichment suggests.
    pub suggested: bool,
    /// Fields added to JSON alerts as text: name and format.
    pub formatted: Vec<(String, String)>,
    /// Fields added to JSON alerts with their own type.
    pub raw: Vec<String>,
}

/// What is done when events were lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropAction {
    /// Raise the alert.
    Alert,
    /// Write to the log.
    Log,
    /// End with an error.
    Exit,
}

/// When lost events are told.
#[derive(Clone, PartialEq, Debug)]
pub struct DropConfig {
    /// What is done.
    pub actions: Vec<DropAction>,
    /// Only when more than this share of a second's events was lost.
    pub threshold: f64,
    /// Actions per second, in the long run.
    pub rate: f64,
    /// Actions in a row.
    pub max_burst: f64,
    /// Pretend that one event is lost every second. For tests.
    pub simulate: bool,
}

/// The engine's own log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// Write to standard error.
    pub stderr: bool,
    /// Write to syslog.
    pub syslog: bool,
    /// Most verbose level that is written.
    pub level: Priority,
}

/// Which system calls are watched beyond those that rules name.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct BaseSyscalls {
    /// Names to add, or with `!` before them to leave out.
    pub custom: Vec<String>,
    /// Add just what the machine's state needs.
    pub repair: bool,
    /// Watch all that rules name, also those that flood.
    pub all: bool,
    /// Keep a copy of what opens and connects are given, made when they begin.
    pub entries: bool,
}

/// Bytes that are shown of what is read or written, unless the settings say otherwise.
pub const SNAPLEN: u32 = 80;

/// All settings.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Where events come from.
    pub source: Source,
    /// Rule files and directories that there are.
    pub rules: Vec<PathBuf>,
    /// Those that are named but aren't there. Falco passes over them.
    pub missing_rules: Vec<PathBuf>,
    /// Rules switched on or off after loading.
    pub selections: Vec<Selection>,
    /// First match or all.
    pub matching: Matching,
    /// Least urgent priority that a loaded rule may have.
    pub priority: Priority,
    /// Form of alerts.
    pub form: Form,
    /// Optional parts of JSON alerts.
    pub json: JsonParts,
    /// Whole dates in UTC rather than local times of day.
    pub iso8601: bool,
    /// How data that was read or written is shown.
    pub buffers: BufferFormat,
    /// Additions to alerts.
    pub append: Vec<Append>,
    /// Fixed fields that rules may name as `static.NAME`.
    pub static_fields: Vec<(String, String)>,
    /// The sinks.
    pub sinks: SinkConfig,
    /// Lines are not sent one by one.
    pub buffered: bool,
    /// Lines that may wait for each sink.
    pub queue_capacity: usize,
    /// How long the sinks may take at the end.
    pub output_timeout: Duration,
    /// Lost events.
    pub drops: DropConfig,
    /// Log.
    pub log: LogConfig,
    /// Captures that rules start.
    pub capture: CaptureConfig,
    /// Size of the host's state.
    pub state: StateConfig,
    /// Waits without an event after which that is told.
    pub silence: u32,
    /// Metrics.
    pub metrics: MetricsConfig,
    /// The web server.
    pub web: WebConfig,
    /// System calls.
    pub base_syscalls: BaseSyscalls,
    /// Bytes of a ring buffer.
    pub ring_bytes: usize,
    /// Bytes that are shown of what is read or written.
    pub snaplen: u32,
    /// CPUs that share a ring buffer.
    pub cpus_per_ring: usize,
    /// Calls that failed are not delivered.
    pub drop_failed: bool,
    /// What runs already is learnt from the kernel's iterators, if it has any.
    pub iterators: bool,
    /// How long an alert may wait for its container's names.
    pub enrichment_timeout: Duration,
    /// Where container runtimes are asked.
    pub containers: lanner_container::Config,
    /// Reload when a configuration or rules file changes.
    pub watch_files: bool,
    /// Where the probe is to see the ends of calls.
    pub calls: CallPoint,
    /// Whether the kernel's own copies of names and addresses are taken where it lets programs keep them.
    pub copies: bool,
    /// What is given up once the probe is attached.
    pub hardening: Hardening,
    /// The nice value of the thread that judges the kernel's events; one that isn't lower than the process' changes nothing.
    pub nice: i32,
    /// Resident memory, in bytes, that caches are shed to stay below; 0 for no limit.
    pub memory_limit: u64,
    /// Names of the plugins to load.
    pub plugins: Vec<String>,
    /// How those are set up, in the same order.
    pub plugin_settings: Vec<lanner_plugin::Settings>,
    /// Plugins in shared objects that only give events run in processes of their own.
    pub isolate_plugins: bool,
    /// Values that could not be used, with where and why.
    pub warnings: Vec<String>,
}

impl Default for Config {
    /// lanner's own defaults: live, text on standard output, every lost event told.
    fn default() -> Config {
        Config {
            source: Source::Live,
            rules: Vec::new(),
            missing_rules: Vec::new(),
            selections: Vec::new(),
            matching: Matching::First,
            priority: Priority::Debug,
            form: Form::Text,
            json: JsonParts::default(),
            iso8601: false,
            buffers: BufferFormat::Printable,
            append: Vec::new(),
            static_fields: Vec::new(),
            sinks: SinkConfig { stdout: true, ..SinkConfig::default() },
            buffered: false,
            queue_capacity: 32 << 10,
            output_timeout: Duration::from_secs(2),
            drops: DropConfig {
                actions: vec![DropAction::Alert],
                threshold: 0.0,
                rate: 1.0,
                max_burst: 1.0,
                simulate: false,
            },
            log: LogConfig { stderr: true, syslog: false, level: Priority::Notice },
            capture: CaptureConfig::default(),
            state: StateConfig::default(),
            silence: 1000,
            metrics: MetricsConfig::default(),
            web: WebConfig::default(),
            base_syscalls: BaseSyscalls::default(),
            ring_bytes: 8 << 20,
            snaplen: SNAPLEN,
            cpus_per_ring: 1,
            drop_failed: false,
            iterators: true,
            enrichment_timeout: Duration::from_secs(1),
            containers: lanner_container::Config::default(),
            watch_files: false,
            calls: CallPoint::Auto,
            copies: true,
            hardening: Hardening::Full,
            nice: -5,
            memory_limit: 0,
            plugins: Vec::new(),
            plugin_settings: Vec::new(),
            isolate_plugins: false,
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// The built-in container plugin is asked for, so that its suggested fields are appended to alerts.
    pub fn has_container_plugin(&self) -> bool {
        self.plugins.iter().any(|name| name == "container")
    }
}
