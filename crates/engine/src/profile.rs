//! What rules and their comparisons cost, measured while the engine works as it always does.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use lanner_fields::Context;

use crate::advice;
use crate::engine::Engine;
use crate::memory::Memory;
use crate::plan::{Decision, Plan};
use crate::{Matching, RuleId};

/// What a plan's evaluation tells of itself as it goes along.
pub(crate) trait Watch {
    /// A comparison is made.
    fn compare(&self, predicate: u32, make: impl FnOnce() -> bool) -> bool;

    /// What several conditions, by position, need is looked at.
    fn guard(&self, plan: &Plan, roots: u128, look: impl FnOnce() -> bool) -> bool;

    /// A condition, by position, is decided.
    fn decide(&self, plan: &Plan, root: usize, decide: impl FnOnce() -> Decision) -> Decision;
}

/// Nobody listens.
pub(crate) struct Unwatched;

impl Watch for Unwatched {
    #[inline]
    fn compare(&self, _: u32, make: impl FnOnce() -> bool) -> bool {
        make()
    }

    #[inline]
    fn guard(&self, _: &Plan, _: u128, look: impl FnOnce() -> bool) -> bool {
        look()
    }

    #[inline]
    fn decide(&self, _: &Plan, _: usize, decide: impl FnOnce() -> Decision) -> Decision {
        decide()
    }
}

/// How often something was done, how often it held, and how long it took.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Work {
    /// Times that it was evaluated.
    pub evaluations: u64,
    /// Times that it held.
    pub hits: u64,
    /// The time of all evaluations together.
    pub time: Duration,
}

impl Work {
    fn add(&mut self, held: bool, time: Duration) {
        self.evaluations += 1;
        self.hits += u64::from(held);
        self.time += time;
    }
}

/// What a rule cost.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleCost {
    /// The rule.
    pub rule: RuleId,
    /// Events of a type that it can match; at those that aren't among the evaluations, what is remembered of the
    /// thread or file, or what it needs together with other rules, had settled it.
    pub events: u64,
    /// What was left to do. Comparisons that rules share count for the first that makes them; a match counts as a
    /// hit also where an earlier rule takes the event.
    pub work: Work,
    /// What would make it cheaper.
    pub advice: Vec<String>,
}

/// What a comparison cost.
#[derive(Clone, PartialEq, Debug)]
pub struct ComparisonCost {
    /// As it is written; several that are made together are joined by `or`.
    pub text: String,
    /// The rules that have it, in load order.
    pub rules: Vec<RuleId>,
    /// What was done.
    pub work: Work,
    /// What would make it cheaper.
    pub advice: Vec<String>,
}

/// Gathers what an engine's rules cost. The engine must have been built with texts.
#[derive(Debug)]
pub struct Profiler {
    events: u64,
    rules: RefCell<Vec<(u64, Work)>>,
    /// By source and number of the predicate.
    comparisons: Vec<RefCell<Vec<Work>>>,
    /// What reading the clock twice takes.
    clock: Duration,
    all: Duration,
}

impl Profiler {
    /// Nothing has been done yet.
    pub fn new(engine: &Engine) -> Profiler {
        let of_source = |predicates: usize| RefCell::new(vec![Work::default(); predicates]);
        Profiler {
            events: 0,
            rules: RefCell::new(vec![Default::default(); engine.rules().len()]),
            comparisons: engine.predicate_counts().map(of_source).collect(),
            clock: clock(),
            all: Duration::ZERO,
        }
    }

