//! Rules as they are after loading.

use std::collections::BTreeSet;
use std::sync::Arc;

use lanner_filter::Expr;

use crate::place::Place;
use lanner_alert::Priority;

/// A rule, ready to be compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, unique among rules.
    pub name: String,
    /// What it finds, why that matters, what to do.
    pub description: String,
    /// The kind of events it looks at: `syscall`, or a plugin's.
    pub source: String,
    /// The condition with lists written out, exceptions folded in and macros put in place as shared
    /// [`lanner_filter::ExprKind::Macro`] bodies.
    pub condition: Arc<Expr>,
    /// The text of its alerts, with what the configuration appends.
    pub output: String,
    /// How urgent its alerts are.
    pub priority: Priority,
    /// For selection and for whoever reads alerts.
    pub tags: BTreeSet<String>,
    /// Whether it is on.
    pub enabled: bool,
    /// Whether to record events when it fires.
    pub capture: bool,
    /// For how long, in milliseconds; 0 for the configured default.
    pub capture_duration: u32,
    /// Fields of its exceptions, which JSON alerts list.
    pub exception_fields: BTreeSet<String>,
    /// More output fields that the configuration asks for: key, format, and whether the value is to be raw.
    pub extra_fields: Vec<(String, String, bool)>,
    /// Where it is defined.
    pub place: Place,
}

/// A macro.
#[derive(Clone, Debug, PartialEq)]
pub struct Macro {
    /// Its name.
    pub name: String,
    /// Its condition, as in [`Rule::condition`].
    pub condition: Arc<Expr>,
    /// Whether a rule or another macro uses it.
    pub used: bool,
}

/// A list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Its name.
    pub name: String,
    /// Its items, those of lists it names included.
    pub items: Vec<String>,
    /// Whether a condition or another list uses it.
    pub used: bool,
}

/// A plugin that rules need, or any one of its alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRequirement {
    /// Name and least version of each that will do, the preferred one first.
    pub any_of: Vec<(String, String)>,
}

/// All rules that were loaded, in the order in which they are tried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    /// The rules.
    pub rules: Vec<Rule>,
    /// The macros.
    pub macros: Vec<Macro>,
    /// The lists.
    pub lists: Vec<List>,
    /// What plugins they need.
    pub plugins: Vec<PluginRequirement>,
}
