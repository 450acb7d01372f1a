//! What the kernel may drop without changing an alert, and what is said about it.

use std::collections::BTreeSet;
use std::fmt::Write;

use lanner_engine::{Callers, Engine, Needs, Pushed, RuleId};
use lanner_event::prefilter::{
    CREATES, EXCEPTED_NAME, Interest, Keep, OTHER_NAME, PathTest, Places, Prefilter, READS, SUCCESS,
    SocketClass, States, THERE, TRUNCATES, WRITES,
};
use lanner_event::{EventType, types};
use lanner_machine::BIRTHS;
use lanner_plugin::host::Crew;
use lanner_probe::EventSet;

use crate::config::{BaseSyscalls, Config};
use crate::program::Program;
use crate::wanted::wanted;

/// The prefilter for rules and the types that are watched for them and for the state.
pub fn prefilter(engine: &Engine, base: &BaseSyscalls, watched: &EventSet) -> Prefilter {
    let needs = engine.needs();
    let mut prefilter = Prefilter::default();
    if off(&needs, base).is_some() {
        return prefilter;
    }
    prefilter.ends = engine.asked_ends();
    let asked = engine.event_types();
    let by_name =
        |ty: EventType| base.custom.iter().any(|name| ty.info().is_some_and(|info| info.name == name));
    prefilter.births_once = !BIRTHS.iter().any(|ty| asked.contains(*ty) || by_name(*ty));
    for ty in watched.iter() {
        let Some(info) = ty.info().filter(|info| Places::of(info).is_some()) else { continue };
        // Whoever adds a call by name wants to have it all.
        if base.custom.iter().any(|name| name == info.name) {
            continue;
        }
        let unix = needs.unix_sockets.is_some() || needs.every_open.is_some();
        let keep = lanner_machine::keep(ty);
        let keep = match if unix { keep.with_unix() } else { keep } {
            Keep::Opens | Keep::Closes if needs.every_open.is_some() => Keep::Successes,
            Keep::All => continue,
            keep => keep,
        };
        let Some(interest) = engine.interest(ty) else { continue };
        // whoever doesn't hear of new programs takes a process for what it was before
        let hears = watched.contains(types::SYSCALL_EXECVE_19_X);
        // and has no name for one of whose beginning it doesn't hear, which no exception fits
        let knows_all = hears && BIRTHS.iter().all(|ty| watched.contains(*ty));
        if let Some(callers) = engine.callers(ty, &interest) {
            let Callers { names, excepted, interests, of_containers } = callers;
            let interests = if hears {
                prefilter.names.extend(names);
                prefilter.excepted.extend((knows_all && !excepted.is_empty()).then_some((ty, excepted)));
                interests
            } else {
                let there = interests[THERE - 1].clone();
                std::array::from_fn(|at| if at + 1 < THERE { &interest } else { &there }.clone())
            };
            prefilter.callers.insert(ty, interests);
            if of_containers {
                prefilter.of_containers.insert(ty);
            }
        }
        prefilter.types.insert(ty, (interest, keep));
        prefilter.classes.extend(engine.argument_classes(ty).map(|classes| (ty, classes)));
    }
    prefilter
}

/// The prefilter of a running program: for its rules, and plugins that parse events.
pub fn of_program(program: &Program, crew: Option<&Crew>) -> Prefilter {
    let base = &program.config.base_syscalls;
    let mut prefilter = prefilter(&program.engine, base, &wanted(&program.engine.event_types(), base));
    match crew.filter(|crew| crew.parses()).map(Crew::parse_types) {
        Some(None) => return Prefilter::default(),
        Some(Some(parsed)) => {
            prefilter.types.retain(|ty, _| !parsed.contains(&ty.0));
            prefilter.births_once &= !BIRTHS.iter().any(|ty| parsed.contains(&ty.0));
            // they may look at all that the machine knows
            for (_, keep) in prefilter.types.values_mut() {
                *keep = if *keep == Keep::Closes { Keep::Successes } else { keep.with_unix() };
            }
        }
        None => {}
    }
    prefilter
}

const CAPTURES: &str =
    "The kernel drops nothing while a capture is written that a rule triggers: it holds every event.";

/// Why nothing is dropped.
fn off(needs: &Needs, base: &BaseSyscalls) -> Option<String> {
    if base.all {
        return Some("base_syscalls.all asks for every event".to_owned());
    }
    let (rule, field) = needs.every_event.as_ref()?;
    Some(format!("rule '{rule}' looks at {field}, which counts every event"))
}

