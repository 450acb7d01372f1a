//! Which event types a live source is asked for.

use std::collections::BTreeSet;

use lanner_engine::{Engine, EventTypes};
use lanner_event::{Category, Direction, EVENTS, EventFlag, EventInfo, EventType, SYSCALL_NAMES, types};
use lanner_probe::EventSet;
use lanner_rules::Rule;

use crate::config::BaseSyscalls;

/// Calls that move data, by their names in rules. They come in floods and tell little, so that rules see them
/// only when the settings say so (`base_syscalls.all`). The order is that of Falco's list of them.
pub const IGNORED: [&str; 11] =
    ["sendfile", "preadv", "readv", "pread", "recv", "send", "pwritev", "writev", "write", "pwrite", "read"];

/// The calls that keep a thread's own state right, whatever rules ask for (`base_syscalls.repair`).
const REPAIR: [&str; 17] = [
    "clone",
    "clone3",
    "fork",
    "vfork",
    "execve",
    "execveat",
    "fchdir",
    "chdir",
    "chroot",
    "capset",
    "setgid",
    "setpgid",
    "setresgid",
    "setresuid",
    "setsid",
    "setuid",
    "prctl",
];

/// The call by which a thread leaves the fds of its process, which the event table doesn't count among those that change
/// the state.
const LEAVES_FDS: [&str; 1] = ["unshare"];

/// Moments that have attachment points of their own and come in floods: only for rules and settings that name them.
const FLOODS: [EventType; 2] = [types::SCHEDSWITCH_6_E, types::SIGNALDELIVER_E];

/// What a source is asked for, and what of the settings and rules that leaves unfulfilled.
#[derive(Debug)]
pub struct Selected {
    /// The types.
    pub events: EventSet,
    /// Calls that rules name and that are not watched, sorted.
    pub unwatched: Vec<&'static str>,
    /// Names in the settings that name no call, sorted.
    pub unknown: Vec<String>,
}

/// The types that rules ask for and those that the settings want beside them.
pub fn wanted(rules: &EventTypes, base: &BaseSyscalls) -> EventSet {
    select(rules, base).events
}

/// Chooses types as Falco does: those that rules ask for; beside them those that change the state of the machine,
/// or in their place a set of one's own (`custom_set`) or the smallest that will do (`repair`); without those that
/// are left out by name, and without floods.
pub fn select(rules: &EventTypes, base: &BaseSyscalls) -> Selected {
    let names = |list: &mut dyn Iterator<Item = &str>| -> Names { list.filter_map(known).collect() };
    let added = names(&mut base.custom.iter().filter(|name| !name.starts_with('!')).map(String::as_str));
    let left_out = names(&mut base.custom.iter().filter_map(|name| name.strip_prefix('!')));
    let asked: Names = current().filter(|info| rules.contains(info.code)).map(|info| info.name).collect();
    let state = || {
        current().filter(|info| info.has(EventFlag::ModifiesState)).map(|info| info.name).chain(LEAVES_FDS)
    };
    let mut chosen = asked.clone();
    match (added.is_empty(), base.repair) {
        (false, _) => chosen.extend(&added),
        (true, false) => chosen.extend(state()),
        (true, true) => repair(&mut chosen),
    }
    chosen.retain(|name| !left_out.contains(name) && (base.all || !IGNORED.contains(name)));
    if base.repair && !base.custom.is_empty() {
        repair(&mut chosen);
    }
    // Without it no thread would ever be forgotten.
    chosen.insert("procexit");
    // a rule that looks at every type does not mean the scheduler
    let catch_all = rules.contains(types::DROP_E);
    let floods = |info: &EventInfo| catch_all && FLOODS.contains(&info.code) && !added.contains(info.name);
    let begins = |info: &EventInfo| info.direction == Direction::Enter && info.is(Category::Syscall);
    let is_chosen = |info: &&EventInfo| {
        chosen.contains(info.name)
            && !floods(info)
            && (base.entries || !begins(info))
            && (!is_generic(info) || rules.contains(info.code) || !added.is_empty())
    };
    Selected {
        events: current().filter(is_chosen).map(|info| info.code).collect(),
        unwatched: asked.difference(&chosen).copied().collect(),
        unknown: unknown(base),
    }
}

/// Whether a rule's condition or output asks where the kernel found what was opened.
pub fn asks_where(engine: &Engine) -> bool {
    const ENDING: &str = ".path.resolved";
    let asks = |rule: &Rule| rule.output.contains(ENDING) || rule.condition.to_string().contains(ENDING);
    engine.rules().iter().any(|compiled| asks(&compiled.rule))
}

type Names = BTreeSet<&'static str>;

