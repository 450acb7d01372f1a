//! The capabilities that are kept, each with its reason.

use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::config::Config;
use crate::host::host_root;

/// A capability that is kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Its name.
    pub name: &'static str,
    /// What would be lost with it.
    pub reason: &'static str,
    bit: CapabilitySet,
    /// Whether these settings need it.
    needed: fn(&Config) -> bool,
}

fn always(_: &Config) -> bool {
    true
}

/// All that may be kept.
pub const KEPT: [Kept; 6] = [
    Kept {
        name: "CAP_BPF",
        reason: "read the counters of lost events, take the snapshot of what runs",
        bit: CapabilitySet::BPF,
        needed: always,
    },
    Kept {
        name: "CAP_PERFMON",
        reason: "attach to further calls when rules change",
        bit: CapabilitySet::PERFMON,
        needed: always,
    },
    Kept {
        name: "CAP_SYS_PTRACE",
        reason: "read /proc of other users' processes: their files, and through their root the accounts of containers",
        bit: CapabilitySet::SYS_PTRACE,
        needed: always,
    },
    Kept {
        name: "CAP_DAC_READ_SEARCH",
        reason: "read rules, settings, certificates, bundles of containers, whoever owns them",
        bit: CapabilitySet::DAC_READ_SEARCH,
        needed: always,
    },
    Kept {
        name: "CAP_DAC_OVERRIDE",
        reason: "write alerts, metrics or captures into directories of other users, talk to runtimes whose sockets are theirs",
        bit: CapabilitySet::DAC_OVERRIDE,
        needed: writes,
    },
    Kept {
        name: "CAP_NET_BIND_SERVICE",
        reason: "listen on a port below 1024",
        bit: CapabilitySet::NET_BIND_SERVICE,
        needed: listens,
    },
];

/// Whether alerts, metrics or captures go to files, or a user has a runtime of their own.
fn writes(config: &Config) -> bool {
    let users = std::fs::read_dir(host_root().join("run/user")).into_iter().flatten().flatten();
    let file = config.sinks.file.is_some() || config.metrics.output_file.is_some();
    file || users.map(|user| user.path().join("podman/podman.sock")).any(|socket| socket.exists())
}

/// Whether something listens.
fn listens(config: &Config) -> bool {
    config.web.enabled || !config.plugin_settings.is_empty()
}

/// Gives up all others, for good; names those that are kept.
pub fn give_up(config: &Config) -> io::Result<Vec<&'static str>> {
    let held = rustix::thread::capabilities(None)?;
    let kept: Vec<&Kept> =
        KEPT.iter().filter(|kept| held.permitted.contains(kept.bit) && (kept.needed)(config)).collect();
    let sets = kept.iter().fold(CapabilitySet::empty(), |all, kept| all | kept.bit);
    // Ambient ones go with the inheritable ones.
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: sets, permitted: sets, inheritable: CapabilitySet::empty() },
    )?;
    Ok(kept.iter().map(|kept| kept.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stands_in_the_documentation_with_its_reason() {
        let text = include_str!("../../../../docs/security.md");
        for kept in KEPT {
            let row = format!("| `{}` | {} |", kept.name, kept.reason);
            assert!(text.contains(&row), "docs/security.md lacks {row}");
        }
    }

    /// In a thread of its own: the others keep what they have.
    #[test]
    fn others_are_given_up_for_good() {
        let held = rustix::thread::capabilities(None).unwrap().permitted;
        let left = std::thread::spawn(|| {
            give_up(&Config::default()).unwrap();
            rustix::thread::capabilities(None).unwrap()
        });
        let left = left.join().unwrap();
        let may = KEPT.iter().fold(CapabilitySet::empty(), |all, kept| all | kept.bit);
        assert_eq!((left.permitted, left.inheritable), (held & left.permitted, CapabilitySet::empty()));
        assert!(may.contains(left.permitted) && !left.permitted.contains(CapabilitySet::SYS_ADMIN));
    }
}
