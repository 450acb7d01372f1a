//! What this process may do.

use super::facts::{BPF, Facts, PERFMON, SYS_ADMIN, SYS_PTRACE, SYS_RESOURCE};
use super::{Finding, Mark, Section};

const TO_GRANT: &str = "run as root, or grant it (AmbientCapabilities=, --cap-add)";
/// From here on memory of BPF is counted by memory cgroups instead of RLIMIT_MEMLOCK.
pub const MEMORY_BY_CGROUP: (u32, u32) = (5, 11);

fn finding(name: &str, mark: Mark, text: impl Into<String>) -> Finding {
    Finding::new(Section::Privileges, name, mark, text)
}

/// What is found.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let locked = facts.version().is_some_and(|version| version < MEMORY_BY_CGROUP);
    let mut out = vec![user(facts)];
    out.extend([
        capability(facts, "CAP_BPF", BPF, Mark::Bad, "no program can be loaded: nothing can be watched"),
        capability(facts, "CAP_PERFMON", PERFMON, Mark::Bad, "no program may trace: nothing can be watched"),
        capability(
            facts,
            "CAP_SYS_PTRACE",
            SYS_PTRACE,
            Mark::Warn,
            "/proc shows little of other users' processes: no files, working directory or accounts of containers",
        ),
    ]);
    out.push(if locked {
        capability(facts, "CAP_SYS_RESOURCE", SYS_RESOURCE, Mark::Warn, "locked memory can't be raised")
    } else {
        resource(facts)
    });
    out.extend(namespaces(facts));
    out
}

fn user(facts: &Facts) -> Finding {
    match facts.user() {
        Some("0") => finding("user", Mark::Ok, "root (effective user id 0)"),
        Some(id) => finding("user", Mark::Note, format!("effective user id {id}; capabilities decide")),
        None => finding("user", Mark::Note, "not known: /proc is not mounted"),
    }
}

/// CAP_SYS_ADMIN stands for the two that were once part of it.
fn capability(facts: &Facts, name: &str, bit: u32, mark: Mark, cost: &str) -> Finding {
    if facts.capable(bit) {
        return finding(name, Mark::Ok, "held");
    }
    if matches!(bit, BPF | PERFMON) && facts.capable(SYS_ADMIN) {
        return finding(name, Mark::Ok, "not held, but CAP_SYS_ADMIN is, which holds it");
    }
    finding(name, mark, "missing").cost(cost).advice(TO_GRANT)
}

fn resource(facts: &Facts) -> Finding {
    match facts.capable(SYS_RESOURCE) {
        true => finding("CAP_SYS_RESOURCE", Mark::Ok, "held"),
        false => finding("CAP_SYS_RESOURCE", Mark::Note, "missing; kernels from 5.11 on don't ask for it"),
    }
}

fn namespaces(facts: &Facts) -> Vec<Finding> {
    let user = facts.first_user_namespace.map(|first| {
        if first {
            return finding("user namespace", Mark::Ok, "the host's");
        }
        finding("user namespace", Mark::Bad, "one of its own (rootless container?)")
            .cost("capabilities held in it don't count for BPF: nothing can be watched")
            .advice("run outside of user namespaces (hostUsers: true; not rootless)")
    });
    let pid = facts.first_pid_namespace.map(|first| {
        if first {
            return finding("pid namespace", Mark::Ok, "the host's");
        }
        finding("pid namespace", Mark::Warn, "one of its own (container?)")
            .cost("what /proc shows here is not the host; process ids differ from those in alerts")
            .advice("share the host's (hostPID: true, --pid=host), or mount its /proc and set HOST_ROOT")
    });
    user.into_iter().chain(pid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(capabilities: u64) -> Vec<Mark> {
        let status = format!("Uid:\t0\t0\t0\t0\nCapEff:\t{capabilities:016x}\n");
        let facts = Facts { status, release: "6.1.0".into(), ..Facts::default() };
        findings(&facts).iter().map(|finding| finding.mark).collect()
    }

    #[test]
    fn capabilities_are_judged_by_what_needs_them() {
        use Mark::{Bad, Note, Ok, Warn};
        assert_eq!(with(0), [Ok, Bad, Bad, Warn, Note]);
        assert_eq!(with(1 << SYS_ADMIN), [Ok, Ok, Ok, Warn, Note]);
        assert_eq!(with(1 << BPF | 1 << PERFMON | 1 << SYS_PTRACE), [Ok, Ok, Ok, Ok, Note]);
        assert_eq!(with(u64::MAX), [Ok; 5]);
    }
}
