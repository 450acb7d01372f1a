//! Falco's own options.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::cli::ListForm;

/// Where the configuration is when `-c` doesn't say it.
pub const DEFAULT_CONFIG: &str = "/etc/falco/falco.yaml";

/// What Falco's command line says. The help texts are our own.
#[derive(Clone, Debug, Default, Parser)]
#[command(
    name = "falco",
    override_usage = "falco [OPTION...]",
    about = "lanner in the place of Falco: cloud-native runtime security",
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true,
    max_term_width = 120
)]
pub struct Options {
    /// Print this list of options and exit
    #[arg(short, long)]
    pub help: bool,

    /// Configuration file
    #[arg(short = 'c', value_name = "path")]
    pub config: Option<PathBuf>,

    #[command(flatten)]
    pub print: Print,

    /// Turn an event source off (may be repeated; not together with --enable-source)
    #[arg(long, value_name = "event_source")]
    pub disable_source: Vec<String>,

    /// Check configuration and rules, then exit without looking at events
    #[arg(long)]
    pub dry_run: bool,

    /// Turn only these event sources on (may be repeated; not together with --disable-source)
    #[arg(long, value_name = "event_source")]
    pub enable_source: Vec<String>,

    /// Stop after this many seconds
    #[arg(short = 'M', value_name = "num_seconds", default_value_t = 0)]
    pub seconds: u64,

    /// Set a configuration value: a.b=v, a.list[1]=v; a backslash keeps a dot or bracket in a name
    #[arg(short = 'o', long = "option", value_name = "opt>=<val")]
    pub set: Vec<String>,

    /// DEPRECATED, use -o append_output: text appended to every alert
    #[arg(short = 'p', long = "print", value_name = "output_format")]
    pub print_additional: Option<String>,

    /// Write the process id to a file
    #[arg(short = 'P', long = "pidfile", value_name = "pid_file")]
    pub pidfile: Option<PathBuf>,

    /// Rules file or directory; only .yaml and .yml files count (may be repeated; replaces those of the configuration)
    #[arg(short = 'r', value_name = "rules_file")]
    pub rules: Vec<PathBuf>,

    /// Write every line at once
    #[arg(short = 'U', long)]
    pub unbuffered: bool,

    /// Check rules files, print what is wrong with them and exit (may be repeated)
    #[arg(short = 'V', long = "validate", value_name = "rules_file")]
    pub validate: Vec<PathBuf>,

    /// Say more
    #[arg(short = 'v')]
    pub verbose: bool,

    /// Words that are no options are passed over
    #[arg(hide = true)]
    pub other: Vec<String>,
}

/// Options that print something and exit, and what they go with.
#[derive(Clone, Debug, Default, Args)]
pub struct Print {
    /// Print the JSON schema of the configuration and exit
    #[arg(long)]
    pub config_schema: bool,

    /// Print the JSON schema of rules files and exit
    #[arg(long)]
    pub rule_schema: bool,

    /// Print the system calls that are not watched unless asked for, and exit
    #[arg(short = 'i')]
    pub ignored_events: bool,

    /// Print name and description of all rules and exit; with json_output all there is to know of them
    #[arg(short = 'L')]
    pub describe_all: bool,

    /// Print name and description of one rule and exit
    #[arg(short = 'l', value_name = "rule")]
    pub describe: Option<String>,

    /// Print all fields, or those of one source, and exit
    #[arg(long, value_name = "source", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub list: Option<String>,

    /// Print all event types and exit
    #[arg(long, alias = "list-syscall-events")]
    pub list_events: bool,

    /// Print the loaded plugins and exit
    #[arg(long)]
    pub list_plugins: bool,

    /// DEPRECATED, use --format markdown
    #[arg(long)]
    pub markdown: bool,

    /// Form of --list and --list-events: text, markdown or json
    #[arg(long, value_name = "format")]
    pub format: Option<String>,

    /// With --list: only the names
    #[arg(short = 'N')]
    pub names_only: bool,

    /// Print what there is to know of a plugin and exit
    #[arg(long, value_name = "plugin_name")]
    pub plugin_info: Option<String>,

