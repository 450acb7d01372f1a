//! How urgent an alert is.

use std::fmt;
use std::str::FromStr;

/// How urgent an alert is, most urgent first (syslog's levels).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the names are syslog's")]
pub enum Priority {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Informational,
    Debug,
}

/// A text that names no priority.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "unknown priority \"{0}\": use one of emergency, alert, critical, error, warning, notice, informational, debug"
)]
pub struct UnknownPriority(pub String);

impl Priority {
    /// All of them, most urgent first.
    pub const ALL: [Priority; 8] = [
        Priority::Emergency,
        Priority::Alert,
        Priority::Critical,
        Priority::Error,
        Priority::Warning,
        Priority::Notice,
        Priority::Informational,
        Priority::Debug,
    ];

    /// The name in alerts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Priority::Emergency => "Emergency",
            Priority::Alert => "Alert",
            Priority::Critical => "Critical",
            Priority::Error => "Error",
            Priority::Warning => "Warning",
            Priority::Notice => "Notice",
            Priority::Informational => "Informational",
            Priority::Debug => "Debug",
        }
    }

    /// The name in summaries, where `Informational` is `Info`.
    pub const fn short(self) -> &'static str {
        match self {
            Priority::Informational => "Info",
            other => other.as_str(),
        }
    }
}

impl FromStr for Priority {
    type Err = UnknownPriority;

    /// Case does not matter, and `info` is `informational`.
    fn from_str(text: &str) -> Result<Priority, UnknownPriority> {
        let named =
            |p: &Priority| text.eq_ignore_ascii_case(p.as_str()) || text.eq_ignore_ascii_case(p.short());
        Priority::ALL.into_iter().find(named).ok_or_else(|| UnknownPriority(text.to_owned()))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_read_in_any_case_and_ordered_by_urgency() {
        assert_eq!("WARNING".parse(), Ok(Priority::Warning));
        assert_eq!("info".parse(), Ok(Priority::Informational));
        assert!("loud".parse::<Priority>().is_err());
        assert!(Priority::Emergency < Priority::Debug);
    }
}
