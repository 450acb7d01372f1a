//! The form for people: the line, a mark under what is meant, the reason, what to do.

use std::fmt::Write;

use super::{Code, Diagnostic, FileReport, Report};
use crate::place::Place;

/// How much of a long line is shown, in characters.
const WIDTH: usize = 100;
/// How many findings of a file are shown.
const MOST_SHOWN: usize = 200;

impl Report {
    /// All findings of all files, and a line that counts them.
    pub fn human_text(&self) -> String {
        let mut out = String::new();
        let (mut errors, mut warnings) = (0, 0);
        for file in &self.files {
            errors += file.errors.len();
            warnings += file.warnings.len();
            self.human_file(file, &mut out);
        }
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let files = count(self.files.len(), "file");
        let _ = match (errors, warnings) {
            (0, 0) => writeln!(out, "{files}: no errors, no warnings"),
            _ => writeln!(out, "{files}: {}, {}", count(errors, "error"), count(warnings, "warning")),
        };
        out
    }

    fn human_file(&self, file: &FileReport, out: &mut String) {
        let mut findings: Vec<&Diagnostic> = file.errors.iter().chain(&file.warnings).collect();
        findings.sort_by_key(|finding| {
            let (name, start, _) = focus(&finding.place);
            (name.to_owned(), start)
        });
        let more = findings.len().saturating_sub(MOST_SHOWN);
        for finding in findings.into_iter().take(MOST_SHOWN) {
            self.human_finding(finding, out);
            out.push('\n');
        }
        if more > 0 {
            let _ = writeln!(out, "{}: {more} more findings are not shown\n", file.name);
        }
    }

    fn human_finding(&self, finding: &Diagnostic, out: &mut String) {
        let kind = if matches!(finding.code, Code::Error(_)) { "error" } else { "warning" };
        let message = match finding.message.as_str() {
            "" => finding.title(),
            message => plain(message),
        };
        let _ = writeln!(out, "{kind}[{}]: {message}", finding.code.name());
        let (name, start, end) = focus(&finding.place);
        let margin = match self.text(name) {
            Some(text) => show(text, name, start, end, out),
            None => {
                let _ = writeln!(out, " --> {name}");
                1
            }
        };
        if let Some(within) = within(&finding.place) {
            let _ = writeln!(out, "{:margin$} = in {within}", "");
        }
        if let Some(advice) = &finding.advice {
            let _ = writeln!(out, "{:margin$} = help: {advice}", "");
        }
    }
}

/// A message of Falco's in plain words, where its own need knowledge of Falco's inside.
fn plain(message: &str) -> String {
    let quoted = |before: &str, after: &str| message.strip_prefix(before)?.strip_suffix(after);
    if let Some(field) = message.strip_prefix("filter_check called with nonexistent field ") {
        format!("there is no field '{field}'")
    } else if message.starts_with("unknown filter: unexpected token after ") {
        "the output names a field that doesn't exist".to_owned()
    } else if let Some(key) = quoted("Item has no mapping for key '", "'") {
        format!("key '{key}' is missing")
    } else if let Some(key) = quoted("Mapping for key '", "' is empty") {
        format!("key '{key}' has no value")
    } else if let Some((_, reason)) =
        message.strip_prefix("yaml-cpp: error at ").and_then(|m| m.split_once(": "))
    {
        format!("not YAML: {reason}")
    } else {
        message.trim_end().to_owned()
    }
}

/// The file and its bytes that are meant.
fn focus(place: &Place) -> (&str, usize, usize) {
    if let Some(marked) = &place.marked {
        return (&marked.file, marked.start, marked.end);
    }
    let in_file = place.locations().iter().rev().find(|location| location.name == *place.file_name());
    let start = in_file.map_or(0, |location| location.position.offset);
    (place.file_name(), start, start)
}

/// `rule 'x', exception 'y'`
fn within(place: &Place) -> Option<String> {
    let named = place.locations().iter().filter(|location| !location.item.is_empty());
    let names: Vec<String> = named.map(|l| format!("{} '{}'", l.kind.name(), l.item)).collect();
    if names.is_empty() { None } else { Some(names.join(", ")) }
}

/// Writes the place and its line, and gives the width of the margin.
fn show(text: &str, name: &str, start: usize, end: usize, out: &mut String) -> usize {
    let start = floor(text, start.min(text.len()));
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |n| start + n);
    let number = before.bytes().filter(|&b| b == b'\n').count() + 1;
    let line = text[line_start..line_end].trim_end();
    let column = text[line_start..start].chars().count();
    let marked = text[start..floor(text, end.clamp(start, line_end))].trim_end().chars().count().max(1);
    let (line, at) = window(line, column);
    let margin = number.to_string().len() + 1;
    let _ = writeln!(out, "{:>margin$}--> {name}:{number}:{}", "", column + 1);
    let _ = writeln!(out, "{:margin$} |", "");
    let _ = writeln!(out, "{number:>margin$} | {line}");
    let marks = "^".repeat(marked.min(line.chars().count().saturating_sub(at)).max(1));
    let _ = writeln!(out, "{:margin$} | {:at$}{marks}", "", "");
    margin
}

/// The part of a line around a column, and the column in it.
fn window(line: &str, column: usize) -> (String, usize) {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let length = line.chars().count();
    if length <= WIDTH {
        return (line.chars().map(clean).collect(), column);
    }
    let from = column.saturating_sub(WIDTH / 2).min(length - WIDTH);
    let mut part: String = line.chars().skip(from).take(WIDTH).map(clean).collect();
    let mut at = column - from;
    if from > 0 {
        part.insert_str(0, "... ");
        at += 4;
    }
    if from + WIDTH < length {
        part.push_str(" ...");
    }
    (part, at)
}

/// The start of the character that `offset` lies in.
fn floor(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
