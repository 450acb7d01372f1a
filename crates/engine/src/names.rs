//! Names of events that a condition can be true for, as Falco reckons them for its listings and its
//! warning of rules that look at too much.
//!
//! Only `=`, `!=` and `in` over `evt.type` and `syscall.type` count; every other comparison may be
//! true for any event. (What an event is evaluated against is worked out exactly, in the graph.)

use std::sync::{Arc, OnceLock};

use lanner_event::{Category, EVENTS, EventInfo, SYSCALL_NAMES};
use lanner_filter::{Check, Expr, ExprKind, Operand, Operator, Right};
use lanner_rules::UnorderedNames;
use rustc_hash::FxHashMap;

use crate::engine::is_generic;

/// All names that an event can have: those of the event table, then those of system calls without
/// an event type of their own.
pub(crate) struct Names {
    all: Vec<&'static str>,
    index: FxHashMap<&'static str, usize>,
    /// Names from this position on are those of generic system calls.
    generic_from: usize,
}

impl Names {
    /// The names of this build's tables.
    pub(crate) fn get() -> &'static Names {
        static NAMES: OnceLock<Names> = OnceLock::new();
        NAMES.get_or_init(Names::new)
    }

    fn new() -> Names {
        let mut names = Names { all: Vec::new(), index: FxHashMap::default(), generic_from: 0 };
        EVENTS.iter().filter(|info| !is_generic(info.code)).for_each(|info| names.add(info.name));
        names.generic_from = names.all.len();
        SYSCALL_NAMES.iter().skip(1).for_each(|name| names.add(name));
        names
    }

    fn add(&mut self, name: &'static str) {
        let next = self.all.len();
        if *self.index.entry(name).or_insert(next) == next {
            self.all.push(name);
        }
    }

    /// Names of system calls without an event type of their own.
    pub(crate) fn generic(&self) -> &[&'static str] {
        &self.all[self.generic_from..]
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }
}

/// A set of names.
#[derive(Clone, PartialEq, Eq)]
struct Set(Box<[u64]>);

impl Set {
    fn none() -> Set {
        Set(vec![0; Names::get().all.len().div_ceil(64)].into())
    }

    fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Set {
        let mut set = Set::none();
        let known = names.into_iter().filter_map(|name| Names::get().index.get(name));
        known.for_each(|at| set.0[at / 64] |= 1 << (at % 64));
        set
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / 64] & (1 << (at % 64)) != 0
    }

    fn combine(mut self, other: &Set, how: fn(u64, u64) -> u64) -> Set {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word = how(*word, *other));
        self
    }

    fn not(mut self) -> Set {
        self.0.iter_mut().for_each(|word| *word = !*word);
        self
    }
}

/// For which names something may be true, and for which false.
#[derive(Clone)]
struct Reach {
    may_hold: Set,
    may_fail: Set,
}

impl Reach {
    fn not(self) -> Reach {
        Reach { may_hold: self.may_fail, may_fail: self.may_hold }
    }
}

/// The names that `condition` can be true for, in table order.
pub(crate) fn of_condition(condition: &Expr) -> Vec<&'static str> {
    let set = reach(condition, &mut FxHashMap::default()).may_hold;
    let names = Names::get().all.iter().enumerate();
    names.filter(|(at, _)| set.has(*at)).map(|(_, name)| *name).collect()
}

/// Entries of the table of system calls whose events bear another name, which Falco lists instead.
const LISTED_OTHERWISE: [&str; 23] = [
    "_llseek",
    "fcntl64",
    "getegid32",
    "geteuid32",
    "getgid32",
    "getresgid32",
    "getresuid32",
    "getuid32",
    "na_1",
    "page_fault_kernel",
    "page_fault_user",
    "pread64",
    "prlimit64",
    "pwrite64",
    "sched_process_exit",
    "sched_switch",
    "sendfile64",
    "setgid32",
    "setresgid32",
    "setresuid32",
    "setuid32",
    "signal_deliver",
    "ugetrlimit",
];

/// Names in the order in which Falco lists them: it joins the sets of the names of system calls' and
/// tracepoints' events, of generic system calls, and of all events, each built in table order.
pub(crate) fn in_falco_order(names: &[&str]) -> Vec<String> {
    let set = Set::of(names.iter().copied());
    let known = Names::get();
    let wanted = |info: &&EventInfo| !is_generic(info.code) && set.has(known.index[info.name]);
    let of_calls = |info: &&EventInfo| info.is(Category::Syscall) || info.is(Category::Tracepoint);
    let mut listed = UnorderedNames::of(EVENTS.iter().filter(wanted).filter(of_calls).map(|info| info.name));
    let generic = (known.generic_from..known.all.len()).filter(|&at| set.has(at)).map(|at| known.all[at]);
    let generic = generic.filter(|name| !LISTED_OTHERWISE.contains(name));
    UnorderedNames::of(generic).iter().for_each(|name| listed.insert(name));
    let events = UnorderedNames::of(EVENTS.iter().filter(wanted).map(|info| info.name));
    events.iter().for_each(|name| listed.insert(name));
    listed.iter().map(str::to_owned).collect()
}

