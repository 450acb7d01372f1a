//! Schemas as tables, held against a document and printed as JSON schemas.
//!
//! Deviations don't keep a file from being used; they are reported beside errors, in the words of the validator
//! (valijson) whose messages tools know.

mod json;
pub(crate) mod rules;

pub use rules::rule_schema;

/// The status of a document that fits.
pub const FITS: &str = "ok";

const TYPE: &str = "Value type not permitted by 'type' constraint.";

/// What a value may be.
#[derive(Debug)]
pub enum Shape {
    /// Anything.
    Any,
    /// Nothing.
    Null,
    /// Text; any scalar is one.
    Text,
    /// Text that is often written as a number.
    Version,
    /// True or false.
    Bool,
    /// A whole number.
    Integer,
    /// A whole number from one to another.
    Between(i64, i64),
    /// A number.
    Number,
    /// Text or an integer.
    Item,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Elements of one shape.
    Array(&'static Shape),
    /// Keys that are known.
    Object(&'static Object),
    /// Keys of any name, with values of one shape.
    Free(&'static Shape),
    /// What fits one of these.
    AnyOf(&'static [Shape]),
    /// What fits just one of these.
    OneShapeOf(&'static [Shape]),
}

/// The keys of a map.
#[derive(Debug)]
pub struct Object {
    /// In alphabetical order, in which they are looked at.
    pub properties: &'static [(&'static str, Shape)],
    /// Those that must be there.
    pub required: &'static [&'static str],
    /// How many there must be.
    pub at_least: usize,
}

impl Object {
    /// Keys of which all may be missing.
    pub const fn of(properties: &'static [(&'static str, Shape)]) -> Object {
        Object { properties, required: &[], at_least: 0 }
    }

    /// Keys of which one must be there.
    pub const fn with_some(properties: &'static [(&'static str, Shape)]) -> Object {
        Object { properties, required: &[], at_least: 1 }
    }
}

/// A document that is held against a schema.
pub trait Document {
    /// The text of a scalar.
    fn text(&self) -> Option<&str>;
    /// The elements, if it is a sequence.
    fn elements(&self) -> Option<Vec<&Self>>;
    /// Keys and values, if it is a map.
    fn entries(&self) -> Option<Vec<(&str, &Self)>>;
}

impl Shape {
    /// [`FITS`], or what deviates.
    pub fn check(&self, document: &impl Document) -> Vec<String> {
        let mut found = Vec::new();
        if self.holds(document, "<root>", &mut found) { vec![FITS.to_owned()] } else { found }
    }

    fn holds<D: Document>(&self, node: &D, path: &str, found: &mut Vec<String>) -> bool {
        let number = |fits: fn(&str) -> bool| node.text().is_some_and(fits);
        let fits = match self {
            Shape::Any => true,
            Shape::Null => node.text().is_none() && node.elements().is_none() && node.entries().is_none(),
            Shape::Text | Shape::Version => node.text().is_some(),
            Shape::Bool => matches!(node.text(), Some("true" | "false")),
            Shape::Integer => number(|text| text.parse::<i64>().is_ok()),
            Shape::Number => number(|text| text.parse::<f64>().is_ok()),
            Shape::Between(least, most) => match node.text().and_then(|text| text.parse().ok()) {
                Some(n) => return between(n, *least, *most, path, found),
                None => false,
            },
            Shape::Item if node.text().is_none() => return fail(found, path, &no_child("anyOf")),
            Shape::Item => true,
            Shape::AnyOf(shapes) => {
                let fits = shapes.iter().any(|shape| shape.holds(node, path, &mut Vec::new()));
                return fits || fail(found, path, &no_child("anyOf"));
            }
            Shape::OneShapeOf(shapes) => {
                let fits = shapes.iter().filter(|shape| shape.holds(node, path, &mut Vec::new())).count();
                return fits == 1 || fail(found, path, &no_child("oneOf"));
            }
            Shape::OneOf(words) => {
                let known = node.text().is_some_and(|text| words.contains(&text));
                if !known {
                    fail(found, path, "Failed to match against any enum values.");
                }
                return (node.text().is_some() || fail(found, path, TYPE)) && known;
            }
            Shape::Array(element) => match node.elements() {
                Some(elements) => return array(element, &elements, path, found),
                None => node.entries().is_some_and(|entries| entries.is_empty()),
            },
            Shape::Object(object) => match node.entries() {
                Some(entries) => return object.holds(&entries, path, found),
                None => node.elements().is_some_and(|elements| elements.is_empty()),
            },
            Shape::Free(shape) => match node.entries() {
                Some(entries) => return free(shape, &entries, path, found),
                None => node.elements().is_some_and(|elements| elements.is_empty()),
            },
        };
        fits || fail(found, path, TYPE)
    }
}

fn fail(found: &mut Vec<String>, path: &str, what: &str) -> bool {
    found.push(format!("failed for {path}: {what}"));
    false
}

fn no_child(constraint: &str) -> String {
    format!("Failed to validate against any child schemas allowed by {constraint} constraint.")
}

fn between(number: i64, least: i64, most: i64, path: &str, found: &mut Vec<String>) -> bool {
    if number < least {
        return fail(found, path, &format!("Expected number greater than or equal to {least}"));
    }
    number <= most || fail(found, path, &format!("Expected number less than or equal to {most}"))
}

fn array<D: Document>(element: &Shape, elements: &[&D], path: &str, found: &mut Vec<String>) -> bool {
    let mut fits = true;
    for (index, node) in elements.iter().enumerate() {
        if !element.holds(*node, &format!("{path}[{index}]"), found) {
            fits = fail(found, path, &format!("Failed to validate item #{index} in array."));
        }
    }
    fits
}

fn free<D: Document>(shape: &Shape, entries: &[(&str, &D)], path: &str, found: &mut Vec<String>) -> bool {
    let mut fits = true;
    for (name, value) in entries {
        if !shape.holds(*value, &format!("{path}[{name}]"), found) {
            fits = fail(
                found,
                path,
                &format!("Failed to validate against additional properties schema for '{name}'."),
            );
        }
    }
    fits
}

impl Object {
    fn holds<D: Document>(&self, entries: &[(&str, &D)], path: &str, found: &mut Vec<String>) -> bool {
        let get = |name: &str| entries.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let mut fits = true;
        if entries.len() < self.at_least {
            let what = format!("Object should have no fewer than {} properties.", self.at_least);
            fits = fail(found, path, &what);
        }
        for (name, shape) in self.properties {
            let Some(value) = get(name) else { continue };
            if !shape.holds(value, &format!("{path}[{name}]"), found) {
                let what =
                    format!("Failed to validate against schema associated with property name '{name}'.");
                fits = fail(found, path, &what);
            }
        }
        let unwanted = entries
            .iter()
            .map(|(key, _)| *key)
            .find(|key| self.properties.iter().all(|(name, _)| name != key));
        if let Some(unwanted) = unwanted {
            let what = format!(
                "Object contains a property that could not be validated using 'properties' or \
                 'additionalProperties' constraints: '{unwanted}'."
            );
            fits = fail(found, path, &what);
        }
        for name in self.required {
            if get(name).is_none() {
                fits = fail(found, path, &format!("Missing required property '{name}'."));
            }
        }
        fits
    }
}
