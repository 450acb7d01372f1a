//! Rules: whole ones, and items that change an earlier one.

use std::rc::Rc;

use super::keys::Overrides;
use super::{APPEND_AND_OVERRIDE, Reader, Step, part_place};
use crate::define::{RuleDefinition, RuleUpdate};
use crate::place::{ItemKind, Place};
use crate::report::{Diagnostic, ErrorCode, WarningCode};
use crate::suggest::closest;
use crate::yaml::Node;
use lanner_alert::Priority;

const APPENDABLE: [&str; 5] = ["condition", "desc", "exceptions", "output", "tags"];
/// In alphabetical order, in which a key without its `override` is complained of.
const REPLACEABLE: [&str; 11] = [
    "capture",
    "capture_duration",
    "condition",
    "desc",
    "enabled",
    "exceptions",
    "output",
    "priority",
    "skip-if-unknown-filter",
    "tags",
    "warn_evttypes",
];
const KEYS: [&str; 15] = [
    "rule",
    "condition",
    "output",
    "desc",
    "priority",
    "source",
    "enabled",
    "capture",
    "capture_duration",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "tags",
    "exceptions",
    "override",
    "append",
];

/// Said of an item that only has `enabled`.
const ENABLED_IS_DEPRECATED: &str = "The standalone 'enabled' key usage is deprecated. The correct approach requires also a \
     'replace' entry under the 'override' key (i.e. 'enabled: replace').";

impl Reader<'_, '_> {
    pub(super) fn rule(&mut self, item: &Rc<Node>, whole: &Place) -> Step<()> {
        let Some((name, place)) = self.name(item, "rule", ItemKind::Rule, whole)? else { return Ok(None) };
        let source = self.text_or_empty(item, "source", &place)?;
        let append = self.append_flag(item, &place)?;
        let Some(overrides) = self.overrides(item, &APPENDABLE, &REPLACEABLE, &place)? else {
            return Ok(None);
        };
        if append && overrides.any() {
            return self.invalid(APPEND_AND_OVERRIDE, &place);
        }
        if overrides.any() {
            self.overriding(item, &name, &source, &overrides, &place)?;
        } else if append {
            self.appending(item, &name, &source, &place)?;
        } else {
            let is_whole = ["condition", "output", "desc", "priority"].iter().any(|k| item.get(k).is_some());
            if is_whole {
                self.whole_rule(item, &name, &place)?
            } else {
                self.enabling(item, &name, &place)?
            };
        }
        self.warn_unknown_keys(item, &KEYS, &place)
    }

    fn enabling(&mut self, item: &Rc<Node>, name: &str, place: &Place) -> Step<()> {
        let Some(enabled) = self.bool(item, "enabled", place)? else { return Ok(None) };
        self.warn(WarningCode::DeprecatedItem, ENABLED_IS_DEPRECATED, place);
        let done = self.collector.enable(name, enabled, place);
        self.settle(done)
    }

    fn whole_rule(&mut self, item: &Rc<Node>, name: &str, place: &Place) -> Step<()> {
        let condition = self.written(item, "condition", place)?;
        let output = self.written(item, "output", place)?;
        let description = self.text(item, "desc", place)?;
        let priority = self.priority(item, place)?;
        let source = self.optional_text(item, "source", place)?;
        let enabled = self.optional_bool(item, "enabled", place)?;
        let capture = self.optional_bool(item, "capture", place)?;
        let capture_duration = self.optional_number(item, "capture_duration", place)?;
        let warn_evttypes = self.optional_bool(item, "warn_evttypes", place)?;
        let skip = self.optional_bool(item, "skip-if-unknown-filter", place)?;
        let tags = self.tags(item, place)?;
        let exceptions = self.exceptions(item, place, false)?;
        let (Some(condition), Some(output), Some(description), Some(priority), Some(exceptions)) =
            (condition, output, description, priority, exceptions)
        else {
            self.collector.spoil_rule(name);
            return Ok(None);
        };
        let done = self.collector.define_rule(
            RuleDefinition {
                name: name.to_owned(),
                condition,
                output: output.trimmed(),
                description,
                source: source.unwrap_or_else(|| "syscall".to_owned()),
                unknown_source: false,
                tags,
                exceptions,
                priority,
                capture: capture.unwrap_or(false),
                capture_duration: capture_duration.unwrap_or(0),
                enabled: enabled.unwrap_or(true),
                warn_evttypes: warn_evttypes.unwrap_or(true),
                skip_if_unknown_filter: skip.unwrap_or(false),
                place: place.clone(),
                condition_place: part_place(item, "condition", ItemKind::RuleCondition, place),
                output_place: part_place(item, "output", ItemKind::RuleOutput, place),
            },
            &mut self.report.warnings,
        );
        self.settle(done)
    }

