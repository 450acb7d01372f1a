//! Keys of items: unknown ones, doubled ones, and `override`.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use super::{Halt, Reader, Step};
use crate::place::{ItemKind, Marked, Place};
use crate::report::{Diagnostic, ErrorCode, WarningCode};
use crate::suggest::closest;
use crate::yaml::{Node, Value};

const ITEM_KEYS: [&str; 5] = ["rule", "macro", "list", "required_engine_version", "required_plugin_versions"];

/// What `override` says, in alphabetical order of keys.
#[derive(Default)]
pub(super) struct Overrides {
    append: Vec<String>,
    replace: Vec<String>,
}

impl Overrides {
    pub fn any(&self) -> bool {
        !self.append.is_empty() || !self.replace.is_empty()
    }

    pub fn any_append(&self) -> bool {
        !self.append.is_empty()
    }

    pub fn any_replace(&self) -> bool {
        !self.replace.is_empty()
    }

    pub fn appends(&self, key: &str) -> bool {
        self.append.iter().any(|k| k == key)
    }

    pub fn replaces(&self, key: &str) -> bool {
        self.replace.iter().any(|k| k == key)
    }
}

pub(super) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

pub(super) fn is_bare_word(name: &str) -> bool {
    const NOT: &[char] = &['(', ')', '"', '\'', '=', ',', ' ', '\t', '\n', '\r', '\x0b', '\x0c'];
    !name.is_empty() && !name.contains(NOT)
}

/// A key as text; YAML's nothing reads `null`.
fn key_text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Null => Some("null"),
        _ => node.text(),
    }
}

/// What an item that is nothing known may have been meant to be.
pub(super) fn advice_for_item(item: &Node) -> Option<String> {
    let keys = item.map().unwrap_or_default().iter().filter_map(|(key, _)| key.text());
    for key in keys {
        let plural = key.strip_suffix('s').filter(|singular| ITEM_KEYS.contains(singular));
        if let Some(meant) = plural.or_else(|| closest(key, ITEM_KEYS)) {
            return Some(format!("did you mean '{meant}' instead of '{key}'?"));
        }
    }
    Some(
        "an item needs one of the keys rule, macro, list, required_engine_version, required_plugin_versions"
            .into(),
    )
}

impl Reader<'_, '_> {
    /// The same key twice in an item: the first counts, as with yaml-cpp.
    pub(super) fn warn_of_double_keys(&mut self, item: &Rc<Node>, whole: &Place) {
        let mut seen = HashSet::new();
        for (key, _) in item.map().unwrap_or_default() {
            let Some(text) = key.text() else { continue };
            if !seen.insert(text) {
                let mark = Marked {
                    file: Arc::clone(&self.file),
                    start: key.at.offset,
                    end: key.at.offset + text.len(),
                };
                let place = whole.clone().mark(Some(mark));
                let message = format!("Key '{text}' is given twice in one item; the first counts");
                let warning = Diagnostic::warning(WarningCode::Own, message, place);
                self.report.warnings.push(warning.advise("remove one of them"));
            }
        }
    }

    pub(super) fn warn_unknown_keys(&mut self, item: &Rc<Node>, known: &[&str], place: &Place) -> Step<()> {
        for (key, _) in item.map().unwrap_or_default() {
            let Some(text) = key_text(key) else { return self.bad_conversion(key, place) };
            if known.contains(&text) {
                continue;
            }
            let mark = Marked {
                file: Arc::clone(&self.file),
                start: key.at.offset,
                end: key.at.offset + text.len(),
            };
            let message = format!("Unknown key '{text}'. The key will be ignored.");
            let place = place.clone().mark(Some(mark));
            let advice = match closest(text, known.iter().copied()) {
                Some(meant) => format!("did you mean '{meant}'?"),
                None => format!("known here are {}", known.join(", ")),
            };
            let warning = Diagnostic::warning(WarningCode::UnknownKey, message, place);
            self.report.warnings.push(warning.advise(advice));
        }
        Ok(Some(()))
    }

    /// Something else than a text where only a text makes sense; Falco reports it for the whole file.
    fn bad_conversion<T>(&mut self, node: &Node, place: &Place) -> Step<T> {
        let message = format!(
            "yaml-cpp: error at line {}, column {}: bad conversion",
            node.at.line + 1,
            node.at.column + 1
        );
        let mark = Marked { file: Arc::clone(&self.file), start: node.at.offset, end: node.at.offset };
        let whole = Place::file(Arc::clone(place.file_name())).mark(Some(mark));
        let error = Diagnostic::error(ErrorCode::Validate, message, whole);
        self.fail(error.advise("a word is expected here"))
    }
}

/// Reads `override`, checking that each key can be changed so.
pub(super) fn overrides(
    reader: &mut Reader<'_, '_>,
    item: &Rc<Node>,
    appendable: &[&str],
    replaceable: &[&str],
    place: &Place,
) -> Result<Option<Overrides>, Halt> {
    let mut found = Overrides::default();
    let Some(node) = item.get("override") else { return Ok(Some(found)) };
    let place = place.within(item.at, ItemKind::Override, "");
    for (key_node, operation_node) in node.map().unwrap_or_default() {
        let Some(key) = key_text(key_node) else { return reader.bad_conversion(key_node, &place) };
        let Some(operation) = key_text(operation_node) else {
            return reader.bad_conversion(operation_node, &place);
        };
        let (can_append, can_replace) = (appendable.contains(&key), replaceable.contains(&key));
        let key_place = place.within(key_node.at, ItemKind::Override, key);
        let advice =
            closest(key, replaceable.iter().copied()).map(|meant| format!("did you mean '{meant}'?"));
        match operation {
            "append" if can_append => found.append.push(key.to_owned()),
            "replace" if can_replace => found.replace.push(key.to_owned()),
            "append" => {
                let message = format!("Key '{key}' cannot be appended to, use 'replace' instead");
                let error = Diagnostic::error(ErrorCode::YamlValidate, message, key_place);
                return reader.fail(error.advise_some(advice));
            }
            "replace" => {
                let message = format!("Key '{key}' cannot be replaced");
                let error = Diagnostic::error(ErrorCode::YamlValidate, message, key_place);
                let known = Some(format!("these can be: {}", replaceable.join(", ")));
                return reader.fail(error.advise_some(advice.or(known)));
            }
            _ => {
                let mut message = format!(
                    "Invalid override operation for key '{key}': '{operation}'. Allowed values are: "
                );
                message += if can_append { "append " } else { "" };
                message += if can_replace { "replace " } else { "" };
                let place = place.within(operation_node.at, ItemKind::ValueFor, key);
                let error = Diagnostic::error(ErrorCode::YamlValidate, message, place);
                let meant = closest(operation, ["append", "replace"]);
                return reader.fail(error.advise_some(meant.map(|meant| format!("did you mean '{meant}'?"))));
            }
        }
    }
    Ok(Some(found))
}
