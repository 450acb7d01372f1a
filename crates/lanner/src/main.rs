//! The command line: lanner's own, and Falco's when called as `falco` or by `lanner falco`.
//!
//! This crate knows how things are said to people; what is done is the agent's.

mod cli;
mod commands;
mod falco;
mod listing;
mod plugins;
mod selection;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = lanner_plugin::host::run_if_asked() {
        return code;
    }
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    if program == lanner_agent::launcher::NAME {
        return lanner_agent::launcher::serve();
    }
    let as_falco = Path::new(&program).file_name().is_some_and(|name| name == "falco");
    match rest.split_first() {
        _ if as_falco => falco::main(rest),
        Some((first, options)) if first == "falco" => falco::main(options.to_vec()),
        _ => commands::main(),
    }
}
