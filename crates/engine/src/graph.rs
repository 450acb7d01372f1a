//! Conditions as a graph: whatever is said twice is one node.
//!
//! Only `and` has a node of its own; an edge may negate what it leads to, so `a or b` is
//! `not (not a and not b)`. Equal nodes are one, whichever rule or macro they come from, and what
//! can be settled without an event is settled here.

use std::collections::BTreeSet;
use std::sync::Arc;

use lanner_event::EVENTS;
use lanner_filter::{Check, Expr, ExprKind, Literal, Operand, Operator, Right};
use lanner_rules::Problem;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::number;
use crate::predicate::Predicate;
use crate::types::{EventTypes, Reach};

/// The way to a node, perhaps negated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Edge(u32);

impl Edge {
    pub(crate) const TRUE: Edge = Edge(0);
    pub(crate) const FALSE: Edge = Edge(1);

    pub(crate) fn to(node: usize) -> Edge {
        Edge((node as u32) << 1)
    }

    pub(crate) fn node(self) -> usize {
        (self.0 >> 1) as usize
    }

    pub(crate) fn negated(self) -> bool {
        self.0 & 1 != 0
    }

    #[must_use]
    pub(crate) fn not(self) -> Edge {
        Edge(self.0 ^ 1)
    }

    #[must_use]
    pub(crate) fn not_if(self, negate: bool) -> Edge {
        Edge(self.0 ^ u32::from(negate))
    }
}

/// A node: the first of a graph is always [`Node::True`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Node {
    True,
    /// A predicate, by number.
    Leaf(u32),
    /// Two or more, sorted, each once.
    And(Box<[Edge]>),
}

/// How deep a condition may be nested once its macros are put in; keeps the stack bounded.
const MAX_NESTING: u32 = 500;

/// All conditions over events of one source.
#[derive(Debug)]
pub(crate) struct Graph {
    source: Box<str>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) predicates: Vec<Predicate>,
    /// Each one as it is written, if that is wanted.
    texts: Option<Vec<String>>,
    index: FxHashMap<Node, usize>,
    predicate_index: FxHashMap<String, u32>,
    /// Macros that are in the graph already, by the address of their shared body. The bodies are
    /// kept, lest another one come to stand at the same address.
    macros: FxHashMap<usize, (Edge, Arc<Expr>)>,
}

impl Graph {
    pub(crate) fn new(source: &str, texts: bool) -> Graph {
        Graph {
            source: source.into(),
            nodes: vec![Node::True],
            predicates: Vec::new(),
            texts: texts.then(Vec::new),
            index: FxHashMap::default(),
            predicate_index: FxHashMap::default(),
            macros: FxHashMap::default(),
        }
    }

    /// Forgets what is needed for adding only.
    pub(crate) fn close(&mut self) {
        self.index = FxHashMap::default();
        self.predicate_index = FxHashMap::default();
        self.macros = FxHashMap::default();
    }

    /// A comparison as it is written; empty if texts weren't wanted.
    pub(crate) fn text_of(&self, predicate: usize) -> String {
        self.texts.as_ref().and_then(|texts| texts.get(predicate)).cloned().unwrap_or_default()
    }

    /// The predicates that an edge leads to, by number.
    pub(crate) fn predicates_of(&self, edge: Edge) -> BTreeSet<usize> {
        let (mut found, mut seen, mut open) = (BTreeSet::new(), FxHashSet::default(), vec![edge.node()]);
        while let Some(node) = open.pop() {
            match &self.nodes[node] {
                _ if !seen.insert(node) => {}
                Node::True => {}
                Node::Leaf(number) => {
                    found.insert(*number as usize);
                }
                Node::And(edges) => open.extend(edges.iter().map(|edge| edge.node())),
            }
        }
        found
    }

    /// Puts a condition in.
    pub(crate) fn add(&mut self, expr: &Expr) -> Result<Edge, Problem> {
        self.add_nested(expr, 0)
    }

    fn add_nested(&mut self, expr: &Expr, depth: u32) -> Result<Edge, Problem> {
        if depth > MAX_NESTING {
            let message = format!("condition is nested more than {MAX_NESTING} levels deep");
            return Err(Problem { message, span: Some(expr.span), ..Problem::default() });
        }
        match &expr.kind {
            ExprKind::And(parts) => {
                let edges = parts.iter().map(|part| self.add_nested(part, depth + 1));
                let edges = edges.collect::<Result<Vec<_>, _>>()?;
                Ok(self.and(edges))
            }
            ExprKind::Or(parts) => {
                let edges = parts.iter().map(|part| self.add_nested(part, depth + 1).map(Edge::not));
                let edges = edges.collect::<Result<Vec<_>, _>>()?;
                Ok(self.and(edges).not())
            }
            ExprKind::Not(inner) => self.add_nested(inner, depth + 1).map(Edge::not),
            ExprKind::Macro { body, .. } => {
                if let Some((edge, _)) = self.macros.get(&Arc::as_ptr(body).addr()) {
                    return Ok(*edge);
                }
                let edge = self.add_nested(body, depth + 1)?;
                self.macros.insert(Arc::as_ptr(body).addr(), (edge, Arc::clone(body)));
                Ok(edge)
            }
            ExprKind::Name(name) => {
                let message = format!("filter error: unexpected identifier '{name}'");
                Err(Problem { message, span: Some(expr.span), ..Problem::default() })
            }
            ExprKind::Exists(_) => self.leaf(expr),
            ExprKind::Check(check) => match constant(check) {
                // Whatever it says, it must still be right.
                Some(truth) => Predicate::new(&*self.source, expr).map(|_| Edge::TRUE.not_if(!truth)),
                None => self.leaf(expr),
            },
        }
    }