/// What the kernel lets through for rules over system calls: for all, or for the one of that name.
pub fn told(engine: &Engine, config: &Config, only: Option<&str>) -> String {
    let all = || overall(engine, &config.base_syscalls);
    let captures = || config.capture.enabled.then(|| CAPTURES.to_owned());
    let mut out = all().or_else(captures).map_or_else(String::new, |line| line + "\n");
    for (at, compiled) in engine.rules().iter().enumerate() {
        let name = &compiled.rule.name;
        if compiled.rule.source != "syscall" || only.is_some_and(|only| only != name) {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(out, "The kernel lets through for '{name}':");
        for line in of_rule(engine, RuleId::from_index(at)) {
            let _ = writeln!(out, "  {line}");
        }
    }
    if out.is_empty() { "The rule is off: nothing is let through for it.\n".to_owned() } else { out }
}

/// What holds for all rules: why nothing, or no open, or no call over unix sockets, is dropped.
fn overall(engine: &Engine, base: &BaseSyscalls) -> Option<String> {
    let needs = engine.needs();
    if let Some(why) = off(&needs, base) {
        return Some(format!("The kernel drops nothing: {why}."));
    }
    if let Some((rule, field)) = &needs.every_open {
        return Some(format!(
            "The kernel drops no open, no close and no call over a unix socket that succeeds: rule '{rule}' looks at {field} of files that are open already."
        ));
    }
    let (rule, field) = needs.unix_sockets.as_ref()?;
    Some(format!(
        "The kernel drops no call over a unix socket that succeeds: rule '{rule}' looks at {field} of such sockets."
    ))
}

/// What the kernel decides for a rule, a line for each group of calls.
fn of_rule(engine: &Engine, id: RuleId) -> Vec<String> {
    let mut groups: Vec<(Pushed, Vec<&'static str>)> = Vec::new();
    for pushed in engine.pushed(id) {
        let live = |info: &&lanner_event::EventInfo| {
            use lanner_event::{Direction, EventFlag};
            info.direction == Direction::Exit
                && !info.has(EventFlag::OldVersion)
                && !info.has(EventFlag::Unused)
        };
        let Some(info) = pushed.ty.info().filter(live) else { continue };
        let pushed = as_dropped(pushed);
        let same = |(known, _): &&mut (Pushed, Vec<_>)| {
            known.interest == pushed.interest
                && known.undecided == pushed.undecided
                && known.values == pushed.values
                && known.callers == pushed.callers
        };
        match groups.iter_mut().find(same) {
            Some((_, names)) => names.push(info.name),
            None => groups.push((pushed, vec![info.name])),
        }
    }
    let line = |(pushed, calls): &(Pushed, Vec<_>)| {
        let who = pushed
            .callers
            .as_ref()
            .map_or_else(String::new, |callers| by_name(pushed, callers) + &by_container(pushed, callers));
        format!("{}: {}{who}", calls.join(" "), in_words(pushed, &pushed.interest))
    };
    groups.iter().map(line).collect()
}

/// Who makes a call decides only of calls that the state can spare.
fn as_dropped(mut pushed: Pushed) -> Pushed {
    if lanner_machine::keep(pushed.ty) == Keep::All {
        pushed.callers = None;
    }
    let differs = |kind| pushed.callers.as_ref().is_some_and(|of| *of.interest(kind) != pushed.interest);
    let decided = [(OTHER_NAME, "proc.name"), (EXCEPTED_NAME, "proc.name"), (THERE, "container.id")]
        .map(|(kind, field)| (differs(kind), field));
    pushed
        .undecided
        .retain(|field| !decided.iter().any(|(decided, start)| *decided && field.starts_with(start)));
    pushed
}

/// What containers decide.
fn by_container(pushed: &Pushed, callers: &Callers) -> String {
    let there = callers.interest(THERE);
    if *there == pushed.interest {
        return String::new();
    }
    let (others, these) = match callers.of_containers {
        true => ("on the host", "processes in containers"),
        false => ("in containers", "the host's processes"),
    };
    match in_words(pushed, there).as_str() {
        "none" => format!(", {others} only"),
        less => format!(", {others}; of {these} {less}"),
    }
}

/// What names of processes decide.
fn by_name(pushed: &Pushed, callers: &Callers) -> String {
    let others = callers.interest(OTHER_NAME);
    let mut said = String::new();
    if *others != pushed.interest {
        said = format!(", if the process is named {}", named(&callers.names));
        match in_words(pushed, others).as_str() {
            "none" => {}
            less => said = format!("{said}; else {less}"),
        }
    }
    if callers.excepted.is_empty() {
        return said;
    }
    let names = named(&callers.excepted);
    let less = in_words(pushed, callers.interest(EXCEPTED_NAME));
    match less.as_str() {
        "none" => format!("{said}, unless the process is named {names}"),
        less => format!("{said}; of processes named {names} {less}"),
    }
}

/// Names in words, as long as they are few.
fn named(names: &BTreeSet<Box<[u8]>>) -> String {
    const SHOWN: usize = 3;
    match names.len() {
        few if few <= SHOWN => {
            names.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>().join(", ")
        }
        many => format!("one of {many} names"),
    }
}

fn in_words(pushed: &Pushed, interest: &Interest) -> String {
    let Pushed { ty, undecided, values, .. } = pushed;
    let over_socket = ty.info().and_then(Places::of).is_some_and(|places| places.socket.is_some());
    if over_socket && !interest.whatever.is_empty() && interest.whatever != States::ALL {
        return over(interest.whatever);
    }
    if let Some(values) = values {
        return with_values(interest.hull(), values);
    }
    if interest.whatever == States::ALL {
        return match &undecided[..] {
            [] => "all".to_owned(),
            fields => format!("all, since the kernel can't decide {}", fields.join(", ")),
        };
    }
    let mut text = String::new();
    if !interest.whatever.is_empty() {
        text = format!("those that {}", states(interest.whatever));
    }
    if !interest.paths.is_empty() {
        let join = if text.is_empty() { "" } else { ", and " };
        let _ = write!(text, "{join}those that {} {}", states(interest.hull()), paths(interest));
    }
    if text.is_empty() { "none".to_owned() } else { text }
}

/// States in words; what all of a set have in common.
fn states(set: States) -> String {
    let mut said = Vec::new();
    for (bit, yes, no) in [
        (SUCCESS, "succeed", "fail"),
        (READS, "read", "don't read"),
        (WRITES, "write", "don't write"),
        (CREATES, "may create", "don't create"),
        (TRUNCATES, "empty the file", "don't empty the file"),
    ] {
        if set.and(States::without(bit)).is_empty() {
            said.push(yes);
        } else if set.and(States::with(bit)).is_empty() {
            said.push(no);
        }
    }
    if said.is_empty() { "are made".to_owned() } else { said.join(" and ") }
}

/// States of calls over sockets in words. What is no socket and what is of a family without ends is let through with any
/// other, and not spoken of.
fn over(set: States) -> String {
    const FAMILIES: [(&str, SocketClass, SocketClass); 3] = [
        ("TCP", SocketClass::Tcp4, SocketClass::Tcp6),
        ("UDP", SocketClass::Udp4, SocketClass::Udp6),
        ("other IP", SocketClass::Other4, SocketClass::Other6),
    ];
    let has = |class: SocketClass| !set.and(class.states()).is_empty();
    // of those whose ends no rule asks for, both versions are one
    let has_any =
        |of: SocketClass| has(of) || has(of.with_ends(true, false)) || has(of.with_ends(false, true));
    let mut names: Vec<String> = Vec::new();
    for (name, four, six) in FAMILIES {
        match (has_any(four), has_any(six)) {
            (true, true) => names.push(name.to_owned()),
            (true, false) => names.push(format!("{name} (v4)")),
            (false, true) => names.push(format!("{name} (v6)")),
            (false, false) => {}
        }
    }
    let mut all_ends = true;
    for (name, class) in [("TCP", SocketClass::Tcp4), ("UDP", SocketClass::Udp4)] {
        let named = names.iter_mut().find(|said| said.starts_with(name));
        if let Some((said, asked)) = named.zip(asked_ends(class, &has)) {
            all_ends = false;
            let connected = if class.is_udp() { " (or not connected)" } else { "" };
            let _ = write!(said, " with {asked} that rules ask for{connected}");
        }
    }
    for (name, class) in [("unix sockets", SocketClass::Unix), ("netlink", SocketClass::Netlink)] {
        names.extend(has(class).then(|| name.to_owned()));
    }
    let verb = verb(set);
    match (&names[..], names.len() == 5 && all_ends) {
        ([], _) => format!("those that {verb} over other sockets"),
        (_, true) => format!("those that {verb}"),
        _ => format!("those that {verb} over {}", names.join(", ")),
    }
}

/// What of the ends of sockets of a class rules have to ask for, if they decide.
fn asked_ends(class: SocketClass, has: &dyn Fn(SocketClass) -> bool) -> Option<&'static str> {
    let with = |elsewhere, other_ports| has(class.with_ends(elsewhere, other_ports));
    match (with(true, false), with(false, true), with(true, true)) {
        (_, _, true) => None,
        (false, true, _) => Some("addresses"),
        (true, false, _) => Some("ports"),
        (true, true, _) => Some("addresses or ports"),
        (false, false, _) => Some("addresses and ports"),
    }
}

/// How calls in these states end.
fn verb(set: States) -> &'static str {
    match (set.and(States::with(SUCCESS)), set.and(States::without(SUCCESS))) {
        (_, fail) if fail.is_empty() => "succeed",
        (succeed, _) if succeed.is_empty() => "fail",
        _ => "are made",
    }
}

