//! All rules, compiled and ready.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lanner_alert::Priority;
use lanner_event::{EVENTS, EventType, types};
use lanner_fields::{Context, Format};
use lanner_rules::{Place, Problem, Rule, RuleSet};

use crate::graph::{Edge, Graph, reach_of};
use crate::memory::Memory;
use crate::plan::Plan;
use crate::profile::Unwatched;
use crate::tune::{Tuned, Tuning};
use crate::types::EventTypes;

/// Number of a rule within its engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId(u32);

impl RuleId {
    /// The rule at a position among the engine's rules.
    pub fn from_index(index: usize) -> RuleId {
        RuleId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Its position among the engine's rules.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// How many rules an event may match.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Matching {
    /// The first in load order.
    #[default]
    First,
    /// All.
    All,
}

/// How to build an [`Engine`].
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// How many rules an event may match.
    pub matching: Matching,
    /// The least urgent priority whose rules are taken.
    pub priority: Priority,
    /// How evaluation learns which comparisons decide most; it never changes what matches.
    pub tuning: Tuning,
    /// Keep comparisons as they are written, for a [`crate::Profiler`].
    pub texts: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            matching: Matching::First,
            priority: Priority::Debug,
            tuning: Tuning::default(),
            texts: false,
        }
    }
}

/// Why a rule can't be compiled. Rules that were loaded with this crate's [`crate::Catalog`] can.
#[derive(Debug, thiserror::Error)]
#[error("rule '{rule}': {}", problem.message)]
pub struct BuildError {
    /// Its name.
    pub rule: String,
    /// Where it stands.
    pub place: Place,
    /// What is wrong with it.
    pub problem: Box<Problem>,
}

/// A rule in an engine.
#[derive(Debug)]
pub struct CompiledRule {
    /// The rule as it was loaded.
    pub rule: Rule,
    /// Its output.
    pub output: Format,
    /// More output fields: key, format, and whether the value keeps its type.
    pub extra_fields: Vec<(String, Format, bool)>,
}

/// Rules, compiled. It holds nothing that changes with events, so threads can share it.
#[derive(Debug)]
pub struct Engine {
    /// Tells engines apart, for their memories.
    number: u64,
    matching: Matching,
    tuning: Tuning,
    texts: bool,
    rules: Vec<CompiledRule>,
    pub(crate) sources: Vec<Source>,
    /// The types of events that a rule of any source can match.
    types: EventTypes,
}

/// The rules over events of one source.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: Box<str>,
    pub(crate) graph: Graph,
    pub(crate) roots: Vec<(RuleId, Edge)>,
    pub(crate) types: EventTypes,
    /// How many event types each rule can match.
    widths: Vec<(RuleId, usize)>,
    /// By event type.
    plans: Box<[Tuned]>,
}

impl Engine {
    /// Compiles the rules that are enabled and urgent enough.
    ///
    /// # Errors
    /// Names the first rule that can't be compiled.
    pub fn build(rules: &RuleSet, options: EngineOptions) -> Result<Engine, BuildError> {
        let EngineOptions { matching, tuning, texts, .. } = options;
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut engine = Engine {
            number,
            matching,
            tuning,
            texts,
            rules: Vec::new(),
            sources: Vec::new(),
            types: EventTypes::NONE,
        };
        let wanted = rules.rules.iter().filter(|rule| rule.enabled && rule.priority <= options.priority);
        for rule in wanted {
            engine.add(rule).map_err(|problem| BuildError {
                rule: rule.name.clone(),
                place: rule.place.clone(),
                problem: Box::new(problem),
            })?;
        }
        engine.sources.iter_mut().for_each(Source::close);
        engine.types = engine.sources.iter().fold(EventTypes::NONE, |all, source| all.or(&source.types));
        Ok(engine)
    }

    fn add(&mut self, rule: &Rule) -> Result<(), Problem> {
        let format =
            |text: &str| Format::parse(&*rule.source, text).map_err(|error| crate::output::problem(&error));
        let output = format(&rule.output)?;
        let extra = rule.extra_fields.iter().map(|(key, text, raw)| Ok((key.clone(), format(text)?, *raw)));
        let extra_fields = extra.collect::<Result<_, _>>()?;
        let id = RuleId::from_index(self.rules.len());
        let source = self.source(&rule.source);
        let root = source.graph.add(&rule.condition)?;
        source.roots.push((id, root));
        self.rules.push(CompiledRule { rule: rule.clone(), output, extra_fields });
        Ok(())
    }

    fn source(&mut self, name: &str) -> &mut Source {
        let known = self.sources.iter().position(|source| &*source.name == name);
        let at = known.unwrap_or_else(|| {
            self.sources.push(Source::new(name, self.texts));
            self.sources.len() - 1
        });
        &mut self.sources[at]
    }

