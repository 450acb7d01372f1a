//! What to evaluate for events of one type: the rules that can match it, with everything that the
//! type settles taken out of them.

use std::time::{Duration, Instant};

use lanner_fields::{Context, Value};

use crate::RuleId;
use crate::graph::{Edge, Graph};
use crate::memory::{Entry, REMEMBERED, Scope};

/// The rules that an event of some type can match, in load order, over a graph of their own.
///
/// Node 0 is what is always true; leaves follow, then `and`s, so that one array of truths serves all.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// With the position of its condition.
    pub(crate) rules: Box<[(RuleId, u32)]>,
    /// The rules' conditions, each once, in the order of the first rule that has it.
    pub(crate) roots: Box<[Edge]>,
    pub(crate) leaves: Box<[Leaf]>,
    /// Where each `and`'s edges begin in `edges`, and one more for where the last one's end.
    pub(crate) starts: Box<[u32]>,
    /// Cheap and decisive ones first.
    pub(crate) edges: Box<[Edge]>,
    /// How many different terms the leaves look at.
    pub(crate) terms: usize,
    /// Expected work of each leaf.
    pub(crate) costs: Box<[u32]>,
    /// On what each node's truth depends.
    pub(crate) scopes: Box<[Scope]>,
    /// Whether some condition can fail for a reason worth remembering.
    pub(crate) remembers: bool,
    /// What to look at first because many conditions fail without it.
    pub(crate) guards: Box<[Guard]>,
}

/// An edge that several conditions need.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) edge: Edge,
    /// The conditions, by position.
    pub(crate) roots: u128,
}

#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) predicate: u32,
    /// Number of its term within the plan.
    pub(crate) term: u32,
}

impl Plan {
    /// Whether no rule can match.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        // One `and` less than there are starts, and the node that is always true.
        self.leaves.len() + self.starts.len()
    }

    /// The edges of an `and`, by its number among them.
    pub(crate) fn parts(&self, and: usize) -> &[Edge] {
        &self.edges[self.starts[and] as usize..self.starts[and + 1] as usize]
    }

    /// The edges without each of which a condition fails.
    pub(crate) fn needs<'p>(&'p self, root: &'p Edge) -> &'p [Edge] {
        match root.node().checked_sub(self.leaves.len() + 1) {
            Some(and) if !root.negated() => self.parts(and),
            _ => std::slice::from_ref(root),
        }
    }

    fn start<'a, 'r>(&'a self, graph: &'a Graph, cx: &'r Context<'a>) -> Run<'a, 'r> {
        Run {
            plan: self,
            graph,
            cx,
            truths: cx.scratch.cells(self.len(), Truth::Unknown),
            values: cx.scratch.cells(self.terms, None),
        }
    }

    /// Calls `hit` for the first rule that matches or, if `all` are wanted, for each in load order.
    pub(crate) fn run<'a>(
        &'a self,
        graph: &'a Graph,
        cx: &Context<'a>,
        mut entry: Option<&mut Entry>,
        all: bool,
        mut hit: impl FnMut(RuleId),
    ) {
        let few = self.roots.len().min(REMEMBERED);
        let mask = u128::MAX.checked_shr((REMEMBERED - few) as u32).unwrap_or(0);
        let mut alive = entry.as_ref().map_or(mask, |entry| mask & !entry.dead());
        if alive == 0 && self.roots.len() == few {
            return;
        }
        let run = self.start(graph, cx);
        let mut bury = |roots: u128, scope: Scope| {
            if let Some(entry) = entry.as_mut() {
                entry.bury(roots, scope);
            }
        };
        for guard in &self.guards {
            if alive & guard.roots != 0 && !run.holds(guard.edge) {
                alive &= !guard.roots;
                bury(guard.roots, self.scopes[guard.edge.node()]);
            }
        }
        let mut matched = false;
        let mut rest = few..self.roots.len();
        while let Some(root) = take_lowest(&mut alive).or_else(|| rest.next()) {
            match run.decide(self.roots[root]) {
                Ok(()) => matched = true,
                Err(scope) if root < few => bury(1 << root, scope),
                Err(_) => {}
            }
            if matched && !all {
                break;
            }
        }
        if matched {
            let wanted = if all { usize::MAX } else { 1 };
            let matching = self.rules.iter().filter(|(_, root)| run.held(self.roots[*root as usize]));
            matching.take(wanted).for_each(|(id, _)| hit(*id));
        }
    }
}

