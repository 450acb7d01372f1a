//! What to evaluate for events of one type: the rules that can match it, with everything that the
//! type settles taken out of them.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use lanner_fields::{Buffer, Context, Value};

use crate::RuleId;
use crate::board::Board;
use crate::directory::Directory;
use crate::graph::{Edge, Graph};
use crate::memory::{Memory, REMEMBERED, Recalled, Sort};
use crate::predicate::Predicate;
use crate::profile::{Unwatched, Watch};
use crate::scope::{Files, Scope};

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
    /// How many different terms there are that several leaves look at.
    pub(crate) terms: usize,
    /// Expected work of each leaf.
    pub(crate) costs: Box<[u32]>,
    /// On what each node's truth depends.
    pub(crate) scopes: Box<[Scope]>,
    /// What it remembers of files; [`Plan::remembers`] says whether anything at all.
    pub(crate) files: Files,
    /// Whether some condition can fail for a reason worth remembering.
    pub(crate) remembers: bool,
    /// What to look at first because many conditions fail without it.
    pub(crate) guards: Box<[Guard]>,
    /// The conditions, by position, that can be remembered.
    pub(crate) memorable: u128,
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
    /// Number of its term within the plan; [`ALONE`] if no other leaf looks at it.
    pub(crate) term: u32,
}

