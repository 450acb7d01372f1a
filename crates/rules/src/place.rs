//! Where something stands: in which file, in which item of it, at which line.

use std::sync::Arc;

/// A point in a text. Everything counts from 0; columns and offsets are in bytes, as Falco's reports count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Bytes before it.
    pub offset: usize,
    /// Line breaks before it.
    pub line: usize,
    /// Bytes between the start of its line and it.
    pub column: usize,
}

/// What stands there. The names are those of Falco's reports, which tools read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ItemKind {
    ValueFor,
    Exceptions,
    Exception,
    ExceptionValues,
    ExceptionValue,
    RulesContent,
    RulesContentItem,
    RequiredEngineVersion,
    RequiredPluginVersions,
    RequiredPluginVersionsEntry,
    RequiredPluginVersionsAlternative,
    List,
    ListItem,
    Macro,
    MacroCondition,
    Rule,
    RuleCondition,
    ConditionExpression,
    RuleOutput,
    RulePriority,
    Override,
}

impl ItemKind {
    /// The name that reports carry.
    pub fn name(self) -> &'static str {
        match self {
            ItemKind::ValueFor => "value for",
            ItemKind::Exceptions => "exceptions",
            ItemKind::Exception => "exception",
            ItemKind::ExceptionValues => "exception values",
            ItemKind::ExceptionValue => "exception value",
            ItemKind::RulesContent => "rules content",
            ItemKind::RulesContentItem => "rules content item",
            ItemKind::RequiredEngineVersion => "required_engine_version",
            ItemKind::RequiredPluginVersions => "required plugin versions",
            ItemKind::RequiredPluginVersionsEntry => "required plugin versions entry",
            ItemKind::RequiredPluginVersionsAlternative => "required plugin versions alternative",
            ItemKind::List => "list",
            ItemKind::ListItem => "list item",
            ItemKind::Macro => "macro",
            ItemKind::MacroCondition => "macro condition",
            ItemKind::Rule => "rule",
            ItemKind::RuleCondition => "rule condition",
            ItemKind::ConditionExpression => "condition expression",
            ItemKind::RuleOutput => "rule output",
            ItemKind::RulePriority => "rule priority",
            ItemKind::Override => "overrides",
        }
    }
}

/// One step of the way to a place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// The file, or for a condition its first words.
    pub name: Arc<str>,
    /// Where in it.
    pub position: Position,
    /// What stands there.
    pub kind: ItemKind,
    /// What it is called, if it has a name.
    pub item: String,
}

/// The way from a file to what is meant in it: the file, its item, the part of the item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub(crate) locations: Vec<Location>,
    /// The condition after lists were put in, if the last location points into it.
    pub(crate) condition: Option<Arc<str>>,
    /// What a person should look at, where the last location doesn't say it.
    pub(crate) marked: Option<Marked>,
}

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Marked {
    pub file: Arc<str>,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

impl Place {
    /// The whole file `name`.
    pub fn file(name: Arc<str>) -> Place {
        let whole = Location {
            name,
            position: Position::default(),
            kind: ItemKind::RulesContent,
            item: String::new(),
        };
        Place { locations: vec![whole], condition: None, marked: None }
    }

    /// A part of this place.
    pub fn within(&self, position: Position, kind: ItemKind, item: impl Into<String>) -> Place {
        let mut locations = self.locations.clone();
        locations.push(Location { name: Arc::clone(self.file_name()), position, kind, item: item.into() });
        Place { locations, condition: None, marked: None }
    }

    /// The file's name.
    pub fn file_name(&self) -> &Arc<str> {
        &self.locations[0].name
    }

    /// This place, with what a person should look at.
    pub(crate) fn mark(mut self, marked: Option<Marked>) -> Place {
        self.marked = marked.or(self.marked);
        self
    }

    /// A point of a condition: `position` counts lines and columns from 1, as conditions do. Falco names
    /// such a place by the condition's first words and adds its counts to those of the place around it.
    pub(crate) fn in_condition(&self, position: Position, condition: Arc<str>) -> Place {
        let around = self.locations.last().map_or_else(Position::default, |location| location.position);
        let position = Position {
            offset: position.offset + around.offset,
            line: position.line + around.line,
            column: position.column + around.column,
        };
        let mut name = match condition.len() {
            0..=20 => format!("\"{condition}\""),
            _ => format!("\"{}...\"", String::from_utf8_lossy(&condition.as_bytes()[..17])),
        };
        name = name.replace(['\n', '\r'], " ");
        let mut locations = self.locations.clone();
        let (kind, item) = (ItemKind::ConditionExpression, String::new());
        locations.push(Location { name: name.into(), position, kind, item });
        Place { locations, condition: Some(condition), marked: None }
    }

    /// The steps, from the file down.
    pub fn locations(&self) -> &[Location] {
        &self.locations
    }
}
