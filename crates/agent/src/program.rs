//! Rules and settings, ready to run: what a loop takes over as a whole when they have changed.

use std::sync::Arc;

use lanner_alert::Form;
use lanner_engine::Engine;

use crate::announce::Announcer;
use crate::config::Config;
use crate::metrics::LoadedFile;

/// The rules in force with the settings they were built under. Nothing in it changes, so loops share it.
pub struct Program {
    /// The rules.
    pub engine: Engine,
    /// The settings.
    pub config: Config,
    /// What makes alerts of the rules' matches.
    pub announcer: Announcer,
    /// What both were read from.
    pub files: Arc<[LoadedFile]>,
    /// The version of the whole that tools compare.
    pub version: &'static str,
}

/// What is told of a program beside its rules and settings.
#[derive(Clone, Default, Debug)]
pub struct About {
    /// The files that were read.
    pub files: Vec<LoadedFile>,
    /// The version that tools compare.
    pub version: &'static str,
}

impl Program {
    /// Rules under their settings.
    pub fn new(engine: Engine, config: Config, about: About) -> Arc<Program> {
        let announcer = Announcer::new(&engine, config.form == Form::Json);
        Arc::new(Program { engine, config, announcer, files: about.files.into(), version: about.version })
    }

    /// Name and priority of the rules, in load order.
    pub fn rules(&self) -> impl Iterator<Item = (String, lanner_alert::Priority)> {
        self.engine.rules().iter().map(|r| (r.rule.name.clone(), r.rule.priority))
    }
}
