//! `lanner run` on this very kernel: each attack done for real raises its alert, each near miss none, lost
//! events are told, and an idle or busy host raises nothing. Needs root and a kernel that takes eBPF; what
//! can't run here is reported as skipped, with the reason.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod attacks;
mod called;
mod captures;
mod cgroups;
mod domains;
mod drops;
mod fields;
mod hardening;
mod health;
mod host_root;
mod lifetime;
mod names;
mod plugins;
mod profile;
mod quiet;
mod record;
mod records;
mod reload;
mod rules;
mod rules_container;
mod rules_host;
mod watch;
