//! The keys of `falco.yaml` and what their values may be.

use lanner_rules::schema::{Document, Object, Shape};

use super::node::{Content, Node};

use Shape::{AnyOf, Array, Bool, Free, Integer, Item, Null, Number, OneOf, Text};

const TEXTS: Shape = Array(&Text);

const SWITCH: Shape = Shape::Object(&Object::with_some(&[("enabled", Bool)]));

/// The settings.
pub(super) const ROOT: Shape = Shape::Object(&Object::of(&[
    ("append_output", Array(&Shape::Object(&APPEND))),
    ("base_syscalls", Shape::Object(&BASE_SYSCALLS)),
    ("buffer_format_base64", Bool),
    ("buffered_outputs", Bool),
    ("capture", Shape::Object(&CAPTURE)),
    ("config_files", Array(&Shape::OneShapeOf(&[Text, Shape::Object(&INCLUDED)]))),
    ("engine", Shape::Object(&ENGINE)),
    ("falco_libs", Shape::Object(&LIBS)),
    ("file_output", Shape::Object(&FILE_OUTPUT)),
    ("http_output", Shape::Object(&HTTP_OUTPUT)),
    ("json_include_message_property", Bool),
    ("json_include_output_fields_property", Bool),
    ("json_include_output_property", Bool),
    ("json_include_tags_property", Bool),
    ("json_output", Bool),
    // lanner's own.
    ("lanner", Shape::Object(&LANNER)),
    ("libs_logger", Shape::Object(&Object::with_some(&[("enabled", Bool), ("severity", Text)]))),
    ("load_plugins", TEXTS),
    ("log_level", Text),
    ("log_stderr", Bool),
    ("log_syslog", Bool),
    // lanner's own.
    ("memory_limit", Item),
    ("metrics", Shape::Object(&METRICS)),
    ("output_timeout", Integer),
    ("outputs_queue", Shape::Object(&Object::with_some(&[("capacity", Integer)]))),
    ("plugins", Array(&Shape::Object(&PLUGIN))),
    ("plugins_hostinfo", Bool),
    // lanner's own.
    ("plugins_isolation", Text),
    ("priority", Text),
    ("program_output", Shape::Object(&PROGRAM_OUTPUT)),
    ("rule_files", TEXTS),
    ("rule_matching", Text),
    ("rules", Array(&Shape::Object(&Object::with_some(&[("disable", SELECTED), ("enable", SELECTED)])))),
    ("rules_files", TEXTS),
    // lanner's own.
    ("socket_output", Shape::Object(&SOCKET_OUTPUT)),
    ("static_fields", Free(&Shape::Any)),
    ("stdout_output", SWITCH),
    ("syscall_event_drops", Shape::Object(&DROPS)),
    ("syscall_event_timeouts", Shape::Object(&Object::with_some(&[("max_consecutives", Integer)]))),
    ("syslog_output", SWITCH),
    ("time_format_iso_8601", Bool),
    ("watch_config_files", Bool),
    ("webserver", Shape::Object(&WEBSERVER)),
]));

const APPEND: Object = Object::of(&[
    ("extra_fields", Array(&AnyOf(&[Free(&Text), Text]))),
    ("extra_output", Text),
    ("match", Shape::Object(&Object::of(&[("rule", Text), ("source", Text), ("tags", TEXTS)]))),
    ("suggested_output", Bool),
]);

const BASE_SYSCALLS: Object = Object::with_some(&[("all", Bool), ("custom_set", TEXTS), ("repair", Bool)]);

const CAPTURE: Object = Object::of(&[
    ("default_duration", Shape::Between(0, i64::MAX)),
    ("enabled", Bool),
    ("max_file_size_mb", Shape::Between(0, 1 << 20)),
    ("mode", OneOf(&["rules", "all_rules"])),
    ("path_prefix", Text),
]);

const INCLUDED: Object = Object {
    properties: &[("path", Text), ("strategy", OneOf(&["append", "override", "add-only"]))],
    required: &["path"],
    at_least: 0,
};

const ENGINE: Object = Object {
    properties: &[
        ("kind", Text),
        (
            "kmod",
            Shape::Object(&Object::with_some(&[("buf_size_preset", Integer), ("drop_failed_exit", Bool)])),
        ),
        (
            "modern_ebpf",
            Shape::Object(&Object::of(&[
                ("buf_size_preset", Integer),
                ("cpus_for_each_buffer", Integer),
                ("disable_iterators", Bool),
                ("drop_failed_exit", Bool),
            ])),
        ),
        (
            "replay",
            Shape::Object(&Object {
                properties: &[("capture_file", Text)],
                required: &["capture_file"],
                at_least: 0,
            }),
        ),
    ],
    required: &["kind"],
    at_least: 0,
};

const LANNER: Object = Object::with_some(&[
    ("attachment", OneOf(&["auto", "fexit", "sys_exit", "records"])),
    ("enrichment_timeout", Integer),
    ("entry_events", Bool),
    ("hardening", OneOf(&["full", "capabilities", "none"])),
    ("kernel_copies", Bool),
    ("nice", Integer),
]);

const LIBS: Object = Object::with_some(&[
    ("snaplen", Integer),
    ("thread_table_auto_purging_interval_s", Integer),
    ("thread_table_auto_purging_thread_timeout_s", Integer),
    ("thread_table_size", Integer),
]);

