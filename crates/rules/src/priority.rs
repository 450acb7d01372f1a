//! How urgent an alert is.

use std::fmt;
use std::str::FromStr;

/// The syslog-like scale of rules, most urgent first: `Emergency < Debug`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// The system is unusable.
    Emergency,
    /// Act at once.
    Alert,
    /// A critical condition.
    Critical,
    /// An error.
    Error,
    /// A warning.
    Warning,
    /// Normal but worth a look.
    Notice,
    /// For information.
    Informational,
    /// For debugging.
    Debug,
}

/// A word that names no priority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown priority '{0}': use one of emergency, alert, critical, error, warning, notice, informational, debug"
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

    /// Its full name, as alerts carry it.
    pub fn name(self) -> &'static str {
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
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Priority {
    type Err = UnknownPriority;

    /// In any letter case; `info` stands for informational.
    fn from_str(text: &str) -> Result<Priority, UnknownPriority> {
        if text.eq_ignore_ascii_case("info") {
            return Ok(Priority::Informational);
        }
        let found = Priority::ALL.into_iter().find(|p| p.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownPriority(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_in_any_case() {
        for priority in Priority::ALL {
            assert_eq!(priority.name().to_uppercase().parse(), Ok(priority));
        }
        assert_eq!("INFO".parse(), Ok(Priority::Informational));
        assert!("inf".parse::<Priority>().is_err());
        assert!(Priority::Emergency < Priority::Debug);
    }
}
