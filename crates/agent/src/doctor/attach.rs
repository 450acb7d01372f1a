//! Ways to attach programs to the kernel, as the probe's trials found them.

use std::io::{self, ErrorKind};

use lanner_probe::trial::{Need, Outcome, Trial, Trials};
use lanner_probe::{Attachment, Missing, ProbeError};

use super::{Finding, Mark, Section};

fn finding(name: &str, mark: Mark, text: impl Into<String>) -> Finding {
    Finding::new(Section::Attachments, name, mark, text)
}

/// What is found. `permitted`: whether this process holds what all this asks for.
pub fn findings(trials: &Trials, permitted: bool) -> Vec<Finding> {
    let kinds = trials.kinds.iter().map(|trial| kind(trial, permitted));
    let missing = trials.probe.iter().flat_map(|attachment| &attachment.missing).map(missing);
    std::iter::once(probe(&trials.probe))
        .chain(missing)
        .chain(left_out(&trials.probe))
        .chain(calls(&trials.probe))
        .chain(arguments(&trials.probe))
        .chain(notes(&trials.probe))
        .chain(snapshot(&trials.probe))
        .chain(kinds)
        .collect()
}

/// A program of the probe that the kernel refused.
fn missing(missing: &Missing) -> Finding {
    let text = format!("the kernel refused it: {}", missing.why);
    finding(&missing.program, Mark::Warn, text).cost(format!("not seen: {}", missing.unseen))
}

/// The probe as a whole, which is what counts.
fn probe(opened: &Result<Attachment, ProbeError>) -> Finding {
    match opened {
        Ok(attachment) => {
            let snapshot = if attachment.iterators { "iterators" } else { "/proc" };
            let text = format!("opens with {} programs; snapshot by {snapshot}", attachment.points.len());
            finding("lanner's probe", Mark::Ok, text)
        }
        Err(error) => finding("lanner's probe", Mark::Bad, error.to_string().trim_end())
            .cost("`lanner run` can't watch this host; `lanner replay` works"),
    }
}

/// Where it can see the ends of calls.
fn calls(opened: &Result<Attachment, ProbeError>) -> Option<Finding> {
    let attachment = opened.as_ref().ok()?;
    Some(match &attachment.no_fexit {
        None => finding(
            "ends of calls",
            Mark::Ok,
            "can be seen at their own functions (fexit): a run begins at sys_exit and moves over in the background",
        ),
        Some(why) => {
            let why = why.lines().next().unwrap_or_default();
            finding(
                "ends of calls",
                Mark::Note,
                format!("seen at sys_exit; at their functions (fexit) not: {why}"),
            )
            .cost("every call of the host passes a small program, not only those that rules need")
        }
    })
}

/// Whether the kernel leaves out runs of programs.
fn left_out(opened: &Result<Attachment, ProbeError>) -> Option<Finding> {
    let why = opened.as_ref().ok()?.leaves_out.as_ref()?;
    let text = format!("a program may be left out while another thread is stopped in it: {why}");
    Some(
        finding("programs", Mark::Warn, text)
            .cost("calls that end meanwhile on that CPU are not seen, only counted as lost"),
    )
}

/// Whether the kernel's own copies of what calls are given can be taken.
fn arguments(opened: &Result<Attachment, ProbeError>) -> Option<Finding> {
    let name = "names and addresses";
    Some(match &opened.as_ref().ok()?.no_copies {
        None => finding(name, Mark::Ok, "can be taken from the kernel's own copies"),
        Some(why) => finding(name, Mark::Note, format!("read from the caller's memory when a call ends: {why}"))
            .cost("a thread that races can forge the names of files and the addresses that its process's calls are given"),
    })
}

/// Whether opened files that nobody asks for can be kept from lanner.
fn notes(opened: &Result<Attachment, ProbeError>) -> Option<Finding> {
    let why = opened.as_ref().ok()?.no_notes.as_ref()?;
    let text = format!("programs keep none: {why}");
    Some(
        finding("notes of threads", Mark::Warn, text)
            .cost("each opened file is told, whether rules ask for it or not"),
    )
}

/// Why the snapshot is not by iterators.
fn snapshot(opened: &Result<Attachment, ProbeError>) -> Option<Finding> {
    let why = opened.as_ref().ok()?.no_iterators.as_ref()?;
    let text = format!("by /proc, for want of BPF iterators: {why}");
    Some(
        finding("snapshot", Mark::Warn, text)
            .cost("it takes longer, and what begins or ends meanwhile may be missed in it"),
    )
}

