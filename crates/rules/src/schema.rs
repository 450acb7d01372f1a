//! The schema of rule files, held against a document.
//!
//! Deviations don't keep rules from loading; they are reported beside errors, in the words of the validator
//! (valijson) whose messages tools know.

use crate::yaml::{Node, Value};

/// The status of a document that fits.
pub(crate) const FITS: &str = "ok";

const TYPE: &str = "Value type not permitted by 'type' constraint.";

/// What a value may be.
enum Shape {
    Any,
    Text,
    Bool,
    Integer,
    /// Text or an integer.
    Item,
    OneOf(&'static [&'static str]),
    Array(&'static Shape),
    Object(&'static Object),
}

struct Object {
    /// In alphabetical order, in which they are looked at.
    properties: &'static [(&'static str, Shape)],
    required: &'static [&'static str],
    at_least: usize,
}

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
        ("required_engine_version", Shape::Text),
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
        ("version", Shape::Text),
    ],
    required: &["name", "version"],
    at_least: 0,
};

const ALTERNATIVE: Object = Object {
    properties: &[("name", Shape::Text), ("version", Shape::Text)],
    required: &["name", "version"],
    at_least: 0,
};

const PRIORITIES: [&str; 9] =
    ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "INFORMATIONAL", "DEBUG"];

/// [`FITS`], or what deviates.
pub(crate) fn check(document: &Node) -> Vec<String> {
    let mut found = Vec::new();
    if ROOT.holds(document, "<root>", &mut found) { vec![FITS.to_owned()] } else { found }
}

fn fail(found: &mut Vec<String>, path: &str, what: &str) -> bool {
    found.push(format!("failed for {path}: {what}"));
    false
}

impl Shape {
    fn holds(&self, node: &Node, path: &str, found: &mut Vec<String>) -> bool {
        let fits = match self {
            Shape::Any => true,
            Shape::Text => node.text().is_some(),
            Shape::Bool => matches!(node.text(), Some("true" | "false")),
            Shape::Integer => node.text().is_some_and(|text| text.parse::<i64>().is_ok()),
            Shape::Item if node.text().is_none() => {
                return fail(
                    found,
                    path,
                    "Failed to validate against any child schemas allowed by anyOf constraint.",
                );
            }
            Shape::Item => true,
            Shape::OneOf(words) => {
                let known = node.text().is_some_and(|text| words.contains(&text));
                if !known {
                    fail(found, path, "Failed to match against any enum values.");
                }
                return (node.text().is_some() || fail(found, path, TYPE)) && known;
            }
            Shape::Array(element) => match node.sequence() {
                Some(elements) => return array(element, elements, path, found),
                None => matches!(&node.value, Value::Map(entries) if entries.is_empty()),
            },
            Shape::Object(object) => match node.map() {
                Some(_) => return object.holds(node, path, found),
                None => node.sequence().is_some_and(<[_]>::is_empty),
            },
        };
        fits || fail(found, path, TYPE)
    }
}

fn array(element: &Shape, elements: &[std::rc::Rc<Node>], path: &str, found: &mut Vec<String>) -> bool {
    let mut fits = true;
    for (index, node) in elements.iter().enumerate() {
        if !element.holds(node, &format!("{path}[{index}]"), found) {
            fits = fail(found, path, &format!("Failed to validate item #{index} in array."));
        }
    }
    fits
}

impl Object {
    fn holds(&self, node: &Node, path: &str, found: &mut Vec<String>) -> bool {
        let entries = node.map().unwrap_or_default();
        let mut fits = true;
        if entries.len() < self.at_least {
            let what = format!("Object should have no fewer than {} properties.", self.at_least);
            fits = fail(found, path, &what);
        }
        for (name, shape) in self.properties {
            let Some(value) = node.get(name) else { continue };
            if !shape.holds(value, &format!("{path}[{name}]"), found) {
                let what =
                    format!("Failed to validate against schema associated with property name '{name}'.");
                fits = fail(found, path, &what);
            }
        }
        let unwanted = entries
            .iter()
            .map(|(key, _)| key.text().unwrap_or_default())
            .find(|key| self.properties.iter().all(|(name, _)| name != key));
        if let Some(unwanted) = unwanted {
            let what = format!(
                "Object contains a property that could not be validated using 'properties' or \
                 'additionalProperties' constraints: '{unwanted}'."
            );
            fits = fail(found, path, &what);
        }
        for name in self.required {
            if node.get(name).is_none() {
                fits = fail(found, path, &format!("Missing required property '{name}'."));
            }
        }
        fits
    }
}
