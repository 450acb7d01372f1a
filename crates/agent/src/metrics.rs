//! What lanner counts of its own work: gathered by the loops, shown to Prometheus under Falco's names, and told
//! from time to time as an alert or in a file.

mod board;
mod canary;
mod metric;
mod observation;
mod prometheus;
mod snapshot;
mod station;
mod usage;

pub use board::{Board, Health};
pub use observation::{Counted, LoadedFile, LoadedKind, Observation, RuleCount, Waiting};
pub use prometheus::exposition;
pub use station::{STRIDE, Station, View};
