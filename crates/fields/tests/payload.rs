//! Values of fields over payloads that are JSON.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use lanner_event::{EventBuf, types};
use lanner_fields::{Context, EventMeta, Field, Scratch, Value};
use lanner_machine::Machine;

/// The value of each field over a payload, lists in brackets; `-` stands for none.
fn values(source: &'static str, plugin: &'static str, payload: &str, fields: &[&str]) -> Vec<String> {
    let id = 1u32.to_ne_bytes();
    let buf = EventBuf::new(7, -1, 0, types::PLUGINEVENT_E, &[&id, payload.as_bytes()]).unwrap();
    let event = buf.event().unwrap();
    let mut machine = Machine::default();
    let subject = machine.apply(&event);
    let meta = EventMeta { source, plugin, ..EventMeta::default() };
    let mut scratch = Scratch::new();
    let mut shown = Vec::new();
    for name in fields {
        scratch.reset();
        let cx =
            Context { event: &event, machine: &machine, subject: &subject, meta: &meta, scratch: &scratch };
        let (bare, argument) = match name.split_once('[') {
            Some((bare, argument)) => (bare, argument.strip_suffix(']')),
            None => (*name, None),
        };
        let field = Field::resolve(source, bare, argument).unwrap();
        shown.push(show(&field.extract(&cx)));
    }
    shown
}

fn show(value: &Value<'_>) -> String {
    match value {
        Value::Absent => "-".to_owned(),
        Value::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
        Value::Unsigned(number) => number.to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        other => panic!("{other:?}"),
    }
}

fn check(source: &'static str, plugin: &'static str, payload: &str, want: &[(&str, &str)]) {
    let fields: Vec<&str> = want.iter().map(|(field, _)| *field).collect();
    let got = values(source, plugin, payload, &fields);
    for ((field, want), got) in want.iter().zip(got) {
        assert_eq!(&got, want, "{field}");
    }
}

const POD: &str = r#"{"auditID":"a-1","stage":"ResponseComplete","verb":"create",
"requestURI":"/api/v1/pods?dryRun=All&x=a%20b+c#f","sourceIPs":["10.0.0.1","10.0.0.2"],
"user":{"username":"minikube","groups":["g1","g2"]},
"objectRef":{"resource":"pods","namespace":"default","name":"nginx"},
"responseObject":{"metadata":{"name":"nginx-1"}},"responseStatus":{"code":201},
"annotations":{"authorization.k8s.io/decision":"allow"},
"requestObject":{"spec":{"hostNetwork":true,"securityContext":{"runAsUser":7},
"containers":[
{"name":"a","image":"reg/nginx:1.2","command":["sh","-c"],"ports":[{"hostPort":80},{"containerPort":81}],
 "securityContext":{"privileged":true,"runAsUser":0,"capabilities":{"add":["NET_ADMIN","SYS_ADMIN"]}}},
{"name":"b","image":"redis@sha256:1"}],
"initContainers":[{"image":"x"}],
"volumes":[{"name":"v","hostPath":{"path":"/etc/x"}},{"name":"w","emptyDir":{}}]}}}"#;

#[test]
fn a_pod_is_told_of_in_all_its_containers() {
    check(
        "k8s_audit",
        "k8saudit",
        POD,
        &[
            ("ka.auditid", "a-1"),
            ("ka.uri.param[dryRun]", "All"),
            ("ka.uri.param[x]", "a b c"),
            ("ka.uri.param[y]", "-"),
            ("ka.user.groups", "[g1, g2]"),
            ("ka.sourceips", "[10.0.0.1, 10.0.0.2]"),
            ("ka.sourceips[1]", "[10.0.0.2]"),
            ("ka.auth.decision", "allow"),
            ("ka.auth.reason", "-"),
            ("ka.target.pod.name", "nginx-1"),
            ("ka.response.code", "201"),
            ("ka.req.pod.host_network", "true"),
            ("ka.req.pod.containers.name", "[a, b]"),
            ("ka.req.pod.containers.image[1]", "[redis@sha256:1]"),
            ("ka.req.pod.containers.image[2]", "-"),
            ("ka.req.pod.containers.image.repository", "[reg/nginx, redis]"),
            ("ka.req.container.image", "reg/nginx:1.2"),
            ("ka.req.container.image.repository", "reg/nginx"),
            ("ka.req.pod.initContainers.name", "-"),
            ("ka.req.pod.initContainers.image", "[x]"),
            ("ka.req.pod.ephemeralContainers.image", "-"),
            ("ka.req.pod.containers.command", "[sh -c]"),
            ("ka.req.pod.containers.args", "-"),
            ("ka.req.pod.containers.host_port", "[80, 81]"),
            ("ka.req.pod.containers.privileged", "[true]"),
            ("ka.req.container.privileged", "true"),
            ("ka.req.pod.containers.run_as_user", "[0]"),
            ("ka.req.pod.containers.eff_run_as_user", "[0, 7]"),
            ("ka.req.pod.containers.eff_run_as_group", "[0, 0]"),
            ("ka.req.pod.containers.add_capabilities", r#"[["NET_ADMIN","SYS_ADMIN"]]"#),
            ("ka.req.pod.volumes.hostpath", "[/etc/x]"),
            ("ka.req.volume.hostpath[/etc*]", "true"),
            ("ka.req.volume.hostpath[/etc]", "false"),
            ("ka.req.pod.volumes.volume_type", "[hostPath, emptyDir]"),
            ("ka.req.binding.subjects.user_names", "-"),
            ("evt.pluginname", "k8saudit"),
            (
                "json.value[/requestObject/spec/containers/0/ports]",
                r#"[{"hostPort":80},{"containerPort":81}]"#,
            ),
            ("jevt.value[/objectRef/name]", "nginx"),
            ("json.rawtime", "7"),
        ],
    );
}

#[test]
fn roles_and_bindings_are_lists() {
    let binding = r#"{"auditID":"a","requestObject":{"roleRef":{"name":"cluster-admin"},"rules":[
{"verbs":["get","*"],"resources":["pods"]},{"nonResourceURLs":["/api"],"verbs":["list"]}],
"subjects":[{"kind":"User","name":"u"},{"kind":"ServiceAccount","namespace":"n","name":"s"},{"kind":"Group"}]}}"#;
    check(
        "k8s_audit",
        "k8saudit",
        binding,
        &[
            ("ka.req.binding.role", "cluster-admin"),
            ("ka.req.role.rules.verbs", "[get, *, list]"),
            ("ka.req.role.rules.verbs[1]", "[list]"),
            ("ka.req.role.rules.resources", "[pods]"),
            (
                "ka.req.role.rules",
                r#"[{"verbs":["get","*"],"resources":["pods"]}, {"nonResourceURLs":["/api"],"verbs":["list"]}]"#,
            ),
            ("ka.req.binding.subjects.user_names", "[u]"),
            ("ka.req.binding.subjects.serviceaccount_ns_names", "[n:s]"),
            ("ka.req.binding.subjects.group_names", "-"),
            ("ka.req.binding.subject.has_name[x]", "true"),
        ],
    );
}

