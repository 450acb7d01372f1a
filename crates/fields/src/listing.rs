//! What `lanner fields` and `lanner events` list, as rows; how they look is up to who prints them.

use lanner_event::{Category, Direction, EVENTS, EventFlag};

use crate::Vocabulary;
use crate::table::{Argument, table};

/// A row of the listing of fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldRow {
    /// Class of the field.
    pub class: &'static str,
    /// What the class is about.
    pub about: &'static str,
    /// Sources that have it; none stands for all.
    pub sources: &'static [&'static str],
    /// Name.
    pub name: &'static str,
    /// Name of the type, as Falco's listings have it.
    pub ty: &'static str,
    /// It has a list of values.
    pub list: bool,
    /// What argument it takes.
    pub argument: Argument,
    /// For conditions only.
    pub filter_only: bool,
    /// It may stand on the right side of a comparison.
    pub right_side: bool,
    /// Transformers may be applied to it.
    pub transformable: bool,
    /// What its value is stable until.
    pub stable_until: Vec<&'static str>,
    /// What it tells.
    pub description: &'static str,
}

/// All fields, or those of a vocabulary, in listing order.
pub fn field_rows(vocabulary: Option<Vocabulary<'_>>) -> Vec<FieldRow> {
    let wanted =
        |f: &&'static crate::FieldInfo| !f.deprecated && vocabulary.is_none_or(|v| v.admit(f).is_ok());
    let row = |f: &'static crate::FieldInfo| FieldRow {
        class: f.class.name,
        about: f.class.about,
        sources: f.class.sources,
        name: f.name,
        ty: f.ty.as_str(),
        list: f.list,
        argument: f.argument,
        filter_only: f.filter_only,
        right_side: f.right_side,
        transformable: f.transformable,
        stable_until: f.stable_until.names(),
        description: f.description,
    };
    table().iter().filter(wanted).map(row).collect()
}

/// A row of the listing of events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventRow {
    /// Number of the type.
    pub code: u16,
    /// Symbol of the type.
    pub symbol: &'static str,
    /// Name in rules.
    pub name: &'static str,
    /// `>` at a call's beginning (or without one), `<` at its end.
    pub direction: &'static str,
    /// What kinds of activity it belongs to.
    pub categories: Vec<&'static str>,
    /// Today's sources still write it.
    pub current: bool,
    /// What it tells.
    pub description: &'static str,
    /// Parameters: name and type.
    pub params: Vec<(&'static str, String)>,
}

/// All event types that are or were written, in order of their codes.
pub fn event_rows() -> Vec<EventRow> {
    let used = |e: &&lanner_event::EventInfo| !e.has(EventFlag::Unused);
    let row = |e: &lanner_event::EventInfo| EventRow {
        code: e.code.0,
        symbol: e.symbol,
        name: e.name,
        direction: if e.direction == Direction::Enter { ">" } else { "<" },
        categories: Category::ALL.iter().filter(|c| e.is(**c)).map(|c| c.as_str()).collect(),
        current: !e.has(EventFlag::OldVersion),
        description: e.description(),
        params: e.params.iter().map(|p| (p.name, format!("{:?}", p.ty).to_lowercase())).collect(),
    };
    EVENTS.iter().filter(used).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_hold_what_can_be_used() {
        let all = field_rows(None);
        let falcos = all.iter().filter(|r| !r.description.ends_with("lanner's own."));
        assert_eq!(falcos.count(), 447);
        assert!(all.iter().all(|r| r.name != "evt.dir"));
        let audit = field_rows(Some("k8s_audit".into()));
        assert!(audit.iter().any(|r| r.name == "ka.verb") && audit.iter().all(|r| r.name != "fd.name"));
        let open = event_rows().into_iter().find(|e| e.symbol == "SYSCALL_OPENAT_2_X").unwrap();
        assert!(open.description.starts_with("A file was opened"), "{}", open.description);
        assert_eq!((open.direction, open.current, open.params[1].1.as_str()), ("<", true, "fd"));
    }
}