    fn priority(&mut self, item: &Rc<Node>, place: &Place) -> Step<Priority> {
        let Some(text) = self.text(item, "priority", place)? else { return Ok(None) };
        if let Ok(priority) = text.parse() {
            return Ok(Some(priority));
        }
        let place = part_place(item, "priority", ItemKind::RulePriority, place);
        let names = Priority::ALL.map(Priority::as_str);
        let advice = match closest(&text, names) {
            Some(meant) => format!("did you mean '{}'?", meant.to_uppercase()),
            None => "use one of EMERGENCY, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG".to_owned(),
        };
        self.fail(Diagnostic::error(ErrorCode::YamlValidate, "Invalid priority", place).advise(advice))
    }

    /// `append: true`
    fn appending(&mut self, item: &Rc<Node>, name: &str, source: &str, place: &Place) -> Step<()> {
        let mut update = RuleUpdate::new(name, place);
        update.source = source.to_owned();
        if item.get("condition").is_some() {
            update.condition = self.written(item, "condition", place)?;
            if update.condition.is_none() {
                return Ok(None);
            }
        }
        if item.get("exceptions").is_some() {
            update.exceptions = self.exceptions(item, place, true)?;
            if update.exceptions.is_none() {
                return Ok(None);
            }
        }
        let done = self.collector.append_rule(update);
        self.settle(done)
    }

    fn overriding(
        &mut self,
        item: &Rc<Node>,
        name: &str,
        source: &str,
        overrides: &Overrides,
        place: &Place,
    ) -> Step<()> {
        let mut left: Vec<&str> = REPLACEABLE.iter().copied().filter(|key| item.get(key).is_some()).collect();
        if overrides.any_append() {
            let wanted = |key: &str| overrides.appends(key);
            let Some(update) = self.update(item, name, source, &mut left, "append", &wanted, place)? else {
                return Ok(None);
            };
            let done = self.collector.append_rule(update);
            self.settle(done)?;
        }
        if overrides.any_replace() {
            let wanted = |key: &str| overrides.replaces(key);
            let Some(update) = self.update(item, name, source, &mut left, "replace", &wanted, place)? else {
                return Ok(None);
            };
            let done = self.collector.replace_in_rule(update);
            self.settle(done)?;
        }
        for key in left {
            let place = part_place(item, key, ItemKind::Override, place);
            let message =
                format!("Unexpected key '{key}': no corresponding entry under 'override' is defined.");
            let mut place = place;
            if let Some(last) = place.locations.last_mut() {
                last.item = key.to_owned();
            }
            let error = Diagnostic::error(ErrorCode::YamlValidate, message, place);
            self.fail::<()>(
                error.advise(format!("add '{key}: replace' under 'override', or remove '{key}'")),
            )?;
        }
        Ok(Some(()))
    }

    /// Whether `override` names a key, which must then be there.
    fn expects(
        &mut self,
        left: &mut Vec<&str>,
        how: &str,
        wanted: &dyn Fn(&str) -> bool,
        key: &str,
        place: &Place,
    ) -> Step<bool> {
        if !wanted(key) {
            return Ok(Some(false));
        }
        let Some(index) = left.iter().position(|k| *k == key) else {
            let message = format!("An {how} override for '{key}' was specified but '{key}' is not defined");
            let error = Diagnostic::error(ErrorCode::YamlValidate, message, place.clone());
            return self
                .fail(error.advise(format!("add '{key}: ...' to the item, or take it out of 'override'")));
        };
        left.remove(index);
        Ok(Some(true))
    }

    #[allow(clippy::too_many_arguments, reason = "what an item says of one kind of override")]
    fn update(
        &mut self,
        item: &Rc<Node>,
        name: &str,
        source: &str,
        left: &mut Vec<&str>,
        how: &str,
        wanted: &dyn Fn(&str) -> bool,
        place: &Place,
    ) -> Step<RuleUpdate> {
        let mut update = RuleUpdate::new(name, place);
        let mut whole = true;
        let append = how == "append";
        // One key after the other, so that the first error is the one Falco reports.
        macro_rules! take {
            ($key:literal, $field:ident, $read:expr) => {
                match self.expects(left, how, wanted, $key, place)? {
                    Some(true) => {
                        update.$field = $read;
                        whole &= update.$field.is_some();
                    }
                    Some(false) => {}
                    None => whole = false,
                }
            };
        }
        take!("condition", condition, self.written(item, "condition", place)?);
        if update.condition.is_some() {
            update.source = source.to_owned();
        }
        take!("exceptions", exceptions, self.exceptions(item, place, append)?);
        take!("output", output, self.written(item, "output", place)?);
        take!("desc", description, self.text(item, "desc", place)?);
        take!("tags", tags, Some(self.tags(item, place)?));
        take!("priority", priority, self.priority(item, place)?);
        take!("capture", capture, self.bool(item, "capture", place)?);
        take!("capture_duration", capture_duration, self.number(item, "capture_duration", place)?);
        take!("enabled", enabled, self.bool(item, "enabled", place)?);
        take!("warn_evttypes", warn_evttypes, self.bool(item, "warn_evttypes", place)?);
        take!(
            "skip-if-unknown-filter",
            skip_if_unknown_filter,
            self.bool(item, "skip-if-unknown-filter", place)?
        );
        Ok(whole.then_some(update))
    }
}
