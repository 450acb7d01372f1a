//! `--list` and `--list-events` in Falco's layouts.

use std::collections::BTreeSet;
use std::fmt::Write;

use lanner_agent::wanted::IGNORED;
use lanner_event::{
    Category, Direction, EVENTS, EventFlag, EventInfo, EventType, ParamInfo, ParamType, SYSCALL_NAMES, types,
};
use lanner_fields::{FieldRow, Vocabulary, field_rows};
use serde_json::{Map, Value, json};

use super::version::DRIVER_SCHEMA;
use crate::cli::ListForm;

/// Columns of a text listing, and where its right side begins.
const WIDTH: usize = 120;
const RIGHT: usize = 30;

/// How fields are listed.
pub struct FieldOptions<'a> {
    /// The sources that are loaded.
    pub sources: &'a [&'a str],
    /// Only this one; empty for all.
    pub source: &'a str,
    /// The plugins that are loaded.
    pub plugins: &'a [String],
    /// Only names.
    pub names_only: bool,
    /// Types too, in text.
    pub verbose: bool,
    /// Text, Markdown or JSON.
    pub form: ListForm,
}

/// A class of fields and the loaded sources that have it.
struct Class {
    rows: Vec<FieldRow>,
    sources: Vec<String>,
}

/// The fields of the loaded sources, class by class, each class once.
pub fn fields(options: &FieldOptions<'_>) -> String {
    let wanted = |source: &&&str| options.source.is_empty() || **source == options.source;
    let mut classes: Vec<Class> = Vec::new();
    for source in options.sources.iter().filter(wanted) {
        let rows = field_rows(Some(Vocabulary::new(source, Some(options.plugins))));
        for rows in rows.chunk_by(|a, b| a.class == b.class && a.about == b.about) {
            let same = |class: &&mut Class| {
                class.rows[0].class == rows[0].class && class.rows[0].about == rows[0].about
            };
            match classes.iter_mut().find(same) {
                Some(class) => class.sources.push((*source).to_owned()),
                None => classes.push(Class { rows: rows.to_vec(), sources: vec![(*source).to_owned()] }),
            }
        }
    }
    if options.names_only {
        return names(&classes, options.form);
    }
    match options.form {
        ListForm::Text => classes.iter().map(|class| class.text(options.verbose) + "\n").collect(),
        ListForm::Markdown => classes.iter().map(|class| class.markdown() + "\n").collect(),
        ListForm::Json => {
            format!("{:#}\n", json!({ "fieldclasses": classes.iter().map(Class::json).collect::<Vec<_>>() }))
        }
    }
}

fn names(classes: &[Class], form: ListForm) -> String {
    let names = classes.iter().flat_map(|class| &class.rows).map(|row| row.name);
    match form {
        ListForm::Json => format!("{:#}\n", json!({ "fieldnames": names.collect::<Vec<_>>() })),
        _ => names.map(|name| format!("{name}\n")).collect(),
    }
}

impl Class {
    fn text(&self, verbose: bool) -> String {
        let first = &self.rows[0];
        let mut out = format!("{}\n{:<RIGHT$}{}\n", "-".repeat(31), "Field Class:", first.class);
        let _ = write!(out, "{:<RIGHT$}", "Description:");
        wrap(first.about, &mut out);
        let _ = write!(out, "\n{:<RIGHT$}", "Event Sources:");
        self.sources.iter().for_each(|source| {
            // Writing to a String cannot fail.
            let _ = write!(out, "{source} ");
        });
        out.push_str("\n\n");
        for row in &self.rows {
            if row.name.len() > RIGHT {
                let _ = write!(out, "{}\n{:<RIGHT$}", row.name, "");
            } else {
                let _ = write!(out, "{:<RIGHT$}", row.name);
            }
            let kind = if verbose { format!("(Type: {}) ", row.ty) } else { String::new() };
            wrap(&format!("{kind}{}{}", tags(row), row.description), &mut out);
            out.push('\n');
        }
        out
    }

    fn markdown(&self) -> String {
        let first = &self.rows[0];
        let mut out = format!(
            "## Field Class: {}\n\n{}\n\nEvent Sources: {} \n\nName | Type | Description\n:----|:-----|:-----------\n",
            first.class,
            first.about,
            self.sources.join(" ")
        );
        for row in &self.rows {
            let ty = if row.list { format!("LIST({})", row.ty) } else { row.ty.to_owned() };
            let _ = writeln!(out, "`{}` | {ty} | {}", row.name, row.description);
        }
        out
    }

    fn json(&self) -> Value {
        let first = &self.rows[0];
        json!({
            "name": first.class,
            "desc": first.about,
            "event_sources": self.sources,
            "fields": self.rows.iter().map(field_json).collect::<Vec<_>>(),
        })
    }
}

