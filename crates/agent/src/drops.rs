//! Lost events, told once a second at most.

use std::collections::{BTreeMap, BTreeSet};

use lanner_alert::{Alert, Origin, Priority};
use lanner_engine::{Engine, RuleId};
use lanner_event::{EVENTS, EventInfo, EventType};
use lanner_probe::{Lost, LostReason};

use crate::config::DropConfig;

/// The rule name of the alert, which users route by.
pub const RULE: &str = "Falco internal: syscall event drop";

/// Rules that the alert's text names; of more it says how many.
const NAMED: usize = 8;

/// Between two looks at the counters, ns.
const INTERVAL: u64 = 1_000_000_000;

/// Watches the counters of lost events. Time is that of events, ns since 1970, so that a replay tells the same.
#[derive(Debug)]
pub struct DropWatch {
    config: DropConfig,
    next: u64,
    tokens: f64,
    refilled: u64,
    seen: Lost,
    seen_events: u64,
    /// How often losses were above the threshold.
    pub detected: u64,
    /// How often something was done about them.
    pub acted: u64,
}

/// Events lost in the last interval.
#[derive(Debug, PartialEq, Eq)]
pub struct Drops {
    /// All events of the interval, the lost ones included.
    pub events: u64,
    /// The lost ones.
    pub lost: u64,
    /// Of these, those of which nobody knows what they were: the kernel didn't run the program that tells of them.
    left_out: u64,
    by: By,
}

impl DropWatch {
    /// A watch that starts with the first event.
    pub fn new(config: DropConfig) -> DropWatch {
        let tokens = config.max_burst;
        let (next, refilled, seen, seen_events) = (0, 0, Lost::default(), 0);
        DropWatch { config, next, tokens, refilled, seen, seen_events, detected: 0, acted: 0 }
    }

    /// Other settings from now on; what was counted stays.
    pub fn set_config(&mut self, config: DropConfig) {
        self.tokens = self.tokens.min(config.max_burst);
        self.config = config;
    }

    /// Whether a second is over and the counters should be looked at.
    pub fn due(&mut self, now: u64) -> bool {
        if self.next == 0 {
            self.next = now + INTERVAL;
        }
        now > self.next
    }

    /// Looks at the counters; answers what is to be told. `delivered` counts events since the start.
    pub fn check(&mut self, now: u64, lost: Lost, delivered: u64) -> Option<Drops> {
        self.next = now + INTERVAL;
        let mut by = BTreeMap::new();
        for (key, count) in &lost.by_type {
            let new = count - self.seen.by_type.get(key).copied().unwrap_or(0).min(*count);
            if new > 0 {
                by.insert(*key, new);
            }
        }
        let left_out = lost.left_out.saturating_sub(self.seen.left_out);
        let mut count: u64 = by.values().sum::<u64>() + left_out;
        let events = delivered.saturating_sub(self.seen_events) + count;
        self.seen = lost;
        self.seen_events = delivered;
        let mut threshold = self.config.threshold;
        if self.config.simulate {
            count += 1;
            threshold = 0.0;
        }
        let share = count as f64 / events.max(1) as f64;
        if count == 0 || share <= threshold {
            return None;
        }
        self.detected += 1;
        if !self.claim(now) {
            return None;
        }
        self.acted += 1;
        Some(Drops { events: events.max(count), lost: count, left_out, by })
    }

