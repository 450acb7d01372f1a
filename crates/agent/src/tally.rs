//! How often which rule fired.

use std::fmt::Write;
use std::time::Duration;

use lanner_alert::Priority;
use rustc_hash::FxHashMap;

/// Counts alerts by rule, in the order of loading.
#[derive(Debug, Default)]
pub struct Tally {
    rules: Vec<(String, Priority, u64)>,
    /// Time that rules took, ns, by name. An estimate from samples.
    times: FxHashMap<String, u64>,
}

impl Tally {
    /// Counters for these rules, all zero.
    pub fn new(rules: impl IntoIterator<Item = (String, Priority)>) -> Tally {
        Tally {
            rules: rules.into_iter().map(|(name, priority)| (name, priority, 0)).collect(),
            times: FxHashMap::default(),
        }
    }

    /// Other rules from now on. Rules of the same name go on with their counts; those that are gone stand behind.
    pub fn renew(&mut self, rules: impl IntoIterator<Item = (String, Priority)>) {
        let mut old: FxHashMap<String, (Priority, u64)> = FxHashMap::default();
        let mut order = Vec::new();
        for (name, priority, count) in self.rules.drain(..).filter(|rule| rule.2 > 0) {
            order.push(name.clone());
            old.entry(name).or_insert((priority, 0)).1 += count;
        }
        for (name, priority) in rules {
            let count = old.remove(&name).map_or(0, |(_, count)| count);
            self.rules.push((name, priority, count));
        }
        let gone = order.into_iter().filter_map(|name| old.remove_entry(&name));
        self.rules.extend(gone.map(|(name, (priority, count))| (name, priority, count)));
    }

    /// A rule fired; `index` is its place in the order of loading.
    pub fn count(&mut self, index: usize) {
        if let Some(rule) = self.rules.get_mut(index) {
            rule.2 += 1;
        }
    }

    /// Adds the counts of another loop's tally, by the rules' names.
    pub fn absorb(&mut self, other: &Tally) {
        for (name, priority, count) in other.rules.iter().filter(|rule| rule.2 > 0) {
            match self.rules.iter_mut().find(|rule| rule.0 == *name) {
                Some(rule) => rule.2 += count,
                None => self.rules.push((name.clone(), *priority, *count)),
            }
        }
    }

    /// A rule was seen to take so long for as many events as the sample stands for.
    pub fn spend(&mut self, index: usize, time: Duration, events: u64) {
        let Some((name, ..)) = self.rules.get(index) else { return };
        let ns = time.as_nanos() as u64 * events;
        match self.times.get_mut(name) {
            Some(sum) => *sum += ns,
            None => drop(self.times.insert(name.clone(), ns)),
        }
    }

    /// Each rule's alerts and time in ns, those of rules in force first and in load order.
    pub fn rows(&self) -> impl Iterator<Item = (&str, Priority, u64, u64)> {
        self.rules.iter().map(|(name, priority, count)| {
            (&**name, *priority, *count, self.times.get(name).copied().unwrap_or(0))
        })
    }

    /// All alerts of rules.
    pub fn total(&self) -> u64 {
        self.rules.iter().map(|r| r.2).sum()
    }

    /// Rules that fired, with how often, most often first.
    pub fn fired(&self) -> Vec<(&str, Priority, u64)> {
        let mut fired: Vec<_> =
            self.rules.iter().filter(|r| r.2 > 0).map(|(name, p, n)| (&**name, *p, *n)).collect();
        fired.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)));
        fired
    }

    /// The closing summary in Falco's form.
    pub fn falco_summary(&self) -> String {
        let mut out = format!("Events detected: {}\nRule counts by severity:\n", self.total());
        for priority in Priority::ALL {
            let count: u64 = self.rules.iter().filter(|r| r.1 == priority).map(|r| r.2).sum();
            if count > 0 {
                // Writing to a String cannot fail.
                let _ = writeln!(out, "   {}: {count}", priority.short().to_uppercase());
            }
        }
        out.push_str("Triggered rules by rule name:\n");
        for (name, _, count) in self.rules.iter().filter(|r| r.2 > 0) {
            let _ = writeln!(out, "   {name}: {count}");
        }
        out
    }

    /// The closing summary of `lanner run` and `lanner replay`.
    pub fn summary(&self, events: u64, lost: u64) -> String {
        let mut out = String::new();
        for (name, priority, count) in self.fired() {
            let _ = writeln!(out, "{count:>8}  {:<13} {name}", priority.as_str());
        }
        let _ = writeln!(out, "events {events}, alerts {}, lost {lost}", self.total());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        let rules = [("quiet", Priority::Alert), ("b", Priority::Informational), ("a", Priority::Warning)];
        let mut tally = Tally::new(rules.map(|(name, p)| (name.to_owned(), p)));
        [1, 2, 2, 2, 99].into_iter().for_each(|n| tally.count(n));
        tally
    }

    #[test]
    fn falcos_form_lists_rules_as_they_were_loaded() {
        assert_eq!(
            tally().falco_summary(),
            "Events detected: 4\nRule counts by severity:\n   WARNING: 3\n   INFO: 1\nTriggered rules by rule name:\n   b: 1\n   a: 3\n"
        );
        let none = Tally::default().falco_summary();
        assert_eq!(none, "Events detected: 0\nRule counts by severity:\nTriggered rules by rule name:\n");
    }

    #[test]
    fn counts_stay_with_their_rules_when_rules_change() {
        let mut tally = tally();
        let rules = ["a", "new"].map(|name| (name.to_owned(), Priority::Warning));
        tally.renew(rules.clone());
        [0, 1].into_iter().for_each(|n| tally.count(n));
        tally.renew(rules);
        assert_eq!(
            tally.fired(),
            [("a", Priority::Warning, 4), ("b", Priority::Informational, 1), ("new", Priority::Warning, 1)]
        );
        assert_eq!(tally.total(), 6);
    }

    #[test]
    fn time_stays_with_its_rule_too() {
        let mut tally = tally();
        tally.spend(2, Duration::from_nanos(3), 10);
        tally.spend(2, Duration::from_nanos(1), 10);
        tally.renew([("a".to_owned(), Priority::Warning)]);
        assert_eq!(tally.rows().next(), Some(("a", Priority::Warning, 3, 40)));
    }

    #[test]
    fn our_own_form_closes_with_the_three_counts() {
        assert_eq!(
            tally().summary(1000, 2),
            "       3  Warning       a\n       1  Informational b\nevents 1000, alerts 4, lost 2\n"
        );
    }
}
