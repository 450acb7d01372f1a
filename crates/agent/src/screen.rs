//! The start screen: what lanner is about to do, on one screen.

use std::fmt::Write;

use lanner_container::{RuntimeFound, RuntimeState};
use lanner_probe::SnapshotSource;

use crate::config::Config;
use crate::live::Started;
use crate::program::Program;

/// System calls that are named on the screen; of more, only the number is given.
const NAMED: usize = 12;

/// The screen's text. `off`: how many rules are not in force, `files`: where the rules came from.
pub fn screen(started: &Started<'_>, program: &Program, off: usize, files: &[String]) -> String {
    let attachment = started.attachment;
    let mut out = format!("lanner {} on {}\n", env!("CARGO_PKG_VERSION"), crate::sinks::hostname());
    let mut row = |name: &str, text: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {name:<10} {text}");
    };
    row("kernel", &attachment.kernel);
    row("attached", &attachment.points.join(", "));
    if let Some(functions) = attachment.moving_to {
        row("", &format!("going over to fexit of {functions} functions in the background"));
    }
    if let Some(why) = &attachment.no_fexit {
        row("", &format!("not fexit: {}", why.lines().next().unwrap_or_default()));
    }
    if let Some(why) = &attachment.no_copies {
        row("forgeable", &format!("names and addresses, by racing threads: {why}"));
    }
    if let Some(why) = &attachment.no_notes {
        row("dearer", &format!("each opened file is told, whether rules ask for it or not: {why}"));
    }
    if let Some(why) = &attachment.leaves_out {
        row(
            "unseen",
            &format!(
                "calls that end while another thread of their CPU is stopped in a program; they are counted as lost: {why}"
            ),
        );
    }
    for missing in &attachment.missing {
        row("unseen", &missing.to_string());
    }
    row("watches", &calls(&attachment.syscalls));
    let rings = attachment.rings;
    row("buffers", &format!("{rings} × {} KiB{}", attachment.ring_bytes / 1024, lost(rings)));
    let how = match started.snapshot.source {
        SnapshotSource::Iterators => "BPF iterators".to_owned(),
        SnapshotSource::Proc => {
            let why = attachment.no_iterators.as_ref();
            why.map_or_else(|| "/proc".to_owned(), |why| format!("/proc, for want of BPF iterators: {why}"))
        }
    };
    row(
        "snapshot",
        &format!("{} threads, {} files, by {how}", started.snapshot.threads, started.snapshot.files),
    );
    let rules = program.engine.rules().len();
    row("rules", &format!("{rules} in force, {off} off, from {}", files.join(", ")));
    row("runtimes", &runtimes(&started.runtimes));
    row("alerts to", &sinks(&program.config));
    let _ = writeln!(out, "watching after {} ms; Ctrl-C ends", started.took.as_millis());
    out
}

fn lost(rings: usize) -> &'static str {
    if rings == 0 { "" } else { ", losses counted and told" }
}

fn calls(names: &[String]) -> String {
    if names.len() <= NAMED {
        return names.join(" ");
    }
    format!("{} system calls: {} …", names.len(), names[..NAMED].join(" "))
}

fn runtimes(found: &[RuntimeFound]) -> String {
    if found.is_empty() {
        return "none found".to_owned();
    }
    let one = |runtime: &RuntimeFound| {
        let name = if runtime.name.is_empty() { "runtime" } else { &runtime.name };
        let version =
            if runtime.version.is_empty() { String::new() } else { format!(" {}", runtime.version) };
        let state = match &runtime.state {
            RuntimeState::Found => " (not answered yet)".to_owned(),
            RuntimeState::Answers => String::new(),
            RuntimeState::RecordsOnly => " (its records)".to_owned(),
            RuntimeState::Silent(why) => format!(" (silent: {why})"),
        };
        format!("{name}{version} at {}{state}", runtime.place.display())
    };
    found.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn sinks(config: &Config) -> String {
    let mut names = Vec::new();
    if config.sinks.stdout {
        names.push("standard output".to_owned());
    }
    if let Some(file) = &config.sinks.file {
        names.push(file.path.display().to_string());
    }
    if let Some(program) = &config.sinks.program {
        names.push(format!("the program '{}'", program.command));
    }
    if config.sinks.syslog {
        names.push("syslog".to_owned());
    }
    if let Some(http) = &config.sinks.http {
        names.push(http.url.clone());
    }
    if names.is_empty() { "nowhere".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_told_with_how_they_stand() {
        assert_eq!(runtimes(&[]), "none found");
        let found = RuntimeFound {
            name: "containerd".into(),
            version: "1.7".into(),
            place: "/run/c.sock".into(),
            state: RuntimeState::Silent("refused".into()),
        };
        assert_eq!(runtimes(&[found]), "containerd 1.7 at /run/c.sock (silent: refused)");
    }

    #[test]
    fn many_calls_are_counted() {
        let names: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
        assert_eq!(calls(&names[..2]), "c0 c1");
        assert!(calls(&names).starts_with("20 system calls: c0 c1 c2") && calls(&names).ends_with("c11 …"));
    }
}
