//! lanner's own command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lanner_alert::Priority;

use crate::selection::SelectArgs;

/// Cloud-native runtime security: watches what a host's processes do and tells what should not be.
#[derive(Debug, Parser)]
#[command(name = "lanner", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What lanner does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch this host, live
    Run(RunArgs),
    /// Look at a capture file as if it happened now
    Replay(ReplayArgs),
    /// Record what happens on this host to a capture file
    Record(RecordArgs),
    /// Check, list, show, explain or measure rules
    #[command(subcommand)]
    Rules(RulesCommand),
    /// List the fields that rules and outputs can name
    Fields(FieldsArgs),
    /// List the event types that rules can name
    Events(EventsArgs),
    /// List and describe plugins: sources of events, and fields
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Say what works on this machine, what does not, what that costs and what to do
    Doctor(DoctorArgs),
    /// Show a host's alerts elsewhere: on standard output, by http, to OpenTelemetry; needs no privilege
    Relay(RelayArgs),
    /// Take Falco's options: a Falco deployment runs unchanged
    #[command(disable_help_flag = true)]
    Falco {
        /// Falco's options; `lanner falco --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

/// Where rules come from.
#[derive(Clone, Debug, Default, Args)]
pub struct RuleArgs {
    /// Rules file or directory (may be repeated); lanner's own rules when there is none
    #[arg(short, long = "rules", value_name = "PATH")]
    pub rules: Vec<PathBuf>,

    /// Rules file or directory read after those (may be repeated): what tunes lanner's own rules stands there
    #[arg(long, value_name = "PATH")]
    pub also: Vec<PathBuf>,

    #[command(flatten)]
    pub select: SelectArgs,
}

/// Form of alerts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum AlertForm {
    Text,
    Json,
}

/// How alerts look.
#[derive(Clone, Debug, Default, Args)]
pub struct AlertArgs {
    /// Form of the alerts: text, or JSON with one object a line
    #[arg(long, value_enum, value_name = "FORM")]
    pub output: Option<AlertForm>,

    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    pub json: bool,

    /// Leave out rules that are less urgent than this
    #[arg(long, value_name = "PRIORITY", value_parser = parse_priority)]
    pub priority: Option<Priority>,

    /// Tell every rule that an event matches, not just the first
    #[arg(long)]
    pub all_matches: bool,
}

fn parse_priority(text: &str) -> Result<Priority, String> {
    text.parse().map_err(|e: lanner_alert::UnknownPriority| e.to_string())
}

/// `lanner run`
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub rules: RuleArgs,

    #[command(flatten)]
    pub alerts: AlertArgs,

    /// Read settings from a falco.yaml
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<u64>,

    /// How long an alert may wait for its container's names, in milliseconds
    #[arg(long, value_name = "MS")]
    pub enrichment_timeout: Option<u64>,

    /// Turn only these sources on: syscall, or one of a plugin in the falco.yaml (may be repeated)
    #[arg(long, value_name = "SOURCE", conflicts_with = "disable_source")]
    pub enable_source: Vec<String>,

    /// Turn a source off (may be repeated)
    #[arg(long, value_name = "SOURCE")]
    pub disable_source: Vec<String>,

    /// Don't print the start screen
    #[arg(long)]
    pub quiet: bool,

    /// Say, rule by rule, which events the kernel lets through and why
    #[arg(long, short)]
    pub verbose: bool,
}

/// `lanner relay`
#[derive(Clone, Debug, Args)]
pub struct RelayArgs {
    /// The socket that lanner on the host serves (socket_output), or the file that it writes (file_output)
    #[arg(default_value = "/run/lanner/alerts.sock")]
    pub source: PathBuf,

    /// Begin with what the file holds already, not with its next line
    #[arg(long)]
    pub from_start: bool,

    /// Serve alerts at this address: /alerts, /alerts/stream, /healthz
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<std::net::SocketAddr>,

    /// Send alerts to the OpenTelemetry collector there, such as http://collector:4318
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
}

/// `lanner replay`
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The capture, plain or gzip
    pub file: PathBuf,

    #[command(flatten)]
    pub rules: RuleArgs,

    #[command(flatten)]
    pub alerts: AlertArgs,
}

/// `lanner record`
#[derive(Clone, Debug, Args)]
pub struct RecordArgs {
    /// The capture to write; `lanner replay`, Falco and sysdig read it
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Read settings (container runtimes, buffers) from a falco.yaml
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<u64>,

