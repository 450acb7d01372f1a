//! Rule files: YAML with positions, lists, macros, rules, exceptions, overrides, tags, required versions,
//! and one report of everything that is wrong with them.
//!
//! This crate knows how rules are written and what their parts are called; it must not know what an event
//! is, which fields there are (a [`FieldCatalog`] tells it) or how a condition is evaluated.

mod catalog;
mod collect;
mod compile;
mod define;
mod describe;
mod fold;
mod lists;
mod load;
mod options;
mod place;
mod read;
mod report;
mod rule;
pub mod schema;
mod select;
mod source;
mod suggest;
mod version;
mod yaml;

pub use catalog::{CheckWarning, FieldCatalog, Problem};
pub use describe::{Definitions, NoSuchRule, UnorderedNames, description_table};
pub use load::{Loaded, load};
pub use options::{ExtraField, ExtraOutput, LoadOptions, Scope};
pub use place::{ItemKind, Location, Place, Position};
pub use report::{Code, Diagnostic, ErrorCode, FileReport, Report, WarningCode};
pub use rule::{List, Macro, PluginRequirement, Rule, RuleSet};
pub use select::{Selection, Target};
pub use source::SourceText;
pub use suggest::closest;
pub use version::Version;
