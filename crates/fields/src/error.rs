//! Why a field, a term or a format can't be used.

/// Why a name is no field that can be used here.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what its parts are")]
pub enum FieldError {
    #[error("there is no field {name}{}", similar.map_or(String::new(), |s| format!("; did you mean {s}?")))]
    Unknown { name: String, similar: Option<&'static str> },
    #[error("events of source {source_name} have no field {name}; it belongs to {}", sources.join(", "))]
    WrongSource { name: &'static str, source_name: String, sources: &'static [&'static str] },
    #[error("field {name} belongs to plugin {plugin}, which is not loaded; add it to load_plugins")]
    PluginMissing { name: &'static str, plugin: &'static str },
    #[error("field {name} needs an argument, such as {example}")]
    ArgumentMissing { name: &'static str, example: String },
    #[error("field {name} takes no argument, but has [{argument}]")]
    ArgumentForbidden { name: &'static str, argument: String },
    #[error("field {name}: argument {argument} {reason}")]
    ArgumentInvalid { name: &'static str, argument: String, reason: String },
}

impl FieldError {
    /// Whether the field itself isn't known for the source, as opposed to being used wrongly. Rules may ask
    /// to be skipped in that case.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            FieldError::Unknown { .. } | FieldError::WrongSource { .. } | FieldError::PluginMissing { .. }
        )
    }
}

/// Why transformers can't be put together as asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what its parts are")]
pub enum TermError {
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error(
        "there is no transformer {name}; there are tolower, toupper, b64, basename, len, join, concat, getopt, val"
    )]
    UnknownTransformer { name: String },
    #[error("field {field} takes no transformer")]
    NotTransformable { field: &'static str },
    #[error("{transformer}() works on {wants}, but {of} is {is}")]
    WrongType { transformer: &'static str, wants: &'static str, of: String, is: String },
    #[error("{transformer}() {reason}")]
    WrongArguments { transformer: &'static str, reason: &'static str },
}

/// Why a text is no output format.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("at character {}: {reason}", position + 1)]
pub struct FormatError {
    /// Where in the text, in bytes from its start.
    pub position: usize,
    /// What is wrong there.
    pub reason: FormatErrorReason,
}

/// What is wrong with a format.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what its parts are")]
pub enum FormatErrorReason {
    #[error("the text is empty")]
    Empty,
    #[error("a % stands at the end; a field must follow it")]
    OpenPercent,
    #[error("a width stands at the end; a field must follow it")]
    OpenWidth,
    #[error("{0}")]
    Term(#[from] TermError),
    #[error("{0} expected")]
    Expected(&'static str),
}

impl FormatError {
    /// Whether a field isn't known for the source. Rules may ask to be skipped in that case.
    pub fn is_unknown_field(&self) -> bool {
        matches!(&self.reason, FormatErrorReason::Term(TermError::Field(e)) if e.is_unknown())
    }
}
