//! The forms in which Falco reports: text, and JSON for tools.

use std::fmt::Write;

use serde_json::{Value, json};

use super::codes::DEPRECATED_FIELDS;
use super::{Code, Diagnostic, FileReport, Report};
use crate::place::{Location, Place};
use crate::schema::FITS;

/// How much of a long line a snippet shows.
const SNIPPET: usize = 160;

impl Report {
    /// A file's result as Falco prints it, without a line break at the end unless it has findings.
    pub fn falco_text(&self, file: &FileReport) -> String {
        let mut out = String::new();
        if !file.name.is_empty() {
            let _ = write!(out, "{}: ", file.name);
        }
        out.push_str(if file.successful() { "Ok" } else { "Invalid" });
        if file.successful() && file.has_warnings() {
            out.push_str(", with warnings");
        }
        if !file.schema.is_empty() && file.schema_status() != FITS {
            let _ = write!(out, "\n{} Schema warnings:\n", file.schema.len());
            for status in &file.schema {
                let _ = write!(out, "------\n{status}\n");
            }
            out.push_str("------\n");
        }
        // Falco stops at the first error.
        if let Some(error) = file.errors.first() {
            out.push_str("\n1 Errors:\n");
            self.falco_finding(error, &mut out);
        }
        let warnings: Vec<_> = file.falco_warnings().collect();
        if !warnings.is_empty() {
            let _ = write!(out, "\n{} Warnings:\n", warnings.len());
            for warning in warnings {
                self.falco_finding(warning, &mut out);
            }
        }
        out
    }

    fn falco_finding(&self, finding: &Diagnostic, out: &mut String) {
        let mut lead = "In ";
        for location in finding.place.locations() {
            let Location { name, position, kind, item } = location;
            let _ = write!(out, "{lead}{}", kind.name());
            if !item.is_empty() {
                let _ = write!(out, " '{item}'");
            }
            let _ = writeln!(out, ": ({name}:{}:{})", position.line, position.column);
            lead = "    ";
        }
        let _ = write!(out, "------\n{}------\n", self.snippet(&finding.place));
        let _ = writeln!(out, "{} ({}): {}", finding.code.name(), finding.title(), finding.message);
    }

    /// A file's result as an element of `falco_load_results`.
    pub fn falco_json(&self, file: &FileReport) -> Value {
        let mut object = json!({
            "errors": file.errors.iter().take(1).map(|e| self.finding_json(e)).collect::<Vec<_>>(),
            "name": file.name,
        });
        if !file.schema.is_empty() {
            let fits = file.schema_status() == FITS;
            object["schema_valid"] = json!(fits);
            object["schema_warnings"] = if fits { json!([]) } else { json!(file.schema) };
        }
        object["successful"] = json!(file.successful());
        object["warnings"] = file.falco_warnings().map(|w| self.finding_json(w)).collect();
        object
    }

    fn finding_json(&self, finding: &Diagnostic) -> Value {
        let locations: Vec<Value> = finding.place.locations().iter().map(location_json).collect();
        let mut object = json!({
            "code": finding.code.name(),
            "codedesc": finding.description(),
            "context": { "locations": locations, "snippet": self.snippet(&finding.place) },
        });
        if let Some(field) = finding.deprecated_field {
            object["deprecated_field"] = json!(field);
        }
        object["message"] = json!(finding.message);
        object
    }

    /// The line at a place and a mark under it.
    fn snippet(&self, place: &Place) -> String {
        let Some(last) = place.locations().last() else { return String::new() };
        let condition = place.condition.as_deref().filter(|text| !text.is_empty());
        let Some(text) = condition.or_else(|| self.text(&last.name)) else {
            return format!("<No context for file + {}>\n", last.name);
        };
        snippet(text.as_bytes(), last.position.offset)
    }
}