    /// Takes a token, so that a flood of losses isn't a flood of alerts.
    fn claim(&mut self, now: u64) -> bool {
        let passed = now.saturating_sub(self.refilled) as f64 / INTERVAL as f64;
        self.refilled = now;
        self.tokens = (self.tokens + passed * self.config.rate).min(self.config.max_burst);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// The counters of the alert that tell losses by kind of call, each with the calls' names.
const KINDS: [(&str, &[&str]); 7] = [
    ("n_drops_buffer_clone_fork_exit", &["clone", "clone3", "fork", "vfork"]),
    ("n_drops_buffer_execve_exit", &["execve", "execveat"]),
    ("n_drops_buffer_connect_exit", &["connect"]),
    ("n_drops_buffer_open_exit", &["open", "openat", "openat2", "open_by_handle_at"]),
    ("n_drops_buffer_dir_file_exit", DIR_FILE),
    ("n_drops_buffer_close_exit", &["close"]),
    ("n_drops_buffer_proc_exit", &["procexit"]),
];

const DIR_FILE: &[&str] = &[
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "lchown",
    "fchown",
    "fchownat",
];

/// Calls whose losses have a counter of their own though they fall in no kind above.
const OTHER: &[&str] = &[
    "accept",
    "accept4",
    "bind",
    "bpf",
    "capset",
    "chroot",
    "dup",
    "dup2",
    "dup3",
    "finit_module",
    "init_module",
    "kill",
    "listen",
    "memfd_create",
    "mount",
    "pidfd_open",
    "prctl",
    "ptrace",
    "sendmsg",
    "sendto",
    "setns",
    "setuid",
    "socket",
    "umount",
    "umount2",
    "unshare",
];

/// Losses by event type and reason.
type By = BTreeMap<(EventType, LostReason), u64>;

/// Events of some names that found no room.
fn named(by: &By, names: &[&str]) -> u64 {
    let is = |ty: EventType| ty.info().is_some_and(|info| names.contains(&info.name));
    by.iter().filter(|((ty, r), _)| *r == LostReason::RingFull && is(*ty)).map(|(_, n)| n).sum()
}

/// Events that found no room, by the kinds of call that Falco has counters for.
pub fn by_kind(by: &By) -> Vec<(&'static str, u64)> {
    let mut counts: Vec<_> = KINDS.iter().map(|(field, names)| (*field, named(by, names))).collect();
    counts.push(("n_drops_buffer_other_interest_exit", named(by, OTHER)));
    counts
}

impl Drops {
    fn of(&self, reason: LostReason) -> u64 {
        self.by.iter().filter(|((_, r), _)| *r == reason).map(|(_, n)| n).sum()
    }

    /// What is said of them.
    pub fn message(&self) -> String {
        format!("{RULE}. {} system calls dropped in last second.", self.lost)
    }

    /// Names of the rules that may have matched one of them, in load order.
    pub fn missed_by<'e>(&self, engine: &'e Engine) -> Vec<&'e str> {
        let mut types: BTreeSet<EventType> = self.by.keys().map(|(ty, _)| *ty).collect();
        if self.left_out > 0 {
            types.extend(EVENTS.iter().map(|event| event.code));
        }
        let rules: BTreeSet<RuleId> = types.into_iter().flat_map(|ty| engine.rules_for(ty)).collect();
        rules.into_iter().map(|id| &*engine.rule(id).rule.name).collect()
    }

    /// The alert, at `ts` ns since 1970, with the rules that may have missed something. Its fields carry Falco's
    /// names, but for the last two: how many of the lost events the state of the host needs most, and the rules.
    pub fn alert_naming(&self, ts: u64, rules: &[&str]) -> Alert {
        let mut alert = self.alert(ts);
        let vital = |ty: EventType| ty.info().is_some_and(EventInfo::is_vital);
        let of_processes: u64 = self.by.iter().filter(|((ty, _), _)| vital(*ty)).map(|(_, n)| n).sum();
        alert.fields.insert("n_drops_of_processes".to_owned(), of_processes.to_string().into());
        if rules.is_empty() {
            return alert;
        }
        let mut named = rules[..rules.len().min(NAMED)].join(", ");
        if rules.len() > NAMED {
            named += &format!(" and {} more", rules.len() - NAMED);
        }
        alert.message += &format!(" Rules that may have missed something: {named}.");
        alert.fields.insert("rules_that_may_have_missed_something".to_owned(), rules.join(", ").into());
        alert
    }

