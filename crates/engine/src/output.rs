//! Problems of output formats.

use lanner_fields::{FormatError, FormatErrorReason};
use lanner_filter::{Position, Span};
use lanner_rules::Problem;

/// What is wrong with an output: Falco's words, and our own as advice.
pub(crate) fn problem(error: &FormatError) -> Problem {
    let offset = u32::try_from(error.position).unwrap_or(u32::MAX);
    let start = Position { offset, line: 1, column: offset.saturating_add(1) };
    let message = match error.reason {
        FormatErrorReason::Empty => "empty formatting token",
        FormatErrorReason::OpenPercent => "invalid formatting syntax: formatting cannot end with a %",
        FormatErrorReason::OpenWidth => "invalid formatting syntax: formatting cannot end with a number",
        // Falco tries ever shorter names and tells of the last, a single letter.
        FormatErrorReason::Term(_) | FormatErrorReason::Expected(_) => {
            "unknown filter: unexpected token after '"
        }
    };
    Problem {
        message: message.to_owned(),
        span: Some(Span { start, end: offset.saturating_add(1) }),
        advice: Some(error.reason.to_string()),
        unknown: message.starts_with("unknown"),
    }
}
