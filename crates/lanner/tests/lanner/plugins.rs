//! Sources beside the kernel's, and plugins.

use std::path::PathBuf;
use std::process::Command;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::stage::{Run, Stage};

const AUDIT: &str = "\
stdout_output: {enabled: true}
log_stderr: true
log_level: warning
plugins:
- {name: k8saudit, library_path: libk8saudit.so, open_params: events.json}
- {name: json, library_path: libjson.so}
";

/// An audit event of somebody's request that was answered; what `parts` has comes in its place.
fn event(verb: &str, target: Value, request: Value) -> Value {
    json!({
        "kind": "Event", "auditID": "1", "stage": "ResponseComplete", "verb": verb, "requestURI": "/api",
        "stageTimestamp": "2026-01-31T00:00:00.5Z", "user": {"username": "jane"}, "sourceIPs": ["10.0.0.9"],
        "objectRef": target, "requestObject": request, "responseStatus": {"code": 201},
        "annotations": {"authorization.k8s.io/decision": "allow"},
    })
}

fn pod(namespace: &str, spec: Value) -> Value {
    event("create", json!({"resource": "pods", "namespace": namespace}), json!({"spec": spec}))
}

fn with(mut event: Value, key: &str, value: Value) -> Value {
    event[key] = value;
    event
}

/// What each of our own audit rules is for, and what comes near it and must not fire any.
fn acts() -> Vec<(&'static str, Value)> {
    let role = |rule: Value| {
        event("create", json!({"resource": "clusterroles", "name": "r"}), json!({"rules": [rule]}))
    };
    let anonymous = json!({"username": "system:anonymous"});
    let sub = |resource: &str, part: &str| json!({"resource": resource, "subresource": part, "name": "x", "namespace": "d"});
    let binding = |name: &str| {
        event(
            "create",
            json!({"resource": "clusterrolebindings", "name": "b"}),
            json!({"roleRef": {"name": name}}),
        )
    };
    let map =
        |data: Value| event("update", json!({"resource": "configmaps", "name": "m"}), json!({"data": data}));
    let service =
        |kind: &str| event("create", json!({"resource": "services"}), json!({"spec": {"type": kind}}));
    let plain = json!({"containers": [{"image": "web:1"}]});
    let mount =
        |path: &str| json!({"containers": [{"image": "web:1"}], "volumes": [{"hostPath": {"path": path}}]});
    let privileged = json!({"initContainers": [{"image": "x", "securityContext": {"privileged": true}}], "containers": []});
    vec![
        ("Anonymous Request Allowed", with(event("get", json!({}), json!(null)), "user", anonymous.clone())),
        (
            "",
            with(
                with(event("get", json!({}), json!(null)), "user", anonymous),
                "requestURI",
                json!("/healthz"),
            ),
        ),
        ("Attach/Exec Pod", event("create", sub("pods", "exec"), json!(null))),
        ("", event("get", sub("pods", "log"), json!(null))),
        ("EphemeralContainers Created", event("patch", sub("pods", "ephemeralcontainers"), json!(null))),
        ("Create Privileged Pod", pod("d", privileged.clone())),
        ("", with(pod("d", privileged.clone()), "responseStatus", json!({"code": 403}))),
        (
            "",
            with(
                pod("d", privileged),
                "user",
                json!({"username": "system:serviceaccount:kube-system:daemon-set-controller"}),
            ),
        ),
        ("", pod("d", plain.clone())),
        (
            "Create Pod In Host Namespaces",
            pod("d", json!({"hostPID": true, "containers": [{"image": "web:1"}]})),
        ),
        ("Create Sensitive Mount Pod", pod("d", mount("/var/lib/kubelet"))),
        ("", pod("d", mount("/data"))),
        ("Pod Created in Kube Namespace", pod("kube-system", plain)),
        ("Attach to cluster-admin Role", binding("cluster-admin")),
        ("", binding("view")),
        ("ClusterRole With Wildcard Created", role(json!({"resources": ["pods"], "verbs": ["*"]}))),
        ("ClusterRole With Pod Exec Created", role(json!({"resources": ["pods/exec"], "verbs": ["create"]}))),
        ("ClusterRole That May Escalate Created", role(json!({"resources": ["roles"], "verbs": ["bind"]}))),
        ("", role(json!({"resources": ["pods"], "verbs": ["get"]}))),
        (
            "System ClusterRole Modified/Deleted",
            event("delete", json!({"resource": "clusterroles", "name": "system:node"}), json!(null)),
        ),
        (
            "Admission Webhook Changed",
            event("delete", json!({"resource": "validatingwebhookconfigurations", "name": "w"}), json!(null)),
        ),
        ("Service Account Token Requested", event("create", sub("serviceaccounts", "token"), json!(null))),
        ("Secrets Of All Namespaces Listed", event("list", json!({"resource": "secrets"}), json!(null))),
        ("", event("list", json!({"resource": "secrets", "namespace": "d"}), json!(null))),
        ("Create/Modify Configmap With Private Credentials", map(json!({"a": "password=x"}))),
        ("", map(json!({"a": "colour=blue"}))),
        ("Create NodePort Service", service("NodePort")),
        ("", service("ClusterIP")),
        ("Kubelet Reached Through The API Server", event("get", sub("nodes", "proxy"), json!(null))),
    ]
}