fn kind(trial: &Trial, permitted: bool) -> Finding {
    let name = trial.name;
    let wrong = match trial.need {
        Need::Needed => Mark::Bad,
        Need::Better => Mark::Warn,
        Need::Unused => Mark::Note,
    };
    let unused = if trial.need == Need::Unused { "; not used yet" } else { "" };
    let (text, advice) = match &trial.outcome {
        Outcome::Runs => return finding(name, Mark::Ok, format!("attached and seen to run{unused}")),
        Outcome::Accepted => return finding(name, Mark::Ok, format!("accepted by the kernel{unused}")),
        // the probe's and the capabilities' lines say it once
        Outcome::Refused { error, .. } if !permitted && error.kind() == ErrorKind::PermissionDenied => {
            return finding(name, wrong, "not permitted (see privileges)");
        }
        Outcome::Idle => ("attached, but it does not run".to_owned(), idle(name)),
        Outcome::Absent(why) => (why.clone(), "use a kernel that has it"),
        Outcome::Refused { step, error } => {
            (format!("{step}: {}", refusal(error)), "see the kernel's configuration and dmesg")
        }
    };
    let found = finding(name, wrong, format!("{text}{unused}"));
    if trial.need == Need::Unused { found } else { found.cost(trial.cost).advice(advice) }
}

fn idle(name: &str) -> &'static str {
    match name {
        "lsm" => "start the kernel with bpf in its list lsm=",
        _ => "please report this with the kernel's release",
    }
}

/// The numbers are the kernel's; 524 is one that it keeps to itself (ENOTSUPP).
fn refusal(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(1) => "not permitted, for want of a capability or by the kernel's policy (EPERM)".to_owned(),
        Some(22) => "the kernel does not know it (EINVAL)".to_owned(),
        Some(524) => "this architecture's kernel can't do it (ENOTSUPP)".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(need: Need, outcome: Outcome) -> Mark {
        kind(&Trial { name: "x", need, cost: "much", outcome }, true).mark
    }

    #[test]
    fn what_does_not_work_counts_as_far_as_it_is_needed() {
        let refused = || Outcome::Refused { step: "loading", error: io::Error::from_raw_os_error(22) };
        assert_eq!(mark(Need::Needed, Outcome::Runs), Mark::Ok);
        assert_eq!(mark(Need::Needed, Outcome::Idle), Mark::Bad);
        assert_eq!(mark(Need::Needed, refused()), Mark::Bad);
        assert_eq!(mark(Need::Better, refused()), Mark::Warn);
        assert_eq!(mark(Need::Unused, Outcome::Absent("none".into())), Mark::Note);
    }

    #[test]
    fn what_the_kernel_refused_is_named_with_what_it_costs() {
        let opened = |attachment| Trials { kinds: Vec::new(), ring: Ok(()), probe: Ok(attachment) };
        let named = |attachment| -> Vec<(String, Mark, bool)> {
            let found = findings(&opened(attachment), true).into_iter();
            let worse = found.filter(|one| one.mark == Mark::Warn && one.text.contains("R1 invalid"));
            worse.map(|one| (one.name, one.mark, one.cost.is_empty())).collect()
        };
        assert_eq!(named(Attachment::default()), []);
        let why = || Some("the kernel refused the program on_syscall with them: R1 invalid".to_owned());
        let missing = Missing { program: "on_exec".into(), unseen: "programs", why: why().unwrap() };
        let all = Attachment {
            no_notes: why(),
            no_iterators: why(),
            missing: vec![missing],
            ..Attachment::default()
        };
        let expected = ["on_exec", "notes of threads", "snapshot"];
        assert_eq!(named(all), expected.map(|name| (name.to_owned(), Mark::Warn, false)));
    }

    #[test]
    fn a_lack_of_permission_is_said_without_advice_on_each_line() {
        let trial = Trial {
            name: "x",
            need: Need::Needed,
            cost: "much",
            outcome: Outcome::Refused { step: "loading", error: io::Error::from_raw_os_error(1) },
        };
        let found = kind(&trial, false);
        assert_eq!(found.text, "not permitted (see privileges)");
        assert_eq!(kind(&trial, true).cost, "much");
        assert!(found.cost.is_empty() && found.advice.is_empty());
    }
}
