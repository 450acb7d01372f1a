//! Exceptions of rules.

use std::rc::Rc;

use super::values::advice_for_key;
use super::{Reader, Step};
use crate::define::{Entry, Exception};
use crate::place::{ItemKind, Place};
use crate::report::{Diagnostic, ErrorCode, WarningCode};
use crate::yaml::{Node, Value};

impl Reader<'_, '_> {
    /// The exceptions of a rule; of one that changes an earlier rule if `update`.
    pub(super) fn exceptions(
        &mut self,
        item: &Rc<Node>,
        place: &Place,
        update: bool,
    ) -> Step<Vec<Exception>> {
        let mut found: Vec<Exception> = Vec::new();
        let Some(node) = item.get("exceptions").filter(|node| !node.is_null()) else {
            return Ok(Some(found));
        };
        let all = place.within(node.at, ItemKind::Exceptions, "");
        let Some(nodes) = node.sequence() else {
            return self.invalid("Rule exceptions must be a sequence", &all);
        };
        for node in nodes {
            let nameless = all.within(node.at, ItemKind::Exception, "");
            if node.map().is_none() {
                return self.invalid("Rule exception must be a mapping", &nameless);
            }
            let Some(name) = self.text(node, "name", &nameless)? else { return Ok(None) };
            let place = place.within(node.at, ItemKind::Exception, name.clone());
            if found.iter().any(|earlier| earlier.name == name) {
                let message = format!("Multiple definitions of exception '{name}' in the same rule");
                self.warn(WarningCode::ExceptionNameNotUnique, message, &place);
            }
            match self.exception(node, name, place, update)? {
                Some(exception) => found.push(exception),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    fn exception(&mut self, node: &Rc<Node>, name: String, place: Place, update: bool) -> Step<Exception> {
        let Some(fields) = self.entry_of(node, "fields", &place, update)? else { return Ok(None) };
        let Some(comps) = self.entry_of(node, "comps", &place, true)? else { return Ok(None) };
        let mut values = Vec::new();
        match node.get("values") {
            Some(node) => {
                let place = place.within(node.at, ItemKind::ExceptionValues, "");
                let Some(nodes) = node.sequence() else {
                    return self.invalid("Rule exception values must be a sequence", &place);
                };
                for node in nodes {
                    let place = place.within(node.at, ItemKind::ExceptionValue, "");
                    match self.entry(node, "", &place)? {
                        Some(entry) => values.push(entry),
                        None => return Ok(None),
                    }
                }
            }
            None if update => {
                let message = "Overriding/appending exception with no values";
                self.warn(WarningCode::AppendNoValues, message, &place);
            }
            None => {}
        }
        Ok(Some(Exception { name, fields, comps, values, place }))
    }

    fn entry_of(&mut self, node: &Rc<Node>, key: &str, place: &Place, optional: bool) -> Step<Entry> {
        match node.get(key) {
            Some(value) => self.entry(value, key, place),
            None if optional => Ok(Some(Entry::Missing)),
            None => {
                let message = format!("Item has no mapping for key '{key}'");
                let error = Diagnostic::error(ErrorCode::YamlValidate, message, place.clone());
                self.fail(error.advise_some(advice_for_key(key)))
            }
        }
    }

    fn entry(&mut self, node: &Node, key: &str, place: &Place) -> Step<Entry> {
        let place = place.within(node.at, ItemKind::ValueFor, key);
        match &node.value {
            Value::Scalar(scalar) if scalar.text.is_empty() => {
                self.invalid("Value must be non-empty", &place)
            }
            Value::Scalar(scalar) => Ok(Some(Entry::Item(scalar.text.clone()))),
            Value::Sequence(elements) => {
                let mut entries = Vec::with_capacity(elements.len());
                for element in elements {
                    let place = place.within(element.at, ItemKind::Exception, "");
                    match self.entry(element, "", &place)? {
                        Some(entry) => entries.push(entry),
                        None => return Ok(None),
                    }
                }
                Ok(Some(Entry::List(entries)))
            }
            Value::Null | Value::Map(_) => Ok(Some(Entry::Missing)),
        }
    }
}