    /// Does what [`Engine::process`] does, and takes note.
    pub fn process<'a>(
        &mut self,
        engine: &'a Engine,
        memory: &mut Memory,
        cx: &Context<'a>,
        hits: &mut Vec<RuleId>,
    ) {
        let Some((at, plan)) = engine.place_and_plan(cx) else { return };
        self.events += 1;
        for (id, _) in &plan.rules {
            self.rules.borrow_mut()[id.index()].0 += 1;
        }
        let watch = Watching {
            rules: &self.rules,
            comparisons: &self.comparisons[at],
            clock: self.clock,
            inside: Cell::default(),
        };
        let begin = Instant::now();
        plan.run(
            engine.graph(at),
            cx,
            engine.memory(memory),
            engine.matching() == Matching::All,
            &watch,
            |id| {
                hits.push(id);
            },
        );
        // What the clock itself took is no work of the rules.
        self.all += begin.elapsed().saturating_sub(self.clock * (watch.inside.get() + 1));
    }

    /// Events that some rule looks at.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The time of all their evaluations.
    pub fn time(&self) -> Duration {
        self.all
    }

    /// What each rule cost, the dearest first.
    pub fn rules(&self, engine: &Engine) -> Vec<RuleCost> {
        let costs = self.rules.borrow();
        let cost = |(at, (events, work)): (usize, &(u64, Work))| {
            let rule = RuleId::from_index(at);
            RuleCost { rule, events: *events, work: *work, advice: advice::of_rule(engine, rule) }
        };
        let mut all: Vec<RuleCost> = costs.iter().enumerate().map(cost).collect();
        all.sort_by_key(|cost| std::cmp::Reverse((cost.work.time, cost.work.evaluations)));
        all
    }

    /// What each comparison that was made cost, the dearest first.
    pub fn comparisons(&self, engine: &Engine) -> Vec<ComparisonCost> {
        let mut all = Vec::new();
        for (at, works) in self.comparisons.iter().enumerate() {
            let users = engine.users_of_predicates(at);
            for (number, work) in works.borrow().iter().enumerate().filter(|(_, work)| work.evaluations > 0) {
                let predicate = &engine.graph(at).predicates[number];
                all.push(ComparisonCost {
                    text: engine.graph(at).text_of(number),
                    rules: users[number].clone(),
                    work: *work,
                    advice: advice::of_comparison(predicate),
                });
            }
        }
        all.sort_by_key(|cost| std::cmp::Reverse((cost.work.time, cost.work.evaluations)));
        all
    }
}

/// The least that reading the clock twice takes.
fn clock() -> Duration {
    let once = |_| {
        let begin = Instant::now();
        begin.elapsed()
    };
    (0..1000).map(once).min().unwrap_or_default()
}

struct Watching<'p> {
    rules: &'p RefCell<Vec<(u64, Work)>>,
    comparisons: &'p RefCell<Vec<Work>>,
    clock: Duration,
    /// How often the clock was read by what is inside of what is measured.
    inside: Cell<u32>,
}

impl Watching<'_> {
    /// How long something takes, without the clock's own time.
    fn timed<T>(&self, work: impl FnOnce() -> T) -> (T, Duration) {
        let before = self.inside.get();
        let begin = Instant::now();
        let result = work();
        let time = begin.elapsed();
        let inside = self.inside.get() - before + 1;
        self.inside.set(self.inside.get() + 1);
        (result, time.saturating_sub(self.clock * inside))
    }

    fn add_to_rules(&self, plan: &Plan, root: usize, add: impl Fn(&mut Work)) {
        let mut rules = self.rules.borrow_mut();
        let of_root = plan.rules.iter().filter(|(_, of)| *of as usize == root);
        of_root.for_each(|(id, _)| add(&mut rules[id.index()].1));
    }
}

impl Watch for Watching<'_> {
    fn compare(&self, predicate: u32, make: impl FnOnce() -> bool) -> bool {
        let (held, time) = self.timed(make);
        self.comparisons.borrow_mut()[predicate as usize].add(held, time);
        held
    }

    fn guard(&self, plan: &Plan, roots: u128, look: impl FnOnce() -> bool) -> bool {
        let (held, time) = self.timed(look);
        let share = time / roots.count_ones().max(1);
        for root in (0..u128::BITS as usize).filter(|root| roots & 1 << root != 0) {
            self.add_to_rules(plan, root, |work| work.time += share);
        }
        held
    }

    fn decide(&self, plan: &Plan, root: usize, decide: impl FnOnce() -> Decision) -> Decision {
        let (result, time) = self.timed(decide);
        self.add_to_rules(plan, root, |work| work.add(result.is_ok(), time));
        result
    }
}