/// What Falco shows for a place at a line break that begins the file.
fn all_but_first_line_break(text: &[u8], nothing: &str) -> String {
    match text.len() {
        0..=1 => nothing.to_owned(),
        len => format!("{}...\n", String::from_utf8_lossy(&text[1..len.saturating_sub(3).max(1)])),
    }
}

fn location_json(location: &Location) -> Value {
    json!({
        "item_name": location.item,
        "item_type": location.kind.name(),
        "position": {
            "column": location.position.column,
            "line": location.position.line,
            "name": &*location.name,
            "offset": location.position.offset,
        },
    })
}

/// The line of `text` around `offset`, cut to size, with a mark at the offset. The offset may lie past the
/// end: then the last character that isn't a line break is meant.
fn snippet(text: &[u8], mut offset: usize) -> String {
    const NOTHING: &str = "<No context available>\n";
    if text.is_empty() {
        return NOTHING.to_owned();
    }
    while offset > 0 && text.get(offset).is_none_or(|&b| b == b'\n') {
        offset = offset.min(text.len()) - 1;
    }
    let mut from = offset;
    while from > 0 && text[from] != b'\n' && offset - from < SNIPPET / 2 {
        from -= 1;
    }
    let mut to = offset;
    while to < text.len() - 1 && text[to] != b'\n' && to - offset < SNIPPET / 2 {
        to += 1;
    }
    if text[from] == b'\n' {
        from += 1;
    }
    if text[to] == b'\n' {
        if to == 0 {
            return all_but_first_line_break(text, NOTHING);
        }
        to -= 1;
    }
    if from > to {
        return NOTHING.to_owned();
    }
    let mut line = text[from..=to].to_vec();
    if offset.saturating_sub(from) >= SNIPPET / 2 {
        line.splice(..3.min(line.len()), *b"...");
    }
    if to.saturating_sub(offset) >= SNIPPET / 2 {
        let cut = line.len().saturating_sub(3);
        line.splice(cut.., *b"...");
    }
    let mut out = String::from_utf8_lossy(&line).into_owned();
    out.push('\n');
    let mark = offset.saturating_sub(from);
    if mark <= line.len() {
        out.extend(std::iter::repeat_n(' ', mark));
        out.push_str("^\n");
    }
    out
}

impl Diagnostic {
    /// The code in a few words.
    pub fn title(&self) -> String {
        match (self.code, self.deprecated_field) {
            (Code::Error(code), _) => code.title().to_owned(),
            (Code::Warning(code), None) => code.title().to_owned(),
            (Code::Warning(code), Some(field)) => format!("{}: field '{field}'", code.title()),
        }
    }

    /// The code in some more words.
    pub fn description(&self) -> String {
        match (self.code, self.deprecated_field) {
            (Code::Error(code), _) => code.title().to_owned(),
            (Code::Warning(code), None) => code.description().to_owned(),
            (Code::Warning(code), Some(field)) => {
                let why = DEPRECATED_FIELDS.iter().find(|(name, _)| *name == field);
                format!("{}: {}", code.description(), why.map_or("", |(_, why)| why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_the_line_with_a_mark() {
        assert_eq!(snippet(b"- a\n- b: c\n", 9), "- b: c\n     ^\n");
        assert_eq!(snippet(b"- a\n- b:\n", 900), "- b:\n   ^\n");
        assert_eq!(snippet(b"", 0), "<No context available>\n");
        assert_eq!(snippet(b"a", 0), "a\n^\n");
        assert_eq!(snippet(b"\n", 0), "<No context available>\n");
        assert_eq!(snippet(b"\n- a: bcd", 0), "- a: ...\n");
    }

    #[test]
    fn a_long_line_is_cut_at_both_ends() {
        let text = "x".repeat(500);
        let cut = snippet(text.as_bytes(), 250);
        let line = cut.lines().next().unwrap();
        assert_eq!(line.len(), 161);
        assert!(line.starts_with("...x") && line.ends_with("x..."));
        assert_eq!(cut.lines().nth(1).unwrap().len(), 81);
    }
}
