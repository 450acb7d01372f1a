//! How much work an evaluation is expected to be, to do the least first. The unit is about one
//! comparison of short texts.

use lanner_fields::Field;
use lanner_filter::Operator;

use crate::graph::Node;
use crate::predicate::{Predicate, Test};

/// For each node, its expected work; children come before their parents.
pub(crate) fn of_nodes(nodes: &[Node], predicates: &[Predicate]) -> Vec<u32> {
    let mut costs: Vec<u32> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let cost = match node {
            Node::True => 0,
            Node::Leaf(number) => of_predicate(&predicates[*number as usize]),
            // The first parts often decide, so the later ones count for less.
            Node::And(edges) => {
                let mut parts: Vec<u32> = edges.iter().map(|edge| costs[edge.node()]).collect();
                parts.sort_unstable();
                let weighed = parts.iter().enumerate().map(|(at, cost)| cost >> at.min(3));
                weighed.fold(1, u32::saturating_add)
            }
        };
        costs.push(cost);
    }
    costs
}

fn of_predicate(predicate: &Predicate) -> u32 {
    let term: u32 = predicate.term.fields().into_iter().map(of_field).sum();
    let transformed = if predicate.term.as_field().is_some() { 0 } else { 10 };
    let test = match &predicate.test {
        Test::Fits(matcher) | Test::Shares(matcher) => matcher.cost(),
        Test::With(Operator::Glob | Operator::IGlob, _) => 20,
        Test::With(_, right) => 2 + right.fields().into_iter().map(of_field).sum::<u32>(),
    };
    term + transformed + test
}

/// Reading a parameter is cheap; ancestors must be walked to; command lines must be put together.
fn of_field(field: &Field) -> u32 {
    let info = field.info();
    match info.name {
        "evt.rawres" | "evt.is_open_read" | "evt.is_open_write" | "evt.is_open_exec" => 1,
        "proc.name" | "proc.exe" | "proc.exepath" | "fd.name" | "fd.typechar" | "proc.tty" => 2,
        "container.id" | "user.uid" | "proc.pid" | "proc.vpid" => 2,
        "proc.cmdline" | "proc.args" | "proc.pcmdline" | "proc.acmdline" | "proc.env" => 12,
        name if name.starts_with("proc.a") || name.starts_with("proc.p") => 8,
        name if name.starts_with("evt.arg") => 6,
        _ => 4,
    }
}