/// States of calls with certain values of an argument in words.
fn with_values(set: States, values: &[String]) -> String {
    let verb = verb(set);
    match values {
        [] => format!("those that {verb} with certain arguments"),
        values => format!("those that {verb} with {}", values.join(", ")),
    }
}

fn paths(interest: &Interest) -> String {
    let mut counts = [0usize; 4];
    let mut in_root = false;
    for test in interest.paths.keys() {
        counts[match test {
            PathTest::Exact(_) => 0,
            PathTest::Prefix(_) => 1,
            PathTest::Suffix(_) => 2,
            PathTest::Holds(_) => 3,
            PathTest::TopLevel => {
                in_root = true;
                continue;
            }
        }] += 1;
    }
    let names = ["names", "beginnings", "endings", "parts"];
    let mut told: Vec<String> = counts
        .iter()
        .zip(names)
        .filter(|(count, _)| **count > 0)
        .map(|(count, name)| {
            let name = if *count == 1 { &name[..name.len() - 1] } else { name };
            format!("{count} {name}")
        })
        .collect();
    told.extend(in_root.then(|| "the root directory's own".to_owned()));
    format!("by path ({})", told.join(", "))
}

#[cfg(test)]
mod tests {
    use lanner_rules::SourceText;

    use super::*;
    use crate::ruleset::{load, own_rules};

