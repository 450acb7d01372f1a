//! What the process gives up once the probe is attached: capabilities that it doesn't need any more, new privileges
//! of any kind, and all system calls but those that it makes.
//!
//! It has to be done while there is one thread: those that are started later inherit it.

mod calls;
mod capabilities;

use lanner_alert::Priority;

pub use capabilities::{KEPT, Kept};

use crate::config::{Config, Hardening};
use crate::log::Log;

/// Gives up what the settings let go. `foreign` names a plugin in this process that isn't ours, if there is one: no
/// list of its calls exists, so that it would be broken by ours. `kprobes`: the probe attaches some when rules change.
pub fn confine(config: &Config, foreign: Option<&str>, kprobes: bool, log: &Log) {
    if config.hardening == Hardening::None {
        return log.warning("hardening is off: all capabilities are kept");
    }
    let told = |what: &str, result: std::io::Result<()>| {
        if let Err(error) = result {
            log.warning(&format!("{what}: {error}; it goes on without"));
        }
    };
    told("privileges can't be refused for good", rustix::thread::set_no_new_privs(true).map_err(Into::into));
    match capabilities::give_up(config) {
        Ok(kept) => log.write(Priority::Debug, &format!("Capabilities kept: {}", kept.join(", "))),
        Err(error) => told("capabilities can't be given up", Err(error)),
    }
    if let Some(plugin) = foreign {
        return log.warning(&format!("seccomp is off: what the plugin '{plugin}' calls isn't known"));
    }
    if config.hardening == Hardening::Full {
        told("system calls can't be restricted", calls::restrict(kprobes));
    }
}
