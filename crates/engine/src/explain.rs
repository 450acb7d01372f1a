//! Why a rule matches an event, or doesn't.

use lanner_fields::{Context, NumberFormat, render_value};
use lanner_filter::{Expr, ExprKind};
use lanner_rules::{Problem, Rule};

use crate::predicate::Predicate;

/// A part of a condition and its truth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// As it is written, macros by name and lists with their items.
    pub text: String,
    /// What it is.
    pub says: Saying,
    /// Whether it holds; `None` if what stands before it has decided already.
    pub holds: Option<bool>,
    /// Its parts; none if it was not looked at.
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
    /// The part is the condition of the macro that the text names.
    Macro,
    /// A comparison, with the value that its left side has; `None` if that is absent or was not looked at.
    Check(Option<String>),
}

/// Says why a rule matches events, or doesn't.
#[derive(Debug)]
pub struct Explainer(Node);

#[derive(Debug)]
struct Node {
    text: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Macro(Box<Node>),
    Check(Box<Predicate>),
}

impl Explainer {
    /// An explainer of a rule's condition.
    ///
    /// # Errors
    /// When the condition can't be compiled.
    pub fn new(rule: &Rule) -> Result<Explainer, Problem> {
        Node::new(&rule.source, &rule.condition).map(Explainer)
    }

    /// Evaluates the condition part by part, in the order in which it is written, up to the part that decides.
    pub fn explain<'a>(&'a self, cx: &Context<'a>) -> Explanation {
        self.0.explain(cx)
    }

    /// How many comparisons, at least, would have to turn out otherwise for the rule to match: 0 if it does.
    pub fn distance<'a>(&'a self, cx: &Context<'a>) -> u32 {
        self.0.distance(cx, true)
    }
}

impl Node {
    fn new(source: &str, expr: &Expr) -> Result<Node, Problem> {
        let all = |parts: &[Expr]| parts.iter().map(|part| Node::new(source, part)).collect::<Result<_, _>>();
        let kind = match &expr.kind {
            ExprKind::And(parts) => Kind::And(all(parts)?),
            ExprKind::Or(parts) => Kind::Or(all(parts)?),
            ExprKind::Not(inner) => Kind::Not(Box::new(Node::new(source, inner)?)),
            ExprKind::Macro { body, .. } => Kind::Macro(Box::new(Node::new(source, body)?)),
            ExprKind::Name(_) | ExprKind::Exists(_) | ExprKind::Check(_) => {
                Kind::Check(Box::new(Predicate::new(source, expr)?))
            }
        };
        Ok(Node { text: kind.text(expr), kind })
    }

    fn explain<'a>(&'a self, cx: &Context<'a>) -> Explanation {
        let (says, holds, parts) = match &self.kind {
            Kind::And(parts) => joined(Saying::And, parts, cx, true),
            Kind::Or(parts) => joined(Saying::Or, parts, cx, false),
            Kind::Not(inner) => {
                let inner = inner.explain(cx);
                (Saying::Not, inner.holds.map(|holds| !holds), vec![inner])
            }
            Kind::Macro(body) => {
                let body = body.explain(cx);
                (Saying::Macro, body.holds, vec![body])
            }
            Kind::Check(predicate) => {
                let holds = predicate.holds(&predicate.term.operand(cx), cx);
                (Saying::Check(seen(predicate, cx)), Some(holds), Vec::new())
            }
        };
        Explanation { text: self.text.clone(), says, holds, parts }
    }

    fn unreached(&self) -> Explanation {
        let says = match &self.kind {
            Kind::And(_) => Saying::And,
            Kind::Or(_) => Saying::Or,
            Kind::Not(_) => Saying::Not,
            Kind::Macro(_) => Saying::Macro,
            Kind::Check(_) => Saying::Check(None),
        };
        Explanation { text: self.text.clone(), says, holds: None, parts: Vec::new() }
    }

    /// How many comparisons would have to turn out otherwise for it to be `wanted`.
    fn distance<'a>(&'a self, cx: &Context<'a>, wanted: bool) -> u32 {
        match (&self.kind, wanted) {
            (Kind::And(parts), true) | (Kind::Or(parts), false) => {
                parts.iter().map(|part| part.distance(cx, wanted)).sum()
            }
            (Kind::And(parts), false) | (Kind::Or(parts), true) => {
                parts.iter().map(|part| part.distance(cx, wanted)).min().unwrap_or(1)
            }
            (Kind::Not(inner), _) => inner.distance(cx, !wanted),
            (Kind::Macro(body), _) => body.distance(cx, wanted),
            (Kind::Check(predicate), _) => {
                u32::from(predicate.holds(&predicate.term.operand(cx), cx) != wanted)
            }
        }
    }
}

impl Kind {
    fn text(&self, expr: &Expr) -> String {
        let chain = |parts: &[Node], word: &str| {
            let texts: Vec<&str> = parts.iter().map(|part| &*part.text).collect();
            format!("({})", texts.join(word))
        };
        match (self, &expr.kind) {
            (Kind::And(parts), _) => chain(parts, " and "),
            (Kind::Or(parts), _) => chain(parts, " or "),
            (Kind::Not(inner), _) => format!("not {}", inner.text),
            (Kind::Macro(_), ExprKind::Macro { name, .. }) => name.to_string(),
            _ => expr.to_string(),
        }
    }
}

/// Evaluates parts until one is not `wanted`, which decides.
fn joined<'a>(
    says: Saying,
    all: &'a [Node],
    cx: &Context<'a>,
    wanted: bool,
) -> (Saying, Option<bool>, Vec<Explanation>) {
    let mut holds = wanted;
    let mut parts = Vec::new();
    for part in all {
        if holds != wanted {
            parts.push(part.unreached());
            continue;
        }
        let part = part.explain(cx);
        holds = part.holds.unwrap_or(wanted);
        parts.push(part);
    }
    (says, Some(holds), parts)
}

/// The value of a comparison's left side, as outputs show it.
fn seen(predicate: &Predicate, cx: &Context<'_>) -> Option<String> {
    let value = predicate.term.value(cx);
    if value.is_absent() {
        return None;
    }
    let mut text = Vec::new();
    render_value(&value, predicate.term.ty(), NumberFormat::Plain, &mut text);
    Some(String::from_utf8_lossy(&text).into_owned())
}
