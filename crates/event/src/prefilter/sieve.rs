//! A prefilter as tables, in the form in which the source of events runs it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::address::Addresses;
use super::argument;
use super::exception::NameClasses;
use super::hash::{GRAM_WORDS, KNOWN_WORDS, PREFIXES, Slot, Table, Verdict};
use super::path::is_clean;
use super::port::Ports;
use super::{
    ASKED, ArgumentClasses, CALLERS, CREATES, EXCEPTED_NAME, Home, Interest, Keep, LONGEST_PATH,
    LONGEST_SEARCHED, OTHER_NAME, PathTest, Places, Prefilter, READS, SUCCESS, SocketClass, States, THERE,
    TRUNCATES, WRITES,
};
use crate::{EVENTS, Event, EventType};

/// Bits of the flags of open calls, as the event table numbers them.
mod flag {
    pub(super) const RDONLY: u32 = 1;
    pub(super) const WRONLY: u32 = 2;
    pub(super) const CREAT: u32 = 4;
    pub(super) const TRUNC: u32 = 256;
    pub(super) const TMPFILE: u32 = 8192;
}

/// What is decided for events of one type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sieve {
    /// States in which an event matters whatever its paths, by who made the call.
    pub whatever: [States; CALLERS],
    /// States in which it may because of a path.
    pub paths: States,
    /// States in which the start of a path may be the reason.
    pub starts: States,
    /// States in which its end may.
    pub ends: States,
    /// States in which four bytes anywhere in it may.
    pub grams: States,
    /// Which group of tests in the table is its own.
    pub salt: u32,
    /// What is needed of events that don't matter.
    pub keep: Keep,
    /// Lengths of prefixes that are asked for: bit 0 for the first of [`PREFIXES`].
    pub prefixes: u8,
    /// Lengths of suffixes that are asked for: bit 0 for one byte.
    pub suffixes: u8,
    /// Where such events have what is decided by.
    pub places: Places,
    /// How values of the argument are told apart; all are of class 0 if this is empty.
    pub classes: ArgumentClasses,
    /// Whether less is asked for in containers, if anywhere, rather than in none.
    pub of_containers: bool,
    /// Of which classes of names less is asked for, a bit for each.
    pub excepted: u64,
}

impl Sieve {
    /// Puts a test of paths into the table. Where there is no room, the event matters whatever its paths.
    fn look_for(&mut self, test: &PathTest, verdict: Verdict, table: &mut Table) {
        if !table.insert(self.salt, test, verdict) {
            self.whatever = Verdict(self.whatever).or(verdict).0;
            return;
        }
        let states = verdict.hull();
        self.paths = self.paths.or(states);
        match test {
            PathTest::Exact(_) | PathTest::TopLevel => {}
            PathTest::Prefix(start) => {
                self.starts = self.starts.or(states);
                let at = PREFIXES.iter().position(|len| *len == start.len());
                self.prefixes |= at.map_or(u8::MAX, |at| 1 << at);
            }
            PathTest::Suffix(end) => {
                self.ends = self.ends.or(states);
                self.suffixes |= 1 << (end.len() - 1);
            }
            PathTest::Holds(_) => self.grams = self.grams.or(states),
        }
    }
}

/// A prefilter, made ready.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sieves {
    by_type: Vec<Option<Sieve>>,
    table: Table,
    addresses: Addresses,
    ports: Ports,
    births_once: bool,
}

