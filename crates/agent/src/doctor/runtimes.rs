//! Container runtimes, and whether they answer.

use std::time::Duration;

use lanner_container::{Resolver, RuntimeFound, RuntimeState};

use super::{Finding, Mark, Section};
use crate::config::Config;

/// How long runtimes may take to answer: more than one call may take.
const PATIENCE: Duration = Duration::from_secs(2);
const COST: &str = "alerts from its containers wait for names, and go without those that are not on disk";

fn finding(name: &str, mark: Mark, text: impl Into<String>) -> Finding {
    Finding::new(Section::Runtimes, name, mark, text)
}

/// Asks the runtimes.
pub fn findings(config: &Config) -> Vec<Finding> {
    let settings =
        lanner_container::Config { host_root: crate::host::host_root(), ..config.containers.clone() };
    match Resolver::start(settings) {
        Ok(resolver) => told(&resolver.runtimes_within(PATIENCE)),
        Err(error) => vec![finding("runtimes", Mark::Warn, error.to_string()).cost(COST)],
    }
}

fn told(found: &[RuntimeFound]) -> Vec<Finding> {
    if found.is_empty() {
        return vec![finding("runtimes", Mark::Note, "none found").advice(
            "nothing, if there are no containers here; otherwise name the socket in falco.yaml's \
                 container_engines, or mount the host's /run and set HOST_ROOT",
        )];
    }
    found.iter().map(one).collect()
}

fn one(runtime: &RuntimeFound) -> Finding {
    let name = if runtime.name.is_empty() { "runtime" } else { &runtime.name };
    let place = runtime.place.display();
    match &runtime.state {
        RuntimeState::Answers => {
            finding(name, Mark::Ok, format!("answers at {place}, version {}", runtime.version))
        }
        RuntimeState::RecordsOnly => finding(name, Mark::Ok, format!("its records are read at {place}")),
        RuntimeState::Found => finding(name, Mark::Warn, format!("hangs: no answer at {place} within 2 s"))
            .cost(COST)
            .advice("see whether the runtime is well: crictl info, systemctl status"),
        RuntimeState::Silent(why) => finding(name, Mark::Warn, format!("does not answer at {place}: {why}"))
            .cost(COST)
            .advice("see whether it runs, and whether this user may open its socket"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_judged_by_their_state() {
        let found = |state| RuntimeFound {
            name: "crio".into(),
            version: "1".into(),
            place: "/run/c.sock".into(),
            state,
        };
        let states = [RuntimeState::Answers, RuntimeState::Found, RuntimeState::Silent("refused".into())];
        let marks: Vec<_> = told(&states.map(found)).into_iter().map(|finding| finding.mark).collect();
        assert_eq!(marks, [Mark::Ok, Mark::Warn, Mark::Warn]);
        assert_eq!(told(&[])[0].mark, Mark::Note);
    }
}
