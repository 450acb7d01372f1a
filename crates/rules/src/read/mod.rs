//! Items of a rule file: from YAML nodes to definitions, checked for form.

mod exception;
mod keys;
mod rule;
mod values;

use std::rc::Rc;
use std::sync::Arc;

use crate::collect::Collector;
use crate::define::{EngineRequirement, ListDefinition, MacroDefinition, PluginRequirementDefinition, Text};
use crate::place::{ItemKind, Marked, Place, Position};
use crate::report::{Diagnostic, ErrorCode, FileReport, MOST_ERRORS, WarningCode};
use crate::schema;
use crate::source::SourceText;
use crate::version::Version;
use crate::yaml::{self, Node, YamlError};
use keys::Overrides;

/// Said of `append: true`.
const APPEND_IS_DEPRECATED: &str = "'append' key is deprecated. Add an 'append' entry (e.g. 'condition: append') \
                                    under 'override' instead.";
/// Said of `append: true` beside `override`.
const APPEND_AND_OVERRIDE: &str = "Keys 'override' and 'append: true' cannot be used together. Add an 'append' \
                                   entry (e.g. 'condition: append') under 'override' instead.";

/// An error was found and reading is to end with the first.
pub(crate) struct Halt;

/// The result of a step: nothing if an error was reported and reading goes on.
pub(crate) type Step<T> = Result<Option<T>, Halt>;

/// Reads one file into a collector.
pub(crate) struct Reader<'a, 'c> {
    pub file: Arc<str>,
    pub source: Arc<str>,
    pub report: &'a mut FileReport,
    pub collector: &'a mut Collector<'c>,
    /// Whether to go on after an error.
    pub go_on: bool,
}

impl Reader<'_, '_> {
    /// Reads all documents; whether that went without an error.
    pub fn read(&mut self, source: &SourceText) -> bool {
        let whole = Place::file(Arc::clone(&self.file));
        self.warn_of_bad_byte(source, &whole);
        let documents = match yaml::parse(&source.text) {
            Ok(documents) => documents,
            Err(error) => {
                self.report.errors.push(not_yaml(&error, &whole));
                return false;
            }
        };
        self.report.schema = documents.iter().flat_map(|document| schema::rules::check(document)).collect();
        for document in documents.iter().filter(|document| !document.is_null()) {
            if self.document(document, &whole).is_err() {
                break;
            }
        }
        self.report.errors.is_empty()
    }

    fn warn_of_bad_byte(&mut self, source: &SourceText, whole: &Place) {
        let Some(offset) = source.bad_byte else { return };
        let mark = Marked { file: Arc::clone(&self.file), start: offset, end: offset };
        let message = "The file is not UTF-8; the byte here was replaced";
        let finding = Diagnostic::warning(WarningCode::Own, message, whole.clone().mark(Some(mark)));
        self.report.warnings.push(finding.advise("save the file as UTF-8, or write \\xHH in a quoted value"));
    }

    fn document(&mut self, document: &Node, whole: &Place) -> Result<(), Halt> {
        let Some(items) = document.sequence() else {
            let message = match document.map() {
                Some(_) => "Rules content is not yaml array of objects",
                None => "Rules content is not yaml",
            };
            let mark = Marked { file: Arc::clone(&self.file), start: document.at.offset, end: 0 };
            let place = whole.clone().mark(Some(mark));
            let error = Diagnostic::error(ErrorCode::YamlValidate, message, place);
            return self
                .fail(error.advise("begin each list, macro and rule with '- '"))
                .map(|_: Option<()>| ());
        };
        for item in items.iter().filter(|item| !item.is_null()) {
            self.item(item, whole)?;
        }
        Ok(())
    }

    /// Reports an error; an [`Err`] if it is to be the only one.
    pub fn fail<T>(&mut self, error: Diagnostic) -> Step<T> {
        self.report.errors.push(error);
        if self.go_on && self.report.errors.len() < MOST_ERRORS { Ok(None) } else { Err(Halt) }
    }

    fn invalid<T>(&mut self, message: impl Into<String>, place: &Place) -> Step<T> {
        self.fail(Diagnostic::error(ErrorCode::YamlValidate, message, place.clone()))
    }

    pub fn warn(&mut self, code: WarningCode, message: impl Into<String>, place: &Place) {
        self.report.warnings.push(Diagnostic::warning(code, message, place.clone()));
    }

    /// Hands over what a collector step found wrong.
    pub fn settle(&mut self, result: Result<(), Box<Diagnostic>>) -> Step<()> {
        match result {
            Ok(()) => Ok(Some(())),
            Err(error) => self.fail(*error),
        }
    }