    #[test]
    fn our_own_rules_leave_most_opens_out() {
        let config = Config::default();
        let rules = load(&own_rules(&crate::ruleset::catalog()), &config).unwrap();
        let watched = wanted(&rules.engine.event_types(), &config.base_syscalls);
        let prefilter = prefilter(&rules.engine, &config.base_syscalls, &watched);
        let (interest, keep) = &prefilter.types[&types::SYSCALL_OPENAT_2_X];
        assert_eq!((interest.whatever, *keep), (States::NONE, Keep::Opens));
        assert_eq!(overall(&rules.engine, &config.base_syscalls), None);
        let told = told(&rules.engine, &config, Some("Set Setuid or Setgid bit"));
        assert_eq!(
            told,
            "The kernel lets through for 'Set Setuid or Setgid bit':\n  fchmodat chmod fchmod: those that succeed, unless the process is named one of 63 names\n"
        );
    }

    fn told_of(condition: &str) -> String {
        let rule = format!("- rule: R\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n");
        let config = Config::default();
        let texts = [SourceText::new("r.yaml", &*rule)];
        let rules = load(&texts, &config).map_err(|error| error.to_string()).unwrap();
        told(&rules.engine, &config, Some("R"))
    }

    #[test]
    fn it_is_said_what_ends_of_sockets_decide() {
        let over = |condition: &str, sockets: &str| {
            assert_eq!(
                told_of(&format!("evt.type = sendto and {condition}")),
                format!(
                    "The kernel lets through for 'R':\n  sendto: those that are made over {sockets}, other IP\n"
                ),
            );
        };
        for (condition, asked) in [
            ("fd.sip = 10.0.0.9", "addresses"),
            ("fd.snet = 10.0.0.0/8", "addresses"),
            ("fd.sport in (3333, 4444)", "ports"),
            ("fd.sport > 1024", "ports"),
            ("fd.sport = 80 and fd.rnet = fe80::/10", "addresses and ports"),
            ("(fd.sport = 80 or fd.rip = 10.0.0.9)", "addresses or ports"),
        ] {
            let asked = format!("with {asked} that rules ask for");
            over(condition, &format!("TCP {asked}, UDP {asked} (or not connected)"));
        }
        over("fd.sport < 1024", "TCP, UDP");
        over("fd.sport = 80 and fd.l4proto = udp", "UDP with ports that rules ask for (or not connected)");
    }