impl Plan {
    /// Decides every rule for an event, in load order, and tells `seen` how long each took. What rules share
    /// counts for the first of them.
    pub(crate) fn measure<'a>(
        &'a self,
        graph: &'a Graph,
        cx: &Context<'a>,
        mut seen: impl FnMut(RuleId, Duration),
    ) {
        let run = self.start(graph, cx);
        for (id, root) in &self.rules {
            let begin = Instant::now();
            // The answer is not what is wanted here.
            let _ = run.decide(self.roots[*root as usize]);
            seen(*id, begin.elapsed());
        }
    }

    /// Evaluates every node for an event and calls `seen` with its number and truth.
    pub(crate) fn sample<'a>(
        &'a self,
        graph: &'a Graph,
        cx: &Context<'a>,
        mut seen: impl FnMut(usize, bool),
    ) {
        let run = self.start(graph, cx);
        (1..self.len()).for_each(|node| seen(node, run.holds(Edge::to(node))));
    }
}

/// Takes the lowest bit out of a set.
fn take_lowest(set: &mut u128) -> Option<usize> {
    let lowest = (*set != 0).then(|| set.trailing_zeros() as usize);
    *set &= set.wrapping_sub(1);
    lowest
}

#[derive(Clone, Copy, PartialEq)]
enum Truth {
    Unknown,
    False,
    True,
}

impl Truth {
    fn of(truth: bool) -> Truth {
        if truth { Truth::True } else { Truth::False }
    }
}

/// The evaluation of a plan for one event.
struct Run<'a, 'r> {
    plan: &'a Plan,
    graph: &'a Graph,
    cx: &'r Context<'a>,
    truths: &'r [std::cell::Cell<Truth>],
    values: &'r [std::cell::Cell<Option<Value<'a>>>],
}

impl<'a> Run<'a, '_> {
    /// Whether a rule's condition holds; if not, on what that depends.
    fn decide(&self, root: Edge) -> Result<(), Scope> {
        let node = root.node();
        let parts = match node.checked_sub(self.plan.leaves.len() + 1) {
            Some(and) if !root.negated() => self.plan.parts(and),
            _ if self.holds(root) => return Ok(()),
            _ => return Err(self.plan.scopes[node]),
        };
        let failed = parts.iter().find(|part| !self.holds(**part));
        self.truths[node].set(Truth::of(failed.is_none()));
        match failed {
            None => Ok(()),
            Some(part) => Err(self.plan.scopes[part.node()]),
        }
    }

    /// Whether a condition was found to hold.
    fn held(&self, root: Edge) -> bool {
        root == Edge::TRUE || self.truths[root.node()].get() == Truth::of(!root.negated())
    }

    fn holds(&self, edge: Edge) -> bool {
        if edge == Edge::TRUE {
            return true;
        }
        let node = edge.node();
        let truth = match self.truths[node].get() {
            Truth::True => true,
            Truth::False => false,
            Truth::Unknown => {
                let truth = match node.checked_sub(self.plan.leaves.len() + 1) {
                    None => self.leaf_holds(&self.plan.leaves[node - 1]),
                    Some(and) => self.plan.parts(and).iter().all(|edge| self.holds(*edge)),
                };
                self.truths[node].set(Truth::of(truth));
                truth
            }
        };
        truth != edge.negated()
    }

    fn leaf_holds(&self, leaf: &Leaf) -> bool {
        let predicate = &self.graph.predicates[leaf.predicate as usize];
        let cell = &self.values[leaf.term as usize];
        let value = cell.get().unwrap_or_else(|| {
            let value = predicate.term.operand(self.cx);
            cell.set(Some(value));
            value
        });
        predicate.holds(&value, self.cx)
    }
}
