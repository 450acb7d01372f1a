//! The lists of fields and event types, in each form, against the tables that Falco itself gave.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::stage::Stage;

/// One of Falco's tables; nothing, with the reason told, where they are not here.
fn table(name: &str) -> Option<Vec<Value>> {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/compat/schema").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            println!("skipped: {} is not here", path.display());
            None
        }
    }
}

fn printed(command: &str, form: &str) -> String {
    let run = Stage::new().run(&[command, "--format", form]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    run.out
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

/// The first word of what stands in backticks.
fn quoted(line: &str) -> Option<&str> {
    line.strip_prefix('`')?.split(['`', '[']).next()
}

#[test]
fn every_field_of_falco_is_listed_with_its_type_in_each_form() {
    let Some(classes) = table("fields.json") else { return };
    let fields = |class: &Value| class["fields"].as_array().unwrap().clone();
    let wanted: BTreeSet<(String, String, bool)> = classes
        .iter()
        .flat_map(fields)
        .map(|field| {
            let list = field["is_list"].as_bool().unwrap_or(false);
            (text(&field, "name").to_owned(), text(&field, "type").to_owned(), list)
        })
        .collect();
    assert!(wanted.len() > 400, "{}", wanted.len());
    let json: Value = serde_json::from_str(&printed("fields", "json")).unwrap();
    let listed = json["fieldclasses"].as_array().unwrap().iter().flat_map(fields);
    let ours: BTreeSet<(String, String, bool)> = listed
        .map(|field| {
            assert!(!text(&field, "description").is_empty(), "{field}");
            (text(&field, "name").to_owned(), text(&field, "type").to_owned(), field["list"] == true)
        })
        .collect();
    let missing: Vec<_> = wanted.difference(&ours).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let (plain, markdown) = (printed("fields", "text"), printed("fields", "markdown"));
    let plain: BTreeSet<&str> = plain
        .lines()
        .filter_map(|line| line.split(['[', ' ']).next().filter(|_| line.ends_with(')')))
        .collect();
    let markdown: BTreeSet<&str> = markdown.lines().filter_map(quoted).collect();
    for (name, ..) in &ours {
        assert!(plain.contains(name.as_str()) && markdown.contains(name.as_str()), "{name}");
    }
}

#[test]
fn every_current_event_type_of_falco_is_listed_with_its_parameters_in_each_form() {
    let Some(events) = table("events.json") else { return };
    assert_eq!(events.len(), 454);
    let has = |event: &Value, flag: &str| event["flags"].as_array().unwrap().iter().any(|f| f == flag);
    let names = |event: &Value| -> Vec<String> {
        event["params"].as_array().unwrap().iter().map(|p| text(p, "name").to_owned()).collect()
    };
    let current = events.iter().filter(|event| !has(event, "old_version") && !has(event, "unused"));
    let wanted: Vec<(String, String, Vec<String>)> = current
        .map(|event| {
            let direction = if event["dir"] == "enter" { ">" } else { "<" };
            (direction.to_owned(), text(event, "name").to_owned(), names(event))
        })
        .collect();
    let json: Vec<Value> = serde_json::from_str(&printed("events", "json")).unwrap();
    let ours: Vec<_> = json
        .iter()
        .map(|event| (text(event, "dir").to_owned(), text(event, "name").to_owned(), names(event)))
        .collect();
    assert_eq!(ours, wanted);
    let (plain, markdown) = (printed("events", "text"), printed("events", "markdown"));
    for (direction, name, _) in &wanted {
        assert!(plain.lines().any(|line| line.starts_with(&format!("{direction} {name}("))), "{name}");
        assert!(markdown.contains(&format!("`{direction}` | `{name}` | ")), "{name}");
    }
    let rows = plain.lines().filter(|line| line.starts_with(['<', '>'])).count();
    assert_eq!((rows, markdown.lines().count() - 2), (wanted.len(), wanted.len()));
}
