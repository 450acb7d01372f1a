//! Wiring: settings, the live loop, recording, replay, lost events, alerts that wait for their container's names, and
//! what a user reads of all that.
//!
//! This crate may use all others but the command line.

pub mod accounts;
pub mod ahead;
pub mod announce;
pub mod attach;
pub mod config;
pub mod confine;
mod crew;
pub mod doctor;
pub mod domains;
mod dropping;
pub mod drops;
pub mod enrich;
pub mod explain;
pub mod hold;
pub mod host;
pub mod inventory;
mod known_cgroups;
pub mod launcher;
pub mod learnt;
pub mod live;
pub mod log;
pub mod memory;
pub mod metrics;
mod moving;
pub mod notify;
mod open_files;
mod outbox;
pub mod pending;
pub mod plugins;
pub mod prefilter;
pub mod profile;
pub mod program;
pub mod record;
mod recorder;
pub mod recording;
pub mod records;
pub mod reload;
pub mod replay;
pub mod ruleset;
pub mod screen;
pub mod sending;
pub mod signals;
pub mod silence;
pub mod sinks;
pub mod sources;
pub mod tally;
pub mod terms;
pub mod together;
pub mod triggered;
pub mod walk;
pub mod wanted;
pub mod watch;
pub mod web;
