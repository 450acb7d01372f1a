//! What to evaluate for events of one type: the rules that can match it, with everything that the
//! type settles taken out of them.

use lanner_event::EventType;
use lanner_fields::{Context, Term, Value};
use rustc_hash::FxHashMap;

use crate::RuleId;
use crate::cost;
use crate::graph::{Edge, Graph, Node, conjunction};

/// The rules that an event of some type can match, in load order, over a graph of their own.
///
/// Node 0 is what is always true; leaves follow, then `and`s, so that one array of truths serves all.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    rules: Box<[(RuleId, Edge)]>,
    leaves: Box<[Leaf]>,
    /// Where each `and`'s edges begin in `edges`, and one more for where the last one's end.
    starts: Box<[u32]>,
    /// Cheap and decisive ones first.
    edges: Box<[Edge]>,
    /// How many different terms the leaves look at.
    terms: usize,
    /// Expected work of each leaf.
    costs: Box<[u32]>,
}

/// The largest `and` that is taken apart within another one.
const SPLICED: usize = 6;

#[derive(Clone, Debug)]
struct Leaf {
    predicate: u32,
    /// Number of its term within the plan.
    term: u32,
}

impl Plan {
    /// The plan for a type, given all rules over the graph in load order.
    pub(crate) fn new(graph: &Graph, rules: &[(RuleId, Edge)], ty: EventType) -> Plan {
        let mut narrow = Narrow::new(graph, ty);
        let narrowed = rules.iter().map(|(id, edge)| (*id, narrow.edge(*edge)));
        let rules: Vec<(RuleId, Edge)> = narrowed.filter(|(_, edge)| *edge != Edge::FALSE).collect();
        narrow.lay_out(rules)
    }

    /// Whether no rule can match.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        // One `and` less than there are starts, and the node that is always true.
        self.leaves.len() + self.starts.len()
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

    /// Calls `hit` for each rule that matches, in load order, until it says to stop.
    pub(crate) fn run<'a>(&'a self, graph: &'a Graph, cx: &Context<'a>, mut hit: impl FnMut(RuleId) -> bool) {
        let run = self.start(graph, cx);
        for (id, edge) in &self.rules {
            if run.holds(*edge) && !hit(*id) {
                return;
            }
        }
    }
}

impl Plan {
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