    /// Print version, configuration and rules as JSON, for support requests, and exit
    #[arg(long)]
    pub support: bool,

    /// Print version information and exit
    #[arg(long)]
    pub version: bool,

    /// Print the page size and exit
    #[arg(long)]
    pub page_size: bool,
}

impl Options {
    /// Reads a command line without its program's name.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn read(args: Vec<OsString>) -> Result<Options, String> {
        let args = std::iter::once(OsString::from("falco")).chain(args);
        let matches = Options::command().try_get_matches_from(args).map_err(|e| plain(&e))?;
        let mut options = Options::from_arg_matches(&matches).map_err(|e| plain(&e))?;
        if options.print.markdown && options.print.format.is_some() {
            return Err("Cannot specify both --markdown and --format options together".to_owned());
        }
        if options.print.markdown {
            eprintln!("WARNING: --markdown is deprecated, use --format markdown instead.");
        }
        options.form()?;
        match &options.config {
            Some(path) if std::fs::File::open(path).is_err() => {
                return Err(format!("Could not find configuration file at {}", path.display()));
            }
            Some(_) => {}
            None => {
                let default = PathBuf::from(DEFAULT_CONFIG);
                options.config = std::fs::File::open(&default).is_ok().then_some(default);
            }
        }
        Ok(options)
    }

    /// The form of listings.
    ///
    /// # Errors
    /// When `--format` names none.
    pub fn form(&self) -> Result<ListForm, String> {
        match &self.print.format {
            None if self.print.markdown => Ok(ListForm::Markdown),
            None => Ok(ListForm::Text),
            Some(text) => ListForm::from_str(text, true)
                .map_err(|_| format!("Invalid format '{text}'. Valid values are: text, markdown, json")),
        }
    }

    /// The help text.
    pub fn help() -> String {
        let mut command: Command = Options::command();
        command.render_help().to_string()
    }
}

/// What is wrong with a command line, in the words of Falco's option parser.
fn plain(error: &clap::Error) -> String {
    use clap::error::{ContextKind as Of, ContextValue, ErrorKind};
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let option = context(Of::InvalidArg);
    let name = option.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => format!("Option ‘{name}’ does not exist"),
        ErrorKind::InvalidValue if context(Of::InvalidValue).is_empty() => {
            format!("Option ‘{name}’ is missing an argument")
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            format!("Argument ‘{}’ failed to parse", context(Of::InvalidValue))
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.strip_prefix("error: ").unwrap_or(first).to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Options, String> {
        Options::read(args.iter().map(OsString::from).collect())
    }

    #[test]
    fn options_are_read_as_falco_reads_them() {
        let options =
            read(&["-c", "/dev/null", "-r", "a", "-r", "b", "-o", "x=1", "-pk", "-M", "5", "--list=syscall"])
                .unwrap();
        assert_eq!(options.rules, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!((&options.set[0][..], options.seconds), ("x=1", 5));
        assert_eq!(options.print_additional.as_deref(), Some("k"));
        assert_eq!(options.print.list.as_deref(), Some("syscall"));
        assert_eq!(read(&["-c", "/dev/null", "--list", "-N"]).unwrap().print.list.as_deref(), Some(""));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(read(&["-c", "/nowhere"]).unwrap_err(), "Could not find configuration file at /nowhere");
        assert!(read(&["--list", "--format", "x"]).unwrap_err().starts_with("Invalid format 'x'"));
        assert!(read(&["--markdown", "--format", "json"]).unwrap_err().contains("both"));
        assert_eq!(read(&["--no-such"]).unwrap_err(), "Option ‘no-such’ does not exist");
        assert_eq!(read(&["-A"]).unwrap_err(), "Option ‘A’ does not exist");
        assert_eq!(read(&["-r"]).unwrap_err(), "Option ‘r’ is missing an argument");
        assert_eq!(read(&["--pidfile"]).unwrap_err(), "Option ‘pidfile’ is missing an argument");
        assert_eq!(read(&["-M", "x"]).unwrap_err(), "Argument ‘x’ failed to parse");
    }
}