    fn leaf(&mut self, expr: &Expr) -> Result<Edge, Problem> {
        let key = key(expr);
        let known = self.predicate_index.get(&key).copied();
        let number = match known {
            Some(number) => number,
            None => {
                let number = self.predicates.len() as u32;
                self.predicates.push(Predicate::new(&*self.source, expr)?);
                if let Some(texts) = &mut self.texts {
                    texts.push(expr.to_string());
                }
                self.predicate_index.insert(key, number);
                number
            }
        };
        Ok(self.node(Node::Leaf(number)))
    }

    /// A leaf for what other leaves compare, made together.
    pub(crate) fn leaf_of(&mut self, predicate: Predicate, leaves: &[Edge]) -> Edge {
        self.predicates.push(predicate);
        if self.texts.is_some() {
            let number = |edge: &Edge| match self.nodes[edge.node()] {
                Node::Leaf(number) => Some(number as usize),
                _ => None,
            };
            let joined: Vec<String> =
                leaves.iter().filter_map(number).map(|number| self.text_of(number)).collect();
            self.texts.get_or_insert_default().push(joined.join(" or "));
        }
        self.node(Node::Leaf(self.predicates.len() as u32 - 1))
    }

    fn node(&mut self, node: Node) -> Edge {
        let next = self.nodes.len();
        let at = *self.index.entry(node).or_insert_with_key(|node| {
            self.nodes.push(node.clone());
            next
        });
        Edge::to(at)
    }

    pub(crate) fn and(&mut self, edges: Vec<Edge>) -> Edge {
        match conjunction(edges) {
            Ok(settled) => settled,
            Err(edges) => self.node(Node::And(edges.into())),
        }
    }

    /// For each node, for which event types it may hold and may fail.
    pub(crate) fn reach(&self) -> Vec<Reach> {
        let mut reach: Vec<Reach> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            // Children are always older than their parents.
            let of = match node {
                Node::True => Reach::always(),
                Node::Leaf(number) => leaf_reach(&self.predicates[*number as usize]),
                Node::And(edges) => {
                    edges.iter().fold(Reach::always(), |all, edge| all.and(reach_of(&reach, *edge)))
                }
            };
            reach.push(of);
        }
        reach
    }
}

/// That of an edge, given those of all nodes.
pub(crate) fn reach_of(reach: &[Reach], edge: Edge) -> Reach {
    let of = reach[edge.node()];
    if edge.negated() { of.not() } else { of }
}

fn leaf_reach(predicate: &Predicate) -> Reach {
    let mut of = Reach { may_hold: EventTypes::NONE, may_fail: EventTypes::NONE };
    for info in &EVENTS {
        let settled = predicate.settled(info.code);
        if settled != Some(false) {
            of.may_hold.insert(info.code);
        }
        if settled != Some(true) {
            of.may_fail.insert(info.code);
        }
    }
    of
}

/// Sorts the parts of an `and` and leaves out what is always true and what is there twice.
/// `Ok` if not more than one part is left.
pub(crate) fn conjunction(mut edges: Vec<Edge>) -> Result<Edge, Vec<Edge>> {
    edges.sort_unstable();
    edges.dedup();
    edges.retain(|edge| *edge != Edge::TRUE);
    let contradicts = |pair: &[Edge]| pair[0].not() == pair[1];
    if edges.first() == Some(&Edge::FALSE) || edges.windows(2).any(contradicts) {
        return Ok(Edge::FALSE);
    }
    match edges.as_slice() {
        [] => Ok(Edge::TRUE),
        [one] => Ok(*one),
        _ => Err(edges),
    }
}

/// Text that is equal for comparisons that say the same.
fn key(expr: &Expr) -> String {
    let ExprKind::Check(check) = &expr.kind else { return expr.to_string() };
    let operator = match check.operator {
        Operator::DoubleEqual => Operator::Equal,
        other => other,
    };
    let mut key = format!("{} {} ", check.left, operator.as_str());
    if let Some(modifier) = check.modifier {
        key.push_str(modifier.as_str());
    }
    let values = match &check.right {
        Right::Operand(operand) => return key + &operand.to_string(),
        Right::Value(value) | Right::Name(value) => std::slice::from_ref(value),
        Right::List(values) => values,
    };
    let mut values: Vec<String> =
        values.iter().map(|value| Literal { quoted: true, ..value.clone() }.to_string()).collect();
    values.sort_unstable();
    values.dedup();
    key + &values.join(",")
}

/// The truth of a comparison that no event can change: events are counted from 1, and rules are
/// written that use that for "always" and "never".
pub(crate) fn constant(check: &Check) -> Option<bool> {
    let Operand::Field(field) = &check.left else { return None };
    if field.name != "evt.num" || field.argument.is_some() || check.modifier.is_some() {
        return None;
    }
    let number = |value: &Literal| number::unsigned(&value.bytes, 64);
    match (&check.right, check.operator) {
        (Right::List(values), Operator::In) => {
            values.iter().all(|value| number(value) == Some(0)).then_some(false)
        }
        (Right::Value(value), operator) => match (operator, number(value)?) {
            (Operator::Equal | Operator::DoubleEqual | Operator::LessEqual, 0) | (Operator::Less, 0 | 1) => {
                Some(false)
            }
            (Operator::NotEqual | Operator::Greater, 0) | (Operator::GreaterEqual, 0 | 1) => Some(true),
            _ => None,
        },
        _ => None,
    }
}
