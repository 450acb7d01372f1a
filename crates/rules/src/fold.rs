//! Exceptions as part of the condition they except from.

use std::collections::BTreeSet;

use lanner_filter::Operator;

use crate::collect::is_modified_operator;
use crate::define::{Entry, Exception, RuleDefinition, Text};
use crate::lists::quoted;
use crate::place::{Marked, Place};

/// A condition as one text: the rule's own, then ` and not (…)` for each exception with values.
pub(crate) struct Folded {
    pub text: String,
    /// The rule's own part within it.
    own: Text,
    own_at: usize,
    /// Where the text of each exception ends, and the exception's place.
    exceptions: Vec<(usize, Place)>,
    pub fields: BTreeSet<String>,
}

impl Folded {
    pub fn plain(text: &Text) -> Folded {
        Folded {
            text: text.text.clone(),
            own: text.clone(),
            own_at: 0,
            exceptions: Vec::new(),
            fields: BTreeSet::new(),
        }
    }

    /// The rule's condition with its exceptions; the second value is what is wrong with one, and where.
    pub fn rule(rule: &RuleDefinition) -> Result<Folded, (&'static str, Place)> {
        let mut folded = Folded::plain(&rule.condition);
        if rule.exceptions.is_empty() {
            return Ok(folded);
        }
        folded.text = format!("({})", folded.text);
        folded.own_at = 1;
        for exception in &rule.exceptions {
            let text = match &exception.fields {
                Entry::List(fields) => folded.lists(exception, fields)?,
                field => folded.single(exception, field.item())?,
            };
            if !text.is_empty() {
                folded.text.push_str(" and not ");
                folded.text.push_str(&text);
                folded.exceptions.push((folded.text.len(), exception.place.clone()));
            }
        }
        Ok(folded)
    }

    /// `field op (value, value)`
    fn single(&mut self, exception: &Exception, field: &str) -> Result<String, (&'static str, Place)> {
        if exception.values.iter().any(|value| matches!(value, Entry::List(_))) {
            return Err(("Expected values array to contain a list of strings", exception.place.clone()));
        }
        if exception.values.is_empty() {
            return Ok(String::new());
        }
        self.fields.insert(field.to_owned());
        let values: Vec<String> = exception.values.iter().map(|value| quoted(value.item())).collect();
        Ok(format!("({field} {} ({}))", exception.comps.item(), values.join(", ")))
    }

    /// `(( f1 op v1 and f2 op v2) or (…))`
    fn lists(&mut self, exception: &Exception, fields: &[Entry]) -> Result<String, (&'static str, Place)> {
        let comps = if let Entry::List(comps) = &exception.comps { comps.as_slice() } else { &[] };
        let mut tuples = Vec::with_capacity(exception.values.len());
        for value in &exception.values {
            let values = if let Entry::List(values) = value { values.as_slice() } else { &[] };
            if values.len() != fields.len() {
                return Err(("Fields and values lists must have equal length", exception.place.clone()));
            }
            let mut tuple = Vec::with_capacity(fields.len());
            for ((field, comp), value) in fields.iter().zip(comps).zip(values) {
                self.fields.insert(field.item().to_owned());
                tuple.push(format!(" {} {} {}", field.item(), comp.item(), right_side(comp.item(), value)));
            }
            tuples.push(format!("({})", tuple.join(" and ")));
        }
        Ok(if tuples.is_empty() { String::new() } else { format!("({})", tuples.join(" or ")) })
    }

    /// What a person should look at for the first time a word comes in the text.
    pub fn marked_word(&self, word: &str) -> Option<Marked> {
        let start = self.text.find(word)?;
        self.marked(start, start + word.len())
    }

    /// What a person should look at for the bytes `start..end` of the text.
    pub fn marked(&self, start: usize, end: usize) -> Option<Marked> {
        let own_end = self.own_at + self.own.text.len();
        if start >= self.own_at && (start < own_end || self.exceptions.is_empty()) {
            return mark_in(&self.own, start - self.own_at, end.saturating_sub(self.own_at));
        }
        let (_, place) = self.exceptions.iter().find(|(end, _)| start < *end).or(self.exceptions.last())?;
        let at = place.locations().last()?.position.offset;
        Some(Marked { file: place.file_name().clone(), start: at, end: at })
    }
}

fn right_side(comp: &str, value: &Entry) -> String {
    let takes_list =
        Operator::ALL.iter().any(|o| o.as_str() == comp && o.takes_list()) || is_modified_operator(comp);
    match value {
        Entry::List(items) => {
            let items: Vec<String> = items.iter().map(|item| quoted(item.item())).collect();
            format!("({})", items.join(", "))
        }
        value if takes_list && !value.item().starts_with('(') => format!("({})", value.item()),
        value if takes_list => value.item().to_owned(),
        value => quoted(value.item()),
    }
}

/// Where in a file the bytes `start..end` of a text were written.
fn mark_in(text: &Text, start: usize, end: usize) -> Option<Marked> {
    let solid = text.text.trim_end().len();
    if start >= solid && solid > 0 {
        // What is missing at the end is missing after the last word.
        let last = mark_in(text, solid - 1, solid)?;
        return Some(Marked { start: last.end, end: last.end + 1, ..last });
    }
    let piece = text.pieces.iter().rev().find(|piece| piece.at <= start).or(text.pieces.first())?;
    let find = |offset: usize| {
        let offset = offset.saturating_sub(piece.at);
        piece.scalar.offset_in_file(&piece.source, piece.start, piece.end, offset)
    };
    let first = find(start);
    let last = if end > start + 1 { find(end - 1) } else { first };
    Some(Marked { file: piece.file.clone(), start: first, end: last + 1 })
}
