//! Why a rule matches an event, or doesn't.

use lanner_fields::{Context, NumberFormat, render_value};
use lanner_filter::{Expr, ExprKind};

use crate::predicate::Predicate;

/// A part of a condition and its truth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// How the part's own parts are joined, the name of a macro, or a comparison as it is written.
    pub says: Saying,
    /// Whether it holds.
    pub holds: bool,
    /// Its parts up to and including the one that decided; those behind it were not looked at.
    pub parts: Vec<Explanation>,
}

/// What a part of a condition is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Saying {
    /// All of the parts must hold.
    And,
    /// One of the parts must hold.
    Or,
    /// The part must not hold.
    Not,
    /// The part is the condition of this macro.
    Macro(String),
    /// A comparison, and the value that its left side has.
    Check {
        /// As it is written.
        text: String,
        /// The value, `None` if it is absent.
        value: Option<String>,
    },
}

/// Evaluates a condition part by part, in the order in which it is written.
pub(crate) fn explain(source: &str, expr: &Expr, cx: &Context<'_>) -> Explanation {
    let (says, holds, parts) = match &expr.kind {
        ExprKind::And(all) => joined(Saying::And, source, all, cx, true),
        ExprKind::Or(any) => joined(Saying::Or, source, any, cx, false),
        ExprKind::Not(inner) => {
            let inner = explain(source, inner, cx);
            (Saying::Not, !inner.holds, vec![inner])
        }
        ExprKind::Macro { name, body } => {
            let body = explain(source, body, cx);
            (Saying::Macro(name.to_string()), body.holds, vec![body])
        }
        ExprKind::Name(_) | ExprKind::Exists(_) | ExprKind::Check(_) => {
            let (value, holds) = check(source, expr, cx);
            (Saying::Check { text: expr.to_string(), value }, holds, Vec::new())
        }
    };
    Explanation { says, holds, parts }
}

/// Evaluates parts until one is not `wanted`, which decides.
fn joined(
    says: Saying,
    source: &str,
    all: &[Expr],
    cx: &Context<'_>,
    wanted: bool,
) -> (Saying, bool, Vec<Explanation>) {
    let mut parts = Vec::new();
    for part in all {
        let part = explain(source, part, cx);
        let decided = part.holds != wanted;
        parts.push(part);
        if decided {
            return (says, !wanted, parts);
        }
    }
    (says, wanted, parts)
}

fn check(source: &str, expr: &Expr, cx: &Context<'_>) -> (Option<String>, bool) {
    // A rule that was built has nothing in it that can't be compiled.
    let Ok(predicate) = Predicate::new(source, expr) else { return (None, false) };
    let value = predicate.term.operand(cx);
    let holds = predicate.holds(&value, cx);
    let shown = predicate.term.value(cx);
    if shown.is_absent() {
        return (None, holds);
    }
    let mut text = Vec::new();
    render_value(&shown, predicate.term.ty(), NumberFormat::Plain, &mut text);
    (Some(String::from_utf8_lossy(&text).into_owned()), holds)
}
