//! Values of keys: texts, flags, numbers, sequences of texts.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use super::{Halt, Reader, Step};
use crate::define::{Piece, Text};
use crate::place::{ItemKind, Marked, Place};
use crate::report::{Diagnostic, ErrorCode};
use crate::yaml::{Node, Scalar, Value};

/// Whether a key may be missing, and its value empty.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
    OptionalOrEmpty,
}

/// A flag as yaml-cpp reads it: `true`, `Yes`, `ON`, …
fn flag(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let mut capital = lower.clone();
    if let Some(first) = capital.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if text != lower && text != capital && text != text.to_ascii_uppercase() {
        return None;
    }
    match lower.as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

/// A number as yaml-cpp reads it: decimal, `0x1f`, `017`.
pub(super) fn unsigned(text: &str) -> Option<u32> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(hex, 16).ok();
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => u32::from_str_radix(octal, 8).ok(),
        _ => text.parse().ok(),
    }
}

/// What a key is for, to whoever left it out.
pub(super) fn advice_for_key(key: &str) -> Option<String> {
    let advice = match key {
        "condition" => "say when it fires, for example 'condition: evt.type = execve and proc.name = nc'",
        "output" => "give the text of the alert, for example 'output: nc ran (command=%proc.cmdline)'",
        "desc" => "say what the rule finds and why that matters: 'desc: ...'",
        "priority" => {
            "add 'priority:' with EMERGENCY, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO or DEBUG"
        }
        "items" => "give the items, for example 'items: [a, b]'",
        "enabled" => {
            "a rule needs condition, output, desc and priority; an item that changes an earlier rule needs 'override'"
        }
        "fields" => "say what the values are compared with, for example 'fields: [proc.name, fd.name]'",
        "name" | "version" | "rule" | "macro" | "list" => return Some(format!("write '{key}: ...'")),
        _ => return None,
    };
    Some(advice.to_owned())
}