/// How many event types have one of these names; generic system calls share two.
pub(crate) fn count_types(names: &[&str]) -> usize {
    let set = Set::of(names.iter().copied());
    let known = Names::get();
    let own = EVENTS.iter().filter(|info| !is_generic(info.code) && set.has(known.index[info.name])).count();
    let generic = (known.generic_from..known.all.len()).any(|at| set.has(at));
    own + if generic { 2 } else { 0 }
}

fn reach(expr: &Expr, macros: &mut FxHashMap<*const Expr, Reach>) -> Reach {
    match &expr.kind {
        ExprKind::And(parts) => all(parts, macros, |part| part),
        ExprKind::Or(parts) => all(parts, macros, Reach::not).not(),
        ExprKind::Not(inner) => reach(inner, macros).not(),
        ExprKind::Macro { body, .. } => match macros.get(&Arc::as_ptr(body)) {
            Some(known) => known.clone(),
            None => {
                let of = reach(body, macros);
                macros.insert(Arc::as_ptr(body), of.clone());
                of
            }
        },
        ExprKind::Check(check) => of_check(check),
        ExprKind::Name(_) | ExprKind::Exists(_) => {
            Reach { may_hold: Set::none().not(), may_fail: Set::none().not() }
        }
    }
}

fn all(parts: &[Expr], macros: &mut FxHashMap<*const Expr, Reach>, change: fn(Reach) -> Reach) -> Reach {
    let start = Reach { may_hold: Set::none().not(), may_fail: Set::none() };
    parts.iter().fold(start, |all, part| {
        let part = change(reach(part, macros));
        Reach {
            may_hold: all.may_hold.combine(&part.may_hold, |a, b| a & b),
            may_fail: all.may_fail.combine(&part.may_fail, |a, b| a | b),
        }
    })
}

fn of_check(check: &Check) -> Reach {
    let any = || Reach { may_hold: Set::none().not(), may_fail: Set::none().not() };
    if let Some(truth) = crate::graph::constant(check) {
        let always = Reach { may_hold: Set::none().not(), may_fail: Set::none() };
        return if truth { always } else { always.not() };
    }
    let by_type = match &check.left {
        Operand::Field(field) => {
            field.argument.is_none() && matches!(&*field.name, "evt.type" | "syscall.type")
        }
        Operand::Transform(_) => false,
    };
    if !by_type || check.modifier.is_some() {
        return any();
    }
    let values = match &check.right {
        Right::Value(value) | Right::Name(value) => std::slice::from_ref(value),
        Right::List(values) => values,
        Right::Operand(_) => return any(),
    };
    let names: Vec<_> = values.iter().map(|value| value.text()).collect();
    let set = Set::of(names.iter().map(|name| &**name));
    let equal = Reach { may_fail: set.clone().not(), may_hold: set };
    match check.operator {
        Operator::Equal | Operator::DoubleEqual | Operator::In => equal,
        Operator::NotEqual => equal.not(),
        _ => any(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(condition: &str) -> Vec<&'static str> {
        of_condition(&lanner_filter::parse(condition).unwrap())
    }

    #[test]
    fn names_follow_the_logic() {
        assert_eq!(names("evt.type = execve"), ["execve"]);
        assert_eq!(names("evt.type in (open, openat) and proc.name = x"), ["open", "openat"]);
        assert_eq!(names("evt.type = open and not evt.type in (open, openat)"), [""; 0]);
        assert_eq!(names("not (evt.type != open or proc.name = x)"), ["open"]);
        assert_eq!(names("evt.num = 0"), [""; 0]);
        assert_eq!(names("evt.type = uname"), ["uname"]);
        let all = names("proc.name = x").len();
        assert_eq!(names("evt.type != open").len(), all - 1);
        assert_eq!(names("evt.type = open or fd.name = x").len(), all);
    }

    #[test]
    fn generic_calls_share_their_types() {
        assert_eq!(count_types(&names("evt.type = uname")), 2);
        assert_eq!(count_types(&names("evt.type in (uname, sysinfo)")), 2);
        assert_eq!(count_types(&names("proc.name = x")), EVENTS.len());
    }
}