    /// The alert, at `ts` ns since 1970. Its fields carry Falco's names.
    pub fn alert(&self, ts: u64) -> Alert {
        let ring = LostReason::RingFull;
        let mut counts: Vec<(&str, u64)> = vec![
            ("n_evts", self.events),
            ("n_drops", self.lost),
            ("n_drops_buffer_total", self.of(ring)),
            ("n_drops_scratch_map", self.of(LostReason::TooLarge) + self.of(LostReason::NoBuffer)),
            ("n_drops_page_faults", 0),
            ("n_drops_bug", self.of(LostReason::NoProgram) + self.left_out),
            ("ebpf_enabled", 1),
        ];
        counts.extend(by_kind(&self.by));
        Alert {
            ts,
            priority: Priority::Debug,
            rule: RULE.into(),
            origin: Origin::Internal,
            message: self.message(),
            fields: counts.into_iter().map(|(name, n)| (name.to_owned(), n.to_string().into())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use lanner_event::types;

    use super::*;
    use crate::config::Config;

    fn lost(count: u64) -> Lost {
        let mut lost = Lost::default();
        lost.by_type.insert((types::SYSCALL_OPENAT_2_X, LostReason::RingFull), count);
        lost
    }

    #[test]
    fn each_second_tells_only_what_it_lost() {
        let mut watch = DropWatch::new(Config::default().drops);
        assert!(!watch.due(5) && !watch.due(5 + INTERVAL) && watch.due(6 + INTERVAL));
        assert_eq!(watch.check(INTERVAL, Lost::default(), 100), None);
        let drops = watch.check(2 * INTERVAL, lost(7), 150).unwrap();
        assert_eq!((drops.events, drops.lost), (57, 7));
        assert_eq!(watch.check(3 * INTERVAL, lost(7), 200), None);
        assert_eq!(watch.check(4 * INTERVAL, lost(9), 200).unwrap().lost, 2);
        assert_eq!((watch.detected, watch.acted), (2, 2));
    }

    #[test]
    fn what_was_left_out_is_lost_too() {
        let mut watch = DropWatch::new(Config::default().drops);
        let left_out = |left_out| Lost { left_out, ..Lost::default() };
        assert_eq!(watch.check(INTERVAL, left_out(5), 10).unwrap().lost, 5);
        let drops = watch.check(2 * INTERVAL, left_out(7), 10).unwrap();
        assert_eq!((drops.lost, drops.alert(1).fields["n_drops_bug"].as_str()), (2, Some("2")));
        assert_eq!(watch.check(3 * INTERVAL, left_out(7), 10), None);
    }

    #[test]
    fn threshold_and_rate_hold_alerts_back() {
        let config = DropConfig { threshold: 0.1, rate: 0.0, max_burst: 1.0, ..Config::default().drops };
        let mut watch = DropWatch::new(config);
        assert_eq!(watch.check(1, lost(1), 100), None, "1 % is below the threshold");
        assert!(watch.check(2, lost(101), 200).is_some());
        assert_eq!(watch.check(3, lost(901), 300), None, "no token is left");
        assert_eq!((watch.detected, watch.acted), (2, 1));
    }

    #[test]
    fn the_alert_says_what_was_lost_in_falcos_terms() {
        let drops = DropWatch::new(Config::default().drops).check(1, lost(3), 10).unwrap();
        let alert = drops.alert(5);
        assert_eq!(
            alert.message,
            "Falco internal: syscall event drop. 3 system calls dropped in last second."
        );
        assert_eq!(
            (alert.fields["n_drops"].as_str(), alert.fields["n_evts"].as_str()),
            (Some("3"), Some("13"))
        );
        assert_eq!(alert.fields["n_drops_buffer_open_exit"], "3");
        assert_eq!(alert.fields["n_drops_buffer_close_exit"], "0");
        assert_eq!(alert.fields.len(), 15);
        let named = drops.alert_naming(5, &["One", "Two"]);
        assert!(
            named.message.ends_with(" Rules that may have missed something: One, Two."),
            "{}",
            named.message
        );
        assert_eq!(named.fields["n_drops_of_processes"], "0");
        assert_eq!(named.fields["rules_that_may_have_missed_something"], "One, Two");
    }
}
