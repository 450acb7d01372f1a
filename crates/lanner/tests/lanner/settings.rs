//! Settings that can't be: each key of the printed schema is given what it doesn't take, and what then is said has to
//! name it.

use serde_json::{Map, Value, json};

use crate::stage::{RULES, Stage};

/// A key, what it is given, and whether anything runs with that.
struct Case {
    key: String,
    value: Value,
    fatal: bool,
}

/// What no value of a schema may be. A single value of the wrong type counts as absent, in Falco too; a whole block or
/// an item of a list that is none ends it.
fn cases(schema: &Value, key: &str, listed: bool, cases: &mut Vec<Case>) {
    let mut add = |value: Value, fatal| cases.push(Case { key: key.to_owned(), value, fatal });
    if let Some(shapes) = schema.get("anyOf").or(schema.get("oneOf")) {
        let shapes = shapes.as_array().unwrap();
        // A list of lists is none of them.
        add(json!([[1]]), listed);
        return shapes.iter().for_each(|shape| properties(shape, key, listed, cases));
    }
    match schema["type"].as_str().unwrap() {
        "boolean" => add(json!("perhaps"), listed),
        "integer" | "number" => add(json!("soon"), listed),
        // Every single value can be a text.
        "string" => add(json!({ "x": 1 }), listed),
        "array" => {
            add(json!({ "x": 1 }), listed);
            self::cases(&schema["items"], &format!("{key}[0]"), true, cases);
        }
        "object" => {
            // What takes any key can be done without.
            add(json!(3), listed || schema.get("properties").is_some());
            properties(schema, key, listed, cases);
        }
        other => panic!("{key}: no wrong value is known for {other}"),
    }
}

/// The same for the keys of a block.
fn properties(schema: &Value, key: &str, listed: bool, cases: &mut Vec<Case>) {
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        self::cases(schema, &format!("{key}.{name}"), listed, cases);
    }
}

/// The settings with the value at a key.
fn settings(case: &Case) -> Value {
    let mut value = case.value.clone();
    for part in case.key.rsplit('.') {
        let (name, items) = part.split_once('[').map_or((part, false), |(name, _)| (name, true));
        let inner = if items { json!([value]) } else { value };
        value = Value::Object(Map::from_iter([(name.to_owned(), inner)]));
    }
    let mut settings = json!({
        "stdout_output": { "enabled": true },
        "log_stderr": true,
        "log_syslog": false,
        "load_plugins": [],
        "rules_files": ["r.yaml"],
    });
    merge(&mut settings, value);
    // Without a path there is nothing to merge by a strategy.
    if case.key == "config_files[0].strategy" {
        settings["config_files"][0]["path"] = "nowhere".into();
    }
    settings
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            from.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
        }
        (into, from) => *into = from,
    }
}

#[test]
fn every_key_of_the_schema_is_named_when_its_value_has_the_wrong_type() {
    let stage = Stage::new().with("r.yaml", RULES);
    let schema: Value = serde_json::from_str(&stage.run(&["falco", "--config-schema"]).out).unwrap();
    let mut all = Vec::new();
    for (key, schema) in schema["properties"].as_object().unwrap() {
        cases(schema, key, false, &mut all);
    }
    assert!(all.len() > 130, "{}", all.len());
    let mut wrong = Vec::new();
    for case in &all {
        std::fs::write(stage.path("falco.yaml"), settings(case).to_string()).unwrap();
        let mut args = vec!["falco", "-c", "falco.yaml", "--dry-run"];
        // Rules are needed also where it's their own setting that is wrong; where nothing else goes out, this does.
        args.extend(["-r", "r.yaml"]);
        if case.key.starts_with("stdout_output") {
            args.extend(["-o", "syslog_output.enabled=true"]);
        }
        let run = stage.run(&args);
        let named = format!(": {} must be ", case.key);
        let told = |line: &&str| line.contains("falco.yaml, line 1, column ") && line.contains(&named);
        if run.code != i32::from(case.fatal) || run.err.lines().filter(told).count() != 1 {
            wrong.push(format!("{} = {}: {}", case.key, case.value, run.shown()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unknown_keys_are_told_wherever_they_stand() {
    let stage = Stage::new()
        .with("r.yaml", RULES)
        .with("more.yaml", "webserver:\n  listen_prot: 1\ngrpc: {enabled: true}\n")
        .with("falco.yaml", "config_files: [more.yaml]\nrules_files: [r.yaml]\nstdout_output: {enabled: true}\nlog_stderr: true\nlog_syslog: false\n");
    let run = stage.run(&["falco", "-c", "falco.yaml", "--dry-run", "-o", "jason_output=true"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    for told in [
        "more.yaml, line 2, column 16: webserver.listen_prot is no key that is known here: did you mean listen_port?",
        "more.yaml, line 3, column 7: grpc is no key that is known here; it is passed over",
        "command line: jason_output is no key that is known here: did you mean json_output?",
    ] {
        assert!(run.err.contains(told), "{told}: {}", run.shown());
    }
}

#[test]
fn what_is_wrong_with_a_key_is_told_beside_what_comes_of_it() {
    let stage = Stage::new()
        .with("r.yaml", RULES)
        .with("falco.yaml", "rules_files: [r.yaml]\nfile_output:\n  enabled: true\n  filename: {a: b}\n");
    let run = stage.run(&["falco", "-c", "falco.yaml"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("file output enabled but no filename in configuration block"), "{}", run.err);
    assert!(
        run.err.contains("falco.yaml, line 4, column 13: file_output.filename must be a text"),
        "{}",
        run.err
    );
}

#[test]
fn numbers_beyond_what_a_key_holds_are_told_with_its_bounds() {
    let stage = Stage::new().with("r.yaml", RULES);
    let run = stage.run(&[
        "falco",
        "-c",
        "/dev/null",
        "-r",
        "r.yaml",
        "--dry-run",
        "-o",
        "stdout_output.enabled=true",
        "-o",
        "log_stderr=true",
        "-o",
        "webserver.listen_port=99999",
    ]);
    let told =
        "command line: webserver.listen_port must be a whole number from 0 to 65535; the default is used";
    assert!(run.code == 0 && run.err.contains(told), "{}", run.shown());
}

/// The settings that Falco ships, with every key that its comments show, are all known.
#[test]
fn nothing_is_told_of_the_stock_settings() {
    let stock =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/compat/acceptance/files/etc/falco.yaml");
    if !std::path::Path::new(stock).exists() {
        println!("skipped: {stock} is not here");
        return;
    }
    let stage = Stage::new().with("r.yaml", RULES);
    let run = stage.run(&["falco", "-c", stock, "-r", "r.yaml", "--dry-run", "-o", "log_stderr=true"]);
    let told = run.err.lines().find(|line| line.contains(" must be ") || line.contains("is no key"));
    assert!(run.code == 0 && told.is_none(), "{told:?} {}", run.shown());
}