    /// Stop, or go on in the next file, when a file has so many bytes (before compression)
    #[arg(long, value_name = "BYTES")]
    pub size: Option<u64>,

    /// Keep the last N files: FILE is written, FILE.1 came before it, and so on
    #[arg(long, value_name = "N", requires = "size", value_parser = clap::value_parser!(u32).range(1..))]
    pub rotate: Option<u32>,

    /// Only events that match a condition, as rules have them, and what is needed to understand those
    #[arg(long, value_name = "CONDITION")]
    pub filter: Option<String>,

    /// For lanner and today's Falco only: with the calls and kinds of fds that sysdig 0.29 does not survive
    /// (statx, rseq, …; memfd, io_uring, …), and without the event of each call's begin that only old readers want
    #[arg(long)]
    pub modern: bool,

    /// Compress with gzip
    #[arg(long)]
    pub gzip: bool,
}

/// `lanner rules`
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Check rules files and say everything that is wrong with them
    Check {
        /// Rules files or directories; lanner's own rules when there is none
        files: Vec<PathBuf>,
        /// Rules file or directory read after those (may be repeated)
        #[arg(long, value_name = "PATH")]
        also: Vec<PathBuf>,
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// List rules: priority, name and description
    List(RuleArgs),
    /// Show one rule whole: condition as written and as compiled, what it uses, where it stands
    Show {
        /// The rule's name
        name: String,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        rules: RuleArgs,
    },
    /// Say why a rule fired at a capture's events or didn't, comparison by comparison
    ///
    /// ✓ holds, ✗ does not hold, – was not reached: what stands before it has decided.
    Explain(ExplainArgs),
    /// Measure what rules and their comparisons cost, and say what would make them cheaper
    ///
    /// The dearest come first. A rule's time is that of its own comparisons; those it shares count for the first
    /// rule that makes them. What is remembered from earlier events is not evaluated again.
    Profile(ProfileArgs),
}

/// `lanner rules profile`
#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// The capture, plain or gzip
    #[arg(required_unless_present = "live")]
    pub file: Option<PathBuf>,

    /// Record this host for a while and measure that
    #[arg(long, conflicts_with = "file")]
    pub live: bool,

    /// How long, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "live")]
    pub duration: u64,

    /// Show so many rules and comparisons
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,

    /// Print all of it as JSON
    #[arg(long)]
    pub json: bool,

    /// Look for every rule that an event matches, not just the first
    #[arg(long)]
    pub all_matches: bool,

    #[command(flatten)]
    pub rules: RuleArgs,
}

/// `lanner rules explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The rule's name
    pub rule: String,

    /// The capture, plain or gzip; without one, what of the rule the kernel decides live is told
    #[arg(long, value_name = "FILE")]
    pub capture: Option<PathBuf>,

    /// Only the event with this number (`evt.num`); else all of a type that the rule can match
    #[arg(long, value_name = "NUM")]
    pub event: Option<u64>,

    /// Explain this many events at most: those that match, then those that come nearest
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub max: u32,

    #[command(flatten)]
    pub rules: RuleArgs,
}

/// Form of a listing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
pub enum ListForm {
    /// For people
    #[default]
    Text,
    /// For documents
    Markdown,
    /// For programs
    Json,
}

/// `lanner fields`
#[derive(Debug, Args)]
pub struct FieldsArgs {
    /// Only fields of this source's events (syscall, k8s_audit, …)
    #[arg(long)]
    pub source: Option<String>,

    /// Only the names
    #[arg(long)]
    pub names: bool,

    /// Form of the list
    #[arg(long, value_enum, default_value_t)]
    pub format: ListForm,
}

/// `lanner events`
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Form of the list
    #[arg(long, value_enum, default_value_t)]
    pub format: ListForm,
}

/// `lanner plugin`
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// List the plugins that are built in, and those that a falco.yaml loads
    List {
        /// Read settings from a falco.yaml
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Describe a plugin: what it can do, how it is set up, what its source may be opened with
    Info {
        /// The plugin's name, or the path of a shared object
        name: String,
        /// Read settings from a falco.yaml
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// `lanner doctor`
///
/// Exit code 0: all that detection needs is here; 1: something is missing.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Judge by the settings of a falco.yaml
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}