/// The types that today's sources write.
fn current() -> impl Iterator<Item = &'static EventInfo> {
    EVENTS.iter().filter(|info| !info.has(EventFlag::OldVersion) && !info.has(EventFlag::Unused))
}

fn is_generic(info: &EventInfo) -> bool {
    info.code == types::GENERIC_E || info.code == types::GENERIC_X
}

/// The table's name for a call: a call without a type of its own comes in a generic event.
fn known(name: &str) -> Option<&'static str> {
    let own = current().find(|info| info.name == name);
    let generic = || SYSCALL_NAMES.contains(&name).then(|| types::GENERIC_X.info()).flatten();
    own.or_else(generic).map(|info| info.name)
}

/// Adds what the state of threads needs, and of files and sockets if they are watched.
fn repair(names: &mut Names) {
    let some = |kinds: &[Category]| {
        current().any(|info| names.contains(info.name) && kinds.iter().any(|kind| info.is(*kind)))
    };
    let net = some(&[Category::Net]);
    let files = some(&[Category::File, Category::IoRead, Category::IoWrite, Category::IoOther]);
    let serves = ["accept", "accept4", "listen"].iter().any(|name| names.contains(name));
    names.extend(REPAIR);
    let more: [(bool, &[&'static str]); 3] =
        [(net, &["socket", "getsockopt", "close"]), (files, &["close"]), (serves, &["bind"])];
    more.iter().filter(|(needed, _)| *needed).for_each(|(_, more)| names.extend(*more));
}

fn unknown(base: &BaseSyscalls) -> Vec<String> {
    let bare = base.custom.iter().map(|name| name.strip_prefix('!').unwrap_or(name));
    let unknown: BTreeSet<&str> = bare.filter(|name| !name.is_empty() && known(name).is_none()).collect();
    unknown.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
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
        assert!(!plain.contains(types::SYSCALL_OPENAT_2_E) && plain.contains(types::PROCEXIT_1_E));
        let entries = set(BaseSyscalls { entries: true, ..Default::default() });
        assert!(entries.contains(types::SYSCALL_OPENAT_2_E) && entries.contains(types::SOCKET_CONNECT_E));
    }

    #[test]
    fn the_scheduler_is_watched_for_rules_that_name_it() {
        let base = BaseSyscalls { all: true, ..Default::default() };
        assert!(!wanted(&EventTypes::all(), &base).contains(types::SCHEDSWITCH_6_E));
        let mut named = EventTypes::NONE;
        named.insert(types::SIGNALDELIVER_E);
        assert!(wanted(&named, &base).contains(types::SIGNALDELIVER_E));
    }

    fn names(base: BaseSyscalls) -> Names {
        let set = set(base);
        EVENTS.iter().filter(|info| set.contains(info.code)).map(|info| info.name).collect()
    }

    fn custom(names: &[&str]) -> BaseSyscalls {
        BaseSyscalls { custom: names.iter().map(|name| (*name).to_owned()).collect(), ..Default::default() }
    }

    #[test]
    fn a_set_of_ones_own_takes_the_place_of_the_state_and_names_can_be_left_out() {
        let own = names(custom(&["fchmod", "setns"]));
        assert_eq!(own.into_iter().collect::<Vec<_>>(), ["fchmod", "procexit", "ptrace", "setns"]);
        let less = names(custom(&["!ptrace", "!chdir"]));
        assert!(less.contains("clone") && !less.contains("ptrace") && !less.contains("chdir"));
        // A call without a type of its own comes in a generic event.
        assert!(set(custom(&["io_uring_enter", "mincore"])).contains(types::GENERIC_X));
    }

    #[test]
    fn repair_takes_what_threads_need_and_of_files_what_rules_make_necessary() {
        let small = names(BaseSyscalls { repair: true, ..Default::default() });
        assert!(small.contains("execve") && small.contains("close") && !small.contains("dup"), "{small:?}");
        assert!(!small.contains("socket") && small.contains("procexit"));
        let net = names(BaseSyscalls { repair: true, ..custom(&["accept4"]) });
        assert!(net.contains("socket") && net.contains("bind") && net.contains("clone"));
    }

    #[test]
    fn what_is_asked_for_in_vain_is_told() {
        let mut rules = EventTypes::NONE;
        [types::SYSCALL_READ_X, types::SYSCALL_PTRACE_X].into_iter().for_each(|ty| rules.insert(ty));
        let selected = select(&rules, &custom(&["!ptrace", "!nosuch", "alsonot"]));
        assert_eq!(selected.unwatched, ["ptrace", "read"]);
        assert_eq!(selected.unknown, ["alsonot", "nosuch"]);
    }
}
