//! A plan that learns from the events it sees which comparisons decide most.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use lanner_event::EventType;
use lanner_fields::Context;

use crate::RuleId;
use crate::graph::{Edge, Graph};
use crate::plan::Plan;

/// How plans learn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// Events of a type from one sample to the next.
    pub stride: u32,
    /// Samples after which the type's plan is put in order. Each evaluates everything, so they
    /// should be few.
    pub samples: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning { stride: 32, samples: 48 }
    }
}

/// The plan for an event type: made when the first event of the type comes, put in order once
/// enough have been seen.
#[derive(Debug, Default)]
pub(crate) struct Tuned {
    first: OnceLock<Plan>,
    tuned: OnceLock<Plan>,
    seen: AtomicU32,
    /// How often each node held in the samples.
    held: OnceLock<Box<[AtomicU32]>>,
}

impl Tuned {
    /// The plan to run for an event.
    pub(crate) fn plan<'a>(
        &'a self,
        graph: &'a Graph,
        roots: &[(RuleId, Edge)],
        ty: EventType,
        cx: &Context<'a>,
        tuning: Tuning,
    ) -> &'a Plan {
        if let Some(plan) = self.tuned.get() {
            return plan;
        }
        let plan = self.first.get_or_init(|| Plan::new(graph, roots, ty));
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        let stride = tuning.stride.max(1);
        if plan.is_empty() || seen % stride != stride - 1 {
            return plan;
        }
        let held = self.held.get_or_init(|| (0..plan.len()).map(|_| AtomicU32::new(0)).collect());
        plan.sample(graph, cx, |node, holds| {
            held[node].fetch_add(holds.into(), Ordering::Relaxed);
        });
        let samples = seen / stride + 1;
        if samples < tuning.samples {
            return plan;
        }
        let chance = |held: &AtomicU32| held.load(Ordering::Relaxed) as f32 / samples as f32;
        let chances: Vec<f32> = held.iter().map(chance).collect();
        self.tuned.get_or_init(|| plan.reordered(&chances))
    }
}