impl Sieves {
    /// Makes a prefilter ready.
    pub fn new(prefilter: &Prefilter) -> Sieves {
        let mut sieves = Sieves {
            by_type: vec![None; EVENTS.len()],
            addresses: Addresses::new(&prefilter.ends.networks),
            ports: Ports::new(&prefilter.ends.ports),
            births_once: prefilter.births_once,
            ..Sieves::default()
        };
        let classes = NameClasses::of(prefilter);
        // where one finds no room, a process of that name would be taken for one that nobody asks for
        let mut insert = |name: &[u8], asked| sieves.table.insert_name(name, asked | classes.of_name(name));
        let names_known = prefilter.names.iter().all(|name| insert(name, ASKED));
        let mut groups: Vec<[&Interest; CALLERS]> = Vec::new();
        for (ty, (interest, keep)) in &prefilter.types {
            let Some(places) = ty.info().and_then(Places::of) else { continue };
            let by_caller = by_caller(interest, prefilter.callers.get(ty).filter(|_| names_known));
            let same =
                |known: &[&Interest; CALLERS]| known.map(|of| &of.paths) == by_caller.map(|of| &of.paths);
            let group = groups.iter().position(same).unwrap_or_else(|| {
                groups.push(by_caller);
                groups.len() - 1
            });
            // Without a path nothing can be asked of one.
            let has_path = !places.paths.is_empty();
            let mut sieve = Sieve {
                whatever: by_caller.map(|of| if has_path { of.whatever } else { of.hull() }),
                paths: States::NONE,
                starts: States::NONE,
                ends: States::NONE,
                grams: States::NONE,
                salt: group as u32 + 1,
                keep: *keep,
                prefixes: 0,
                suffixes: 0,
                places,
                classes: prefilter.classes.get(ty).cloned().unwrap_or_default(),
                of_containers: prefilter.of_containers.contains(ty),
                excepted: classes.of_type(*ty),
            };
            for (test, verdict) in tests(by_caller).into_iter().filter(|_| has_path) {
                sieve.look_for(test, verdict, &mut sieves.table);
            }
            sieves.by_type[usize::from(ty.0)] = Some(sieve);
        }
        for name in classes.names().filter(|name| !prefilter.names.contains(*name)) {
            // where it finds no room, it is one of those that no rule asks for
            sieves.table.insert_name(name, classes.of_name(name));
        }
        sieves
    }

    /// What is decided for events of a type; `None`: all are let through.
    pub fn get(&self, ty: EventType) -> Option<&Sieve> {
        self.by_type.get(usize::from(ty.0))?.as_ref()
    }

    /// The table of tests.
    pub fn table(&self) -> &[Slot] {
        &self.table.slots
    }

    /// Which four bytes some test asks for, by hash.
    pub fn grams(&self) -> &[u64; GRAM_WORDS] {
        &self.table.grams
    }

    /// Which keys are in the table, a bit for each.
    pub fn known(&self) -> &[u64; KNOWN_WORDS] {
        &self.table.known
    }

    /// Which addresses some rule asks for.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Which ports some rule asks for.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// What a socket of TCP or UDP is over which data goes from one of its two ends to the other.
    pub fn between(&self, class: SocketClass, ends: [SocketAddr; 2]) -> SocketClass {
        let elsewhere =
            !self.addresses.is_empty() && !ends.iter().any(|end| self.addresses.may_have(end.ip()));
        let other_ports = !self.ports.is_empty() && !ends.iter().any(|end| self.ports.has(end.port()));
        class.with_ends(elsewhere, other_ports)
    }

    /// Whether who makes a thread need not tell of it ([`Prefilter::births_once`]).
    pub fn births_once(&self) -> bool {
        self.births_once
    }

    /// Whether an event may matter to a rule. `socket` is what the socket is that a call over one is about, `name` that of
    /// the process.
    pub fn may_matter(&self, event: &Event<'_>, socket: SocketClass, name: &[u8], home: Home) -> bool {
        let Some(sieve) = self.get(event.ty()) else { return true };
        let Some(state) = state_of(sieve, event, socket) else { return true };
        let mut verdict = Verdict(sieve.whatever);
        if sieve.paths.has(state) {
            for at in &sieve.places.paths {
                verdict = verdict.or(self.of_path(sieve, state, event.text(*at)));
            }
        }
        let by_name = match self.table.of_name(name) {
            asked if asked & sieve.excepted != 0 => EXCEPTED_NAME,
            asked if asked & ASKED != 0 => 0,
            _ => OTHER_NAME,
        };
        let kind = by_name + if home == Home::there(sieve.of_containers) { THERE } else { 0 };
        // each of these bounds what matters
        [0, by_name, kind].into_iter().all(|kind| verdict.0[kind].has(state))
    }

    fn of_path(&self, sieve: &Sieve, state: u8, path: Option<&[u8]>) -> Verdict {
        match path {
            Some(path) if path.len() <= LONGEST_PATH && is_clean(path) => {
                let unsearched = sieve.grams.has(state) && path.len() > LONGEST_SEARCHED;
                if unsearched { Verdict::ALL } else { self.table.of_path(sieve.salt, path) }
            }
            _ => Verdict::ALL,
        }
    }
}

/// What is asked of callers of each kind, if nothing less is asked of some: the same of all.
fn by_caller<'a>(any: &'a Interest, less: Option<&'a [Interest; CALLERS - 1]>) -> [&'a Interest; CALLERS] {
    std::array::from_fn(|kind| match less {
        Some(less) if kind > 0 => &less[kind - 1],
        _ => any,
    })
}

