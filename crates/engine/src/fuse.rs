//! Comparisons of one field with literals that stand side by side become one.

use lanner_fields::Term;
use rustc_hash::FxHashMap;

use crate::graph::{Edge, Graph, Node};
use crate::matcher::{AnyOf, Matcher, TextMatcher};
use crate::predicate::{Predicate, Test};

/// Work that a single comparison costs beyond its own, so that a few cheap ones aren't worth putting together.
const EACH: u32 = 2;

impl Graph {
    /// Puts together what is compared side by side in an `or`, or excluded side by side in an `and`.
    pub(crate) fn fuse(&mut self) {
        for at in 0..self.nodes.len() {
            if let Node::And(edges) = &self.nodes[at] {
                if edges.len() > 2 {
                    let edges = edges.to_vec();
                    if let Some(fused) = self.fused(&edges) {
                        self.nodes[at] = Node::And(fused.into());
                    }
                }
            }
        }
    }

    /// The edges of an `and` with those put together that can be; `None` if none can.
    fn fused(&mut self, edges: &[Edge]) -> Option<Vec<Edge>> {
        #[allow(clippy::mutable_key_type, reason = "a term is told from others by its text alone")]
        let mut groups: FxHashMap<&Term, Vec<Edge>> = FxHashMap::default();
        for edge in edges {
            if let Some((term, _)) = self.excluded(*edge) {
                groups.entry(term).or_default().push(*edge);
            }
        }
        let made: Vec<(Vec<Edge>, Predicate)> = groups
            .into_iter()
            .filter_map(|(term, group)| Some((self.together(term, &group)?, group)))
            .map(|(predicate, group)| (group, predicate))
            .collect();
        if made.is_empty() {
            return None;
        }
        let mut left = edges.to_vec();
        for (group, predicate) in made {
            left.retain(|edge| !group.contains(edge));
            left.push(self.leaf_of(predicate, &group).not());
        }
        left.sort_unstable();
        Some(left)
    }

    /// What is compared by an edge that says that a comparison with literals must not hold.
    fn excluded(&self, edge: Edge) -> Option<(&Term, &TextMatcher)> {
        let Node::Leaf(number) = self.nodes[edge.node()] else { return None };
        let predicate = &self.predicates[number as usize];
        match &predicate.test {
            Test::Fits(Matcher::Text(text))
                if edge.negated() && !predicate.term.is_list() && AnyOf::takes(text) =>
            {
                Some((&predicate.term, text))
            }
            _ => None,
        }
    }

    fn together(&self, term: &Term, group: &[Edge]) -> Option<Predicate> {
        let matchers: Vec<&TextMatcher> =
            group.iter().filter_map(|edge| self.excluded(*edge)).map(|(_, text)| text).collect();
        let apart: u32 = matchers.iter().map(|text| text.cost() + EACH).sum();
        let any = AnyOf::new(&matchers).filter(|any| matchers.len() > 1 && any.cost() + EACH < apart)?;
        let test = Test::Fits(Matcher::Text(TextMatcher::AnyOf(Box::new(any))));
        Some(Predicate { term: term.clone(), test })
    }
}
