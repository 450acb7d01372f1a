//! What is to be told.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Priority;

/// Values by field name, in the order that JSON alerts list them.
pub type Fields = BTreeMap<String, serde_json::Value>;

/// Who raised an alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A rule matched an event of a source.
    Rule {
        /// Name of the event source, `syscall` for system calls.
        source: Arc<str>,
        /// The rule's tags, sorted.
        tags: Arc<[String]>,
    },
    /// The engine speaks of itself (lost events and the like).
    Internal,
}

/// One alert, ready to be written.
#[derive(Clone, PartialEq, Debug)]
pub struct Alert {
    /// When it happened, ns since 1970.
    pub ts: u64,
    /// How urgent it is.
    pub priority: Priority,
    /// The rule's name.
    pub rule: Arc<str>,
    /// Who raised it.
    pub origin: Origin,
    /// The finished message, without time and priority.
    pub message: String,
    /// Values of the fields that the message names.
    pub fields: Fields,
}
