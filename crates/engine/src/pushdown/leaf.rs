//! What one comparison says of states and paths.

use lanner_event::prefilter::{
    CREATES, Interest, PathTest, Places, READS, SUCCESS, States, TRUNCATES, WRITES,
};
use lanner_event::{EventInfo, EventType, ParamType, types};
use lanner_fields::{Field, Value};

use crate::glob::Glob;
use crate::matcher::{Matcher, Number, TextMatcher};
use crate::predicate::{Predicate, Test};

use super::socket::by_socket;

/// The events for which a comparison may hold (or fail, if it is `negated`), decided by the socket too if the source of
/// events knows it or `sockets` says so. `None`: can't be decided.
pub(super) fn interest(
    predicate: &Predicate,
    negated: bool,
    ty: EventType,
    sockets: bool,
) -> Option<Interest> {
    let field = predicate.term.as_field()?;
    let (Test::Fits(matcher) | Test::Shares(matcher)) = &predicate.test else { return None };
    let info = ty.info()?;
    let places = Places::of(info)?;
    if let Some(states) = by_state(field, matcher, &places, info, negated) {
        return Some(Interest::states(states));
    }
    if places.socket.is_some() || sockets {
        return by_socket(field, matcher, info, negated).map(Interest::states);
    }
    let part = part_of_path(field, &places, info)?;
    match matcher {
        Matcher::Text(text) if !negated => tests(part, text).map(Interest::paths),
        _ => None,
    }
}

/// The states in which a comparison may hold (or fail).
fn by_state(
    field: &Field,
    matcher: &Matcher,
    places: &Places,
    info: &EventInfo,
    negated: bool,
) -> Option<States> {
    let opens = places.flags.is_some();
    let fits = |value: Value<'_>| matcher.matches(&value) != negated;
    // States in which the bits are set and those in which they aren't, each if its values may fit.
    let split = |bits: u8, set: bool, unset: bool| {
        let one = |bits, wanted| if wanted { bits } else { States::NONE };
        one(States::with(bits), set).or(one(States::without(bits), unset))
    };
    let truth = |value| fits(Value::Bool(value));
    let any = truth(true) || truth(false);
    match field.info().name {
        "evt.is_open_read" if opens => Some(split(READS, truth(true), truth(false))),
        "evt.is_open_write" if opens => Some(split(WRITES, truth(true), truth(false))),
        "evt.is_open_create" | "evt.is_open_exec" if opens => Some(split(CREATES, any, truth(false))),
        "evt.failed" => Some(split(SUCCESS, truth(false), truth(true))),
        "evt.res" => Some(split(SUCCESS, fits(Value::Text(b"SUCCESS")), true)),
        "evt.rawres" => by_result(matcher, negated, -4095),
        "fd.num" if opens || info.code == types::SYSCALL_CREAT_X => by_result(matcher, negated, -1),
        "evt.arg" if opens && is_parameter(field, info, places.flags?) => by_flag(matcher, negated),
        _ => None,
    }
}

/// A call's result: failures are `least` or more, but below 0.
fn by_result(matcher: &Matcher, negated: bool, least: i64) -> Option<States> {
    let Matcher::Signed(number) = matcher else { return None };
    let bounds: Vec<i64> = match number {
        Number::Equal(n)
        | Number::NotEqual(n)
        | Number::Less(n)
        | Number::LessEqual(n)
        | Number::Greater(n)
        | Number::GreaterEqual(n) => vec![*n],
        Number::In(all) => all.to_vec(),
    };
    // A comparison with numbers changes its answer at these and beside them only.
    let near = |n: &i64| [n.saturating_sub(1), *n, n.saturating_add(1)];
    let mut candidates: Vec<i64> = bounds.iter().flat_map(near).collect();
    candidates.extend([least, -1, 0, i64::from(i32::MAX), i64::MAX]);
    let may = |fits: &dyn Fn(i64) -> bool| {
        candidates.iter().any(|n| fits(*n) && matcher.matches(&Value::Signed(*n)) != negated)
    };
    let mut states = States::NONE;
    if may(&|n| n >= 0) {
        states = states.or(States::with(SUCCESS));
    }
    if may(&|n| n < 0) {
        states = states.or(States::without(SUCCESS));
    }
    Some(states)
}