    fn says(what: &str) -> String {
        format!("The kernel lets through for 'R':\n  openat: {what}\n")
    }

    #[test]
    fn it_is_said_what_names_of_processes_decide() {
        assert_eq!(
            told_of("evt.type = execve and proc.name = tar"),
            "The kernel lets through for 'R':\n  execve: all, since the kernel can't decide proc.name\n"
        );
        assert_eq!(
            told_of("evt.type = openat and evt.is_open_read = true and proc.name = tar"),
            says("those that read, if the process is named tar")
        );
        assert_eq!(
            told_of(
                "evt.type = openat and (proc.name in (a, b, c, d) and not user.name = x or fd.name = /etc/shadow)"
            ),
            says(
                "all, since the kernel can't decide user.name, if the process is named one of 4 names; else those that are made by path (1 name)"
            )
        );
        let reads = |exception: &str| {
            told_of(&format!("evt.type = openat and evt.is_open_read = true and {exception}"))
        };
        assert_eq!(
            reads("not proc.name in (tar, cp)"),
            says("those that read, unless the process is named cp, tar")
        );
        assert_eq!(
            reads("(proc.name != tar or fd.name = /etc/shadow)"),
            says("those that read; of processes named tar those that read by path (1 name)")
        );
        assert_eq!(
            reads("proc.name in (tar, cp) and (fd.name = /a/b or proc.name = cp)"),
            says(
                "those that read, if the process is named cp, tar; of processes named tar those that read by path (1 name)"
            )
        );
    }

    #[test]
    fn it_is_said_what_containers_decide() {
        assert_eq!(
            told_of("evt.type = openat and evt.is_open_write = true and container.id != host"),
            says("those that write, in containers only")
        );
        assert_eq!(
            told_of(
                "evt.type = openat and evt.is_open_write = true and (container.id != host or fd.name = /etc/shadow)"
            ),
            says(
                "those that write, in containers; of the host's processes those that write by path (1 name)"
            )
        );
        assert_eq!(
            told_of("evt.type = openat and evt.is_open_write = true and not container.id != host"),
            says("those that write, on the host only")
        );
        assert_eq!(
            told_of(
                "evt.type = openat and evt.is_open_write = true and (container.id = host or fd.name = /etc/shadow)"
            ),
            says(
                "those that write, on the host; of processes in containers those that write by path (1 name)"
            )
        );
        assert_eq!(
            told_of("evt.type = openat and proc.name = tar and container.name = web and user.name = x"),
            says(
                "all, since the kernel can't decide container.name, user.name, if the process is named tar, in containers only"
            )
        );
        assert_eq!(
            told_of("evt.type = openat and not container.id = host"),
            says("all, since the kernel can't decide container.id")
        );
    }

    #[test]
    fn names_are_excepted_only_where_each_beginning_is_heard_of() {
        let rule = "- rule: R\n  desc: d\n  condition: evt.type = openat and proc.name != tar\n  output: o\n  priority: INFO\n";
        let rules = load(&[SourceText::new("r.yaml", rule)], &Config::default()).unwrap();
        let excepted = |custom: &[&str]| {
            let base = BaseSyscalls {
                custom: custom.iter().map(ToString::to_string).collect(),
                ..BaseSyscalls::default()
            };
            let watched = wanted(&rules.engine.event_types(), &base);
            !prefilter(&rules.engine, &base, &watched).excepted.is_empty()
        };
        assert!(excepted(&[]) && excepted(&["execve", "clone", "clone3", "fork", "vfork"]));
        assert!(!excepted(&["execve"]) && !excepted(&["!vfork"]) && !excepted(&["!execve"]));
    }

    #[test]
    fn all_events_are_kept_where_all_are_asked_for() {
        let config = Config::default();
        let rules = load(&own_rules(&crate::ruleset::catalog()), &config).unwrap();
        let base = BaseSyscalls { all: true, ..BaseSyscalls::default() };
        assert_eq!(prefilter(&rules.engine, &base, &EventSet::all()), Prefilter::default());
        assert!(overall(&rules.engine, &base).unwrap().contains("base_syscalls.all"));
    }
}
