//! Lists, macros and rules as they are written, before anything is put into anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::place::Place;
use crate::version::Version;
use crate::yaml::Scalar;
use lanner_alert::Priority;

/// A text with where its pieces were written; appending adds pieces.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text {
    pub text: String,
    pub pieces: Vec<Piece>,
}

/// A stretch of a [`Text`] that was written in one place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    /// Where it begins in the text.
    pub at: usize,
    /// The file it was written in.
    pub file: Arc<str>,
    /// The whole text of that file.
    pub source: Arc<str>,
    /// Its bytes in the file.
    pub start: usize,
    pub end: usize,
    pub scalar: Scalar,
}

impl Text {
    /// Appends as `append` and `override: append` do: with a blank between.
    pub fn append(&mut self, other: Text) {
        self.text.push(' ');
        let shift = self.text.len();
        self.text.push_str(&other.text);
        self.pieces.extend(other.pieces.into_iter().map(|piece| Piece { at: piece.at + shift, ..piece }));
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ListDefinition {
    pub name: String,
    pub items: Vec<String>,
    pub place: Place,
}

#[derive(Clone, Debug)]
pub(crate) struct MacroDefinition {
    pub name: String,
    pub condition: Text,
    pub place: Place,
    pub condition_place: Place,
}

#[derive(Clone, Debug)]
pub(crate) struct RuleDefinition {
    pub name: String,
    pub condition: Text,
    pub output: Text,
    pub description: String,
    pub source: String,
    pub unknown_source: bool,
    pub tags: BTreeSet<String>,
    pub exceptions: Vec<Exception>,
    pub priority: Priority,
    pub capture: bool,
    pub capture_duration: u32,
    pub enabled: bool,
    pub warn_evttypes: bool,
    pub skip_if_unknown_filter: bool,
    pub place: Place,
    pub condition_place: Place,
    pub output_place: Place,
}

/// What an item changes in an earlier rule.
#[derive(Clone, Debug)]
pub(crate) struct RuleUpdate {
    pub name: String,
    pub source: String,
    pub place: Place,
    pub condition: Option<Text>,
    pub output: Option<Text>,
    pub description: Option<String>,
    pub tags: Option<BTreeSet<String>>,
    pub exceptions: Option<Vec<Exception>>,
    pub priority: Option<Priority>,
    pub capture: Option<bool>,
    pub capture_duration: Option<u32>,
    pub enabled: Option<bool>,
    pub warn_evttypes: Option<bool>,
    pub skip_if_unknown_filter: Option<bool>,
}

impl RuleUpdate {
    pub fn new(name: &str, place: &Place) -> RuleUpdate {
        RuleUpdate {
            name: name.to_owned(),
            source: String::new(),
            place: place.clone(),
            condition: None,
            output: None,
            description: None,
            tags: None,
            exceptions: None,
            priority: None,
            capture: None,
            capture_duration: None,
            enabled: None,
            warn_evttypes: None,
            skip_if_unknown_filter: None,
        }
    }

    pub fn changes_something(&self) -> bool {
        self.condition.is_some()
            || self.output.is_some()
            || self.description.is_some()
            || self.tags.is_some()
            || self.exceptions.is_some()
            || self.priority.is_some()
            || self.capture.is_some()
            || self.capture_duration.is_some()
            || self.enabled.is_some()
            || self.warn_evttypes.is_some()
            || self.skip_if_unknown_filter.is_some()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Exception {
    pub name: String,
    pub fields: Entry,
    pub comps: Entry,
    pub values: Vec<Entry>,
    pub place: Place,
}

/// A field, an operator or a value of an exception, or a list of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Entry {
    #[default]
    Missing,
    Item(String),
    List(Vec<Entry>),
}

impl Entry {
    pub fn is_given(&self) -> bool {
        match self {
            Entry::Missing => false,
            Entry::Item(text) => !text.is_empty(),
            Entry::List(items) => !items.is_empty(),
        }
    }

    /// The text of an item, nothing for a list.
    pub fn item(&self) -> &str {
        match self {
            Entry::Item(text) => text,
            Entry::Missing | Entry::List(_) => "",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct EngineRequirement {
    pub version: Version,
    pub place: Place,
}

#[derive(Clone, Debug)]
pub(crate) struct PluginRequirementDefinition {
    pub any_of: Vec<(String, String)>,
    pub place: Place,
}