fn field_json(row: &FieldRow) -> Value {
    let kinds = [(row.argument.index, "INDEX"), (row.argument.key, "KEY")];
    let kinds: Vec<&str> = kinds.into_iter().filter(|(allowed, _)| *allowed).map(|(_, name)| name).collect();
    let argument = json!({ "required": row.argument.required, "type": kinds });
    json!({
        "name": row.name,
        "type": row.ty,
        "desc": row.description,
        "is_list": row.list,
        "argument": if row.argument.allowed { argument } else { Value::Null },
    })
}

/// What Falco says of a field before its description.
fn tags(row: &FieldRow) -> String {
    let argument = &row.argument;
    let all = [
        (argument.index, "ARG_INDEX"),
        (argument.key, "ARG_KEY"),
        (argument.required, "ARG_REQUIRED"),
        (argument.allowed && !argument.required, "ARG_ALLOWED"),
        (row.list, "EPF_IS_LIST"),
        (!row.right_side, "EPF_NO_RHS"),
        (!row.transformable, "EPF_NO_TRANSFORMER"),
        (row.filter_only, "FILTER_ONLY"),
    ];
    let tags: Vec<&str> = all.into_iter().filter(|(has, _)| *has).map(|(_, tag)| tag).collect();
    if tags.is_empty() { String::new() } else { format!("({}) ", tags.join(",")) }
}

/// Words with a blank behind each, in lines of the right side's width.
fn wrap(text: &str, out: &mut String) {
    let mut length = 0;
    for word in text.split_whitespace() {
        length += word.len() + 1;
        if length > WIDTH - RIGHT {
            let _ = write!(out, "\n{:<RIGHT$}", "");
            length = word.len() + 1;
        }
        out.push_str(word);
        out.push(' ');
    }
}

/// A row of the listing of events.
struct Entry {
    info: &'static EventInfo,
    name: &'static str,
    available: bool,
}

/// Kinds of events in the listing's order.
const KINDS: [(&str, Category); 4] = [
    ("Syscall events", Category::Syscall),
    ("Tracepoint events", Category::Tracepoint),
    ("Plugin events", Category::Plugin),
    ("Metaevents", Category::Metaevent),
];

/// The events that today's sources write, by kind.
pub fn events(form: ListForm) -> String {
    let kinds = KINDS.map(|(title, category)| (title, entries(category)));
    if form == ListForm::Json {
        let mut root = Map::new();
        root.insert("schema_version".to_owned(), DRIVER_SCHEMA.into());
        for (title, entries) in &kinds {
            root.insert((*title).to_owned(), entries.iter().map(Entry::json).collect());
        }
        root.sort_keys();
        return format!("{:#}\n", Value::Object(root));
    }
    let mut out = format!("The events below are valid for Falco *Schema Version*: {DRIVER_SCHEMA}\n");
    for (title, entries) in &kinds {
        let _ = write!(out, "## {title}\n\n");
        if form == ListForm::Markdown {
            out.push_str("Default | Dir | Name | Params \n:-------|:----|:-----|:-----\n");
        }
        entries.iter().for_each(|entry| entry.line(form, &mut out));
        out.push('\n');
    }
    out
}

fn entries(category: Category) -> Vec<Entry> {
    let generic = |ty: EventType| ty == types::GENERIC_E || ty == types::GENERIC_X;
    let listed = |info: &&EventInfo| {
        let kind = KINDS.iter().find(|(_, kind)| info.is(*kind)).map(|(_, kind)| *kind);
        let gone =
            info.has(EventFlag::OldVersion) || info.has(EventFlag::Unused) || info.is(Category::Unknown);
        kind == Some(category) && !gone && !generic(info.code)
    };
    let entry =
        |info: &'static EventInfo| Entry { info, name: info.name, available: !IGNORED.contains(&info.name) };
    let mut entries: Vec<Entry> = EVENTS.iter().filter(listed).map(entry).collect();
    if category == Category::Syscall {
        let both = [types::GENERIC_E, types::GENERIC_X].map(EventType::info);
        for name in without_type() {
            entries.extend(both.iter().flatten().map(|info| Entry { info, name, available: true }));
        }
    }
    entries
}

/// System calls that have no event type of their own, in order.
fn without_type() -> BTreeSet<&'static str> {
    let own: BTreeSet<&str> = EVENTS.iter().map(|info| info.name).collect();
    let has_own = |name: &str| {
        let base = ["16", "32", "64"].iter().find_map(|width| name.strip_suffix(width));
        own.contains(name) || base.is_some_and(|base| own.contains(base))
    };
    SYSCALL_NAMES
        .iter()
        .copied()
        .filter(|name| *name != "unknown" && !name.is_empty() && !has_own(name))
        .collect()
}

