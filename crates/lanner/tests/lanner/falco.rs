//! In Falco's place.

use insta::assert_snapshot;
use saphyr::LoadableYamlNode;

use crate::stage::{RULES, Run, Stage};

const CONFIG: &str = "\
stdout_output: {enabled: true}
log_stderr: false
plugins: [{name: container, library_path: libcontainer.so}]
load_plugins: []
engine: {kind: replay, replay: {capture_file: c.scap}}
append_output: [{suggested_output: true}]
";

fn stage() -> Stage {
    Stage::new().with("r.yaml", RULES).with("falco.yaml", CONFIG).with_capture()
}

fn falco(args: &[&str]) -> Run {
    let all: Vec<&str> = ["falco", "-c", "falco.yaml"].iter().chain(args).copied().collect();
    stage().run(&all)
}

#[test]
fn a_replay_prints_alerts_and_counts() {
    assert_snapshot!("falco-replay", falco(&["-r", "r.yaml"]).shown());
}

#[test]
fn options_change_what_alerts_hold() {
    let options = [
        "-r",
        "r.yaml",
        "-o",
        "json_output=true",
        "-o",
        "load_plugins[0]=container",
        "-o",
        "append_output[0].extra_output=on cpu %evt.cpu",
        "-o",
        "append_output[0].extra_fields[0]=proc.pid",
        "-o",
        "append_output[0].match.tags[0]=host",
        "-o",
        "time_format_iso_8601=true",
        "-o",
        "rules[0].disable.rule=Any*",
    ];
    assert_snapshot!("falco-options", falco(&options).shown());
}

/// What docs/writing-rules.md says of outputs.
#[test]
fn outputs_take_brackets_widths_arguments_and_transformers() {
    let rule = |output: &str, condition: &str| {
        format!(
            "- rule: Read\n  desc: d\n  condition: fd.name = /etc/shadow{condition}\n  output: {output:?}\n  \
             priority: INFO\n"
        )
    };
    let told = |output: &str, condition: &str| {
        let stage = stage().with("o.yaml", &rule(output, condition));
        let run = stage.run(&["falco", "-c", "falco.yaml", "-r", "o.yaml"]);
        let alert = run.out.lines().find_map(|line| Some(line.split_once("Informational ")?.1.to_owned()));
        alert.unwrap_or_else(|| panic!("{output}: {}", run.shown()))
    };
    for (output, text) in [
        ("%proc.name.", "cat."),
        ("%(proc.name)s", "cats"),
        ("%proc.aname[2]", "<NA>"),
        ("%5proc.name|", "cat  |"),
        ("%2proc.name|", "ca|"),
        ("%toupper(proc.name)", "CAT"),
        ("%tolower(toupper(proc.name))", "cat"),
        ("%basename(proc.exepath)", "cat"),
        ("%len(fd.name)", "11"),
        ("%join(\"+\", (proc.name, user.name))", "cat+root"),
        ("%concat(proc.name, \":\", user.name)", "cat:root"),
        ("*%proc.name %proc.aname[2]", "cat <NA>"),
    ] {
        assert_eq!(told(output, ""), text, "{output}");
    }
    assert_eq!(told("o", " and toupper(basename(proc.exepath)) = CAT and len(proc.name) > 2"), "o");
}

#[test]
fn called_by_falcos_name_it_is_falco() {
    let stage = stage();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lanner"), stage.path("falco")).unwrap();
    let output = std::process::Command::new(stage.path("falco"))
        .args(["-c", "falco.yaml", "-r", "r.yaml"])
        .current_dir(stage.path("."))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("Events detected: 2\n"));
    assert!(output.status.success());
}

#[test]
fn rules_are_validated_and_described() {
    assert_snapshot!("falco-validate", falco(&["-V", "r.yaml"]).shown());
    assert_snapshot!("falco-describe", falco(&["-r", "r.yaml", "-L"]).shown());
    assert_snapshot!("falco-describe-one", falco(&["-r", "r.yaml", "-l", "Any open"]).shown());
    let none = falco(&["-r", "r.yaml", "-l", "No such"]);
    assert_eq!((none.code, none.err.as_str()), (1, "Error: Rule \"No such\" is not loaded\n"));
}