/// The tests of what is asked of each kind of callers.
fn tests(by_caller: [&Interest; CALLERS]) -> BTreeMap<&PathTest, Verdict> {
    let mut tests: BTreeMap<&PathTest, Verdict> = BTreeMap::new();
    for (kind, of) in by_caller.into_iter().enumerate() {
        of.paths.iter().for_each(|(test, states)| tests.entry(test).or_default().0[kind] = *states);
    }
    tests
}

/// The state that a call was in when it ended; `None` if the event doesn't say.
fn state_of(sieve: &Sieve, event: &Event<'_>, socket: SocketClass) -> Option<u8> {
    let places = &sieve.places;
    let mut state = places.fixed;
    if event.i64(0)? >= 0 {
        state |= SUCCESS;
    }
    if places.socket.is_some() {
        state |= socket.bits();
    }
    if let Some(at) = places.argument {
        let class = argument::value(event, at).map_or(0, |value| sieve.classes.of(value));
        state |= ArgumentClasses::bits(class);
    }
    if let Some(at) = places.flags {
        let flags = event.u32(at)?;
        for (bits, means) in [
            (flag::RDONLY, READS),
            (flag::WRONLY, WRITES),
            (flag::CREAT | flag::TMPFILE, CREATES),
            (flag::TRUNC, TRUNCATES),
        ] {
            if flags & bits != 0 {
                state |= means;
            }
        }
    }
    Some(state)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use super::*;
    use crate::prefilter::AskedEnds;
    use crate::{EventBuf, types};

    fn open(fd: i64, name: &str, flags: u32) -> EventBuf {
        let name = [name.as_bytes(), b"\0"].concat();
        let params: [&[u8]; 7] = [
            &fd.to_ne_bytes(),
            &(-100i64).to_ne_bytes(),
            &name,
            &flags.to_ne_bytes(),
            &0u32.to_ne_bytes(),
            &0u32.to_ne_bytes(),
            &0u64.to_ne_bytes(),
        ];
        EventBuf::new(1, 2, 0, types::SYSCALL_OPENAT_2_X, &params).unwrap()
    }

    fn sieves(tests: impl IntoIterator<Item = (PathTest, States)>) -> Sieves {
        let interest = Interest { whatever: States::NONE, paths: tests.into_iter().collect() };
        let mut prefilter = Prefilter::default();
        prefilter.types.insert(types::SYSCALL_OPENAT_2_X, (interest, Keep::Opens));
        Sieves::new(&prefilter)
    }

    #[test]
    fn what_matters_is_let_through_and_little_else() {
        let bytes = |text: &str| Box::<[u8]>::from(text.as_bytes());
        let sieves = sieves([
            (PathTest::Exact(bytes("/etc/shadow")), States::with(READS)),
            (PathTest::prefix(b"/usr/bin/").unwrap(), States::with(WRITES)),
            (PathTest::suffix(b"/.bashrc").unwrap(), States::with(WRITES).and(States::with(SUCCESS))),
            (PathTest::holds(b"id_rsa").unwrap(), States::ALL),
        ]);
        let matters = |fd, name: &str, flags| {
            sieves.may_matter(
                &open(fd, name, flags).event().unwrap(),
                SocketClass::Unknown,
                b"cat",
                Home::Unknown,
            )
        };
        assert!(matters(3, "/etc/shadow", 1) && matters(-2, "/etc/shadow", 3));
        assert!(!matters(3, "/etc/shadow", 2) && !matters(3, "/etc/shadow-", 1));
        assert!(matters(-1, "/usr/bin/x", 2) && !matters(3, "/usr/bin/x", 1));
        assert!(matters(3, "/root/.bashrc", 2) && !matters(-1, "/root/.bashrc", 2));
        assert!(matters(3, "/home/me/.ssh/id_rsa.pub", 1));
        assert!(!matters(3, "/tmp/some/longer/path/than/thirty-two/bytes", 1));
        for undecided in ["shadow", "/etc/../etc/shadow", "", "//x", &format!("/{}", "x".repeat(300))] {
            assert!(matters(3, undecided, 1), "{undecided}");
        }
    }

    #[test]
    fn what_is_not_asked_for_there_is_dropped_where_it_is() {
        let [all, none] = [Interest::all(), Interest::default()];
        let ty = types::SYSCALL_OPENAT_2_X;
        for (of_containers, dropped) in [(false, Home::Host), (true, Home::Container)] {
            let prefilter = Prefilter {
                types: [(ty, (all.clone(), Keep::Opens))].into(),
                callers: [(ty, [&all, &all, &none, &none, &none].map(Interest::clone))].into(),
                of_containers: of_containers.then_some(ty).into_iter().collect(),
                ..Prefilter::default()
            };
            let sieves = Sieves::new(&prefilter);
            let asks = [Home::Host, Home::Container].map(|home| prefilter.asks_for(home));
            assert_eq!(asks, [!of_containers, of_containers]);
            for home in [Home::Unknown, Home::Host, Home::Container] {
                let event = open(3, "/etc/shadow", 1);
                let matters = sieves.may_matter(&event.event().unwrap(), SocketClass::Unknown, b"cat", home);
                assert_eq!(matters, home != dropped, "{home:?}");
            }
        }
    }

    #[test]
    fn less_is_let_through_of_names_that_are_excepted() {
        let names = |names: &[&str]| names.iter().map(|name| name.as_bytes().into()).collect::<BTreeSet<_>>();
        let [all, none] = [Interest::all(), Interest::default()];
        let writes = Interest::states(States::with(WRITES));
        let ty = types::SYSCALL_OPENAT_2_X;
        let prefilter = Prefilter {
            types: [(ty, (all.clone(), Keep::Opens))].into(),
            callers: [(ty, [&writes, &none, &all, &writes, &none].map(Interest::clone))].into(),
            names: names(&["asked", "both"]),
            excepted: [(ty, names(&["both", "fifteen-letters", "excepted"]))].into(),
            ..Prefilter::default()
        };
        let sieves = Sieves::new(&prefilter);
        let matters = |name: &[u8], flags| {
            let event = open(3, "/tmp/x", flags);
            sieves.may_matter(&event.event().unwrap(), SocketClass::Unknown, name, Home::Unknown)
        };
        assert!(matters(b"asked", 1) && !matters(b"other", 1) && matters(b"other", 2));
        for excepted in ["excepted", "both", "fifteen-letters"] {
            assert!(!matters(excepted.as_bytes(), 2), "{excepted}");
            // nor is anything else taken for it
            let longer = format!("{excepted}x");
            assert!([&excepted[1..], &longer].iter().all(|name| matters(name.as_bytes(), 2)), "{excepted}");
        }
        let without = Sieves::new(&Prefilter { excepted: BTreeMap::new(), ..prefilter });
        let event = open(3, "/tmp/x", 2);
        let matters = |name: &[u8]| {
            without.may_matter(&event.event().unwrap(), SocketClass::Unknown, name, Home::Unknown)
        };
        assert!(matters(b"excepted") && matters(b"both"));
    }

    #[test]
    fn other_types_are_let_through() {
        let close =
            EventBuf::new(1, 2, 0, types::SYSCALL_CLOSE_X, &[&0i64.to_ne_bytes(), &3i64.to_ne_bytes()])
                .unwrap();
        assert!(sieves([]).may_matter(&close.event().unwrap(), SocketClass::Unknown, b"cat", Home::Unknown));
    }

    #[test]
    fn streams_are_told_by_what_is_asked_for() {
        let class = |addresses: &[&str], ports: &[u16]| {
            let networks = addresses.iter().map(|text| text.parse::<IpAddr>().unwrap().into()).collect();
            let ends = AskedEnds { networks, ports: ports.iter().copied().collect() };
            let sieves = Sieves::new(&Prefilter { ends, ..Prefilter::default() });
            sieves
                .between(SocketClass::Tcp4, ["10.0.0.1:40000", "10.0.0.9:80"].map(|end| end.parse().unwrap()))
        };
        assert_eq!(class(&[], &[]), SocketClass::Tcp4);
        assert_eq!(class(&["10.0.0.9"], &[80]), SocketClass::Tcp4);
        assert_eq!(class(&["10.0.0.7"], &[40_000]), SocketClass::TcpElsewhere);
        assert_eq!(class(&["10.0.0.7"], &[]), SocketClass::TcpElsewhere);
        assert_eq!(class(&["10.0.0.1"], &[81]), SocketClass::TcpOtherPorts);
        assert_eq!(class(&["10.0.0.7"], &[81]), SocketClass::TcpUnasked);
    }

    #[test]
    fn what_finds_no_room_in_the_table_is_let_through() {
        let many = (0..5000).map(|n| (PathTest::Exact(format!("/file/{n}").as_bytes().into()), States::ALL));
        let sieves = sieves(many);
        let matters = |event: EventBuf| {
            sieves.may_matter(&event.event().unwrap(), SocketClass::Unknown, b"cat", Home::Unknown)
        };
        assert!((0..5000).all(|n| matters(open(3, &format!("/file/{n}"), 1))));
    }
}
