//! `lanner doctor`

use std::fmt::Write;
use std::process::ExitCode;

use lanner_agent::doctor::{Finding, Mark, Report, Section, examine};

use super::{config, print};
use crate::cli::{AlertArgs, DoctorArgs};
use crate::listing::wrap;

/// Columns of a line, with its mark and name.
const WIDTH: usize = 80;
/// Columns before a finding's text.
const HEAD: usize = 34;

/// Says what this machine lets lanner do. The exit code says whether that is enough.
pub fn doctor(args: &DoctorArgs) -> ExitCode {
    let report = config(args.config.as_ref(), &AlertArgs::default()).map(|config| examine(&config));
    let told = report.and_then(|report| {
        let text = if args.json { json(&report)? } else { text(&report) };
        print(&text).map(|()| report.able)
    });
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn json(report: &Report) -> Result<String, String> {
    let text = serde_json::to_string_pretty(report);
    text.map(|text| text + "\n").map_err(|error| format!("lanner: cannot write the findings: {error}"))
}

/// The report for people, 80 columns wide.
fn text(report: &Report) -> String {
    let mut out = format!("lanner {} on {}\n", report.lanner, report.host);
    for section in Section::ALL {
        let mut findings = report.findings.iter().filter(|finding| finding.section == section).peekable();
        if findings.peek().is_some() {
            let _ = writeln!(out, "\n{}", section.name());
        }
        findings.for_each(|finding| row(finding, &mut out));
    }
    out.push('\n');
    wrap(&verdict(report), WIDTH, "", &mut out);
    out
}

fn row(finding: &Finding, out: &mut String) {
    let indent = " ".repeat(HEAD);
    let mut lines = String::new();
    wrap(&finding.text, WIDTH - HEAD, &indent, &mut lines);
    for (label, text) in [("costs", &finding.cost), ("do", &finding.advice)] {
        if !text.is_empty() {
            wrap(&format!("{label}: {text}"), WIDTH - HEAD, &indent, &mut lines);
        }
    }
    let head = format!("  {:<4}  {:<25} ", mark(finding.mark), finding.name);
    match lines.strip_prefix(&indent) {
        Some(rest) if head.chars().count() == HEAD => out.push_str(&(head + rest)),
        // a name that is too long has a line of its own
        _ => out.push_str(&format!("{}\n{lines}", head.trim_end())),
    }
}

fn mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Ok => "ok",
        Mark::Note => "-",
        Mark::Warn => "warn",
        Mark::Bad => "bad",
    }
}

fn verdict(report: &Report) -> String {
    let warnings = match report.warnings {
        0 => "no warnings".to_owned(),
        1 => "1 warning".to_owned(),
        n => format!("{n} warnings"),
    };
    if report.able {
        return format!("All that detection needs is here; {warnings}.");
    }
    let bad = report.findings.iter().filter(|finding| finding.mark == Mark::Bad);
    let names: Vec<_> = bad.map(|finding| finding.name.as_str()).collect();
    format!("Detection can't work here: {}; {warnings}.", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    fn finding(section: Section, name: &str, mark: Mark, text: &str) -> Finding {
        Finding::new(section, name, mark, text)
    }

    fn well() -> Vec<Finding> {
        vec![
            finding(Section::Kernel, "release", Mark::Ok, "6.1.0, x86_64"),
            finding(Section::Kernel, "lockdown", Mark::Note, "not known: securityfs is not mounted"),
            finding(
                Section::Attachments,
                "iter/task",
                Mark::Warn,
                "this kernel has no function bpf_iter_task",
            )
            .cost("what runs at the start is read from /proc: slower, and short-lived threads may be missed")
            .advice("use a kernel that has it"),
            finding(Section::Runtimes, "a-runtime-with-a-long-name", Mark::Ok, "answers"),
        ]
    }

    fn ill() -> Vec<Finding> {
        let mut findings = well();
        findings.push(
            finding(Section::Privileges, "CAP_BPF", Mark::Bad, "missing")
                .cost("nothing can be watched")
                .advice("run as root"),
        );
        findings.push(finding(Section::Attachments, "tp_btf/sys_exit", Mark::Bad, "not permitted"));
        findings
    }

    #[test]
    fn a_machine_that_is_well() {
        assert_snapshot!("well", text(&Report::new("host".into(), well())));
    }

    #[test]
    fn a_machine_that_is_ill() {
        let shown = text(&Report::new("host".into(), ill()));
        assert!(shown.lines().all(|line| line.chars().count() <= WIDTH), "{shown}");
        assert_snapshot!("ill", shown);
    }

    #[test]
    fn programs_read_the_same() {
        let mut report = Report::new("host".into(), ill());
        report.lanner = "0";
        report.findings.drain(..2);
        assert_snapshot!("json", json(&report).unwrap());
    }
}
