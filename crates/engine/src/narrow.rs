//! Making the plan for an event type: takes out of the graph what the type settles, and numbers what
//! is left.

use lanner_event::EventType;
use lanner_fields::Term;
use rustc_hash::FxHashMap;

use crate::RuleId;
use crate::cost;
use crate::graph::{Edge, Graph, Node, conjunction};
use crate::memory::REMEMBERED;
use crate::plan::{ALONE, Leaf, Plan};
use crate::scope::{Files, Scope};

/// The largest `and` that is taken apart within another one.
const SPLICED: usize = 6;

impl Plan {
    /// The plan for a type, given all rules over the graph in load order.
    pub(crate) fn new(graph: &Graph, rules: &[(RuleId, Edge)], ty: EventType) -> Plan {
        let mut narrow = Narrow::new(graph, ty);
        let narrowed = rules.iter().map(|(id, edge)| (*id, narrow.edge(*edge)));
        let rules: Vec<(RuleId, Edge)> = narrowed.filter(|(_, edge)| *edge != Edge::FALSE).collect();
        narrow.lay_out(rules)
    }

    fn find_scopes(&mut self, graph: &Graph, ty: EventType) {
        let of_leaf = |leaf: &Leaf| graph.predicates[leaf.predicate as usize].scope();
        let mut scopes: Vec<Scope> =
            std::iter::once(Scope::NONE).chain(self.leaves.iter().map(of_leaf)).collect();
        for and in 0..self.starts.len() - 1 {
            let of_parts = self.parts(and).iter().map(|part| scopes[part.node()]);
            scopes.push(of_parts.fold(Scope::NONE, Scope::and));
        }
        let files = Files::of(ty);
        let needs = || self.roots.iter().flat_map(|root| self.needs(root)).map(|part| scopes[part.node()]);
        let remembers = needs().any(|scope| files.or_thread_keeps(scope));
        let files = if needs().any(|scope| files.keeps(scope)) { files } else { Files::Nothing };
        (self.remembers, self.files) = (remembers, files);
        self.scopes = scopes.into();
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
        let predicate = |node: &usize| match self.nodes[*node] {
            Node::Leaf(predicate) => Some(predicate),
            _ => None,
        };
        let term_of = |predicate: u32| &self.graph.predicates[predicate as usize].term;
        #[allow(clippy::mutable_key_type, reason = "a term is told from others by its text alone")]
        let mut uses: FxHashMap<&Term, u32> = FxHashMap::default();
        for used in leaf_nodes.iter().filter_map(predicate) {
            *uses.entry(term_of(used)).or_default() += 1;
        }
        #[allow(clippy::mutable_key_type, reason = "a term is told from others by its text alone")]
        let mut terms: FxHashMap<&Term, u32> = FxHashMap::default();
        let leaf = |node: &usize| {
            let predicate = predicate(node)?;
            let term = term_of(predicate);
            let next = terms.len() as u32;
            let shared = uses.get(term).is_some_and(|uses| *uses > 1);
            Some(Leaf { predicate, term: if shared { *terms.entry(term).or_insert(next) } else { ALONE } })
        };
        let leaves: Box<[Leaf]> = leaf_nodes.iter().filter_map(leaf).collect();
        let mut roots: Vec<Edge> = Vec::new();
        let mut places: FxHashMap<Edge, u32> = FxHashMap::default();
        let place = |(id, edge): &(RuleId, Edge)| {
            let edge = renumbered(edge);
            let place = *places.entry(edge).or_insert_with(|| {
                roots.push(edge);
                roots.len() as u32 - 1
            });
            (*id, place)
        };
        let rules = rules.iter().map(place).collect();
        let few = roots.len().min(REMEMBERED);
        let memorable = u128::MAX.checked_shr((REMEMBERED - few) as u32).unwrap_or(0);
        let mut plan = Plan {
            rules,
            roots: roots.into(),
            costs: leaf_nodes.iter().map(|node| costs[*node]).collect(),
            leaves,
            starts: starts.into(),
            edges: edges.into(),
            terms: terms.len(),
            scopes: Box::default(),
            files: Files::Nothing,
            remembers: false,
            memorable,
            guards: Box::default(),
        };
        plan.find_scopes(self.graph, self.ty);
        plan
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