#[test]
fn broken_rules_are_refused_on_both_streams() {
    let stage = stage().with("b.yaml", "- rule: r\n  desc: d\n");
    let run = stage.run(&["falco", "-c", "falco.yaml", "-V", "b.yaml"]);
    assert_snapshot!("falco-validate-broken", run.shown());
}

#[test]
fn what_is_asked_wrongly_is_refused_in_falcos_words() {
    let error = |args: &[&str]| {
        let run = falco(args);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.shown());
        run.err
    };
    let refused = [
        error(&[]),
        error(&["-r", "no.yaml"]),
        error(&["-r", "r.yaml", "-o", "engine.kind=ebpf"]),
        error(&["-r", "r.yaml", "-o", "priority=loud"]),
        error(&["-r", "r.yaml", "-o", "novalue"]),
        error(&["-r", "r.yaml", "-o", "stdout_output.enabled=false"]),
        error(&["-r", "r.yaml", "-o", "engine.kind=modern_ebpf", "--enable-source", "x"]),
        error(&["-r", "r.yaml", "-o", "load_plugins[0]=x"]),
        error(&["-r"]),
        error(&["--no-such-option"]),
    ];
    assert_snapshot!("falco-refused", refused.concat());
}

#[test]
fn a_capture_that_cannot_be_read_still_ends_with_the_counts() {
    let run = falco(&["-r", "r.yaml", "-o", "engine.replay.capture_file=no.scap"]);
    assert_snapshot!("falco-no-capture", run.shown());
}

#[test]
fn pretended_losses_are_alerted_logged_or_end_the_run() {
    let simulate = ["-r", "r.yaml", "-o", "syscall_event_drops.simulate_drops=true", "-o"];
    let with = |action: &str| {
        let action = format!("syscall_event_drops.actions[0]={action}");
        let args: Vec<&str> = simulate.into_iter().chain([action.as_str()]).collect();
        falco(&args)
    };
    // Two events a second apart are not more than a second apart: nothing is due yet.
    assert!(with("alert").err.contains("event drop detected: 0 occurrences"));
}

#[test]
fn fields_of_the_json_plugin_need_it_loaded() {
    let stage = stage()
        .with(
            "json.yaml",
            "- required_plugin_versions: [{name: json, version: 0.1.0}]\n- rule: With payload\n  desc: d\n  \
             condition: evt.type = openat and json.value[/a] = x\n  output: o\n  priority: INFO\n- rule: \
             Without payload\n  desc: d\n  condition: evt.type = openat and not json.value[/a] exists\n  output: \
             \"obj=%json.obj\"\n  priority: INFO\n",
        )
        .with("newer.yaml", "- required_plugin_versions: [{name: json, version: 0.9.0}]\n")
        .with("f.yaml", &CONFIG.replace("\nplugins: [", "\nplugins: [{name: json, library_path: libjson.so}, "));
    let run = |options: &[&str]| {
        let all: Vec<&str> = ["falco", "-c", "f.yaml"].iter().chain(options).copied().collect();
        stage.run(&all)
    };
    let loaded = |options: &[&str]| run(&[&["-o", "load_plugins[0]=json"], options].concat());
    assert_snapshot!("falco-json-unloaded", run(&["-r", "json.yaml"]).shown());
    assert_snapshot!("falco-json-replay", loaded(&["-r", "json.yaml"]).shown());
    assert_snapshot!("falco-json-too-old", loaded(&["-r", "newer.yaml"]).shown());
    assert_snapshot!("falco-json-plugin", loaded(&["--list-plugins"]).shown());
    let described = loaded(&["-r", "json.yaml", "-L", "-o", "json_output=true"]);
    let described: serde_json::Value = serde_json::from_str(&described.out).unwrap();
    assert_eq!(described["rules"][0]["details"]["plugins"], serde_json::json!(["json"]));
    let lists_it = |run: Run| run.out.lines().any(|line| line == "json.value");
    assert!(lists_it(loaded(&["--list", "-N"])) && !lists_it(run(&["--list", "-N"])));
}