    fn item(&mut self, item: &Rc<Node>, whole: &Place) -> Step<()> {
        if item.map().is_none() {
            let place = whole.within(item.at, ItemKind::RulesContentItem, "");
            let message = "Unexpected element type. Each element should be a yaml associative array.";
            let error = Diagnostic::error(ErrorCode::YamlValidate, message, place);
            let advice =
                "begin with 'rule: NAME', 'macro: NAME', 'list: NAME' or 'required_engine_version: N'";
            return self.fail(error.advise(advice));
        }
        self.warn_of_double_keys(item, whole);
        let has = |key: &str| item.get(key).is_some();
        if has("required_engine_version") {
            self.engine_version(item, whole)
        } else if let Some(plugins) = item.get("required_plugin_versions") {
            self.plugin_versions(item, plugins, whole)
        } else if has("list") {
            self.list(item, whole)
        } else if has("macro") {
            self.macro_(item, whole)
        } else if has("rule") {
            self.rule(item, whole)
        } else {
            let place = whole.within(item.at, ItemKind::RulesContentItem, "");
            let warning = Diagnostic::warning(WarningCode::UnknownItem, "Unknown top level item", place);
            self.report.warnings.push(warning.advise_some(keys::advice_for_item(item)));
            Ok(Some(()))
        }
    }

    fn engine_version(&mut self, item: &Rc<Node>, whole: &Place) -> Step<()> {
        let place = whole.within(item.at, ItemKind::RequiredEngineVersion, "");
        let Some(text) = self.text(item, "required_engine_version", &place)? else { return Ok(None) };
        let bare = values::unsigned(&text).map(Version::from_number);
        let Some(version) = bare.or_else(|| Version::parse(&text)) else {
            let message = format!(
                "Unable to parse engine version '{text}' as a semver string. Expected \"x.y.z\" semver format."
            );
            return self.invalid(message, &place);
        };
        let done = self.collector.require_engine(EngineRequirement { version, place: place.clone() });
        self.settle(done)?;
        self.warn_unknown_keys(item, &["required_engine_version"], &place)
    }

    fn plugin_versions(&mut self, item: &Rc<Node>, plugins: &Rc<Node>, whole: &Place) -> Step<()> {
        let place = whole.within(plugins.at, ItemKind::RequiredPluginVersions, "");
        let Some(plugins) = plugins.sequence() else {
            return self.invalid("Value of required_plugin_versions must be a sequence", &place);
        };
        for plugin in plugins {
            self.plugin_version(plugin, &place)?;
        }
        let place = whole.within(item.at, ItemKind::RequiredPluginVersions, "");
        self.warn_unknown_keys(item, &["required_plugin_versions"], &place)
    }

    fn plugin_version(&mut self, plugin: &Rc<Node>, place: &Place) -> Step<()> {
        let kind = ItemKind::RequiredPluginVersionsEntry;
        let nameless = place.within(plugin.at, kind, "");
        if plugin.map().is_none() {
            return self.invalid("Plugin version must be a mapping", &nameless);
        }
        let Some(name) = self.text(plugin, "name", &nameless)? else { return Ok(None) };
        let place = place.within(plugin.at, kind, name.clone());
        let Some(version) = self.text(plugin, "version", &place)? else { return Ok(None) };
        let mut any_of = vec![(name, version)];
        if let Some(alternatives) = plugin.get("alternatives") {
            let Some(alternatives) = alternatives.sequence() else {
                return self.invalid("Value of plugin version alternatives must be a sequence", &place);
            };
            for alternative in alternatives {
                match self.plugin_alternative(alternative, &place)? {
                    Some(found) => any_of.push(found),
                    None => return Ok(None),
                }
            }
        }
        let done = self.collector.require_plugin(PluginRequirementDefinition { any_of, place });
        self.settle(done)
    }

    fn plugin_alternative(&mut self, node: &Rc<Node>, place: &Place) -> Step<(String, String)> {
        let kind = ItemKind::RequiredPluginVersionsAlternative;
        let nameless = place.within(node.at, kind, "");
        if node.map().is_none() {
            return self.invalid("Plugin version alternative must be a mapping", &nameless);
        }
        let Some(name) = self.text(node, "name", &nameless)? else { return Ok(None) };
        let place = place.within(node.at, kind, name.clone());
        let version = self.text(node, "version", &place)?;
        Ok(version.map(|version| (name, version)))
    }

    fn list(&mut self, item: &Rc<Node>, whole: &Place) -> Step<()> {
        let Some((name, place)) = self.name(item, "list", ItemKind::List, whole)? else { return Ok(None) };
        if !keys::is_bare_word(&name) {
            let message = "List has an invalid name. List names should match a regular expression: \
                           ([^()\"'[:space:]=,]+)";
            self.warn(WarningCode::InvalidListName, message, &place);
        }
        let items = self.texts(item, "items", &place, false)?;
        let append = self.append_flag(item, &place)?;
        let Some(overrides) = self.overrides(item, &["items"], &["items"], &place)? else { return Ok(None) };
        if append && overrides.any() {
            return self.invalid(APPEND_AND_OVERRIDE, &place);
        }
        let Some(items) = items else {
            self.collector.spoil_list(&name);
            return Ok(None);
        };
        let list = ListDefinition { name, items, place: place.clone() };
        let done = match append || overrides.appends("items") {
            true => self.collector.append_list(list),
            false => {
                self.collector.define_list(list);
                Ok(())
            }
        };
        self.settle(done)?;
        self.warn_unknown_keys(item, &["list", "items", "append", "override"], &place)
    }

