//! Everything that loading found wrong, in one object.

mod codes;
mod falco;
mod human;

use std::sync::Arc;

use crate::place::Place;
pub(crate) use codes::DEPRECATED_FIELDS;

/// Why rules can't be loaded. The names are Falco's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// A file can't be read.
    FileRead,
    /// The content is not YAML.
    YamlParse,
    /// The YAML is not made as rule files are.
    YamlValidate,
    /// A condition doesn't compile.
    CompileCondition,
    /// An output doesn't compile.
    CompileOutput,
    /// Items don't go together.
    Validate,
}

/// What is doubtful about rules that load. The names are Falco's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WarningCode {
    /// A rule's event source is not there; the rule is left out.
    UnknownSource,
    /// `<NA>` is compared with.
    UnsafeNaCheck,
    /// A condition wants too many event types.
    NoEvtType,
    /// A field or event type doesn't exist, and the rule allows for that.
    UnknownFilter,
    /// Nothing uses the macro.
    UnusedMacro,
    /// Nothing uses the list.
    UnusedList,
    /// An item that is no list, macro, rule or required version.
    UnknownItem,
    /// Something that will go away.
    DeprecatedItem,
    /// An exception is appended to without values.
    AppendNoValues,
    /// Two exceptions of one name.
    ExceptionNameNotUnique,
    /// A macro's name can't be used in a condition.
    InvalidMacroName,
    /// A list's name can't be used in a condition.
    InvalidListName,
    /// A condition says something doubtful.
    CompileCondition,
    /// A key that means nothing here.
    UnknownKey,
    /// Something Falco has no code for; only lanner's own form of the report shows it.
    Own,
}

/// Either kind of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Of an error.
    Error(ErrorCode),
    /// Of a warning.
    Warning(WarningCode),
}

/// How many errors of a file are looked for; nobody reads more.
pub(crate) const MOST_ERRORS: usize = 100;

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// What kind of thing.
    pub code: Code,
    /// What is wrong, in Falco's words.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What to do about it.
    pub advice: Option<String>,
    /// The deprecated field, if that is what it is about.
    pub deprecated_field: Option<&'static str>,
}

impl Diagnostic {
    pub(crate) fn error(code: ErrorCode, message: impl Into<String>, place: Place) -> Diagnostic {
        Diagnostic::new(Code::Error(code), message.into(), place)
    }

    pub(crate) fn warning(code: WarningCode, message: impl Into<String>, place: Place) -> Diagnostic {
        Diagnostic::new(Code::Warning(code), message.into(), place)
    }

    fn new(code: Code, message: String, place: Place) -> Diagnostic {
        Diagnostic { code, message, place, advice: None, deprecated_field: None }
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Diagnostic {
        self.advice = Some(advice.into());
        self
    }

    pub(crate) fn advise_some(mut self, advice: Option<String>) -> Diagnostic {
        self.advice = advice.or(self.advice);
        self
    }
}

/// What was found in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// The file's name.
    pub name: String,
    /// What the schema says of each document: `ok`, or what deviates. Empty if there was nothing to check.
    pub schema: Vec<String>,
    /// Why it can't be loaded.
    pub errors: Vec<Diagnostic>,
    /// What is doubtful.
    pub warnings: Vec<Diagnostic>,
}

impl FileReport {
    /// Whether the file's rules can be used.
    pub fn successful(&self) -> bool {
        self.errors.is_empty()
    }

    /// Whether there are warnings that Falco would give too.
    pub fn has_warnings(&self) -> bool {
        self.falco_warnings().next().is_some()
    }

    /// `ok`, `none`, or the first deviation.
    pub fn schema_status(&self) -> &str {
        self.schema.first().map_or("none", String::as_str)
    }

    fn falco_warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.warnings.iter().filter(|warning| warning.code != Code::Warning(WarningCode::Own))
    }
}

/// What was found in all files, in the order they were loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One report a file.
    pub files: Vec<FileReport>,
    /// The texts, to show pieces of.
    pub(crate) texts: Vec<(Arc<str>, Arc<str>)>,
}

impl Report {
    /// Whether all rules can be used.
    pub fn successful(&self) -> bool {
        self.files.iter().all(FileReport::successful)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(n, _)| &**n == name).map(|(_, text)| &**text)
    }
}