#[test]
fn versions_are_those_that_tools_compare() {
    let version = falco(&["--version", "-o", "json_output=true"]);
    let parsed: serde_json::Value = serde_json::from_str(&version.out).unwrap();
    for key in
        ["falco_version", "libs_version", "plugin_api_version", "engine_version", "driver_schema_version"]
    {
        assert!(parsed[key].is_string(), "{key}");
    }
    assert!(falco(&["--version"]).out.starts_with("Falco version: "));
}

/// The printed schemas are judged by somebody else's validator.
#[test]
fn schemas_fit_the_files_that_they_are_for() {
    let schema = |option: &str| {
        let run = stage().run(&["falco", option]);
        let schema = serde_json::from_str(&run.out).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    };
    let (config, rules) = (schema("--config-schema"), schema("--rule-schema"));
    assert!(config.is_valid(&typed(CONFIG)));
    assert!(!config.is_valid(&typed("json_output: perhaps")) && !config.is_valid(&typed("no_such: 1")));
    assert!(rules.is_valid(&typed(RULES)) && !rules.is_valid(&typed("- rule: r\n  colour: red\n")));
    for (name, text) in lanner_agent::ruleset::OWN_RULES {
        let errors: Vec<String> = rules.iter_errors(&typed(text)).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    let stock = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/compat");
    let Ok(text) = std::fs::read_to_string(stock.join("acceptance/files/etc/falco.yaml")) else {
        return println!("skipped: no stock falco.yaml at {}", stock.display());
    };
    let errors: Vec<String> = config.iter_errors(&typed(&text)).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    for file in std::fs::read_dir(stock.join("rules")).unwrap().map(|entry| entry.unwrap().path()) {
        let text = std::fs::read_to_string(&file).unwrap();
        // Falco's YAML parser takes more than this one.
        if saphyr::Yaml::load_from_str(&text).is_err() {
            println!("skipped: {} is no YAML to saphyr", file.display());
            continue;
        }
        let errors: Vec<String> = rules.iter_errors(&typed(&text)).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", file.display());
    }
}

/// The first document of a YAML text as JSON, with the types that its scalars have.
fn typed(text: &str) -> serde_json::Value {
    use saphyr::{Scalar, Yaml};
    fn convert(yaml: &Yaml<'_>) -> serde_json::Value {
        match yaml {
            Yaml::Value(Scalar::Boolean(flag)) => (*flag).into(),
            Yaml::Value(Scalar::Integer(number)) => (*number).into(),
            Yaml::Value(Scalar::FloatingPoint(number)) => number.into_inner().into(),
            Yaml::Value(Scalar::String(text)) => text.as_ref().into(),
            Yaml::Sequence(items) => items.iter().map(convert).collect(),
            Yaml::Mapping(pairs) => {
                let key = |key: &Yaml<'_>| key.as_str().unwrap().to_owned();
                pairs.iter().map(|(k, value)| (key(k), convert(value))).collect()
            }
            _ => serde_json::Value::Null,
        }
    }
    convert(&Yaml::load_from_str(text).unwrap()[0])
}

#[test]
fn what_deviates_from_the_schema_is_told_and_used_as_far_as_it_goes() {
    let stage = stage().with("f.yaml", &format!("{}no_such: 1\n", CONFIG.replace("log_stderr: false", "")));
    let run = stage.run(&["falco", "-c", "f.yaml", "-o", "log_stderr=true", "-r", "r.yaml"]);
    let told = "f.yaml | schema validation: failed for <root>: Object contains a property that could not be \
                validated using 'properties' or 'additionalProperties' constraints: 'no_such'.";
    assert!(run.code == 0 && run.err.contains(told), "{}", run.shown());
}

#[test]
fn a_pid_file_that_cannot_be_written_ends_it_with_falcos_code() {
    let run = falco(&["-r", "r.yaml", "-o", "log_stderr=true", "-P", "no/such/file"]);
    assert!(
        run.code == 255 && run.err.contains("Could not write pid to pidfile no/such/file"),
        "{}",
        run.shown()
    );
}