    /// The same plan with other orders of evaluation: `chances` says how likely each node holds.
    /// What decides an `and` soonest for the least work comes first.
    pub(crate) fn reordered(&self, chances: &[f32]) -> Plan {
        let holds = |edge: Edge| {
            let chance = chances[edge.node()];
            if edge.negated() { 1.0 - chance } else { chance }
        };
        // Children are always numbered before their parents.
        let mut costs: Vec<f32> =
            std::iter::once(0.0).chain(self.costs.iter().map(|cost| *cost as f32)).collect();
        let mut edges = self.edges.clone();
        for range in self.starts.windows(2) {
            let parts = &mut edges[range[0] as usize..range[1] as usize];
            // Never quite zero: what has always held so far may fail one day.
            let rank = |edge: &Edge| costs[edge.node()] / (1.0 - holds(*edge)).max(0.002);
            parts.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
            let mut reached = 1.0;
            let mut cost = 0.5;
            for edge in parts.iter() {
                cost += reached * costs[edge.node()];
                reached *= holds(*edge);
            }
            costs.push(cost);
        }
        Plan {
            rules: self.rules.clone(),
            leaves: self.leaves.clone(),
            starts: self.starts.clone(),
            edges,
            terms: self.terms,
            costs: self.costs.clone(),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Truth {
    Unknown,
    False,
    True,
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
                    Some(and) => {
                        let (start, end) = (self.plan.starts[and], self.plan.starts[and + 1]);
                        self.plan.edges[start as usize..end as usize].iter().all(|edge| self.holds(*edge))
                    }
                };
                self.truths[node].set(if truth { Truth::True } else { Truth::False });
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

/// Takes out of a graph what an event type settles.
struct Narrow<'g> {
    graph: &'g Graph,
    ty: EventType,
    /// For each node of the graph, what has become of it.
    narrowed: Vec<Option<Edge>>,
    /// The remaining nodes, children first, their edges leading to each other.
    nodes: Vec<Node>,
    index: FxHashMap<Node, usize>,
}

impl<'g> Narrow<'g> {
    fn new(graph: &'g Graph, ty: EventType) -> Narrow<'g> {
        Narrow {
            graph,
            ty,
            narrowed: vec![None; graph.nodes.len()],
            nodes: vec![Node::True],
            index: FxHashMap::default(),
        }
    }

    fn edge(&mut self, edge: Edge) -> Edge {
        let node = edge.node();
        let narrowed = match self.narrowed[node] {
            Some(narrowed) => narrowed,
            None => {
                let narrowed = self.node(node);
                self.narrowed[node] = Some(narrowed);
                narrowed
            }
        };
        narrowed.not_if(edge.negated())
    }

    fn node(&mut self, node: usize) -> Edge {
        let graph = self.graph;
        match &graph.nodes[node] {
            Node::True => Edge::TRUE,
            Node::Leaf(number) => match graph.predicates[*number as usize].settled(self.ty) {
                Some(truth) => Edge::TRUE.not_if(!truth),
                None => self.intern(Node::Leaf(*number)),
            },
            Node::And(edges) => {
                let mut left = Vec::with_capacity(edges.len());
                for edge in edges {
                    match self.edge(*edge) {
                        Edge::FALSE => return Edge::FALSE,
                        edge => self.splice(edge, &mut left),
                    }
                }
                match conjunction(left) {
                    Ok(settled) => settled,
                    Err(edges) => self.intern(Node::And(edges.into())),
                }
            }
        }
    }

    /// Adds a part of an `and`; a small `and` is taken apart, so that its parts can be put in order
    /// with the others.
    fn splice(&self, edge: Edge, parts: &mut Vec<Edge>) {
        match &self.nodes[edge.node()] {
            Node::And(inner) if !edge.negated() && inner.len() <= SPLICED => parts.extend_from_slice(inner),
            _ => parts.push(edge),
        }
    }

    fn intern(&mut self, node: Node) -> Edge {
        let next = self.nodes.len();
        let at = *self.index.entry(node).or_insert_with_key(|node| {
            self.nodes.push(node.clone());
            next
        });
        Edge::to(at)
    }

    /// Numbers what the rules can reach, and puts each `and`'s edges in the order of evaluation.
    fn lay_out(self, rules: Vec<(RuleId, Edge)>) -> Plan {
        let reached = self.reached(&rules);
        let costs = cost::of_nodes(&self.nodes, &self.graph.predicates);
        let is_leaf = |node: &usize| matches!(self.nodes[*node], Node::Leaf(_));
        let (leaf_nodes, ands): (Vec<usize>, Vec<usize>) = reached.into_iter().partition(is_leaf);
        let mut number = vec![0; self.nodes.len()];
        for (new, old) in leaf_nodes.iter().chain(&ands).enumerate() {
            number[*old] = new + 1;
        }
        let renumbered = |edge: &Edge| Edge::to(number[edge.node()]).not_if(edge.negated());
        let mut starts = vec![0];
        let mut edges = Vec::new();
        for and in &ands {
            let Node::And(parts) = &self.nodes[*and] else { continue };
            let mut parts: Vec<Edge> = parts.to_vec();
            parts.sort_by_key(|edge| costs[edge.node()]);
            edges.extend(parts.iter().map(renumbered));
            starts.push(edges.len() as u32);
        }
        #[allow(clippy::mutable_key_type, reason = "a term is told from others by its text alone")]
        let mut terms: FxHashMap<&Term, u32> = FxHashMap::default();
        let leaf = |node: &usize| {
            let Node::Leaf(predicate) = self.nodes[*node] else { return None };
            let next = terms.len() as u32;
            let term = *terms.entry(&self.graph.predicates[predicate as usize].term).or_insert(next);
            Some(Leaf { predicate, term })
        };
        let leaves: Box<[Leaf]> = leaf_nodes.iter().filter_map(leaf).collect();
        Plan {
            rules: rules.iter().map(|(id, edge)| (*id, renumbered(edge))).collect(),
            costs: leaf_nodes.iter().map(|node| costs[*node]).collect(),
            leaves,
            starts: starts.into(),
            edges: edges.into(),
            terms: terms.len(),
        }
    }

    /// Nodes that a rule leads to, children first.
    fn reached(&self, rules: &[(RuleId, Edge)]) -> Vec<usize> {
        let mut seen = vec![false; self.nodes.len()];
        rules.iter().for_each(|(_, edge)| seen[edge.node()] = true);
        for node in (1..self.nodes.len()).rev() {
            if let (true, Node::And(edges)) = (seen[node], &self.nodes[node]) {
                edges.iter().for_each(|edge| seen[edge.node()] = true);
            }
        }
        (1..self.nodes.len()).filter(|node| seen[*node]).collect()
    }
}
