//! The executable as its users meet it: arguments in, lines and exit codes out.

#![allow(clippy::unwrap_used, reason = "a test may stop where it cannot go on")]

mod doctor;
mod explain;
mod falco;
mod foreign;
mod help;
mod listings;
mod live;
mod memory;
mod messages;
mod operations;
mod plugins;
mod profile;
mod relay;
mod reload;
mod replay;
mod settings;
mod stage;
