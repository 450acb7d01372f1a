//! What can go wrong with the probe, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why the probe cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The process may not load BPF programs.
    #[error(
        "no permission to load BPF programs ({missing} is missing); run as root, or give the process CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE (kernels before 5.8: CAP_SYS_ADMIN)"
    )]
    NoPermission {
        /// The capability that is missing.
        missing: &'static str,
    },
    /// The kernel does not describe its own types.
    #[error(
        "{path} is missing: this kernel was built without BTF; use a kernel with CONFIG_DEBUG_INFO_BTF=y (most distributions' kernels since 5.8)"
    )]
    NoBtf {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The kernel does not accept a program.
    #[error(
        "the kernel refused the BPF program `{program}`: {source}; please report this with the kernel's release ({kernel}) and the lines below\n{log}"
    )]
    Refused {
        /// The program's name; empty where the kernel side did not say.
        program: String,
        /// The kernel's release.
        kernel: String,
        /// The last lines of the verifier's log.
        log: String,
        /// The system's error.
        source: io::Error,
    },
    /// A map could not be made.
    #[error(
        "cannot create the BPF map `{map}`: {source}; if memory is short, make ring buffers smaller or raise the memory limit of the container or service"
    )]
    Map {
        /// The map's name.
        map: String,
        /// The system's error.
        source: io::Error,
    },
    /// A program could not be attached.
    #[error(
        "cannot attach `{program}`: {source}; the kernel lacks this tracepoint or denies its use to this process (check lockdown mode and the security policy of the container)"
    )]
    Attach {
        /// The program's name.
        program: String,
        /// The system's error.
        source: io::Error,
    },
    /// Neither iterators nor `/proc` give the snapshot.
    #[error("cannot read what is running now: {source}; mount the host's /proc")]
    Snapshot {
        /// The system's error.
        source: io::Error,
    },
    /// Waiting for events failed.
    #[error("cannot wait for events: {source}")]
    Wait {
        /// The system's error.
        source: io::Error,
    },
}

/// Whether a line of a verifier's log may be its last word: that stands above its statistics and libbpf's own words.
fn is_reason(line: &str) -> bool {
    !["processed ", "-- ", "libbpf: prog ", "libbpf: failed to load"]
        .iter()
        .any(|start| line.starts_with(start))
}

impl ProbeError {
    /// Of one that tells of a program: its name, empty where it isn't known, and the kernel's reason in one line.
    pub(crate) fn reason(&self) -> Option<(&str, String)> {
        match self {
            ProbeError::Refused { program, log, source, .. } => {
                let said = log.lines().rev().map(str::trim).find(|line| !line.is_empty() && is_reason(line));
                Some((program, said.map_or_else(|| source.to_string(), str::to_owned)))
            }
            ProbeError::Attach { program, source } => Some((program, source.to_string())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(log: &str) -> ProbeError {
        let source = io::Error::from_raw_os_error(libc::EACCES);
        ProbeError::Refused { program: "on_exec".into(), kernel: "6.1".into(), log: log.into(), source }
    }

    #[test]
    fn the_verifiers_last_word_is_the_reason() {
        let log = "-- BEGIN PROG LOAD LOG --\nR1 invalid mem access\nprocessed 3 insns\n-- END PROG LOAD LOG --\nlibbpf: failed to load object";
        assert_eq!(refused(log).reason(), Some(("on_exec", "R1 invalid mem access".to_owned())));
        let (_, why) = refused("\n").reason().map(|(name, why)| (name.to_owned(), why)).unwrap_or_default();
        assert!(why.starts_with("Permission denied"), "{why}");
    }
}
