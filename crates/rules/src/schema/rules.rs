//! The keys of rule files.

use super::{Document, Object, Shape};
use crate::yaml::{Node, Value};

const OVERRIDE: Shape = Shape::OneOf(&["append", "replace"]);

const ROOT: Shape = Shape::Array(&Shape::Object(&Object {
    properties: &[
        ("append", Shape::Bool),
        ("capture", Shape::Bool),
        ("capture_duration", Shape::Integer),
        ("condition", Shape::Text),
        ("desc", Shape::Text),
        ("enabled", Shape::Bool),
        ("exceptions", Shape::Array(&Shape::Object(&EXCEPTION))),
        ("items", Shape::Array(&Shape::Item)),
        ("list", Shape::Text),
        ("macro", Shape::Text),
        ("output", Shape::Text),
        ("override", Shape::Object(&OVERRIDES)),
        ("priority", Shape::OneOf(&PRIORITIES)),
        ("required_engine_version", Shape::Version),
        ("required_plugin_versions", Shape::Array(&Shape::Object(&PLUGIN))),
        ("rule", Shape::Text),
        ("skip-if-unknown-filter", Shape::Bool),
        ("source", Shape::Text),
        ("tags", Shape::Array(&Shape::Text)),
        ("warn_evttypes", Shape::Bool),
    ],
    required: &[],
    at_least: 0,
}));

const EXCEPTION: Object = Object {
    properties: &[
        ("comps", Shape::Any),
        ("fields", Shape::Any),
        ("name", Shape::Text),
        ("values", Shape::Any),
    ],
    required: &["name"],
    at_least: 0,
};

const OVERRIDES: Object = Object {
    properties: &[
        ("capture", OVERRIDE),
        ("capture_duration", OVERRIDE),
        ("condition", OVERRIDE),
        ("desc", OVERRIDE),
        ("enabled", OVERRIDE),
        ("exceptions", OVERRIDE),
        ("items", OVERRIDE),
        ("output", OVERRIDE),
        ("priority", OVERRIDE),
        ("skip-if-unknown-filter", OVERRIDE),
        ("tags", OVERRIDE),
        ("warn_evttypes", OVERRIDE),
    ],
    required: &[],
    at_least: 1,
};

const PLUGIN: Object = Object {
    properties: &[
        ("alternatives", Shape::Array(&Shape::Object(&ALTERNATIVE))),
        ("name", Shape::Text),
        ("version", Shape::Version),
    ],
    required: &["name", "version"],
    at_least: 0,
};

const ALTERNATIVE: Object = Object {
    properties: &[("name", Shape::Text), ("version", Shape::Version)],
    required: &["name", "version"],
    at_least: 0,
};

const PRIORITIES: [&str; 9] =
    ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "INFORMATIONAL", "DEBUG"];

/// What deviates in a document from the schema of rule files, or that it fits.
pub(crate) fn check(document: &Node) -> Vec<String> {
    ROOT.check(document)
}

/// The JSON schema of rule files.
pub fn rule_schema() -> serde_json::Value {
    ROOT.to_json_schema("Falco rules")
}

impl Document for Node {
    fn text(&self) -> Option<&str> {
        Node::text(self)
    }

    fn elements(&self) -> Option<Vec<&Node>> {
        self.sequence().map(|elements| elements.iter().map(|node| &**node).collect())
    }

    fn entries(&self) -> Option<Vec<(&str, &Node)>> {
        let Value::Map(entries) = &self.value else { return None };
        Some(entries.iter().map(|(key, value)| (key.text().unwrap_or_default(), &**value)).collect())
    }
}