impl Reader<'_, '_> {
    fn value<'n>(&mut self, item: &'n Rc<Node>, key: &str, place: &Place, need: Need) -> Step<&'n Node> {
        let optional = need != Need::Required;
        let Some(node) = item.get(key) else {
            if optional {
                return Ok(None);
            }
            let message = format!("Item has no mapping for key '{key}'");
            let error = Diagnostic::error(ErrorCode::YamlValidate, message, place.clone());
            return self.fail(error.advise_some(advice_for_key(key)));
        };
        let empty_allowed = need == Need::OptionalOrEmpty;
        if node.is_null() {
            if empty_allowed {
                return Ok(None);
            }
            let error = Diagnostic::error(
                ErrorCode::YamlValidate,
                format!("Mapping for key '{key}' is empty"),
                place.clone().mark(self.key_mark(item, key)),
            );
            return self.fail(error.advise_some(advice_for_key(key)));
        }
        let place = place.within(node.at, ItemKind::ValueFor, key);
        let Some(text) = node.text() else {
            let error = Diagnostic::error(ErrorCode::YamlValidate, "Value is not a scalar value", place);
            return self.fail(error.advise(format!("'{key}' takes a single value")));
        };
        if text.is_empty() {
            return if empty_allowed { Ok(None) } else { self.invalid("Value must be non-empty", &place) };
        }
        Ok(Some(node))
    }

    fn key_mark(&self, item: &Node, key: &str) -> Option<Marked> {
        let (node, _) = item.map()?.iter().find(|(k, _)| k.text() == Some(key))?;
        let start = node.at.offset;
        Some(Marked { file: Arc::clone(&self.file), start, end: start + key.len() })
    }

    /// The text of a key that must be there.
    pub(super) fn text(&mut self, item: &Rc<Node>, key: &str, place: &Place) -> Step<String> {
        let node = self.value(item, key, place, Need::Required)?;
        Ok(node.and_then(Node::text).map(str::to_owned))
    }

    pub(super) fn optional_text(&mut self, item: &Rc<Node>, key: &str, place: &Place) -> Step<String> {
        let node = self.value(item, key, place, Need::Optional)?;
        Ok(node.and_then(Node::text).map(str::to_owned))
    }

    pub(super) fn text_or_empty(
        &mut self,
        item: &Rc<Node>,
        key: &str,
        place: &Place,
    ) -> Result<String, Halt> {
        let node = self.value(item, key, place, Need::OptionalOrEmpty)?;
        Ok(node.and_then(Node::text).unwrap_or_default().to_owned())
    }

    /// The text of a key that must be there, with where it is written.
    pub(super) fn written(&mut self, item: &Rc<Node>, key: &str, place: &Place) -> Step<Text> {
        let Some(node) = self.value(item, key, place, Need::Required)? else { return Ok(None) };
        let Value::Scalar(scalar) = &node.value else { return Ok(None) };
        Ok(Some(self.text_of(node, scalar)))
    }

    fn text_of(&self, node: &Node, scalar: &Scalar) -> Text {
        let piece = Piece {
            at: 0,
            file: Arc::clone(&self.file),
            source: Arc::clone(&self.source),
            start: node.at.offset,
            end: node.end,
            scalar: scalar.clone(),
        };
        Text { text: scalar.text.clone(), pieces: vec![piece] }
    }

    fn parsed<T>(
        &mut self,
        item: &Rc<Node>,
        key: &str,
        place: &Place,
        need: Need,
        parse: fn(&str) -> Option<T>,
        what: &str,
    ) -> Step<T> {
        let Some(node) = self.value(item, key, place, need)? else { return Ok(None) };
        match node.text().and_then(parse) {
            Some(value) => Ok(Some(value)),
            None => {
                let place = place.within(node.at, ItemKind::ValueFor, key);
                let error =
                    Diagnostic::error(ErrorCode::YamlValidate, "Can't decode YAML scalar value", place);
                self.fail(error.advise(format!("'{key}' takes {what}")))
            }
        }
    }

    pub(super) fn bool(&mut self, item: &Rc<Node>, key: &str, place: &Place) -> Step<bool> {
        self.parsed(item, key, place, Need::Required, flag, "true or false")
    }

    pub(super) fn optional_bool(&mut self, item: &Rc<Node>, key: &str, place: &Place) -> Step<bool> {
        self.parsed(item, key, place, Need::Optional, flag, "true or false")
    }

    pub(super) fn number(&mut self, item: &Rc<Node>, key: &str, place: &Place) -> Step<u32> {
        self.parsed(item, key, place, Need::Required, unsigned, "a number of milliseconds")
    }

    pub(super) fn optional_number(&mut self, item: &Rc<Node>, key: &str, place: &Place) -> Step<u32> {
        self.parsed(item, key, place, Need::Optional, unsigned, "a number of milliseconds")
    }

    /// The texts of a sequence.
    pub(super) fn texts(
        &mut self,
        item: &Rc<Node>,
        key: &str,
        place: &Place,
        optional: bool,
    ) -> Step<Vec<String>> {
        let Some(node) = item.get(key) else {
            if optional {
                return Ok(None);
            }
            let message = format!("Item has no mapping for key '{key}'");
            let error = Diagnostic::error(ErrorCode::YamlValidate, message, place.clone());
            return self.fail(error.advise_some(advice_for_key(key)));
        };
        let place = place.within(node.at, ItemKind::ValueFor, key);
        let Some(elements) = node.sequence() else {
            let error = Diagnostic::error(ErrorCode::YamlValidate, "Value is not a sequence", place);
            return self.fail(error.advise(format!("write '{key}: [a, b]'")));
        };
        let mut texts = Vec::with_capacity(elements.len());
        for element in elements {
            match element.text() {
                Some(text) => texts.push(text.to_owned()),
                None => {
                    let place = place.within(element.at, ItemKind::ListItem, "");
                    let error =
                        Diagnostic::error(ErrorCode::YamlValidate, "sequence value is not scalar", place);
                    return self.fail(error.advise("an element is a single word or quoted text"));
                }
            }
        }
        Ok(Some(texts))
    }

    pub(super) fn tags(&mut self, item: &Rc<Node>, place: &Place) -> Result<BTreeSet<String>, Halt> {
        Ok(self.texts(item, "tags", place, true)?.unwrap_or_default().into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_numbers_are_read_as_yaml_cpp_reads_them() {
        assert_eq!(flag("Yes"), Some(true));
        assert_eq!(flag("OFF"), Some(false));
        assert_eq!(flag("tRue"), None);
        assert_eq!(flag("1"), None);
        assert_eq!(unsigned("26"), Some(26));
        assert_eq!(unsigned("0x1A"), Some(26));
        assert_eq!(unsigned("032"), Some(26));
        assert_eq!(unsigned("0"), Some(0));
        assert_eq!(unsigned("-1"), None);
        assert_eq!(unsigned("0.26.0"), None);
    }
}