/// The number of a term whose value needn't be kept for other leaves.
pub(crate) const ALONE: u32 = u32::MAX;

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

    /// Calls `hit` for the first rule that matches or, if `all` are wanted, for each in load order.
    pub(crate) fn run<'a>(
        &'a self,
        graph: &'a Graph,
        cx: &Context<'a>,
        (memory, engine): (&mut Memory, u64),
        all: bool,
        watch: &impl Watch,
        mut hit: impl FnMut(RuleId),
    ) {
        let few = self.roots.len().min(REMEMBERED);
        let (mut recalled, board) = memory.recall(engine, self, cx);
        let mut alive = self.memorable & !recalled.dead();
        if alive == 0 && self.roots.len() == few {
            return;
        }
        board.begin(self.len(), self.terms);
        let run = Run::new(self, graph, cx, board, watch);
        recalled.bury_with_sort(|sort| run.dead_by_sort(sort, few));
        for guard in &self.guards {
            let wanted = alive & guard.roots;
            if wanted != 0 && !watch.guard(self, wanted, || run.holds(guard.edge)) {
                alive &= !guard.roots;
                run.bury(&mut recalled, guard.roots, guard.edge);
            }
        }
        let mut matched = false;
        let mut rest = few..self.roots.len();
        while let Some(root) = take_lowest(&mut alive).or_else(|| rest.next()) {
            match watch.decide(self, root, || run.decide(self.roots[root])) {
                Ok(()) => matched = true,
                Err(reason) if root < few => run.bury(&mut recalled, 1 << root, reason),
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

    /// Decides every rule for an event, in load order, and tells `seen` how long each took. What rules share
    /// counts for the first of them.
    pub(crate) fn measure<'a>(
        &'a self,
        graph: &'a Graph,
        cx: &Context<'a>,
        mut seen: impl FnMut(RuleId, Duration),
    ) {
        let mut board = Board::default();
        board.begin(self.len(), self.terms);
        let run = Run::new(self, graph, cx, &board, &Unwatched);
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
        let mut board = Board::default();
        board.begin(self.len(), self.terms);
        let run = Run::new(self, graph, cx, &board, &Unwatched);
        (1..self.len()).for_each(|node| seen(node, run.holds(Edge::to(node))));
    }
}

/// Takes the lowest bit out of a set.
fn take_lowest(set: &mut u128) -> Option<usize> {
    let lowest = (*set != 0).then(|| set.trailing_zeros() as usize);
    *set &= set.wrapping_sub(1);
    lowest
}

/// Whether a condition holds; if not, what fails.
pub(crate) type Decision = Result<(), Edge>;

/// The evaluation of a plan for one event.
struct Run<'a, 'r, W> {
    plan: &'a Plan,
    graph: &'a Graph,
    cx: &'r Context<'a>,
    board: &'r Board,
    values: RefCell<Buffer<'a, Value<'a>>>,
    watch: &'r W,
}

impl<'a, 'r, W: Watch> Run<'a, 'r, W> {
    fn new(
        plan: &'a Plan,
        graph: &'a Graph,
        cx: &'r Context<'a>,
        board: &'r Board,
        watch: &'r W,
    ) -> Run<'a, 'r, W> {
        Run { plan, graph, cx, board, watch, values: RefCell::new(cx.scratch.value_buffer()) }
    }

    /// The number of an `and` among its like.
    fn and(&self, node: usize) -> Option<usize> {
        node.checked_sub(self.plan.leaves.len() + 1)
    }

    /// Whether a rule's condition holds; if not, what fails.
    fn decide(&self, root: Edge) -> Decision {
        let node = root.node();
        let parts = match self.and(node) {
            Some(and) if !root.negated() => self.plan.parts(and),
            _ if self.holds(root) => return Ok(()),
            _ => return Err(root),
        };
        let failed = parts.iter().find(|part| !self.holds(**part));
        self.board.set_truth(node, failed.is_none());
        failed.map_or(Ok(()), |part| Err(*part))
    }

    /// Whether a condition was found to hold.
    fn held(&self, root: Edge) -> bool {
        root == Edge::TRUE || self.board.truth(root.node()) == Some(!root.negated())
    }

    fn holds(&self, edge: Edge) -> bool {
        if edge == Edge::TRUE {
            return true;
        }
        let node = edge.node();
        let truth = self.board.truth(node).unwrap_or_else(|| {
            let truth = match self.and(node) {
                None => self.leaf_holds(&self.plan.leaves[node - 1]),
                Some(and) => self.plan.parts(and).iter().all(|edge| self.holds(*edge)),
            };
            self.board.set_truth(node, truth);
            truth
        });
        truth != edge.negated()
    }

    fn leaf_holds(&self, leaf: &Leaf) -> bool {
        let predicate = &self.graph.predicates[leaf.predicate as usize];
        self.watch.compare(leaf.predicate, || predicate.holds(&self.value(leaf, predicate), self.cx))
    }

    fn value(&self, leaf: &Leaf, predicate: &'a Predicate) -> Value<'a> {
        if leaf.term == ALONE {
            return predicate.term.operand(self.cx);
        }
        let term = leaf.term as usize;
        if let Some(place) = self.board.place(term) {
            return self.values.borrow()[place];
        }
        let value = predicate.term.operand(self.cx);
        let mut values = self.values.borrow_mut();
        if values.is_empty() {
            values.reserve_exact(self.plan.terms);
        }
        self.board.set_place(term, values.len());
        values.push(value);
        value
    }

    /// Remembers that conditions cannot hold because `reason` doesn't.
    fn bury(&self, recalled: &mut Recalled<'_>, roots: u128, reason: Edge) {
        let scope = self.plan.scopes[reason.node()];
        if scope.has(Scope::EVENT) {
            if recalled.is_curious() {
                self.bury_by_name(recalled, roots);
            }
            return;
        }
        let settled = |directory: Directory<'_>| self.in_directory(reason, directory) == Some(false);
        if recalled.bury(roots, scope, settled) {
            return;
        }
        // What decided here says nothing of other files in the directory; another part may.
        let mut rest = roots;
        while let Some(root) = take_lowest(&mut rest) {
            recalled.bury_with_directory(1 << root, |directory| {
                let mut parts = self.parts_by_name(root);
                parts.any(|part| self.in_directory(*part, directory) == Some(false))
            });
        }
    }

    /// Which of the first conditions fail for all files of a sort, which the event's is of.
    fn dead_by_sort(&self, sort: Sort, first: usize) -> u128 {
        // A name alone lies in a directory without a name; nothing is asked here that looks at the whole path.
        let nameless = Directory { kind: sort.kind, name: b"", asked: Some(b"") };
        let fails = |part: &Edge| match self.plan.scopes[part.node()] {
            Scope::KIND => !self.holds(*part),
            scope => sort.bare && scope.is_of_asked() && self.in_directory(*part, nameless) == Some(false),
        };
        let dead = (0..first).filter(|root| self.plan.needs(&self.plan.roots[*root]).iter().any(fails));
        dead.fold(0, |dead, root| dead | 1 << root)
    }

    /// The parts without which a condition fails that depend on the file's names alone.
    fn parts_by_name(&self, root: usize) -> impl Iterator<Item = &'a Edge> + use<'a, 'r, W> {
        let plan = self.plan;
        plan.needs(&plan.roots[root]).iter().filter(move |part| plan.scopes[part.node()].is_of_name())
    }

    /// Remembers which of the conditions, that failed for another reason this time, never hold for this file.
    fn bury_by_name(&self, recalled: &mut Recalled<'_>, mut roots: u128) {
        while let Some(root) = take_lowest(&mut roots) {
            if let Some(reason) = self.parts_by_name(root).find(|part| !self.holds(**part)) {
                self.bury(recalled, 1 << root, *reason);
            }
        }
    }

    /// An edge's truth for all files in the directory of the event's file, if the directory settles it.
    fn in_directory(&self, edge: Edge, directory: Directory<'_>) -> Option<bool> {
        let truth = match self.and(edge.node()) {
            None if edge.node() == 0 => Some(true),
            None => {
                let leaf = &self.plan.leaves[edge.node() - 1];
                let predicate = &self.graph.predicates[leaf.predicate as usize];
                predicate.in_directory(directory, &self.value(leaf, predicate), self.cx)
            }
            Some(and) => {
                let parts = self.plan.parts(and).iter().map(|part| self.in_directory(*part, directory));
                all(parts)
            }
        };
        truth.map(|truth| truth != edge.negated())
    }
}

/// Whether all are true; not known if some isn't and none is false.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut truth = Some(true);
    for part in parts {
        match part {
            Some(false) => return Some(false),
            Some(true) => {}
            None => truth = None,
        }
    }
    truth
}
