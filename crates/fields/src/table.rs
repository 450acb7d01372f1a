//! The table of fields; its data stands in `data/fields.tbl`.

use crate::FieldType;
use crate::Vocabulary;
use crate::foreign::find_foreign;

/// A class of fields: who has them and what they are about.
#[derive(Debug)]
pub struct ClassInfo {
    /// Its name. `evt` comes twice: once for every source, once for system calls.
    pub name: &'static str,
    /// What its fields are about.
    pub about: &'static str,
    /// The sources whose events have them; none stands for every source.
    pub sources: &'static [&'static str],
    /// The plugin of Falco's that has them, if one does.
    pub plugin: Option<&'static str>,
    /// Users who load plugins by name know its fields only when they load that one.
    pub loaded: bool,
}

/// What may stand in brackets, or behind a further dot, after a field's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Argument {
    /// There may be one.
    pub allowed: bool,
    /// There must be one.
    pub required: bool,
    /// It may be a position: `proc.aname[2]`.
    pub index: bool,
    /// It may be a name: `proc.env[HOME]`.
    pub key: bool,
    /// It may follow a dot: `evt.arg.flags`.
    pub dot: bool,
}

impl Argument {
    /// There may be none.
    pub const NONE: Argument =
        Argument { allowed: false, required: false, index: false, key: false, dot: false };
}

/// How a numeric value is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NumberFormat {
    /// Decimal.
    Plain,
    /// Upper-case hexadecimal without prefix; in JSON a string.
    Hex,
    /// Decimal, filled up to nine digits.
    Padded,
    /// Octal without prefix; in JSON a string.
    Octal,
}

/// What ends the validity of a remembered value: a set of changes. The empty set: nothing, for as long as
/// the thread lives.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct StableUntil(u16);

impl StableUntil {
    /// The thread's process executed a file.
    pub const EXEC: StableUntil = StableUntil(1);
    /// A thread changed its name.
    pub const RENAME: StableUntil = StableUntil(1 << 1);
    /// User, group or capabilities changed.
    pub const CREDENTIALS: StableUntil = StableUntil(1 << 2);
    /// Session, process group or terminal changed.
    pub const SESSION: StableUntil = StableUntil(1 << 3);
    /// The working directory changed.
    pub const CWD: StableUntil = StableUntil(1 << 4);
    /// An ancestor changed (in any of the other ways of the set) or the process has another parent.
    pub const PARENT: StableUntil = StableUntil(1 << 5);
    /// More became known of the container, its users or its pod.
    pub const ENRICHMENT: StableUntil = StableUntil(1 << 6);
    /// Anything about the file descriptor changed, or the event is about another one. An fd that isn't known is
    /// another one each time.
    pub const FD: StableUntil = StableUntil(1 << 7);
    /// The next event: the value must never be remembered.
    pub const EVENT: StableUntil = StableUntil(1 << 8);
    /// The event is about a file of another name or another kind (see [`crate::named_file`]), or is itself of
    /// another type.
    pub const NAME: StableUntil = StableUntil(1 << 9);
    /// The same, or the file was asked for by another name than it has.
    pub const RAW: StableUntil = StableUntil(1 << 10);
    /// The event opens a file for something else (reading, writing, both or neither), or opens none.
    pub const ACCESS: StableUntil = StableUntil(1 << 11);
    /// The event's fd is of another kind or isn't known, or the event is of another type.
    pub const KIND: StableUntil = StableUntil(1 << 12);

    pub(crate) const fn from_bits(bits: u16) -> StableUntil {
        StableUntil(bits)
    }

    /// Whether each change of `other` is in the set.
    pub const fn contains(self, other: StableUntil) -> bool {
        self.0 & other.0 == other.0
    }

    /// The changes of the set, one by one.
    pub fn iter(self) -> impl Iterator<Item = StableUntil> {
        (0..u16::BITS).map(|bit| StableUntil(1 << bit)).filter(move |change| self.contains(*change))
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: StableUntil) -> StableUntil {
        StableUntil(self.0 | other.0)
    }

