//! Which fields may be named.

use crate::foreign::registered;
use crate::{FieldError, FieldInfo, closest, table};

/// The fields that may be named: those that events of a source have, without those that only a plugin fills
/// which isn't loaded. A source's name alone stands for all its fields.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'a> {
    source: &'a str,
    plugins: Option<&'a [String]>,
}

impl<'a> From<&'a str> for Vocabulary<'a> {
    fn from(source: &'a str) -> Vocabulary<'a> {
        Vocabulary { source, plugins: None }
    }
}

impl<'a> From<&'a String> for Vocabulary<'a> {
    fn from(source: &'a String) -> Vocabulary<'a> {
        Vocabulary::from(source.as_str())
    }
}

impl<'a> Vocabulary<'a> {
    /// The fields of events of `source` when of all plugins these are loaded; `None`: all are.
    pub fn new(source: &'a str, plugins: Option<&'a [String]>) -> Vocabulary<'a> {
        Vocabulary { source, plugins }
    }

    /// The fields in it that aren't just kept for old rules, in listing order.
    pub fn fields(self) -> impl Iterator<Item = &'static FieldInfo> {
        table().iter().chain(registered()).filter(move |field| !field.deprecated && self.admit(field).is_ok())
    }

    /// Whether a field is in it.
    ///
    /// # Errors
    /// Says why it isn't.
    pub(crate) fn admit(self, info: &'static FieldInfo) -> Result<(), FieldError> {
        if !info.has_source(self.source) {
            return Err(FieldError::WrongSource {
                name: info.name,
                source_name: self.source.into(),
                sources: info.class.sources,
            });
        }
        match (self.plugins, info.class.plugin) {
            (Some(loaded), Some(plugin))
                if info.class.loaded && !loaded.iter().any(|name| name == plugin) =>
            {
                Err(FieldError::PluginMissing { name: info.name, plugin })
            }
            _ => Ok(()),
        }
    }

    /// There is no field of this name.
    pub(crate) fn unknown(self, name: &str) -> FieldError {
        FieldError::Unknown { name: name.into(), similar: closest(name, self.fields().map(|f| f.name)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Field, Format};

    fn resolve(plugins: &[&str], source: &str, name: &str) -> Result<(), String> {
        let plugins: Vec<String> = plugins.iter().map(|name| (*name).to_owned()).collect();
        let vocabulary = Vocabulary::new(source, Some(&plugins));
        Field::resolve(vocabulary, name, None).map(|_| ()).map_err(|error| error.to_string())
    }

    #[test]
    fn fields_of_a_plugin_are_there_when_it_is_loaded() {
        let missing = "field json.obj belongs to plugin json, which is not loaded; add it to load_plugins";
        assert_eq!(resolve(&["container"], "syscall", "json.obj").unwrap_err(), missing);
        for source in ["syscall", "k8s_audit"] {
            assert_eq!(resolve(&["json"], source, "json.obj"), Ok(()));
        }
        // The containers' fields are filled without a plugin.
        assert_eq!(resolve(&[], "syscall", "container.id"), Ok(()));
        assert!(Field::resolve("syscall", "json.obj", None).is_ok());
    }

    #[test]
    fn formats_and_proposals_keep_to_it() {
        let none = Vocabulary::new("syscall", Some(&[]));
        let error = Format::parse(none, "a %evt.num and %json.obj").unwrap_err();
        assert_eq!((error.position, error.is_unknown_field()), (16, true));
        assert!(none.fields().all(|field| !field.name.starts_with("json.")));
        let similar = resolve(&[], "syscall", "json.objj").unwrap_err();
        assert!(!similar.contains("json.obj?"), "{similar}");
        let loaded = resolve(&["json"], "syscall", "json.objj").unwrap_err();
        assert_eq!(loaded, "there is no field json.objj; did you mean json.obj?");
    }
}