/// The flags of an open call, which are compared as text: only whole names are decided.
fn by_flag(matcher: &Matcher, negated: bool) -> Option<States> {
    let Matcher::Text(TextMatcher::Contains(finder)) = matcher else { return None };
    match (finder.needle(), negated) {
        (b"O_TRUNC", false) => Some(States::with(TRUNCATES)),
        (b"O_TRUNC", true) => Some(States::without(TRUNCATES)),
        (b"O_CREAT" | b"O_F_CREATED" | b"O_TMPFILE", false) => Some(States::with(CREATES)),
        (b"O_WRONLY", false) => Some(States::with(WRITES)),
        (b"O_RDONLY", false) => Some(States::with(READS)),
        (b"O_RDWR", false) => Some(States::with(WRITES).and(States::with(READS))),
        _ => None,
    }
}

/// Whether the field is the parameter at a place.
fn is_parameter(field: &Field, info: &EventInfo, at: usize) -> bool {
    let name = field.to_string();
    info.params.get(at).is_some_and(|param| name.strip_prefix("evt.arg.") == Some(param.name))
}

/// Which part of a path a field is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Name,
    Directory,
}

/// Names of parameters that fields of paths are made from.
const PATH_PARAMS: [&str; 11] = [
    "path", "name", "filename", "pathname", "special", "oldpath", "newpath", "linkpath", "target", "dev",
    "dir",
];

/// The part of a path of the call that a field is, whenever the path is one that can be decided.
fn part_of_path(field: &Field, places: &Places, info: &EventInfo) -> Option<Part> {
    // Some of these calls name what is no path where others have one.
    let is_other = |at: usize| {
        let param = &info.params[at];
        let text = matches!(param.ty, ParamType::Charbuf | ParamType::Fspath | ParamType::Fsrelpath);
        text && PATH_PARAMS.contains(&param.name) && !places.paths.contains(&at)
    };
    let others = (0..info.params.len()).any(is_other);
    if places.paths.is_empty() || others {
        return None;
    }
    let opens = places.flags.is_some() || info.code == types::SYSCALL_CREAT_X;
    match field.info().name {
        "fd.name" | "fd.nameraw" if opens => Some(Part::Whole),
        "fd.filename" if opens => Some(Part::Name),
        "fd.directory" if opens => Some(Part::Directory),
        "evt.abspath" | "fs.path.name" | "fs.path.nameraw" | "fs.path.source" | "fs.path.sourceraw"
        | "fs.path.target" | "fs.path.targetraw" => Some(Part::Whole),
        "evt.arg" if places.paths.iter().any(|at| is_parameter(field, info, *at)) => Some(Part::Whole),
        _ => None,
    }
}

/// Tests of which one holds for every path whose part fits. `None`: there are none.
fn tests(part: Part, text: &TextMatcher) -> Option<Vec<PathTest>> {
    match text {
        TextMatcher::Equal(wanted) => equal(part, wanted).map(|test| vec![test]),
        TextMatcher::In(set) => set.iter().map(|item| equal(part, item)).collect(),
        TextMatcher::StartsWith(start) => starts(part, start).map(|test| vec![test]),
        TextMatcher::EndsWith(end) if part != Part::Directory => PathTest::suffix(end).map(|test| vec![test]),
        TextMatcher::EndsWith(part) => PathTest::holds(part).map(|test| vec![test]),
        TextMatcher::Contains(finder) => PathTest::holds(finder.needle()).map(|test| vec![test]),
        TextMatcher::Glob(glob) => literal(part, glob).map(|test| vec![test]),
        TextMatcher::Under(paths) if part == Part::Whole => {
            let starts = paths.starts()?;
            starts.iter().map(|start| PathTest::prefix(start)).collect()
        }
        TextMatcher::AnyOf(any) => {
            let each: Option<Vec<_>> = any.one_by_one().map(|text| tests(part, &text)).collect();
            each.map(|tests| tests.concat())
        }
        _ => None,
    }
}

fn equal(part: Part, wanted: &[u8]) -> Option<PathTest> {
    match part {
        Part::Whole => Some(PathTest::Exact(wanted.into())),
        Part::Name => PathTest::suffix(&[b"/", wanted].concat()),
        Part::Directory if wanted == b"/" => Some(PathTest::TopLevel),
        Part::Directory => PathTest::prefix(wanted),
    }
}

fn starts(part: Part, start: &[u8]) -> Option<PathTest> {
    match part {
        Part::Whole | Part::Directory => PathTest::prefix(start),
        Part::Name => PathTest::holds(&[b"/", start].concat()),
    }
}

/// A test for what a pattern has before its first or behind its last special character.
fn literal(part: Part, glob: &Glob) -> Option<PathTest> {
    let (start, end) = glob.literals()?;
    match part {
        Part::Whole => PathTest::prefix(&start).or_else(|| PathTest::suffix(&end)),
        Part::Name => PathTest::suffix(&end),
        Part::Directory => PathTest::prefix(&start),
    }
}
