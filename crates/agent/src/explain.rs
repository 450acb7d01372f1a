//! Why a rule fired at a capture's events, or didn't.

use std::path::Path;

use lanner_capture::{CaptureError, Reader};
use lanner_engine::{BuildError, Engine, EngineOptions, Explainer, Explanation, Memory};
use lanner_event::BufferFormat;
use lanner_fields::{Context, Format};
use lanner_rules::{Rule, RuleSet};

use crate::walk::walk;

/// What is told of an event.
const HEADING: &str = "event %evt.num  %evt.time  %evt.type by %proc.name (%proc.pid)";

/// Which events are asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Only the one with this number; else all of a type that the rule can match.
    pub event: Option<u64>,
    /// How many are explained at most: those that match, then those that come nearest.
    pub max: usize,
}

/// What came of a [`Question`].
#[derive(Debug, Default)]
pub struct Answer {
    /// Events that were looked at.
    pub looked_at: u64,
    /// How many of them match.
    pub matched: u64,
    /// Those that are explained, in the capture's order.
    pub moments: Vec<Moment>,
}

/// An event and the rule's condition at it.
#[derive(Debug)]
pub struct Moment {
    /// Number, time and type of the event, and whose it is.
    pub heading: String,
    /// How many comparisons, at least, stand in the way of a match.
    pub distance: u32,
    /// The condition, part by part.
    pub why: Explanation,
    /// The rule that fires in this one's place: an earlier one that matches too.
    pub taken_by: Option<String>,
}

/// Why there is no answer, or not a whole one.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The capture can't be read, or not to its end.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The rule can't be compiled.
    #[error(transparent)]
    Build(#[from] Box<BuildError>),
}

/// Explains a rule at a capture's events; `engine` has the rules that it runs with. What could be told before
/// an error goes into `answer`.
///
/// # Errors
/// When the capture can't be read to its end.
pub fn explain(
    file: &Path,
    rule: &Rule,
    engine: &Engine,
    question: Question,
    answer: &mut Answer,
) -> Result<(), ExplainError> {
    let broken = |problem| {
        Box::new(BuildError {
            rule: rule.name.clone(),
            place: rule.place.clone(),
            problem: Box::new(problem),
        })
    };
    let explainer = Explainer::new(rule).map_err(broken)?;
    let alone = RuleSet { rules: vec![Rule { enabled: true, ..rule.clone() }], ..RuleSet::default() };
    let types = Engine::build(&alone, EngineOptions::default()).map_err(Box::new)?.types_of(&rule.source);
    let heading = Format::parse(&rule.source, HEADING).ok();
    let mut memory = Memory::default();
    let mut hits = Vec::new();
    walk(&mut Reader::open(file)?, BufferFormat::Printable, |cx, _| {
        let asked = match question.event {
            Some(number) => number == cx.meta.num,
            None => types.contains(cx.event.ty()),
        };
        if !asked {
            return Ok(());
        }
        let distance = explainer.distance(cx);
        answer.looked_at += 1;
        answer.matched += u64::from(distance == 0);
        if !answer.makes_room(distance, question.max) {
            return Ok(());
        }
        hits.clear();
        if distance == 0 {
            engine.process(&mut memory, cx, &mut hits);
        }
        let names = || hits.iter().map(|id| &engine.rule(*id).rule.name);
        let taken_by = names().next().filter(|_| names().all(|name| *name != rule.name)).cloned();
        let heading = heading.as_ref().map_or_else(String::new, |format| rendered(format, cx));
        answer.moments.push(Moment { heading, distance, why: explainer.explain(cx), taken_by });
        Ok(())
    })
}

fn rendered(format: &Format, cx: &Context<'_>) -> String {
    let mut text = String::new();
    format.render(cx, &mut text);
    text
}

impl Answer {
    /// Whether there is room for an event that is this far from matching; drops the farthest, the last of
    /// these, if it is farther than that.
    fn makes_room(&mut self, distance: u32, max: usize) -> bool {
        if self.moments.len() < max {
            return true;
        }
        let farthest = self.moments.iter().enumerate().max_by_key(|(_, moment)| moment.distance);
        let Some(at) = farthest.filter(|(_, moment)| moment.distance > distance).map(|(at, _)| at) else {
            return false;
        };
        self.moments.remove(at);
        true
    }
}

#[cfg(test)]
mod tests {
    use lanner_engine::Saying;

    use super::*;

    #[test]
    fn the_nearest_are_kept_and_of_equals_the_first() {
        let mut answer = Answer::default();
        for (at, distance) in [3, 1, 2, 1, 0, 1].into_iter().enumerate() {
            if answer.makes_room(distance, 3) {
                let why =
                    Explanation { text: String::new(), says: Saying::And, holds: None, parts: Vec::new() };
                answer.moments.push(Moment { heading: at.to_string(), distance, why, taken_by: None });
            }
        }
        let kept: Vec<&str> = answer.moments.iter().map(|moment| &*moment.heading).collect();
        assert_eq!(kept, ["1", "3", "4"]);
    }
}
