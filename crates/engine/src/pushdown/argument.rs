//! Which values of an argument rules tell apart, and what one comparison says of them.

use lanner_event::prefilter::{ArgumentClasses, Places, States, argument};
use lanner_event::{EventBuf, EventInfo, NoNames, print_param};
use lanner_fields::{Field, Value};

use crate::engine::Source;
use crate::plan::Plan;
use crate::predicate::{Predicate, Test};

/// How a comparison looks at the argument: as text, or as the number that it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Text,
    Number,
}

fn look_of(field: &Field, info: &EventInfo) -> Option<Look> {
    let param = info.params.get(Places::of(info)?.argument?)?;
    let name = field.to_string();
    if name.strip_prefix("evt.arg.") == Some(param.name) {
        return Some(Look::Text);
    }
    (name.strip_prefix("evt.rawarg.") == Some(param.name)).then_some(Look::Number)
}

/// Whether a comparison holds for each value of the argument. `None`: it looks at something else.
fn truths(predicate: &Predicate, info: &EventInfo) -> Option<Vec<bool>> {
    let look = look_of(predicate.term.as_field()?, info)?;
    let (Test::Fits(matcher) | Test::Shares(matcher)) = &predicate.test else { return None };
    let values = 0..argument::values(info.code) as u64;
    Some(match look {
        Look::Number => values.map(|value| matcher.matches(&Value::Unsigned(value))).collect(),
        Look::Text => values.map(|value| matcher.matches(&Value::Text(&text(info, value)))).collect(),
    })
}

/// How the argument's value is shown.
fn text(info: &EventInfo, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(at) = Places::of(info).and_then(|places| places.argument) else { return out };
    let bytes = argument::bytes(info.params[at].ty, value);
    let params: Vec<&[u8]> = (0..info.params.len()).map(|i| if i == at { &bytes[..] } else { &[] }).collect();
    let event = EventBuf::new(0, 0, 0, info.code, &params);
    if let Some(event) = event.as_ref().ok().and_then(|event| event.event().ok()) {
        print_param(&event, at, &NoNames, &mut out);
    }
    out
}

/// The values that a plan's comparisons tell apart. `None`: none of them looks at the argument, or too many do.
pub(super) fn classes(source: &Source, plan: &Plan, info: &EventInfo) -> Option<ArgumentClasses> {
    Places::of(info)?.argument?;
    let predicates = plan.leaves.iter().map(|leaf| &source.graph.predicates[leaf.predicate as usize]);
    let columns: Vec<Vec<bool>> = predicates.filter_map(|predicate| truths(predicate, info)).collect();
    if columns.is_empty() {
        return None;
    }
    let row = |value: usize| columns.iter().map(|column| column[value]).collect::<Vec<bool>>();
    ArgumentClasses::new(&(0..argument::values(info.code)).map(row).collect::<Vec<_>>())
}

/// The states in which a comparison may hold (or fail). `None`: can't be decided by the argument.
pub(super) fn by_argument(
    predicate: &Predicate,
    classes: &ArgumentClasses,
    info: &EventInfo,
    negated: bool,
) -> Option<States> {
    let truths = truths(predicate, info)?;
    let wanted = classes.by_value().iter().zip(truths).filter(|(_, truth)| *truth != negated);
    Some(wanted.fold(ArgumentClasses::states(0), |all, (class, _)| all.or(ArgumentClasses::states(*class))))
}

/// The values with which calls may be in one of the states, as they are shown; `None` if no value is told apart by it.
pub(super) fn shown(classes: &ArgumentClasses, states: States, info: &EventInfo) -> Option<Vec<String>> {
    let has = |class: u8| !states.and(ArgumentClasses::states(class)).is_empty();
    let by_value = classes.by_value();
    if by_value.iter().all(|class| has(*class)) {
        return None;
    }
    let values = by_value.iter().enumerate().filter(|(_, class)| has(**class));
    let named = values.map(|(value, _)| String::from_utf8_lossy(&text(info, value as u64)).into_owned());
    Some(named.filter(|name| name.bytes().any(|byte| byte.is_ascii_alphabetic())).collect())
}