    /// Adds the rules that match an event to `hits`: the first, or all in load order. Allocates
    /// nothing outside of the context's scratch memory, `hits` aside. `memory` makes it quicker and never
    /// changes the answer.
    #[inline]
    pub fn process<'a>(&'a self, memory: &mut Memory, cx: &Context<'a>, hits: &mut Vec<RuleId>) {
        if self.types.contains(cx.event.ty()) && !memory.settles(self.number, cx) {
            self.process_wanted(memory, cx, hits);
        }
    }

    #[inline(never)]
    fn process_wanted<'a>(&'a self, memory: &mut Memory, cx: &Context<'a>, hits: &mut Vec<RuleId>) {
        let known = self.sources.get(memory.source).filter(|_| memory.is_source(self.number, cx.meta.source));
        let Some(source) = known.or_else(|| self.find_source(memory, cx.meta.source)) else { return };
        let Some(plan) = source.plan(cx, self.tuning) else { return };
        let memory = (memory, self.number);
        plan.run(&source.graph, cx, memory, self.matching == Matching::All, &Unwatched, |id| hits.push(id));
    }

    /// Looks for the rules over a source's events, and has the memory know the place.
    fn find_source(&self, memory: &mut Memory, name: &'static str) -> Option<&Source> {
        let at = self.sources.iter().position(|source| *source.name == *name)?;
        memory.set_source(self.number, name, at);
        self.sources.get(at)
    }

    /// Evaluates all rules that an event can match once more and tells how long each took, to learn what they
    /// cost. It finds no matches; callers do it now and then and take it for many events.
    pub fn measure<'a>(&'a self, cx: &Context<'a>, seen: impl FnMut(RuleId, Duration)) {
        let source = self.sources.iter().find(|source| *source.name == *cx.meta.source);
        let Some((source, plan)) = source.and_then(|s| Some((s, s.plan(cx, self.tuning)?))) else { return };
        plan.measure(&source.graph, cx, seen);
    }

    /// How many event types a rule can match.
    pub fn type_count(&self, rule: RuleId) -> usize {
        let widths = self.sources.iter().flat_map(|source| &source.widths);
        widths.clone().find(|(id, _)| *id == rule).map_or(0, |(_, width)| *width)
    }

    /// A rule.
    ///
    /// # Panics
    /// If the number is another engine's and this one has fewer rules.
    pub fn rule(&self, id: RuleId) -> &CompiledRule {
        &self.rules[id.index()]
    }

    /// All rules, in load order.
    pub fn rules(&self) -> &[CompiledRule] {
        &self.rules
    }

    /// The types of events that a rule over system calls can match. Generic events, which carry a
    /// call that has no type of its own, are among them only if a rule asks for such a call or for
    /// none in particular.
    pub fn event_types(&self) -> EventTypes {
        self.types_of("syscall")
    }

    /// The types of events that a rule over events of a source can match.
    pub fn types_of(&self, source: &str) -> EventTypes {
        let source = self.sources.iter().find(|known| *known.name == *source);
        source.map_or(EventTypes::NONE, |source| source.types)
    }
}

impl Source {
    fn new(name: &str, texts: bool) -> Source {
        Source {
            name: name.into(),
            graph: Graph::new(name, texts),
            roots: Vec::new(),
            types: EventTypes::NONE,
            widths: Vec::new(),
            plans: Box::default(),
        }
    }

    fn close(&mut self) {
        let reach = self.graph.reach();
        for (id, root) in &self.roots {
            let types = reach_of(&reach, *root).may_hold;
            self.widths.push((*id, types.len()));
            self.types = self.types.or(&types);
        }
        self.graph.fuse();
        self.graph.close();
        self.plans = EVENTS.iter().map(|_| Tuned::default()).collect();
    }

    fn plan<'a>(&'a self, cx: &Context<'a>, tuning: Tuning) -> Option<&'a Plan> {
        let ty = cx.event.ty();
        if !self.types.contains(ty) {
            return None;
        }
        let plan = self.plans.get(usize::from(ty.0))?.plan(&self.graph, &self.roots, ty, cx, tuning);
        (!plan.is_empty()).then_some(plan)
    }
}

/// For the profiler, which runs plans itself.
impl Engine {
    pub(crate) fn matching(&self) -> Matching {
        self.matching
    }

    /// How many predicates the rules over each source have.
    pub(crate) fn predicate_counts(&self) -> impl Iterator<Item = usize> {
        self.sources.iter().map(|source| source.graph.predicates.len())
    }

    /// The conditions over a source's events, by place.
    pub(crate) fn graph(&self, source: usize) -> &Graph {
        &self.sources[source].graph
    }

    /// The place of an event's source, and the plan for the event's type.
    pub(crate) fn place_and_plan<'a>(&'a self, cx: &Context<'a>) -> Option<(usize, &'a Plan)> {
        let at = self.sources.iter().position(|source| *source.name == *cx.meta.source)?;
        Some((at, self.sources[at].plan(cx, self.tuning)?))
    }

    /// A memory and the number that it knows the engine by.
    pub(crate) fn memory<'m>(&self, memory: &'m mut Memory) -> (&'m mut Memory, u64) {
        (memory, self.number)
    }

    /// For each predicate of a source, the rules that have it.
    pub(crate) fn users_of_predicates(&self, source: usize) -> Vec<Vec<RuleId>> {
        let source = &self.sources[source];
        let mut users = vec![Vec::new(); source.graph.predicates.len()];
        for (id, root) in &source.roots {
            source.graph.predicates_of(*root).into_iter().for_each(|predicate| users[predicate].push(*id));
        }
        users
    }
}

/// Whether events of the type carry a call that has no type of its own.
pub(crate) fn is_generic(ty: EventType) -> bool {
    ty == types::GENERIC_E || ty == types::GENERIC_X
}
