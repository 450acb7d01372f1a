//! What is to be told, and how urgently: the alert, its priority, and its line as text or as JSON.
//!
//! This crate must not know rules, events or the machine (an alert arrives with its message already made), nor where lines
//! go.

mod alert;
mod clock;
mod format;
mod lines;
mod priority;

pub use alert::{Alert, Fields, Origin};
pub use clock::Clock;
pub use format::{Form, Formatter, JsonParts};
pub use lines::{Line, LineRef, Lines, SomeLines};
pub use priority::{Priority, UnknownPriority};
