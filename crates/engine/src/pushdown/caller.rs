//! What one comparison says of who makes a call: the name of the process, and whether that is in a container.

use std::collections::BTreeSet;

use lanner_event::prefilter::Interest;
use lanner_fields::Value;

use crate::matcher::{Matcher, TextMatcher};
use crate::predicate::{Predicate, Test};

/// The field of the process' name.
const NAME: &str = "proc.name";

/// Fields that have one value for every process that is in no container.
const OF_CONTAINERS: [&str; 4] = ["container.id", "container.full_id", "container.name", "container.type"];
/// The value.
const HOST: &[u8] = b"host";

/// The name of a process that isn't known.
const NOT_KNOWN: &[u8] = b"<NA>";

/// Names of which a process has none.
pub(super) type Names = BTreeSet<Box<[u8]>>;

/// The events for which a comparison may hold (or fail, if it is `negated`) where the process has none of `names`, to
/// which those that it asks for are added. `None`: that says nothing.
pub(super) fn by_name(predicate: &Predicate, negated: bool, names: &mut Names) -> Option<Interest> {
    let field = predicate.term.as_field()?;
    let (Test::Fits(Matcher::Text(text)) | Test::Shares(Matcher::Text(text))) = &predicate.test else {
        return None;
    };
    let asked = if field.info().name == NAME { literals(text)? } else { return None };
    if asked.iter().any(|name| **name == *NOT_KNOWN) {
        return None;
    }
    if negated {
        return Some(Interest::all());
    }
    names.extend(asked);
    Some(Interest::default())
}

/// The events for which a comparison may hold (or fail, if it is `negated`) where the process is in no container. `None`:
/// that says nothing.
pub(super) fn on_host(predicate: &Predicate, negated: bool) -> Option<Interest> {
    predicate.term.as_field().filter(|field| OF_CONTAINERS.contains(&field.info().name))?;
    let (Test::Fits(matcher) | Test::Shares(matcher)) = &predicate.test else { return None };
    // of a thread for which there is no room in the state there is no value, for which every comparison fails
    let may = negated || matcher.matches(&Value::Text(HOST));
    Some(if may { Interest::all() } else { Interest::default() })
}

/// The texts of which one must be the value.
fn literals(text: &TextMatcher) -> Option<Vec<Box<[u8]>>> {
    match text {
        TextMatcher::Equal(one) => Some(vec![one.clone()]),
        TextMatcher::In(set) => Some(set.iter().map(Box::from).collect()),
        TextMatcher::AnyOf(any) => {
            let each: Option<Vec<_>> = any.one_by_one().map(|text| literals(&text)).collect();
            each.map(|each| each.concat())
        }
        _ => None,
    }
}
