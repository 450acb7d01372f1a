//! What would make rules and comparisons cheaper. What the engine does by itself (cheap and decisive comparisons
//! first, literals compared together, failures remembered) needs no advice.

use lanner_filter::Operator;

use crate::RuleId;
use crate::engine::Engine;
use crate::matcher::{Matcher, TextMatcher};
use crate::predicate::{Predicate, Test};
use crate::scope::Scope;

/// A rule that can match more types of events than this doesn't say which it means.
const MANY_TYPES: usize = 100;

/// Fields whose text is put together anew for each event.
const BUILT: &[&str] = &[
    "proc.cmdline",
    "proc.args",
    "proc.exeline",
    "proc.pcmdline",
    "proc.acmdline",
    "proc.aargs",
    "proc.env",
    "proc.aenv",
    "evt.args",
];

/// Fields that look at every ancestor unless an index says at which.
const LINEAGE: &[&str] =
    &["proc.aname", "proc.aexe", "proc.aexepath", "proc.acmdline", "proc.aargs", "proc.apid"];

pub(crate) fn of_rule(engine: &Engine, rule: RuleId) -> Vec<String> {
    let types = engine.type_count(rule);
    if types <= MANY_TYPES || engine.rule(rule).rule.source != "syscall" {
        return Vec::new();
    }
    vec![format!("it is looked at for {types} types of events: say with evt.type which it means")]
}

pub(crate) fn of_comparison(predicate: &Predicate) -> Vec<String> {
    let mut advice = Vec::new();
    for field in predicate.term.fields() {
        let (name, written) = (field.info().name, field.to_string());
        if LINEAGE.contains(&name) && written == name {
            advice.push(format!("it goes through all ancestors: {name}[1], {name}[2] … look at one"));
        } else if BUILT.contains(&name) {
            advice.push(format!(
                "{name} is put together for each event: compare proc.name or proc.exepath if that will do"
            ));
        } else if name == "evt.arg" && is_number(predicate) {
            let argument = written.trim_start_matches("evt.arg.");
            advice.push(format!(
                "the argument is printed for each event: evt.rawarg.{argument} is the number itself"
            ));
        }
    }
    if predicate.term.as_field().is_none() {
        advice.push(
            "the value is transformed for each event: icontains, iglob and fd.filename may do without".into(),
        );
    }
    match &predicate.test {
        Test::Fits(Matcher::Text(TextMatcher::Regex(_))) => advice.push(
            "a regular expression: contains, startswith, endswith, glob or in are quicker where they do"
                .into(),
        ),
        Test::With(Operator::Glob | Operator::IGlob, _) => {
            advice.push("the pattern is another field's value and read anew each time".into());
        }
        _ => {}
    }
    if advice.is_empty() && predicate.scope().has(Scope::EVENT) {
        advice.push(
            "it can't be remembered; one of the process (proc.name) or the file (fd.name) that fails beside it can"
                .into(),
        );
    }
    advice
}

/// Whether a text is compared with what looks like numbers.
fn is_number(predicate: &Predicate) -> bool {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    match &predicate.test {
        Test::Fits(Matcher::Text(TextMatcher::Equal(text))) => digits(text),
        Test::Fits(Matcher::Text(TextMatcher::In(set))) => set.iter().all(digits),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use lanner_filter::parse;

    use super::*;

    #[test]
    fn what_is_dear_is_said() {
        let advice =
            |text: &str| of_comparison(&Predicate::new("syscall", &parse(text).unwrap()).unwrap()).join("; ");
        for (comparison, part) in [
            ("proc.aname = sshd", "proc.aname[1]"),
            ("proc.cmdline contains x", "put together"),
            ("evt.arg.uid = 0", "evt.rawarg.uid"),
            ("tolower(proc.name) = x", "transformed"),
            ("fd.name regex a.c", "regular expression"),
            ("proc.name glob val(proc.exe)", "another field"),
            ("evt.rawres < 0", "can't be remembered"),
        ] {
            assert!(advice(comparison).contains(part), "{comparison}: {}", advice(comparison));
        }
        for cheap in ["proc.name = sshd", "proc.aname[2] = sshd", "fd.name startswith /etc"] {
            assert_eq!(advice(cheap), "", "{cheap}");
        }
    }
}