#[test]
fn a_payload_of_another_kind_has_no_audit_fields() {
    let want = [("ka.verb", "-"), ("ka.req.binding.subject.has_name[x]", "-"), ("json.value[/verb]", "get")];
    check("k8s_audit", "k8saudit", r#"{"verb":"get"}"#, &want);
    let want = [("ka.verb", "-"), ("json.obj", "-"), ("json.rawtime", "-"), ("evt.plugininfo", "{oops")];
    check("k8s_audit", "k8saudit", "{oops", &want);
}

#[test]
fn a_cloudtrail_entry_tells_who_did_what() {
    let run = r#"{"eventID":"e","eventSource":"ec2.amazonaws.com","awsRegion":"us-east-1","eventName":"RunInstances",
"sourceIPAddress":"1.2.3.4","readOnly":false,"errorCode":"Denied","recipientAccountId":"42","errorMessage":null,
"userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/r/session",
"sessionContext":{"sessionIssuer":{"userName":"role"}}},"resources":[{"a":1},{"b":[ 2 ]}],
"requestParameters":{"imageId":"ami-asked","tagSpecificationSet":{"items":[{"resourceType":"instance","tags":[{"key":"Name","value":"web"}]}]}},
"responseElements":{"instancesSet":{"items":[{"imageId":"ami-1"},{},{"imageId":"ami-2"}]}}}"#;
    let info = "role via 1.2.3.4 !→ RunInstances";
    check(
        "aws_cloudtrail",
        "cloudtrail",
        run,
        &[
            ("ct.id", "e"),
            ("ct.errormessage", ""),
            ("ct.shortsrc", "ec2"),
            ("ct.user", "role"),
            ("ct.originaluser", "session"),
            ("ct.user.accountid", "42"),
            ("ct.readonly", "false"),
            ("ct.managementevent", "-"),
            ("ct.resources", r#"{"a":1},{"b":[2]}"#),
            ("ct.info", info),
            ("evt.plugininfo", &format!("us-east-1 role ec2 RunInstances {info}")),
            ("ec2.name", "web"),
            ("ec2.imageid", "ami-1"),
            ("ec2.imageids", "[ami-1, ami-2]"),
            ("ec2.imageids[2]", "[ami-2]"),
            ("ec2.imageids[3]", "-"),
            ("s3.uri", "-"),
            ("s3.bytes", "-"),
            ("s3.cnt.other", "1"),
        ],
    );
    let get = r#"{"eventName":"GetObject","userIdentity":{"type":"IAMUser","userName":"alice"},"sourceIPAddress":"alice",
"readOnly":true,"requestParameters":{"bucketName":"b","key":"k/1"},"additionalEventData":{"bytesTransferredOut":33.0}}"#;
    check(
        "aws_cloudtrail",
        "cloudtrail",
        get,
        &[
            ("s3.uri", "s3://b/k/1"),
            ("s3.bytes", "33"),
            ("s3.bytes.in", "-"),
            ("s3.cnt.get", "1"),
            ("s3.cnt.other", "-"),
            ("ct.request", r#"{"bucketName":"b","key":"k/1"}"#),
            ("ct.info", "alice ← GetObject Size=33 URI=s3://b/k/1"),
        ],
    );
}
