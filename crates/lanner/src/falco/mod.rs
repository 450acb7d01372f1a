//! In the place of Falco: its options, configuration, messages and exit codes.

mod options;
mod plugins;
mod process;
mod rules;
mod version;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use lanner_agent::config::{Config, Settings, Source};
use lanner_agent::log::Log;
use lanner_agent::plugins::Plugins;
use lanner_agent::wanted::IGNORED;
use lanner_fields::Vocabulary;

use crate::listing;
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
}

/// Runs as Falco does with these options.
pub fn main(args: Vec<OsString>) -> ExitCode {
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("Error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output; a reader that has gone away is no failure.
fn print(text: &str) {
    // There is nobody to tell.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn run(args: &[OsString]) -> Result<(), String> {
    let options = Options::read(args.to_vec())?;
    if let Some(text) = unconfigured(&options)? {
        print(&text);
        return Ok(());
    }
    let session = Session::load(options, args)?;
    if session.options.print.version {
        print(&version::text(&session.config));
        return Ok(());
    }
    if session.options.print.page_size {
        session.log.info(&format!("Your system page size is: {} bytes", version::page_size()));
        return Ok(());
    }
    if session.options.config.is_none() {
        return Err(format!("You must create a config file at {} or by passing -c", options::DEFAULT_CONFIG));
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
    for (asked, option) in
        [(options.print.config_schema, "--config-schema"), (options.print.rule_schema, "--rule-schema")]
    {
        if asked {
            return Err(format!("{option} is not supported by this version of lanner"));
        }
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
    let source = if source.is_empty() { "syscall" } else { source };
    if !session.plugins.all_sources().contains(&source) {
        return Err("Value for --list must be a valid source type".to_owned());
    }
    let vocabulary = Vocabulary::new(source, Some(&session.config.plugins));
    Ok(listing::fields(Some(vocabulary), session.options.print.names_only, session.options.form()?))
}

impl Session {
    fn load(options: Options, args: &[OsString]) -> Result<Session, String> {
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
        log.write(lanner_output::Priority::Debug, &format!("CLI args: {command_line}"));
        if !settings.files.is_empty() {
            log.info("Falco initialized with configuration files:");
            for file in &settings.files {
                log.info(&format!("   {}", file.display()));
            }
        }
        config.warnings.iter().for_each(|warning| log.warning(warning));
        if options.print_additional.is_some() {
            log.warning(
                "The -p/--print option is deprecated and will be removed. Use -o append_output=... instead.",
            );
        }
        let plugins = Plugins::load(&config).map_err(|e| e.to_string())?;
        Ok(Session { options, settings, config, log, plugins, command_line, args: args.to_vec() })
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