    fn macro_(&mut self, item: &Rc<Node>, whole: &Place) -> Step<()> {
        let Some((name, place)) = self.name(item, "macro", ItemKind::Macro, whole)? else { return Ok(None) };
        if !keys::is_identifier(&name) {
            let message = "Macro has an invalid name. Macro names should match a regular expression: \
                           ([a-zA-Z]+[a-zA-Z0-9_]*)";
            self.warn(WarningCode::InvalidMacroName, message, &place);
        }
        let Some(condition) = self.written(item, "condition", &place)? else {
            self.collector.spoil_macro(&name);
            return Ok(None);
        };
        let condition_place = part_place(item, "condition", ItemKind::MacroCondition, &place);
        let append = self.append_flag(item, &place)?;
        let Some(overrides) = self.overrides(item, &["condition"], &["condition"], &place)? else {
            return Ok(None);
        };
        if append && overrides.any() {
            return self.invalid(APPEND_AND_OVERRIDE, &place);
        }
        let definition = MacroDefinition { name, condition, place: place.clone(), condition_place };
        let done = match append || overrides.appends("condition") {
            true => self.collector.append_macro(definition),
            false => {
                self.collector.define_macro(definition);
                Ok(())
            }
        };
        self.settle(done)?;
        self.warn_unknown_keys(item, &["macro", "condition", "append", "override"], &place)
    }

    /// An item's name, and the item's place with it.
    fn name(
        &mut self,
        item: &Rc<Node>,
        key: &'static str,
        kind: ItemKind,
        whole: &Place,
    ) -> Step<(String, Place)> {
        let nameless = whole.within(item.at, kind, "");
        let name = self.text(item, key, &nameless)?;
        Ok(name.map(|name| (name.clone(), whole.within(item.at, kind, name))))
    }

    /// Whether `append: true` is given, with a warning if so.
    fn append_flag(&mut self, item: &Rc<Node>, place: &Place) -> Result<bool, Halt> {
        let append = self.optional_bool(item, "append", place)?.unwrap_or(false);
        if append {
            self.warn(WarningCode::DeprecatedItem, APPEND_IS_DEPRECATED, place);
        }
        Ok(append)
    }

    fn overrides(
        &mut self,
        item: &Rc<Node>,
        appendable: &[&str],
        replaceable: &[&str],
        place: &Place,
    ) -> Step<Overrides> {
        keys::overrides(self, item, appendable, replaceable, place)
    }
}

/// The place of a part of an item that is there.
fn part_place(item: &Node, key: &str, kind: ItemKind, place: &Place) -> Place {
    place.within(item.get(key).map_or(item.at, |node| node.at), kind, "")
}

fn not_yaml(error: &YamlError, whole: &Place) -> Diagnostic {
    let Position { line, column, .. } = error.at;
    let message = format!("yaml-cpp: error at line {}, column {}: {}", line + 1, column + 1, error.reason);
    let file = Arc::clone(whole.file_name());
    let mark = error.opened.map(|opened| Marked { file, start: opened.offset, end: opened.offset + 1 });
    let place = whole.within(error.at, ItemKind::ValueFor, "").mark(mark);
    Diagnostic::error(ErrorCode::YamlParse, message, place).advise_some(yaml_advice(&error.reason))
}

fn yaml_advice(reason: &str) -> Option<String> {
    let advice = match reason {
        "illegal map value" => {
            "a ': ' within a value needs quotes around the value; check the indentation too"
        }
        "end of sequence not found" | "end of map not found" => {
            "this line is indented differently from those it belongs to"
        }
        "end of sequence flow not found" => "this '[' is not closed, or a ',' is missing after it",
        "end of map flow not found" => "this '{' is not closed, or a ',' is missing after it",
        "illegal flow end" => "this bracket closes nothing, or not what is open",
        "illegal EOF in scalar" => "this quote is not closed",
        "illegal block entry" => "a '- ' can't begin here: put it on a line of its own, or quote the value",
        "illegal tab when looking for indentation" => "indent with blanks, not with tabs",
        "unknown token" => "a value can't begin with this character: put it in quotes",
        "bad file" => "values are nested too deeply",
        _ if reason.starts_with("unknown escape") => {
            "write the value in single quotes, or double the backslash"
        }
        _ if reason.starts_with("the referenced anchor") => {
            "a value that begins with '*' needs quotes, unless an '&' of that name stands before it"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

impl Text {
    /// Without white space at both ends.
    pub(crate) fn trimmed(mut self) -> Text {
        const BLANKS: [char; 6] = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];
        let cut = self.text.len() - self.text.trim_start_matches(BLANKS).len();
        self.text = self.text.trim_matches(BLANKS).to_owned();
        if cut > 0 {
            for piece in &mut self.pieces {
                piece.at = piece.at.saturating_sub(cut);
                piece.scalar.text.drain(..cut.min(piece.scalar.text.len()));
            }
        }
        self
    }
}
