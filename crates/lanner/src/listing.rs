//! Lists of fields and events, as text, Markdown or JSON.

use std::fmt::Write;

use lanner_fields::{EventRow, FieldRow, Vocabulary, event_rows, field_rows};
use serde_json::{Value, json};

use crate::cli::ListForm;

/// The fields of a vocabulary, or all.
pub fn fields(vocabulary: Option<Vocabulary<'_>>, names_only: bool, form: ListForm) -> String {
    let rows = field_rows(vocabulary);
    if names_only {
        return match form {
            ListForm::Json => {
                pretty(&json!({ "fieldnames": rows.iter().map(|r| r.name).collect::<Vec<_>>() }))
            }
            _ => rows.iter().map(|r| format!("{}\n", r.name)).collect(),
        };
    }
    match form {
        ListForm::Text => fields_text(&rows),
        ListForm::Markdown => fields_markdown(&rows),
        ListForm::Json => pretty(&fields_json(&rows)),
    }
}

/// The event types that today's sources write.
pub fn events(form: ListForm) -> String {
    let rows: Vec<EventRow> = event_rows().into_iter().filter(|r| r.current).collect();
    match form {
        ListForm::Text => rows.iter().map(event_text).collect(),
        ListForm::Markdown => {
            let head =
                "Dir | Name | Parameters | Description\n:---|:-----|:-----------|:-----------\n".to_owned();
            rows.iter().fold(head, |out, r| {
                let params: Vec<String> =
                    r.params.iter().map(|(name, ty)| format!("{ty} **{name}**")).collect();
                out + &format!(
                    "`{}` | `{}` | {} | {}\n",
                    r.direction,
                    r.name,
                    params.join(", "),
                    r.description
                )
            })
        }
        ListForm::Json => pretty(&Value::Array(rows.iter().map(event_json).collect())),
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn event_text(row: &EventRow) -> String {
    let params: Vec<String> = row.params.iter().map(|(name, ty)| format!("{ty} {name}")).collect();
    let mut out = format!("{} {}({})\n", row.direction, row.name, params.join(", "));
    wrap(row.description, 92, "    ", &mut out);
    out
}

fn event_json(row: &EventRow) -> Value {
    let params: Vec<Value> = row.params.iter().map(|(name, ty)| json!({"name": name, "type": ty})).collect();
    json!({
        "name": row.name,
        "dir": row.direction,
        "categories": row.categories,
        "params": params,
        "description": row.description,
    })
}

/// Rows by class, in order.
fn classes(rows: &[FieldRow]) -> impl Iterator<Item = &[FieldRow]> {
    rows.chunk_by(|a, b| a.class == b.class && a.about == b.about)
}

fn sources(row: &FieldRow) -> String {
    if row.sources.is_empty() { "all".to_owned() } else { row.sources.join(", ") }
}

/// A field's name with the argument it takes.
fn signature(row: &FieldRow) -> String {
    let inside = match (row.argument.index, row.argument.key) {
        (true, true) => "index or name",
        (true, false) => "index",
        _ => "name",
    };
    match (row.argument.allowed, row.argument.required) {
        (true, true) => format!("{}[{inside}]", row.name),
        (true, false) => format!("{}[{inside}] or {}", row.name, row.name),
        _ => row.name.to_owned(),
    }
}

fn fields_text(rows: &[FieldRow]) -> String {
    let mut out = String::new();
    for class in classes(rows) {
        let first = &class[0];
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}: {}\nsources: {}\n", first.class, first.about, sources(first));
        for row in class {
            let list = if row.list { "list of " } else { "" };
            let _ = writeln!(out, "{}  ({list}{})", signature(row), row.ty);
            wrap(row.description, 92, "    ", &mut out);
        }
        out.push('\n');
    }
    out
}

fn fields_markdown(rows: &[FieldRow]) -> String {
    let mut out = String::new();
    for class in classes(rows) {
        let first = &class[0];
        let _ = writeln!(out, "## {}\n\n{}\n\nSources: {}\n", first.class, first.about, sources(first));
        out.push_str("Name | Type | Description\n:----|:-----|:-----------\n");
        for row in class {
            let list = if row.list { "list of " } else { "" };
            let _ = writeln!(
                out,
                "`{}` | {list}{} | {}",
                signature(row),
                row.ty,
                row.description.replace('|', "\\|")
            );
        }
        out.push('\n');
    }
    out
}

fn fields_json(rows: &[FieldRow]) -> Value {
    let field = |row: &FieldRow| {
        json!({
            "name": row.name,
            "type": row.ty,
            "list": row.list,
            "argument": {
                "allowed": row.argument.allowed,
                "required": row.argument.required,
                "index": row.argument.index,
                "key": row.argument.key,
            },
            "filter_only": row.filter_only,
            "description": row.description,
        })
    };
    let class = |rows: &[FieldRow]| {
        json!({
            "name": rows[0].class,
            "description": rows[0].about,
            "sources": rows[0].sources,
            "fields": rows.iter().map(field).collect::<Vec<_>>(),
        })
    };
    json!({ "fieldclasses": classes(rows).map(class).collect::<Vec<_>>() })
}

/// Appends a text in lines of at most `width` columns, each indented.
pub fn wrap(text: &str, width: usize, indent: &str, out: &mut String) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            let _ = writeln!(out, "{indent}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(out, "{indent}{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_lists_every_field() {
        let count = field_rows(None).len();
        assert_eq!(fields(None, true, ListForm::Text).lines().count(), count);
        let json: Value = serde_json::from_str(&fields(None, false, ListForm::Json)).unwrap();
        let classes = json["fieldclasses"].as_array().unwrap();
        assert_eq!(classes.iter().map(|c| c["fields"].as_array().unwrap().len()).sum::<usize>(), count);
        let rows = fields(None, false, ListForm::Markdown).lines().filter(|l| l.starts_with('`')).count();
        assert_eq!(rows, count);
    }

    #[test]
    fn every_event_says_what_it_tells() {
        let json: Value = serde_json::from_str(&events(ListForm::Json)).unwrap();
        let all = json.as_array().unwrap();
        assert!(all.len() > 190 && all.iter().all(|e| e["description"].as_str().unwrap().ends_with('.')));
        let lines = events(ListForm::Text).lines().filter(|l| l.starts_with(['<', '>'])).count();
        assert_eq!(lines, all.len());
    }

    #[test]
    fn long_texts_are_wrapped_between_words() {
        let mut out = String::new();
        wrap("aa bb cc dd", 5, "  ", &mut out);
        assert_eq!(out, "  aa bb\n  cc dd\n");
    }
}