const FILE_OUTPUT: Object = Object::with_some(&[("enabled", Bool), ("filename", Text), ("keep_alive", Bool)]);

const HTTP_OUTPUT: Object = Object::with_some(&[
    ("ca_bundle", Text),
    ("ca_cert", Text),
    ("ca_path", Text),
    ("client_cert", Text),
    ("client_key", Text),
    ("compress_uploads", Bool),
    ("echo", Bool),
    ("enabled", Bool),
    ("insecure", Bool),
    ("keep_alive", Bool),
    ("max_consecutive_timeouts", Integer),
    ("mtls", Bool),
    ("url", Text),
    ("user_agent", Text),
]);

const SOCKET_OUTPUT: Object = Object::with_some(&[
    ("enabled", Bool),
    ("group", AnyOf(&[Text, Integer])),
    ("mode", Text),
    ("path", Text),
]);

const METRICS: Object = Object::with_some(&[
    ("convert_memory_to_mb", Bool),
    ("enabled", Bool),
    ("include_empty_values", Bool),
    ("interval", Text),
    ("jemalloc_stats_enabled", Bool),
    ("kernel_event_counters_enabled", Bool),
    ("kernel_event_counters_per_cpu_enabled", Bool),
    ("kernel_iter_event_counters_enabled", Bool),
    ("libbpf_stats_enabled", Bool),
    ("output_file", Text),
    ("output_rule", Bool),
    ("plugins_metrics_enabled", Bool),
    ("resource_utilization_enabled", Bool),
    ("rules_counters_enabled", Bool),
    ("state_counters_enabled", Bool),
]);

const PLUGIN: Object = Object {
    properties: &[
        ("init_config", AnyOf(&[Free(&Shape::Any), Text, Null])),
        ("library_path", Text),
        ("name", Text),
        ("open_params", Text),
    ],
    required: &["library_path", "name"],
    at_least: 0,
};

const PROGRAM_OUTPUT: Object = Object {
    properties: &[("enabled", Bool), ("keep_alive", Bool), ("program", Text)],
    required: &["program"],
    at_least: 0,
};

const SELECTED: Shape = Shape::Object(&Object::with_some(&[("rule", Text), ("tag", Text)]));

const DROPS: Object = Object::with_some(&[
    ("actions", TEXTS),
    ("max_burst", Integer),
    ("rate", Number),
    ("simulate_drops", Bool),
    ("threshold", Number),
]);

const WEBSERVER: Object = Object::with_some(&[
    ("enabled", Bool),
    ("k8s_healthz_endpoint", Text),
    ("listen_address", Text),
    ("listen_port", Integer),
    ("prometheus_metrics_enabled", Bool),
    ("ssl_certificate", Text),
    ("ssl_enabled", Bool),
    ("threadiness", Integer),
]);

/// The first deviation of a file from the schema, in Falco's words, or that it fits.
pub(super) fn status(file: &Node) -> String {
    // A file that says nothing is an empty map to Falco.
    if file.content == Content::Null {
        return lanner_rules::schema::FITS.to_owned();
    }
    ROOT.check(file).swap_remove(0)
}

/// The JSON schema of `falco.yaml`.
pub fn config_schema() -> serde_json::Value {
    ROOT.to_json_schema("Falco configuration")
}

impl Document for Node {
    fn text(&self) -> Option<&str> {
        self.as_str()
    }

    fn elements(&self) -> Option<Vec<&Node>> {
        match &self.content {
            Content::List(items) => Some(items.iter().collect()),
            _ => None,
        }
    }

    fn entries(&self) -> Option<Vec<(&str, &Node)>> {
        match &self.content {
            Content::Map(pairs) => Some(pairs.iter().map(|(key, node)| (key.as_str(), node)).collect()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str) -> String {
        status(&Node::parse(yaml).unwrap())
    }

    #[test]
    fn keys_stand_in_the_order_in_which_they_are_looked_at() {
        fn sorted(shape: &Shape) {
            match shape {
                Shape::Object(object) => {
                    assert!(object.properties.is_sorted_by_key(|(name, _)| name), "{object:?}");
                    object.properties.iter().for_each(|(_, shape)| sorted(shape));
                }
                Array(shape) => sorted(shape),
                _ => {}
            }
        }
        sorted(&ROOT);
    }

    #[test]
    fn unknown_and_ill_typed_keys_are_told_in_falcos_words() {
        assert_eq!(check("json_output: true\nengine: {kind: nodriver}"), "ok");
        assert_eq!(check(""), "ok");
        assert_eq!(
            check("no_such: 1"),
            "failed for <root>: Object contains a property that could not be validated using 'properties' or \
             'additionalProperties' constraints: 'no_such'."
        );
        let wrong = "failed for <root>[json_output]: Value type not permitted by 'type' constraint.";
        assert_eq!(check("json_output: perhaps"), wrong);
        assert!(check("engine: {modern_ebpf: {}}").contains("Missing required property 'kind'."));
        assert!(check("capture: {default_duration: -1}").contains("greater than or equal to 0"));
        assert!(check("config_files: [{strategy: append}]").contains("oneOf"));
        assert!(check("stdout_output: {}").contains("no fewer than 1 properties"));
    }
}
