//! Turning rules on and off by name and tag.

use crate::rule::{Rule, RuleSet};

/// One step of a selection; steps are taken in order and the last that fits a rule wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// On or off.
    pub enable: bool,
    /// Which rules.
    pub target: Target,
}

/// Which rules a step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Those whose whole name fits the pattern, in which `*` is any text.
    Name(String),
    /// Those that have the tag.
    Tag(String),
}

impl Selection {
    /// Whether it is about any of these rules.
    pub fn fits_any(&self, rules: &RuleSet) -> bool {
        rules.rules.iter().any(|rule| self.target.fits(rule))
    }
}

impl Target {
    fn fits(&self, rule: &Rule) -> bool {
        match self {
            Target::Name(pattern) => fits(pattern.as_bytes(), rule.name.as_bytes()),
            Target::Tag(tag) => rule.tags.contains(tag),
        }
    }
}

impl RuleSet {
    /// Takes the steps in order.
    pub fn select(&mut self, steps: &[Selection]) {
        for step in steps {
            for rule in &mut self.rules {
                if step.target.fits(rule) {
                    rule.enabled = step.enable;
                }
            }
        }
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any text, the empty one too.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, n));
        } else if pattern.get(p) == Some(&name[n]) {
            p += 1;
            n += 1;
        } else if let Some((after_star, from)) = retry {
            p = after_star;
            n = from + 1;
            retry = Some((after_star, n));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "a rule", true),
            ("open*", "open_from_cat", true),
            ("open*", "an open", false),
            ("*cat", "open_from_cat", true),
            ("*from*", "open_from_cat", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("open_from_cat", "open_from_cat", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} on {name}");
        }
    }
}
