//! What this crate must be told about fields, events and outputs.

use lanner_filter::{Expr, Operand, Span};

/// Whoever knows the fields: the engine, and in tests a small table.
///
/// Messages are to be Falco's, since tools read them; `advice` is for people.
pub trait FieldCatalog {
    /// Whether events of this source are known (`syscall`, a plugin's).
    fn has_source(&self, source: &str) -> bool;

    /// Whether the left side of an exception can be evaluated on events of the source.
    fn check_operand(&self, source: &str, operand: &Operand) -> Result<(), Problem>;

    /// Whether a comparison can be evaluated on events of the source: fields exist, the operator takes the
    /// field's type, values can be read as it. `check` is an [`lanner_filter::ExprKind::Exists`] or
    /// [`lanner_filter::ExprKind::Check`].
    fn check_condition(&self, source: &str, check: &Expr) -> Result<Vec<CheckWarning>, Problem>;

    /// The fields, as written without `%`, that an output names; spans are offsets in `text`.
    fn check_output(&self, source: &str, text: &str) -> Result<Vec<String>, Problem>;

    /// How many event types of source `syscall` a condition can be true for.
    fn event_type_count(&self, condition: &Expr) -> usize;

    /// Names of the events that a condition can be true for, in the order in which Falco lists them.
    fn event_names(&self, source: &str, condition: &Expr) -> Vec<String>;

    /// Names of fields of the source, for proposals.
    fn field_names(&self, source: &str) -> Vec<String>;

    /// Names of loaded plugins that provide the source or one of these fields (as written, `name[argument]`).
    fn plugins_using(&self, _source: &str, _fields: &[String]) -> Vec<String> {
        Vec::new()
    }
}

/// Why a part of a rule can't be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in Falco's words.
    pub message: String,
    /// Where, in the text the problem was found in; the whole part if not given.
    pub span: Option<Span>,
    /// What to do about it.
    pub advice: Option<String>,
    /// Whether it names a field or an event type that doesn't exist, for which a rule may make allowance
    /// (`skip-if-unknown-filter`).
    pub unknown: bool,
}

/// Something doubtful in a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckWarning {
    /// What, in Falco's words.
    pub message: String,
    /// Where in the condition.
    pub span: Span,
}
