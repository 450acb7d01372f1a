//! Single values of the settings, read as what their key takes. One of another type counts as absent, as it does in
//! Falco, and is told.

use std::collections::HashSet;
use std::str::FromStr;

use super::files::{ConfigError, Settings};
use super::findings::findings;
use super::keys::ROOT;
use super::node::{Node, Place, truth};

pub(super) struct Reader<'a> {
    pub(super) root: &'a Node,
    pub(super) file: String,
    /// All files that were read.
    files: Vec<String>,
    /// Keys of which a warning tells.
    told: HashSet<String>,
    /// What could not be used.
    pub(super) warnings: Vec<String>,
}

/// A value read from a scalar's text.
fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

/// Numbers that settings hold.
pub(super) trait Numeric: FromStr {
    /// What one may be.
    fn allowed() -> String;
}

macro_rules! whole {
    ($($number:ty)*) => {$(
        impl Numeric for $number {
            fn allowed() -> String {
                format!("a whole number from {} to {}", <$number>::MIN, <$number>::MAX)
            }
        }
    )*};
}

whole!(u8 u16 u32 u64 usize i64);

impl Numeric for f64 {
    fn allowed() -> String {
        "a number".to_owned()
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(settings: &'a Settings) -> Reader<'a> {
        Reader {
            root: &settings.root,
            file: settings.main.display().to_string(),
            files: settings.files.iter().map(|file| file.path.display().to_string()).collect(),
            told: HashSet::new(),
            warnings: Vec::new(),
        }
    }

    /// Tells what the settings' shape doesn't allow.
    pub(super) fn check(&mut self) -> Result<(), ConfigError> {
        for finding in findings(&ROOT, self.root) {
            let told = format!("{}: {}", self.place(finding.place), finding.what);
            if finding.fatal {
                return Err(self.error(&told));
            }
            self.warnings.push(told);
            self.told.insert(finding.path);
        }
        Ok(())
    }

    pub(super) fn scalar<T>(
        &mut self,
        path: &str,
        default: T,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> T {
        let Some(node) = self.root.at(path) else { return default };
        if let Some(value) = node.as_str().and_then(read) {
            return value;
        }
        if !self.told.contains(path) {
            let place = self.place(node.place);
            self.warnings.push(format!("{place}: {path} must be {what}; the default is used"));
        }
        default
    }

    pub(super) fn flag(&mut self, path: &str, default: bool) -> bool {
        self.scalar(path, default, "true or false", truth)
    }

    pub(super) fn number<T: Numeric>(&mut self, path: &str, default: T) -> T {
        self.scalar(path, default, &T::allowed(), parse)
    }

    pub(super) fn text(&mut self, path: &str, default: &str) -> String {
        self.scalar(path, default.to_owned(), "a text", |text| Some(text.to_owned()))
    }

    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        let items = self.root.at(path).map(Node::items).unwrap_or_default();
        items.iter().filter_map(Node::as_str).map(str::to_owned).collect()
    }

    /// Where a value stands, for people.
    pub(super) fn place(&self, place: Place) -> String {
        match place.line {
            0 => "command line".to_owned(),
            line => {
                let file = self.files.get(place.file).unwrap_or(&self.file);
                format!("{file}, line {line}, column {}", place.column)
            }
        }
    }

    /// An error in Falco's words: which file, and what is wrong.
    pub(super) fn error(&self, message: &str) -> ConfigError {
        ConfigError::Value(format!("Error reading config file ({}): {message}", self.file))
    }

    /// The same of what stands somewhere.
    pub(super) fn bad(&self, node: &Node, message: &str) -> ConfigError {
        self.error(&format!("{}: {message}", self.place(node.place)))
    }
}
