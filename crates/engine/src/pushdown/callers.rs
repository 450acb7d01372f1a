//! What is asked of calls by who makes them: processes of which names, and whether they are in a container.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use lanner_event::EventType;
use lanner_event::prefilter::{
    ArgumentClasses, CALLERS, EXCEPTED_NAME, Home, Interest, OTHER_NAME, States, THERE,
};

use super::Bound;
use super::caller::{self, Named, Names};
use crate::engine::Source;
use crate::plan::{Leaf, Plan};

/// What is asked of events by who makes the call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Callers {
    /// The names that are asked for.
    pub names: Names,
    /// Names of which less is asked.
    pub excepted: Names,
    /// The events that rules may match, of each kind but 0 ([`lanner_event::prefilter::Prefilter::callers`]).
    pub interests: [Interest; CALLERS - 1],
    /// Whether callers in containers are those of whom less is asked where it counts where they are; else those in none.
    pub of_containers: bool,
}

impl Callers {
    /// Of one kind.
    pub fn interest(&self, kind: usize) -> &Interest {
        &self.interests[kind - 1]
    }
}

/// What the rules of a plan ask of events of its type.
pub(super) struct Asked<'p> {
    pub(super) source: &'p Source,
    pub(super) plan: &'p Plan,
    pub(super) ty: EventType,
    pub(super) classes: &'p ArgumentClasses,
}

/// Names of processes by what is asked of them.
struct ByName {
    /// Those that are asked for.
    asked: Names,
    /// Those of which less is asked, together where all comparisons come out the same for them.
    excepted: Vec<Names>,
}

impl Asked<'_> {
    /// What they ask of each kind of callers; `None` unless that is less than `otherwise` of some. Where some are about
    /// containers alone and others about the host alone, it counts whether callers are where less is asked for.
    pub(super) fn by_callers(&self, otherwise: &Interest) -> Option<Callers> {
        let names = self.by_name(otherwise);
        let by = |home| self.by_callers_and(&names, otherwise, home);
        let (on_host, fails_in_containers) = by(Home::Host);
        // beginning to watch takes long enough
        let in_container = if fails_in_containers { by(Home::Container).0 } else { None };
        let asked = |of: &Callers| [THERE, OTHER_NAME + THERE].map(|kind| size(of.interest(kind)));
        on_host.into_iter().chain(in_container).min_by_key(asked)
    }

    /// The same, where it counts whether they are known to be there; and whether some comparison fails in containers.
    fn by_callers_and(&self, names: &ByName, otherwise: &Interest, home: Home) -> (Option<Callers>, bool) {
        let mut asked = names.asked.clone();
        let mut fails_in_containers = false;
        let interests: [Interest; CALLERS - 1] = std::array::from_fn(|at| {
            let kind = at + 1;
            let mut interest = |named: Named| {
                let mut bound = self.bound();
                bound.home = if kind >= THERE { home } else { Home::Unknown };
                bound.named = named;
                let interest = bound.of_all();
                asked.append(&mut bound.names);
                fails_in_containers |= bound.fails_in_containers;
                interest
            };
            match kind % THERE {
                OTHER_NAME => interest(Named::Otherwise),
                // of which the same is asked wherever they are, but not in each place
                EXCEPTED_NAME if !names.excepted.is_empty() => {
                    let each = names.excepted.iter().filter_map(Names::first);
                    each.fold(Interest::default(), |all, name| all.or(&interest(Named::So(name.clone()))))
                }
                _ => interest(Named::Anyhow),
            }
        });
        // where no name makes a difference, none need be known
        if interests[OTHER_NAME - 1] == *otherwise
            && interests[OTHER_NAME + THERE - 1] == interests[THERE - 1]
        {
            asked.clear();
        }
        let less = interests.iter().any(|less| less != otherwise);
        let of_containers = home == Home::Container;
        let excepted = names.excepted.iter().flatten().cloned().collect();
        let callers = Callers { names: asked, excepted, interests, of_containers };
        (less.then_some(callers), fails_in_containers)
    }

    /// Names that make a difference. Of those of which less is asked, the ones of which least is: the same of all, wherever
    /// they are.
    fn by_name(&self, otherwise: &Interest) -> ByName {
        let mut others = self.bound();
        others.named = Named::Otherwise;
        let of_others = others.of_all();
        let asked = others.names;
        let depends = self.nodes_by_name();
        let mut bound = self.bound();
        let mut groups: Vec<(Interest, Vec<Names>)> = Vec::new();
        for names in self.names_told_apart() {
            let Some(one) = names.first() else { continue };
            bound.named = Named::So(one.clone());
            bound.known.retain(|edge, _| !depends[edge.node()]);
            let interest = bound.of_all();
            let without = if asked.contains(one) { otherwise } else { &of_others };
            if size(&interest) >= size(without) {
                continue;
            }
            match groups.iter_mut().find(|(known, _)| *known == interest) {
                Some((_, known)) => known.push(names),
                None => groups.push((interest, vec![names])),
            }
        }
        let count = |groups: &[Names]| groups.iter().map(Names::len).sum::<usize>();
        let least =
            groups.into_iter().min_by_key(|(interest, names)| (size(interest), Reverse(count(names))));
        ByName { asked, excepted: least.map(|(_, names)| names).unwrap_or_default() }
    }

    /// The names that comparisons name, those together for which all come out the same.
    fn names_told_apart(&self) -> impl Iterator<Item = Names> {
        let predicates =
            self.plan.leaves.iter().map(|leaf| &self.source.graph.predicates[leaf.predicate as usize]);
        let matchers: Vec<_> = predicates.filter_map(caller::of_name).collect();
        let mut by_answers: BTreeMap<Vec<bool>, Names> = BTreeMap::new();
        for name in matchers.iter().flat_map(|matcher| caller::mentioned(matcher)) {
            let answers = matchers.iter().map(|matcher| matcher.matches(&name)).collect();
            by_answers.entry(answers).or_default().insert(name);
        }
        by_answers.into_values()
    }

    /// By node, whether what is asked there may depend on the name.
    fn nodes_by_name(&self) -> Vec<bool> {
        let of_leaf =
            |leaf: &Leaf| caller::of_name(&self.source.graph.predicates[leaf.predicate as usize]).is_some();
        let mut depends: Vec<bool> =
            std::iter::once(false).chain(self.plan.leaves.iter().map(of_leaf)).collect();
        while depends.len() < self.plan.len() {
            let parts = self.plan.parts(depends.len() - 1 - self.plan.leaves.len());
            // an `and` comes after its parts
            depends.push(parts.iter().any(|part| depends.get(part.node()).is_none_or(|depends| *depends)));
        }
        depends
    }

    fn bound(&self) -> Bound<'_> {
        Bound::new(self.source, self.plan, self.ty, self.classes.clone())
    }
}

/// How much is asked for.
fn size(interest: &Interest) -> (u32, u32) {
    let count = |states: &States| states.0.count_ones();
    (count(&interest.whatever), interest.paths.values().map(count).sum())
}
