//! Putting a plan in order by what its events have shown.

use rustc_hash::FxHashMap;

use crate::graph::Edge;
use crate::memory::REMEMBERED;
use crate::plan::{Guard, Plan};

/// How often a failure that can be remembered has to be found anew.
const ANEW: f32 = 0.1;

/// The most guards of a plan.
const GUARDS: usize = 12;

/// Work of looking at a condition at all, whatever it says.
const LOOK: f32 = 1.0;

impl Plan {
    /// The same plan with other orders of evaluation: `chances` says how likely each node holds.
    pub(crate) fn reordered(&self, chances: &[f32]) -> Plan {
        let leaves = self.costs.iter().map(|cost| *cost as f32);
        let mut order = Order {
            plan: self,
            chances,
            costs: std::iter::once(0.0).chain(leaves).collect(),
            edges: self.edges.clone(),
        };
        order.sort();
        let guards = order.guards();
        Plan {
            rules: self.rules.clone(),
            roots: self.roots.clone(),
            leaves: self.leaves.clone(),
            starts: self.starts.clone(),
            edges: order.edges,
            terms: self.terms,
            costs: self.costs.clone(),
            scopes: self.scopes.clone(),
            files: self.files,
            remembers: self.remembers,
            memorable: self.memorable,
            guards,
        }
    }
}

struct Order<'p> {
    plan: &'p Plan,
    /// How likely each node holds.
    chances: &'p [f32],
    /// Expected work of each node.
    costs: Vec<f32>,
    /// The plan's edges, to be put in order.
    edges: Box<[Edge]>,
}

impl Order<'_> {
    /// How likely an edge fails. Never quite 0: what has always held so far may fail one day.
    fn fails(&self, edge: Edge) -> f32 {
        let chance = self.chances[edge.node()];
        (if edge.negated() { chance } else { 1.0 - chance }).max(0.002)
    }

    /// Expected work of an edge, given that its failure may be remembered, but not that it held.
    fn work(&self, edge: Edge) -> f32 {
        let fails = self.fails(edge);
        let kept = self.plan.files.or_thread_keeps(self.plan.scopes[edge.node()]);
        let again = if kept { ANEW } else { 1.0 };
        self.costs[edge.node()] * (1.0 - fails + fails * again)
    }

    /// Puts first in each `and` what decides it soonest for the least work.
    fn sort(&mut self) {
        // Children are always numbered before their parents.
        for range in self.plan.starts.windows(2) {
            let range = range[0] as usize..range[1] as usize;
            let mut parts = self.edges[range.clone()].to_vec();
            let rank = |edge: &Edge| self.work(*edge) / self.fails(*edge);
            parts.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
            let mut reached = 1.0;
            let mut cost = 0.5;
            for edge in &parts {
                cost += reached * self.costs[edge.node()];
                reached *= 1.0 - self.fails(*edge);
            }
            self.costs.push(cost);
            self.edges[range].copy_from_slice(&parts);
        }
    }

    /// Picks the edges whose failure settles most conditions for the least work, one after the other.
    fn guards(&self) -> Box<[Guard]> {
        let mut needed: FxHashMap<Edge, u128> = FxHashMap::default();
        let roots = self.plan.roots.iter().enumerate().take(REMEMBERED);
        for (at, root) in roots.clone() {
            for part in self.plan.needs(root) {
                *needed.entry(*part).or_default() |= 1 << at;
            }
        }
        let mut open: Vec<f32> = roots.map(|(_, root)| LOOK + self.costs[root.node()]).collect();
        let mut guards = Vec::new();
        while guards.len() < GUARDS {
            let gain = |edge: &Edge, roots: u128| {
                let saved: f32 = bits(roots).map(|root| open[root]).sum();
                self.fails(*edge) * saved - self.work(*edge) - LOOK
            };
            let shared = needed.iter().filter(|(_, roots)| roots.count_ones() > 1);
            let ranked = shared.map(|(edge, roots)| (gain(edge, *roots), *edge, *roots));
            // By edge where gains are equal, so that the outcome is always the same.
            let best = ranked.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
            let Some((_, edge, roots)) = best.filter(|best| best.0 > 0.0) else { break };
            bits(roots).for_each(|root| open[root] *= 1.0 - self.fails(edge));
            needed.remove(&edge);
            guards.push(Guard { edge, roots });
        }
        guards.into()
    }
}

/// The positions of the bits of a set.
fn bits(mut set: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (set != 0).then(|| set.trailing_zeros() as usize);
        set &= set.wrapping_sub(1);
        lowest
    })
}
