//! Which event types a live source is asked for.

use lanner_engine::EventTypes;
use lanner_event::{EVENTS, EventFlag, EventInfo};
use lanner_probe::EventSet;

use crate::config::BaseSyscalls;

/// Calls that move data, by their names in rules. They come in floods and tell little, so that rules see them
/// only when the settings say so (`base_syscalls.all`). The order is that of Falco's list of them.
pub const IGNORED: [&str; 11] =
    ["sendfile", "preadv", "readv", "pread", "recv", "send", "pwritev", "writev", "write", "pwrite", "read"];

/// The types that rules ask for and those that change the state of the machine, as the settings amend them.
pub fn wanted(rules: &EventTypes, base: &BaseSyscalls) -> EventSet {
    let added = |info: &EventInfo| base.custom.iter().any(|name| name == info.name);
    let left_out =
        |info: &EventInfo| base.custom.iter().any(|name| name.strip_prefix('!') == Some(info.name));
    let asked = |info: &EventInfo| rules.contains(info.code) && (base.all || !IGNORED.contains(&info.name));
    let keeps_state = |info: &EventInfo| info.has(EventFlag::ModifiesState);
    let current = |info: &&EventInfo| !info.has(EventFlag::OldVersion) && !info.has(EventFlag::Unused);
    EVENTS
        .iter()
        .filter(current)
        .filter(|info| (asked(info) || keeps_state(info) || added(info)) && !left_out(info))
        .map(|info| info.code)
        .collect()
}

#[cfg(test)]
mod tests {
    use lanner_event::types;

    use super::*;

    fn set(base: BaseSyscalls) -> EventSet {
        let mut rules = EventTypes::NONE;
        rules.insert(types::SYSCALL_READ_X);
        rules.insert(types::SYSCALL_PTRACE_X);
        wanted(&rules, &base)
    }

    #[test]
    fn rules_and_state_decide_and_floods_stay_out() {
        let plain = set(BaseSyscalls::default());
        assert!(plain.contains(types::SYSCALL_PTRACE_X) && plain.contains(types::SYSCALL_OPENAT_2_X));
        assert!(!plain.contains(types::SYSCALL_READ_X) && !plain.contains(types::SYSCALL_OPENAT_E));
        assert!(set(BaseSyscalls { all: true, ..Default::default() }).contains(types::SYSCALL_READ_X));
    }

    #[test]
    fn the_settings_add_and_leave_out_by_name() {
        let custom = vec!["fsync".to_owned(), "!ptrace".to_owned()];
        let set = set(BaseSyscalls { custom, ..Default::default() });
        let fsync = EVENTS.iter().find(|e| e.name == "fsync" && e.has(EventFlag::UsesFd));
        assert!(fsync.is_none_or(|e| set.contains(e.code)));
        assert!(!set.contains(types::SYSCALL_PTRACE_X));
    }
}
