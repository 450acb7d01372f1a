//! Rules, compiled and run: which of them an event matches.
//!
//! Conditions become one graph in which equal parts are one node; each event type gets a plan of
//! the rules it can match, and each comparison is made at most once an event. A rule's answer never
//! depends on any of that: a plain evaluator in the tests is the reference.
//!
//! This crate may not know outputs, nor where events come from.

mod advice;
mod board;
mod catalog;
mod cost;
mod directory;
mod dynamic;
mod engine;
mod explain;
mod fuse;
mod glob;
mod graph;
mod lower;
mod matcher;
mod memory;
mod names;
mod narrow;
mod net;
mod number;
mod order;
mod output;
mod paths;
mod pattern;
mod plan;
mod predicate;
mod profile;
mod pushdown;
mod scope;
mod services;
mod tune;
mod types;

pub use catalog::Catalog;
pub use engine::{BuildError, CompiledRule, Engine, EngineOptions, Matching, RuleId};
pub use explain::{Explainer, Explanation, Saying};
pub use memory::Memory;
pub use profile::{ComparisonCost, Profiler, RuleCost, Work};
pub use pushdown::{Callers, Needs, Pushed};
pub use tune::Tuning;
pub use types::EventTypes;
