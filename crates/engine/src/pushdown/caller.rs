//! What one comparison says of who makes a call: the name of the process, and whether that is in a container.

use std::collections::BTreeSet;

use lanner_event::prefilter::{Home, Interest};
use lanner_fields::Value;

use crate::matcher::{Matcher, TextMatcher};
use crate::predicate::{Predicate, Test};

/// The field of the process' name.
const NAME: &str = "proc.name";

/// Fields that have one value for every process that is in no container. The first ones never have it in one
/// (`lanner_machine`'s cgroup.rs), where a name may be anything.
const OF_CONTAINERS: [&str; 4] = ["container.id", "container.full_id", "container.type", "container.name"];
const NEVER_HOST: &[&str] = OF_CONTAINERS.split_at(3).0;
/// The value.
const HOST: &[u8] = b"host";

/// The name of a process that isn't known.
const NOT_KNOWN: &[u8] = b"<NA>";

/// Names of which a process has none.
pub(super) type Names = BTreeSet<Box<[u8]>>;

/// What a process is taken to be called.
pub(super) enum Named {
    /// Anything.
    Anyhow,
    /// None of the names that are asked for.
    Otherwise,
    /// This.
    So(Box<[u8]>),
}

/// What a comparison of the process' name asks of it; `None` if it is of something else.
pub(super) fn of_name(predicate: &Predicate) -> Option<&TextMatcher> {
    let field = predicate.term.as_field()?;
    match &predicate.test {
        Test::Fits(Matcher::Text(text)) | Test::Shares(Matcher::Text(text)) => {
            (field.info().name == NAME).then_some(text)
        }
        _ => None,
    }
}

/// The events for which a comparison may hold (or fail, if it is `negated`) where the process is called so. `None`: that
/// says nothing. Adds the names that it asks for, if it is called nothing that is asked for.
pub(super) fn by_name(
    predicate: &Predicate,
    negated: bool,
    named: &Named,
    names: &mut Names,
) -> Option<Interest> {
    let text = of_name(predicate)?;
    let may = match named {
        Named::Anyhow => return None,
        Named::So(name) => text.matches(name) != negated,
        Named::Otherwise => {
            let asked = literals(text)?;
            if asked.iter().any(|name| **name == *NOT_KNOWN) {
                return None;
            }
            if !negated {
                names.extend(asked);
            }
            negated
        }
    };
    Some(if may { Interest::all() } else { Interest::default() })
}

/// The names that a comparison names as such.
pub(super) fn mentioned(text: &TextMatcher) -> Vec<Box<[u8]>> {
    let mut names = match text {
        TextMatcher::NotEqual(one) => vec![one.clone()],
        TextMatcher::AnyOf(any) => any.one_by_one().filter_map(|text| literals(&text)).flatten().collect(),
        text => literals(text).unwrap_or_default(),
    };
    names.retain(|name| **name != *NOT_KNOWN && !name.is_empty());
    names
}

/// The events for which a comparison may hold (or fail, if it is `negated`) where the process is known to be there. `None`:
/// that says nothing.
pub(super) fn by_home(predicate: &Predicate, negated: bool, home: Home) -> Option<Interest> {
    let field = predicate.term.as_field()?.info().name;
    let (Test::Fits(matcher) | Test::Shares(matcher)) = &predicate.test else { return None };
    let may = match home {
        Home::Unknown => return None,
        // of a thread for which there is no room in the state there is no value, for which every comparison fails
        Home::Host if OF_CONTAINERS.contains(&field) => negated || matcher.matches(&Value::Text(HOST)),
        // while no container is listed (agent's known_cgroups.rs) unless there has been room for all
        Home::Container if NEVER_HOST.contains(&field) => by_not_host(matcher) != Some(negated),
        Home::Host | Home::Container => return None,
    };
    Some(if may { Interest::all() } else { Interest::default() })
}

/// Whether a comparison holds of everything but the host. `None`: of some.
fn by_not_host(matcher: &Matcher) -> Option<bool> {
    let Matcher::Text(text) = matcher else { return None };
    match text {
        TextMatcher::NotEqual(unwanted) => (**unwanted == *HOST).then_some(true),
        _ => literals(text).filter(|texts| texts.iter().all(|text| **text == *HOST)).map(|_| false),
    }
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
