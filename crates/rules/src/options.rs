//! How rules are loaded, and what is added to them.

use crate::version::Version;

/// How to load.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Go on after an error, to report all of them; Falco stops at the first.
    pub all_errors: bool,
    /// The version that files may require.
    pub engine_version: Version,
    /// What to append to outputs.
    pub extra_outputs: Vec<ExtraOutput>,
    /// What to add to the fields of JSON alerts.
    pub extra_fields: Vec<ExtraField>,
}

/// Which rules an addition is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Of this source; of any if empty.
    pub source: String,
    /// With all these tags.
    pub tags: Vec<String>,
    /// Of this name; of any if empty.
    pub rule: String,
}

/// A format appended to outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraOutput {
    /// To which.
    pub scope: Scope,
    /// What.
    pub format: String,
}

/// A field added to alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraField {
    /// To which.
    pub scope: Scope,
    /// Its key.
    pub key: String,
    /// Its value, `%field` if raw.
    pub format: String,
    /// Whether the value keeps its type.
    pub raw: bool,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions {
            all_errors: false,
            engine_version: Version::ENGINE,
            extra_outputs: Vec::new(),
            extra_fields: Vec::new(),
        }
    }
}
