//! Every field that a rule or an output can name: the table of them, their values for an event on a
//! machine, transformers over values, and output formats.
//!
//! This crate must not know rules, nor who asks for a value and what for.

mod context;
mod error;
mod extract;
mod field;
mod foreign;
mod format;
pub mod json;
mod listing;
mod scratch;
mod suggest;
mod table;
mod term;
mod text;
mod transform;
mod value;
mod vocabulary;

pub use context::{Context, EventMeta, Progress};
pub use error::{FieldError, FormatError, FormatErrorReason, TermError};
pub use extract::fd::{NamedFile, has_double_slash, named_file};
pub use field::Field;
pub use foreign::{
    Foreign, ForeignArgument, ForeignClass, ForeignField, ForeignFields, ForeignRequest, register,
};
pub use format::{Format, Late, Part, may_wait};
pub use listing::{EventRow, FieldRow, event_rows, field_rows};
pub use scratch::{Buffer, Scratch};
pub use suggest::closest;
pub use table::{Argument, ClassInfo, FieldInfo, NumberFormat, StableUntil, classes, find, table};
pub use term::{Term, Transformer};
pub use text::render_value;
pub use value::{FieldType, Value};
pub use vocabulary::Vocabulary;
