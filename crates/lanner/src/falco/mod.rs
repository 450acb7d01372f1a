//! In the place of Falco: its options, configuration, messages and exit codes.

mod listing;
mod options;
mod plugins;
mod process;
mod rules;
pub mod version;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::SystemTime;

use lanner_agent::config::{Config, Settings, Source, config_schema};
use lanner_agent::log::Log;
use lanner_agent::plugins::Plugins;
use lanner_agent::wanted::IGNORED;
use lanner_alert::Priority;
use lanner_rules::schema::rule_schema;

use listing::FieldOptions;
use options::Options;

/// Everything that the steps share.
struct Session {
    options: Options,
    settings: Settings,
    config: Config,
    log: Log,
    plugins: Plugins,
    command_line: String,
    args: Vec<OsString>,
    /// When the settings began to be read.
    since: SystemTime,
}

/// Runs as Falco does with these options.
pub fn main(args: Vec<OsString>) -> ExitCode {
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Error(message)) => {
            eprintln!("Error: {message}");
            ExitCode::FAILURE
        }
        Err(Failure::Said(code)) => ExitCode::from(code),
    }
}

/// Why the program ends with an exit code that isn't 0.
#[derive(Debug)]
enum Failure {
    /// What is to be said on standard error.
    Error(String),
    /// It was said in the log; the exit code.
    Said(u8),
}

impl From<String> for Failure {
    fn from(message: String) -> Failure {
        Failure::Error(message)
    }
}

/// Prints to standard output; a reader that has gone away is no failure.
fn print(text: &str) {
    // There is nobody to tell.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn run(args: &[OsString]) -> Result<(), Failure> {
    let options = Options::read(args.to_vec())?;
    if let Some(text) = unconfigured(&options)? {
        print(&text);
        return Ok(());
    }
    let session = Session::load(options, args)?;
    if session.options.print.version {
        print(&version::text(&session));
        return Ok(());
    }
    if session.options.print.page_size {
        session.log.info(&format!("Your system page size is: {} bytes", version::page_size()));
        return Ok(());
    }
    if session.options.config.is_none() {
        let message =
            format!("You must create a config file at {} or by passing -c", options::DEFAULT_CONFIG);
        return Err(message.into());
    }
    if let Some(text) = plugins::listing(&session)? {
        print(&text);
        return Ok(());
    }
    plugins::load(&session);
    if let Some(source) = &session.options.print.list {
        print(&fields(&session, source)?);
        return Ok(());
    }
    let sources = session.select_sources()?;
    if !session.options.validate.is_empty() {
        rules::validate(&session)?;
        return Ok(());
    }
    let rules = rules::load(&session)?;
    if rules::describe(&session, &rules)? {
        return Ok(());
    }
    if session.options.print.support {
        print(&version::support(&session, &rules));
        return Ok(());
    }
    process::process(&session, rules, &sources)
}

/// What is printed without a configuration.
fn unconfigured(options: &Options) -> Result<Option<String>, String> {
    if options.help {
        return Ok(Some(Options::help()));
    }
    if options.print.config_schema {
        return Ok(Some(format!("{:#}\n", config_schema())));
    }
    if options.print.rule_schema {
        return Ok(Some(format!("{:#}\n", rule_schema())));
    }
    if options.print.ignored_events {
        let calls: String = IGNORED.iter().map(|name| format!("- {name}\n")).collect();
        return Ok(Some(format!("Ignored syscall(s):\n{calls}\n")));
    }
    if options.print.list_events {
        return Ok(Some(listing::events(options.form()?)));
    }
    Ok(None)
}

fn fields(session: &Session, source: &str) -> Result<String, String> {
    let sources = session.plugins.all_sources();
    if !source.is_empty() && !sources.contains(&source) {
        return Err("Value for --list must be a valid source type".to_owned());
    }
    Ok(listing::fields(&FieldOptions {
        sources: &sources,
        source,
        plugins: &session.config.plugins,
        names_only: session.options.print.names_only,
        verbose: session.options.verbose,
        form: session.options.form()?,
    }))
}

impl Session {
    fn load(options: Options, args: &[OsString]) -> Result<Session, String> {
        let since = SystemTime::now();
        let settings = Settings::load(options.config.as_deref(), &options.set).map_err(|e| e.to_string())?;
        let mut config = Config::from_falco(&settings).map_err(|e| e.to_string())?;
        if options.unbuffered {
            config.buffered = false;
        }
        if let Some(format) = options.print_additional.as_deref() {
            add_output(&mut config, format);
        }
        let log = Log::new(config.log.clone(), config.iso8601);
        let mut command_line = "falco".to_owned();
        for arg in args {
            command_line.push(' ');
            command_line.push_str(&arg.to_string_lossy());
        }
        log.info(&format!("Falco version: {} ({})", version::FALCO, std::env::consts::ARCH));
        log.write(Priority::Debug, &format!("CLI args: {command_line}"));
        if !settings.files.is_empty() {
            log.info("Falco initialized with configuration files:");
            for file in &settings.files {
                let fits = file.schema == lanner_rules::schema::FITS;
                let level = if fits { Priority::Informational } else { Priority::Warning };
                log.write(level, &format!("   {} | schema validation: {}", file.path.display(), file.schema));
            }
        }
        // Where the log goes nowhere, that may be what is wrong.
        let unheard = !config.log.stderr && !config.log.syslog;
        for warning in &config.warnings {
            if unheard { eprintln!("{warning}") } else { log.warning(warning) }
        }
        if config.source == Source::Live {
            // Without it a support request lacks a line, no more.
            if let Ok(version) = std::fs::read_to_string("/proc/version") {
                log.info(&format!("System info: {version}"));
            }
        }
        if options.print_additional.is_some() {
            log.warning(
                "The -p/--print option is deprecated and will be removed. Use -o append_output=... instead.",
            );
        }
        let plugins = Plugins::load(&mut config).map_err(|e| e.to_string())?;
        Ok(Session { options, settings, config, log, plugins, command_line, args: args.to_vec(), since })
    }

    fn is_replay(&self) -> bool {
        matches!(self.config.source, Source::Replay(_))
    }

    /// Which sources are on. For a capture that is of no account.
    fn select_sources(&self) -> Result<Vec<&'static str>, String> {
        let Options { enable_source, disable_source, .. } = &self.options;
        if self.is_replay() {
            return Ok(self.plugins.all_sources());
        }
        self.plugins.select(enable_source, disable_source)
    }
}

/// `-p`: a text for all alerts. The short forms for containers say what the container plugin does anyway.
fn add_output(config: &mut Config, format: &str) {
    if !matches!(format, "c" | "container" | "k" | "kubernetes" | "") {
        config.append.push(lanner_agent::config::Append { output: format.to_owned(), ..Default::default() });
    }
}