    /// The names in the set; `never` for the empty one.
    pub fn names(self) -> Vec<&'static str> {
        const NAMES: [&str; 13] = [
            "exec",
            "rename",
            "credentials",
            "session",
            "cwd",
            "parent",
            "enrichment",
            "fd",
            "event",
            "name",
            "raw",
            "access",
            "kind",
        ];
        if self.0 == 0 {
            return vec!["never"];
        }
        NAMES.into_iter().enumerate().filter(|(i, _)| self.0 & (1 << i) != 0).map(|(_, n)| n).collect()
    }
}

/// A field.
#[derive(Debug)]
pub struct FieldInfo {
    /// Its name in rules and outputs.
    pub name: &'static str,
    /// Its class.
    pub class: &'static ClassInfo,
    /// The type of its values.
    pub ty: FieldType,
    /// What argument it takes.
    pub argument: Argument,
    /// It has a list of values.
    pub list: bool,
    /// What it tells, in a few words.
    pub description: &'static str,
    /// How long a value may be remembered.
    pub stable_until: StableUntil,
    /// How numbers of it are printed.
    pub format: NumberFormat,
    /// It has a meaning in conditions only and can't be printed.
    pub filter_only: bool,
    /// It may be compared with another field, or be the one compared with.
    pub right_side: bool,
    /// Transformers may be applied to it.
    pub transformable: bool,
    /// Kept for old rules only; not in any listing.
    pub deprecated: bool,
    pub(crate) extractor: Extractor,
}

impl FieldInfo {
    /// Whether events of a source have the field.
    pub fn has_source(&self, source: &str) -> bool {
        self.class.sources.is_empty() || self.class.sources.contains(&source)
    }
}

/// How a value is taken from a JSON payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JsonMode {
    /// The value: a text's characters, anything else as JSON. For a list the values of an array.
    Get,
    /// The same, null being an empty text.
    Text,
    /// The value as JSON.
    Json,
    /// `true` or `false`.
    Flag,
    /// A whole number, also where it is written with a fraction.
    Number,
    /// The value in each element of the arrays on the way, where it is there.
    Each,
    /// The same, but none at all if one lacks it.
    Every,
    /// Of each image the part before its tag and digest.
    Repository,
    /// Of each array of texts its texts, joined by spaces.
    Join,
    /// All values of all arrays.
    Flat,
    /// Of each list of ports those of the host.
    Ports,
    /// The value of each container, the pod's where it has none, and 0 where neither has.
    Effective,
    /// Whether it is true anywhere.
    Any,
    /// The keys of each object but `name`.
    Keys,
}

/// Where and how a value is taken from a JSON payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct JsonRead {
    /// A key that the payload must have; empty for none.
    pub needs: &'static str,
    pub mode: JsonMode,
    pub path: &'static [&'static str],
}

include!(concat!(env!("OUT_DIR"), "/fields.rs"));

/// All fields, in listing order.
pub fn table() -> &'static [FieldInfo] {
    &FIELDS
}

/// All classes, in listing order.
pub fn classes() -> &'static [ClassInfo] {
    &CLASSES
}

/// A field by its exact name, of the table or of a plugin that was loaded; one that the vocabulary has, if there are
/// several.
pub fn find<'v>(vocabulary: impl Into<Vocabulary<'v>>, name: &str) -> Option<&'static FieldInfo> {
    let vocabulary = vocabulary.into();
    find_own(name).or_else(|| find_foreign(name, |field| vocabulary.admit(field).is_ok()))
}

/// A field of the table by its exact name.
pub(crate) fn find_own(name: &str) -> Option<&'static FieldInfo> {
    let at = BY_NAME.binary_search_by(|&i| FIELDS[usize::from(i)].name.cmp(name)).ok()?;
    Some(&FIELDS[usize::from(BY_NAME[at])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name() {
        for field in table() {
            assert!(std::ptr::eq(find("syscall", field.name).unwrap(), field), "{}", field.name);
            assert!(field.description.ends_with('.'), "{}", field.name);
        }
        assert!(find("syscall", "proc.nam").is_none());
    }

    #[test]
    fn lifetimes_are_sets() {
        let pname = find("syscall", "proc.pname").unwrap().stable_until;
        assert_eq!(pname.names(), ["exec", "rename", "parent"]);
        assert!(pname.contains(StableUntil::PARENT) && !pname.contains(StableUntil::EVENT));
        assert_eq!(find("syscall", "proc.pid").unwrap().stable_until.names(), ["never"]);
    }
}