impl Entry {
    fn direction(&self) -> char {
        if self.info.direction == Direction::Enter { '>' } else { '<' }
    }

    fn line(&self, form: ListForm, out: &mut String) {
        let mark = if form == ListForm::Markdown { "*" } else { "" };
        let params: Vec<String> = self.info.params.iter().map(|param| shown(param, mark)).collect();
        let (direction, name, params) = (self.direction(), self.name, params.join(", "));
        let _ = if form == ListForm::Markdown {
            let default = if self.available { "Yes" } else { "No" };
            writeln!(out, "{default} | `{direction}` | `{name}` | {params}")
        } else {
            writeln!(out, "{direction} {name}({params})")
        };
    }

    fn json(&self) -> Value {
        let param = |param: &ParamInfo| {
            let mut value = json!({ "name": param.name, "type": type_name(param.ty) });
            if let Some(flags) = flags(param) {
                value["flags"] = json!(flags);
            }
            value
        };
        json!({
            "available": self.available,
            "dir": self.direction().to_string(),
            "name": self.name,
            "params": self.info.params.iter().map(param).collect::<Vec<_>>(),
        })
    }
}

/// `TYPE **name**`, and the names of its values.
fn shown(param: &ParamInfo, mark: &str) -> String {
    let flags = flags(param).map_or_else(String::new, |flags| {
        let flags: Vec<String> = flags.iter().map(|flag| format!("{mark}{flag}{mark}")).collect();
        format!(": {}", flags.join(", "))
    });
    format!("{} **{}**{flags}", type_name(param.ty), param.name)
}

fn flags(param: &ParamInfo) -> Option<Vec<&'static str>> {
    use ParamType as T;
    let flagged = matches!(
        param.ty,
        T::Flags8 | T::Flags16 | T::Flags32 | T::Enumflags8 | T::Enumflags16 | T::Enumflags32
    );
    (flagged && !param.flags.is_empty()).then(|| param.flags.iter().map(|flag| flag.name).collect())
}

/// The type's name in Falco's listings.
fn type_name(ty: ParamType) -> String {
    match ty {
        ParamType::Dyn => "DYNAMIC".to_owned(),
        ParamType::CharbufPairArray => "CHARBUF_PAIR_ARRAY".to_owned(),
        other => format!("{other:?}").to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(form: ListForm) -> FieldOptions<'static> {
        FieldOptions { sources: &[], source: "", plugins: &[], names_only: false, verbose: false, form }
    }

    #[test]
    fn fields_stand_in_falcos_columns() {
        let sources = ["syscall"];
        let text = fields(&FieldOptions { sources: &sources, verbose: true, ..options(ListForm::Text) });
        let head =
            format!("{}\nField Class:                  evt\nDescription:                  ", "-".repeat(31));
        assert!(text.starts_with(&head), "{text}");
        assert!(
            text.contains(
                "\nEvent Sources:                syscall \n\nevt.num                       (Type: "
            )
        );
        assert!(text.lines().all(|line| line.len() <= WIDTH + 1));
        let json = fields(&FieldOptions { sources: &sources, ..options(ListForm::Json) });
        let json: Value = serde_json::from_str(&json).unwrap();
        let all =
            json["fieldclasses"].as_array().unwrap().iter().flat_map(|c| c["fields"].as_array().unwrap());
        let arg = all.clone().find(|field| field["name"] == "evt.arg").unwrap();
        assert_eq!(arg["argument"]["required"], true);
        let names = fields(&FieldOptions { sources: &sources, names_only: true, ..options(ListForm::Text) });
        assert_eq!(names.lines().count(), all.count());
        let none =
            fields(&FieldOptions { sources: &sources, source: "other", ..options(ListForm::Markdown) });
        assert_eq!(none, "");
    }

    #[test]
    fn events_stand_by_kind() {
        let text = events(ListForm::Text);
        assert!(text.starts_with("The events below are valid for Falco *Schema Version*: "), "{text}");
        assert!(text.contains("\n< openat(FD **fd**, FD **dirfd**, FSRELPATH **name**, FLAGS32 **flags**: "));
        assert!(text.contains("\n## Tracepoint events\n\n") && text.contains("\n< umount2("));
        let markdown = events(ListForm::Markdown);
        assert!(markdown.contains("\nNo | `<` | `read` | ERRNO **res**, "));
        let json: Value = serde_json::from_str(&events(ListForm::Json)).unwrap();
        let calls = json["Syscall events"].as_array().unwrap();
        let generic = calls.iter().find(|call| call["name"] == "io_uring_register").or(calls.last()).unwrap();
        assert_eq!(generic["available"], true);
    }
}