#[test]
fn our_own_audit_rules_tell_what_they_are_for_and_nothing_near_it() {
    let acts = acts();
    let numbered = |(nth, (_, event)): (usize, &(&str, Value))| {
        with(event.clone(), "auditID", json!(nth.to_string())).to_string() + "\n"
    };
    let lines: String = acts.iter().enumerate().map(numbered).collect();
    let config = format!(
        "{AUDIT}json_output: true\nappend_output: [{{match: {{source: k8s_audit}}, extra_fields: [ka.auditid]}}]\n"
    );
    let stage = Stage::new().with("falco.yaml", &config).with("events.json", &lines);
    let run = stage.run(&["run", "-c", "falco.yaml", "--enable-source", "k8s_audit", "--quiet"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let mut told = vec![String::new(); acts.len()];
    for alert in run.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let nth: usize = alert["output_fields"]["ka.auditid"].as_str().unwrap().parse().unwrap();
        told[nth] = alert["rule"].as_str().unwrap().to_owned();
        assert_eq!(alert["source"], "k8s_audit");
    }
    for (nth, (rule, event)) in acts.iter().enumerate() {
        assert_eq!(told[nth], *rule, "{event}");
    }
}

pub const RULES: &str = "\
- rule: Deleted
  desc: d
  condition: ka.verb = delete
  output: '%ka.user.name deleted %ka.target.name'
  priority: NOTICE
  source: k8s_audit
- rule: Number
  desc: d
  condition: json.value[/n] exists
  output: 'n=%json.value[/n] by %evt.pluginname'
  priority: NOTICE
  source: test_events
- rule: Slow
  desc: d
  condition: json.value[/ms] exists and json.value[/status] = 500
  output: '%json.value[/path] failed'
  priority: NOTICE
  source: json
";

pub fn deleted() -> String {
    event("delete", json!({"resource": "pods", "name": "web"}), json!(null)).to_string()
}

#[test]
fn lines_from_standard_input_are_events_of_an_application() {
    let config = "stdout_output: {enabled: true}\nlog_stderr: false\nplugins: [{name: json, open_params: '-', init_config: {time: /t}}]\n";
    let stage = Stage::new().with("falco.yaml", config).with("r.yaml", RULES);
    let input =
        "{\"t\":1769817600,\"ms\":5,\"status\":500,\"path\":\"/a\"}\nnonsense\n{\"ms\":1,\"status\":200}\n";
    std::fs::write(stage.path("in"), input).unwrap();
    let mut command =
        stage.command(&["falco", "-c", "falco.yaml", "-r", "r.yaml", "--enable-source", "json"]);
    let out =
        command.stdin(std::fs::File::open(stage.path("in")).unwrap()).env("TZ", "UTC").output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success()
            && text.starts_with("00:00:00.000000000: Notice /a failed\nEvents detected: 1\n"),
        "{text}"
    );
}

/// Builds a plugin from C, into the stage.
pub fn build(stage: &Stage, name: &str) {
    let source =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../plugin/tests/c").join(format!("{name}.c"));
    let out = stage.path(&format!("lib{name}.so"));
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(out).arg(source).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// Audit events and a plugin in C, side by side.
fn side_by_side(open_params: &str, isolation: &str) -> Run {
    let stage = Stage::new();
    build(&stage, "source");
    let library = stage.path("libsource.so").display().to_string();
    let config = format!(
        "{AUDIT}- {{name: test_source, library_path: {library}, open_params: {open_params}}}\nplugins_isolation: {isolation}\n"
    );
    let stage = stage.with("falco.yaml", &config).with("r.yaml", RULES).with("events.json", &deleted());
    let sources = ["--enable-source", "k8s_audit", "--enable-source", "test_events"];
    stage.run(&[&["falco", "-c", "falco.yaml", "-r", "r.yaml"][..], &sources].concat())
}

#[test]
fn a_source_that_fails_does_not_touch_the_others() {
    for isolation in ["none", "process"] {
        let well = side_by_side("three", isolation);
        assert_eq!(well.code, 0, "{}", well.shown());
        assert!(
            well.out.contains("jane deleted web") && well.out.contains("n=3 by test_source"),
            "{}",
            well.shown()
        );
        let ill = side_by_side("fail", isolation);
        assert!(ill.code == 1 && ill.out.contains("jane deleted web"), "{}", ill.shown());
        let refused = side_by_side("refuse", isolation);
        assert!(refused.code == 1 && refused.out.contains("jane deleted web"), "{}", refused.shown());
    }
}

#[test]
fn a_crash_costs_only_the_events_of_a_plugin_in_its_own_process() {
    let run = side_by_side("crash", "process");
    assert_eq!(run.code, 1, "{}", run.shown());
    assert!(
        run.out.contains("jane deleted web") && run.out.contains("n=1 by test_source"),
        "{}",
        run.shown()
    );
    assert!(
        run.err.contains("plugin 'test_source' has crashed in its own process (signal 11)"),
        "{}",
        run.err
    );
    assert!(run.err.contains("lanner: plugin 'test_source' has crashed"), "{}", run.err);
}

#[test]
fn plugins_are_listed_and_described() {
    let stage = Stage::new().with("falco.yaml", AUDIT);
    let shown = |args: &[&str]| stage.run(args).shown();
    assert_snapshot!("plugin-list", shown(&["plugin", "list"]));
    assert_snapshot!("plugin-info", shown(&["plugin", "info", "k8saudit"]));
    assert_snapshot!("plugin-info-unknown", shown(&["plugin", "info", "nothing"]));
    assert_snapshot!(
        "plugin-list-falco",
        shown(&["falco", "-c", "falco.yaml", "--list-plugins", "-o", "log_stderr=false"])
    );
}
