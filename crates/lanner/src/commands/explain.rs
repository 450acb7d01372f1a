//! `lanner rules explain`: why a rule fired at a capture's events, or didn't; and what of it the kernel decides.

use std::fmt::Write;

use lanner_agent::config::Config;
use lanner_agent::explain::{self, Answer, Moment, Question};
use lanner_agent::{prefilter, ruleset};
use lanner_engine::{Explanation, Saying};
use lanner_rules::Rule;

use super::show::rule_named;
use super::{load, print};
use crate::cli::ExplainArgs;

const WIDTH: usize = 80;
/// Where values stand, if what stands before them leaves room.
const VALUES: usize = 48;
const NO_TYPE: &str = "\
No event of the capture has a type that the rule can match;
`lanner rules show RULE` lists these types.
";

/// Tells part by part which comparisons of a rule held at the events of a capture, or, without one, which events
/// the kernel lets through for it.
pub fn explain(args: &ExplainArgs) -> Result<(), String> {
    let (rules, _) = load(&args.rules, &mut Config::default(), &ruleset::all_sources())?;
    let rule = rule_named(&rules.rules.rules, &args.rule)?;
    if rule.source != "syscall" {
        return Err(format!(
            "lanner: rule '{}' looks at {} events; captures have system calls",
            rule.name, rule.source
        ));
    }
    let Some(capture) = &args.capture else {
        return print(&prefilter::told(&rules.engine, &Config::default(), Some(&rule.name)));
    };
    let question = Question { event: args.event, max: args.max as usize };
    let mut answer = Answer::default();
    let result = explain::explain(capture, rule, &rules.engine, question, &mut answer);
    let failed = |what: String| format!("lanner: {}: {what}", capture.display());
    if answer.looked_at == 0 {
        result.map_err(|error| failed(error.to_string()))?;
        if let Some(number) = args.event {
            return Err(failed(format!("there is no event {number} that rules look at")));
        }
        return print(&format!("{NO_TYPE}{}", closing(&answer)));
    }
    print(&text(&answer, rule))?;
    result.map_err(|error| failed(error.to_string()))
}

fn text(answer: &Answer, rule: &Rule) -> String {
    let mut out = String::new();
    for moment in &answer.moments {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", fitted(&moment.heading, WIDTH));
        let _ = writeln!(out, "  {}", verdict(moment, rule.enabled));
        draw(&moment.why, 1, &mut out);
        out.push('\n');
    }
    let left_out = answer.looked_at - answer.moments.len() as u64;
    if left_out > 0 {
        let _ = writeln!(out, "Left out: {left_out} that came no nearer; --max shows more.");
    }
    out + &closing(answer)
}

fn closing(answer: &Answer) -> String {
    format!("{} events looked at, {} matched\n", answer.looked_at, answer.matched)
}

fn verdict(moment: &Moment, enabled: bool) -> String {
    match (moment.distance, &moment.taken_by) {
        (0, _) if !enabled => "matches, but the rule is off".to_owned(),
        (0, Some(other)) => format!("matches, but '{other}' comes first and fires in its place"),
        (0, None) => "matches".to_owned(),
        (1, _) => "no match: 1 comparison stands in the way".to_owned(),
        (many, _) => format!("no match: {many} comparisons stand in the way"),
    }
}

/// Draws a part and, indented, its parts.
fn draw(part: &Explanation, depth: usize, out: &mut String) {
    let mark = match part.holds {
        Some(true) => '✓',
        Some(false) => '✗',
        None => '–',
    };
    let line = Line::of(part);
    let start = format!("{}{mark} ", "  ".repeat(depth));
    let room = WIDTH.saturating_sub(2 * depth + 2);
    let label = fitted(&line.label, room);
    match line.value {
        None => out.push_str(&format!("{start}{label}\n")),
        Some(value) => {
            let used = 2 * depth + 2 + label.chars().count();
            let gap = VALUES.saturating_sub(used).max(2);
            let value = cleaned(value);
            if used + gap + value.chars().count() <= WIDTH {
                let _ = writeln!(out, "{start}{label}{:gap$}{value}", "");
            } else {
                let below = format!("{:1$}", "", 2 * depth + 6);
                let value = fitted(&value, room.saturating_sub(4));
                let _ = writeln!(out, "{start}{label}\n{below}{value}");
            }
        }
    }
    line.parts.iter().for_each(|part| draw(part, depth + 1, out));
}

/// A part as a line and what goes below it.
struct Line<'a> {
    label: String,
    value: Option<&'a str>,
    parts: &'a [Explanation],
}

impl<'a> Line<'a> {
    fn of(part: &'a Explanation) -> Line<'a> {
        let line = |label: &str| Line { label: label.to_owned(), value: None, parts: &part.parts };
        match (&part.says, &part.parts[..]) {
            _ if part.holds.is_none() => line(&part.text),
            (Saying::And, _) => line("all of"),
            (Saying::Or, _) => line("one of"),
            (Saying::Not, [inner]) => {
                let below = Line::of(inner);
                let label = match inner.says {
                    Saying::Or => "none of".to_owned(),
                    _ => format!("not {}", below.label),
                };
                Line { label, ..below }
            }
            (Saying::Macro, [body]) => match body.says {
                Saying::And | Saying::Or => {
                    let below = Line::of(body);
                    Line { label: format!("{}: {}", part.text, below.label), ..below }
                }
                _ => line(&part.text),
            },
            (Saying::Check(value), _) => {
                Line { value: Some(value.as_deref().unwrap_or("<NA>")), ..line(&part.text) }
            }
            (Saying::Not | Saying::Macro, _) => line(&part.text),
        }
    }
}

/// A text without control characters, which could play tricks on a terminal.
fn cleaned(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

/// The same, cut to a width.
fn fitted(text: &str, width: usize) -> String {
    let text = cleaned(text);
    if text.chars().count() <= width {
        return text;
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_to_the_width_and_cannot_command_a_terminal() {
        assert_eq!(fitted("\u{1b}[31m", 80), "\\u{1b}[31m");
        assert_eq!((fitted("abcd", 4), fitted("abcde", 4)), ("abcd".into(), "abc…".into()));
    }
}
