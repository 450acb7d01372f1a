//! What of the settings can't be used: values of a type that their key doesn't take, and keys that there are not.
//! All of it is told, each with its key and place.

use lanner_rules::closest;
use lanner_rules::schema::{Object, Shape};

use super::node::truth;
use super::node::{Content, Node, Place};

/// One of them.
#[derive(Debug)]
pub(super) struct Finding {
    /// The key, as `-o` takes it.
    pub path: String,
    /// Where it stands.
    pub place: Place,
    /// What is wrong with it.
    pub what: String,
    /// Nothing runs with it, in Falco neither.
    pub fatal: bool,
}

/// Keys that settings of earlier times have, which are told elsewhere.
const FORMER: [&str; 1] = ["rules_file"];

/// What of a tree can't be used, in the order of the files. Like Falco, one does without a single value of the wrong
/// type, but not without a whole block, nor without an item of a list.
pub(super) fn findings(shape: &Shape, root: &Node) -> Vec<Finding> {
    let mut found = Vec::new();
    visit(shape, root, "", false, &mut found);
    found
}

fn visit(shape: &Shape, node: &Node, path: &str, listed: bool, found: &mut Vec<Finding>) {
    match (alternative(shape, node), &node.content) {
        (_, Content::Null) => {}
        (Shape::Object(object), Content::Map(pairs)) => {
            for (key, value) in pairs {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match object.properties.iter().find(|(name, _)| name == key) {
                    Some((_, shape)) => visit(shape, value, &inner, listed, found),
                    None if FORMER.contains(&inner.as_str()) => {}
                    None => found.push(unknown(object, key, inner, value)),
                }
            }
        }
        (Shape::Free(shape), Content::Map(pairs)) => {
            pairs
                .iter()
                .for_each(|(key, value)| visit(shape, value, &format!("{path}.{key}"), listed, found));
        }
        (Shape::Array(element), Content::List(items)) => {
            let items = items.iter().enumerate();
            items.for_each(|(n, item)| visit(element, item, &format!("{path}[{n}]"), true, found));
        }
        // One item may be written without the list.
        (Shape::Array(element), Content::Scalar(_)) => visit(element, node, path, true, found),
        (shape, content) if fits(shape, content) => {}
        (shape, content) => {
            let single = matches!(content, Content::Scalar(_));
            let fatal = match shape {
                Shape::Object(_) => listed || single,
                // Another word is still a word.
                Shape::OneOf(_) => listed && !single,
                _ => listed,
            };
            let rest = if fatal { "" } else { "; the default is used" };
            let what = format!("{path} must be {}{rest}", named(shape));
            found.push(Finding { path: path.to_owned(), place: node.place, what, fatal });
        }
    }
}

fn unknown(object: &Object, key: &str, path: String, value: &Node) -> Finding {
    let near = closest(key, object.properties.iter().map(|(name, _)| *name));
    let near = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
    let what = format!("{path} is no key that is known here{near}; it is passed over");
    Finding { path, place: value.place, what, fatal: false }
}

/// Of several shapes, the one that a node is meant to have.
fn alternative<'a>(shape: &'a Shape, node: &Node) -> &'a Shape {
    let (Shape::AnyOf(shapes) | Shape::OneShapeOf(shapes)) = shape else { return shape };
    let meant = |shape: &&Shape| match (shape, &node.content) {
        (Shape::Object(_) | Shape::Free(_), Content::Map(_)) => true,
        (shape, content) => fits(shape, content),
    };
    shapes.iter().find(meant).unwrap_or(shape)
}

/// Whether something other than a list or a block can be used.
fn fits(shape: &Shape, content: &Content) -> bool {
    let Content::Scalar(text) = content else { return matches!(shape, Shape::Any) };
    let text = text.trim();
    match shape {
        Shape::Any | Shape::Text | Shape::Version | Shape::Item => true,
        Shape::Bool => truth(text).is_some(),
        Shape::Integer | Shape::Between(..) => text.parse::<i64>().is_ok(),
        Shape::Number => text.parse::<f64>().is_ok(),
        Shape::OneOf(words) => words.contains(&text),
        _ => false,
    }
}

/// What a shape is called.
fn named(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".to_owned(),
        Shape::Integer | Shape::Between(..) => "a whole number".to_owned(),
        Shape::Number => "a number".to_owned(),
        Shape::OneOf(words) => words.join(" or "),
        Shape::Array(_) => "a list".to_owned(),
        Shape::Object(_) | Shape::Free(_) => "a block of keys".to_owned(),
        Shape::AnyOf(shapes) | Shape::OneShapeOf(shapes) => {
            let names: Vec<String> = shapes.iter().filter(|s| !matches!(s, Shape::Null)).map(named).collect();
            names.join(" or ")
        }
        Shape::Any | Shape::Null | Shape::Text | Shape::Version | Shape::Item => "a text".to_owned(),
    }
}
