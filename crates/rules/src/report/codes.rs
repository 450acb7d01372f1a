//! The names and descriptions of codes, as Falco gives them.

use super::{Code, ErrorCode, WarningCode};

/// Fields that are on their way out, and why.
pub(crate) const DEPRECATED_FIELDS: [(&str, &str); 6] = [
    (
        "evt.dir",
        "due to the drop of enter events, 'evt.dir = <' always evaluates to true, and 'evt.dir = >' always \
         evaluates to false. The rule expression can be simplified by removing the condition on 'evt.dir'",
    ),
    ("evt.latency", NO_LATENCY),
    ("evt.latency.s", NO_LATENCY),
    ("evt.latency.ns", NO_LATENCY),
    ("evt.latency.human", NO_LATENCY),
    ("evt.wait_latency", NO_LATENCY),
];

const NO_LATENCY: &str = "field is not available due to the drop of enter events.";

impl ErrorCode {
    /// `LOAD_ERR_…`
    pub fn name(self) -> &'static str {
        match self {
            ErrorCode::FileRead => "LOAD_ERR_FILE_READ",
            ErrorCode::YamlParse => "LOAD_ERR_YAML_PARSE",
            ErrorCode::YamlValidate => "LOAD_ERR_YAML_VALIDATE",
            ErrorCode::CompileCondition => "LOAD_ERR_COMPILE_CONDITION",
            ErrorCode::CompileOutput => "LOAD_ERR_COMPILE_OUTPUT",
            ErrorCode::Validate => "LOAD_ERR_VALIDATE",
        }
    }

    /// In a few words.
    pub fn title(self) -> &'static str {
        match self {
            ErrorCode::FileRead => "File read error",
            ErrorCode::YamlParse => "YAML parse error",
            ErrorCode::YamlValidate => "Error validating internal structure of YAML file",
            ErrorCode::CompileCondition => "Error compiling condition",
            ErrorCode::CompileOutput => "Error compiling output",
            ErrorCode::Validate => "Error validating rule/macro/list/exception objects",
        }
    }
}

impl WarningCode {
    /// `LOAD_…`
    pub fn name(self) -> &'static str {
        self.strings().0
    }

    /// In a few words.
    pub fn title(self) -> &'static str {
        self.strings().1
    }

    /// In some more.
    pub fn description(self) -> &'static str {
        self.strings().2
    }

    fn strings(self) -> (&'static str, &'static str, &'static str) {
        match self {
            WarningCode::UnknownSource => (
                "LOAD_UNKNOWN_SOURCE",
                "Unknown event source",
                "A rule has a unknown event source. This can occur when reading rules content without having \
                 a corresponding plugin loaded, etc. The rule will be silently ignored.",
            ),
            WarningCode::UnsafeNaCheck => (
                "LOAD_UNSAFE_NA_CHECK",
                "Unsafe <NA> comparison in condition",
                "Comparing a field value with <NA> is unsafe and can lead to unpredictable behavior of the \
                 rule condition. If you need to check for the existence of a field, consider using the \
                 'exists' operator instead.",
            ),
            WarningCode::NoEvtType => (
                "LOAD_NO_EVTTYPE",
                "Condition has no event-type restriction",
                "A rule condition matches too many evt.type values. This has a significant performance \
                 penalty. Make the condition more specific by adding an evt.type field or further \
                 restricting the number of evt.type values in the condition.",
            ),
            WarningCode::UnknownFilter => (
                "LOAD_UNKNOWN_FILTER",
                "Unknown field or event-type in condition or output",
                "A rule condition or output refers to a field or evt.type that does not exist. This is \
                 normally an error, but if a rule has a skip-if-unknown-filter property, the error is \
                 downgraded to a warning.",
            ),
            WarningCode::UnusedMacro => (
                "LOAD_UNUSED_MACRO",
                "Unused macro",
                "A macro is defined in the rules content but is not used by any other macro or rule.",
            ),
            WarningCode::UnusedList => (
                "LOAD_UNUSED_LIST",
                "Unused list",
                "A list is defined in the rules content but is not used by any other list, macro, or rule.",
            ),
            WarningCode::UnknownItem => (
                "LOAD_UNKNOWN_ITEM",
                "Unknown rules file item",
                "An unknown top-level object is in the rules content. It will be ignored.",
            ),
            WarningCode::DeprecatedItem => (
                "LOAD_DEPRECATED_ITEM",
                "Used deprecated item",
                "A deprecated item is employed by lists, macros, or rules.",
            ),
            WarningCode::AppendNoValues => (
                "LOAD_APPEND_NO_VALUES",
                "Overriding/appending with no values",
                "A rule exception is overriding/appending with no values",
            ),
            WarningCode::ExceptionNameNotUnique => (
                "LOAD_EXCEPTION_NAME_NOT_UNIQUE",
                "Multiple exceptions defined with the same name",
                "A rule is defining multiple exceptions with the same name",
            ),
            WarningCode::InvalidMacroName => {
                ("LOAD_INVALID_MACRO_NAME", "Invalid macro name", "A macro is defined with an invalid name")
            }
            WarningCode::InvalidListName => {
                ("LOAD_INVALID_LIST_NAME", "Invalid list name", "A list is defined with an invalid name")
            }
            WarningCode::CompileCondition => (
                "LOAD_COMPILE_CONDITION",
                "Warning in rule condition",
                "A rule condition or output have been parsed with a warning",
            ),
            WarningCode::UnknownKey => (
                "LOAD_UNKNOWN_KEY",
                "Unknown key in item definition",
                "An item in the rules content contains an unrecognized key. The key will be ignored. This \
                 may indicate a typo or a property placed on the wrong item type.",
            ),
            WarningCode::Own => ("LANNER_DOUBTFUL", "Doubtful", "Something that is probably not meant."),
        }
    }
}

impl Code {
    /// `LOAD_…`
    pub fn name(self) -> &'static str {
        match self {
            Code::Error(code) => code.name(),
            Code::Warning(code) => code.name(),
        }
    }
}
