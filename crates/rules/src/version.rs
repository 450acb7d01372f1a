//! Versions that rule files require.

use std::fmt;

/// Three numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Changes that break.
    pub major: u32,
    /// Changes that add.
    pub minor: u32,
    /// Changes that mend.
    pub patch: u32,
}

impl Version {
    /// The rule language spoken here: that of Falco's engine 0.63.0.
    pub const ENGINE: Version = Version { major: 0, minor: 63, patch: 0 };

    /// What a bare number means: a minor version.
    pub fn from_number(minor: u32) -> Version {
        Version { minor, ..Version::default() }
    }

    /// Reads `1.2.3`, disregarding what follows.
    pub fn parse(text: &str) -> Option<Version> {
        let (major, rest) = number(text)?;
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        let (patch, _) = number(rest.strip_prefix('.')?)?;
        Some(Version { major, minor, patch })
    }

    /// Whether this version can stand in for the wanted one: same major version, not older.
    pub fn serves(self, wanted: Version) -> bool {
        self.major == wanted.major && self >= wanted
    }
}

fn number(text: &str) -> Option<(u32, &str)> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        let v = |text| Version::parse(text).unwrap();
        assert_eq!(v("0.11.0").to_string(), "0.11.0");
        assert_eq!(v("0.4.2-rc1"), Version { major: 0, minor: 4, patch: 2 });
        assert_eq!(Version::parse("0.4"), None);
        assert_eq!(Version::parse("a.b.c"), None);
        assert!(v("0.63.0").serves(v("0.11.9")));
        assert!(!v("0.63.0").serves(v("0.63.1")));
        assert!(!v("1.0.0").serves(v("0.1.0")));
    }
}
