//! What may be dropped before anybody looks at it: for an event type, in which states and at which paths an
//! event may matter to a rule, and what the machine needs of it beyond that.
//!
//! It is a bound from above: what it lets through need not matter, but what matters is let through. The source
//! of events runs it where they come to be; [`Sieves::may_matter`] is the same decision over a finished event.

mod address;
pub mod argument;
mod exception;
mod hash;
mod path;
mod port;
mod sieve;
mod socket;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::{EventInfo, EventType, ParamType, types};

pub use address::{ADDRESS_LENGTHS, ADDRESS_WORDS, Addresses, Network};
pub use argument::ArgumentClasses;
pub use hash::{GRAM_WORDS, KNOWN_WORDS, PREFIXES, PROBES, Slot, TABLE};
pub use port::{PORT_WORDS, Ports};
pub use sieve::{Sieve, Sieves};
pub use socket::SocketClass;

/// In the number of a kind of callers, instead of 0: their process has none of the names that rules ask for.
pub const OTHER_NAME: usize = 1;
/// In the number of a kind of callers, instead of 0: their process has a name of which less is asked for
/// ([`Prefilter::excepted`]).
pub const EXCEPTED_NAME: usize = 2;
/// How many kinds of names there are.
pub const KINDS_OF_NAMES: usize = 3;
/// Added to the number of a kind of callers: their process is where less is asked for: in no container or, for the types
/// of [`Prefilter::of_containers`], in one.
pub const THERE: usize = KINDS_OF_NAMES;
/// How many kinds of callers there are. Kind 0 is whoever is of no other.
pub const CALLERS: usize = 2 * KINDS_OF_NAMES;

/// Set in what is asked of a name: rules ask for it. The other bits are classes of names of which some types are asked less.
pub const ASKED: u64 = 1 << 63;

/// Places for cgroups that are known to be in no container, or in one; a power of two.
pub const KNOWN_CGROUPS: usize = 8192;
/// So many of them are looked at for one.
pub const CGROUP_PROBES: usize = 4;

/// Arguments of which values can be told apart at once; a power of two.
pub const CHOICES: usize = 4;

/// Values that can be told apart, of all arguments together; a power of two.
pub const CLASSES: usize = 256;

/// Longest path that is decided; longer ones are let through.
pub const LONGEST_PATH: usize = 255;

/// Longest path that is searched for what it may hold anywhere; longer ones are let through.
pub const LONGEST_SEARCHED: usize = 128;

/// Set in a state: the call succeeded.
pub const SUCCESS: u8 = 1;
/// Set in a state: an open call asked for reading. In the place of this bit and the next three, the states of calls
/// over sockets have a [`SocketClass`], and those of calls with an argument that is told apart its class.
pub const READS: u8 = 1 << 1;
/// Set in a state: an open call asked for writing.
pub const WRITES: u8 = 1 << 2;
/// Set in a state: an open call may make a file.
pub const CREATES: u8 = 1 << 3;
/// Set in a state: an open call empties the file.
pub const TRUNCATES: u8 = 1 << 4;
/// How many states there are.
const STATES: u32 = 32;

/// A set of states that a call may be in when it ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct States(pub u64);

impl States {
    /// No state.
    pub const NONE: States = States(0);
    /// Every state.
    pub const ALL: States = States((1 << STATES) - 1);

    /// The states in which any of these bits is set.
    pub const fn with(bits: u8) -> States {
        let (mut set, mut state) = (0, 0);
        while state < STATES {
            if state as u8 & bits != 0 {
                set |= 1 << state;
            }
            state += 1;
        }
        States(set)
    }

    /// The states in which none of these bits is set.
    pub const fn without(bits: u8) -> States {
        States(!States::with(bits).0 & States::ALL.0)
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: States) -> States {
        States(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub const fn or(self, other: States) -> States {
        States(self.0 | other.0)
    }

    /// Whether it has a state.
    pub const fn has(self, state: u8) -> bool {
        self.0 >> state & 1 != 0
    }

    /// Whether it has none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({:#x})", self.0)
    }
}

/// What must be true of a path. It is asked of absolute paths without `.`, `..`, doubled and closing slashes;
/// others are let through.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PathTest {
    /// It is this one.
    Exact(Box<[u8]>),
    /// It begins so, as far as one of [`PREFIXES`] tells.
    Prefix(Box<[u8]>),
    /// It ends so; at most eight bytes.
    Suffix(Box<[u8]>),
    /// It has these four bytes in it somewhere.
    Holds([u8; 4]),
    /// It names something in the root directory itself.
    TopLevel,
}

impl PathTest {
    /// Of paths that begin so; `None` if that says too little to be worth a look.
    pub fn prefix(start: &[u8]) -> Option<PathTest> {
        let len = PREFIXES.into_iter().rev().find(|len| *len <= start.len())?;
        Some(PathTest::Prefix(start[..len].into()))
    }

    /// Of paths that end so; `None` for the empty end, which all have.
    pub fn suffix(end: &[u8]) -> Option<PathTest> {
        let from = end.len().saturating_sub(8);
        (!end.is_empty()).then(|| PathTest::Suffix(end[from..].into()))
    }

    /// How many of all paths that are asked for fit it, as a rule of thumb: more fit a short beginning than an ending of the
    /// same length.
    fn share(&self) -> u32 {
        match self {
            PathTest::Exact(_) => 1,
            PathTest::TopLevel => 4,
            PathTest::Prefix(start) => 1024 / start.len() as u32,
            PathTest::Suffix(end) => 64 >> end.len().min(6),
            PathTest::Holds(_) => 8,
        }
    }

    /// Of paths that have this in them; `None` if it is too short.
    pub fn holds(part: &[u8]) -> Option<PathTest> {
        // The rarest four bytes are, as a rule, those without a slash.
        let fours = part.windows(4).filter_map(|four| <[u8; 4]>::try_from(four).ok());
        fours.min_by_key(|four| four.contains(&b'/')).map(PathTest::Holds)
    }
}

/// What the machine needs of an event that matters to no rule.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(u8)]
pub enum Keep {
    /// All of them.
    #[default]
    All,
    /// None of them.
    Nothing,
    /// Those of calls that succeeded.
    Successes,
    /// Of opens that succeeded those of anything but regular files and character devices; what such an fd is,
    /// is told when it is used.
    Opens,
    /// Closes of fds that the machine was told of, but for regular files and character devices: before another event
    /// uses an fd of the same number, it is told that it is another.
    Closes,
    /// Of `fcntl` what copies an fd or changes whether it outlives a new program.
    FdCommands,
    /// Of connects those that succeeded or go on in the background.
    Connects,
    /// The same, but for unix sockets.
    ConnectsButUnix,
    /// Of accepts those that succeeded, but for unix sockets: such an fd is told to be unknown when it is used.
    AcceptsButUnix,
    /// Of exchanges over sockets those that succeeded and may tell something new of both ends: none over sockets of
    /// netlink and families without ends, and over TCP none after the ends have been told.
    Exchanges,
    /// The same, but for unix sockets.
    ExchangesButUnix,
}

impl Keep {
    /// What is needed if rules look at unix sockets, or whoever else does.
    #[must_use]
    pub fn with_unix(self) -> Keep {
        match self {
            Keep::ConnectsButUnix => Keep::Connects,
            Keep::AcceptsButUnix => Keep::Successes,
            Keep::ExchangesButUnix => Keep::Exchanges,
            other => other,
        }
    }
}

/// In which states, and at which paths, events of a type may matter to a rule.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Interest {
    /// States in which they may matter whatever their paths.
    pub whatever: States,
    /// Paths at which they may, with the states.
    pub paths: BTreeMap<PathTest, States>,
}

impl Interest {
    /// In all events.
    pub fn all() -> Interest {
        Interest { whatever: States::ALL, paths: BTreeMap::new() }
    }

    /// In the events of these states.
    pub fn states(states: States) -> Interest {
        Interest { whatever: states, paths: BTreeMap::new() }
    }

    /// In events at such paths.
    pub fn paths(tests: impl IntoIterator<Item = PathTest>) -> Interest {
        let paths = tests.into_iter().map(|test| (test, States::ALL)).collect();
        Interest { whatever: States::NONE, paths }
    }

    /// Every state in which some event matters.
    pub fn hull(&self) -> States {
        self.paths.values().fold(self.whatever, |all, states| all.or(*states))
    }

    /// In what either is interested in.
    #[must_use]
    pub fn or(mut self, other: &Interest) -> Interest {
        self.whatever = self.whatever.or(other.whatever);
        for (test, states) in &other.paths {
            let own = self.paths.entry(test.clone()).or_default();
            *own = own.or(*states);
        }
        self.trimmed()
    }

    /// In no more than what both are interested in, as far as states tell.
    #[must_use]
    pub fn and(self, other: &Interest) -> Interest {
        // Of two sets of paths only one can be asked for: that of the side that says less without them.
        let size =
            |of: &Interest| (of.whatever.0.count_ones(), of.paths.keys().map(PathTest::share).sum::<u32>());
        let own_first = size(&self) <= size(other);
        let (kept, bound) = if own_first { (self, other.hull()) } else { (other.clone(), self.hull()) };
        let mut kept = kept;
        kept.whatever = kept.whatever.and(bound);
        kept.paths.values_mut().for_each(|states| *states = states.and(bound));
        kept.trimmed()
    }

    fn trimmed(mut self) -> Interest {
        let whatever = self.whatever;
        self.paths.values_mut().for_each(|states| states.0 &= !whatever.0);
        self.paths.retain(|_, states| !states.is_empty());
        self
    }
}

/// Ends of streams of TCP that rules ask for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct AskedEnds {
    /// Networks, and single addresses as such.
    pub networks: BTreeSet<Network>,
    /// Ports.
    pub ports: BTreeSet<u16>,
}

impl AskedEnds {
    /// Adds what else is asked for.
    pub fn add(&mut self, more: AskedEnds) {
        self.networks.extend(more.networks);
        self.ports.extend(more.ports);
    }
}

/// What is let through, type by type; types that it doesn't name are, all of them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Prefilter {
    /// By type.
    pub types: BTreeMap<EventType, (Interest, Keep)>,
    /// How values of an argument are told apart, by type.
    pub classes: BTreeMap<EventType, ArgumentClasses>,
    /// Ends of streams that rules ask for.
    pub ends: AskedEnds,
    /// Names of processes that rules ask for.
    pub names: BTreeSet<Box<[u8]>>,
    /// In which events by callers of each kind but 0 rules are interested, for the types for which those are fewer.
    pub callers: BTreeMap<EventType, [Interest; CALLERS - 1]>,
    /// Names of processes of which less is asked for, by type.
    pub excepted: BTreeMap<EventType, BTreeSet<Box<[u8]>>>,
    /// Types of which less is asked for in containers; of others, less may be in none.
    pub of_containers: BTreeSet<EventType>,
    /// Who makes a thread need not tell of it where that does itself, nor that it failed to.
    pub births_once: bool,
}

impl Prefilter {
    /// Whether it makes a difference for some type if a process is known to be there.
    pub fn asks_for(&self, home: Home) -> bool {
        self.callers.iter().any(|(ty, less)| {
            let Some((any, _)) = self.types.get(ty) else { return false };
            let (wherever, there) = less.split_at(KINDS_OF_NAMES - 1);
            let differs = std::iter::once(any).chain(wherever).ne(there);
            differs && home == Home::there(self.of_containers.contains(ty))
        })
    }
}

/// Where the process that makes a call is known to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    /// It isn't known.
    Unknown,
    /// In no container.
    Host,
    /// In one.
    Container,
}

impl Home {
    /// Where callers of the kinds with [`THERE`] are.
    pub(crate) fn there(of_containers: bool) -> Home {
        if of_containers { Home::Container } else { Home::Host }
    }
}

/// Where events of a type have the result, the flags and the paths that are decided by. `None`: not decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places {
    /// The parameter with the flags of an open call.
    pub flags: Option<usize>,
    /// Bits that are set in the state of every such call.
    pub fixed: u8,
    /// Parameters that are paths; at most two.
    pub paths: Vec<usize>,
    /// The parameter with the fd of the socket that the call is about.
    pub socket: Option<usize>,
    /// A number of which values are told apart, if rules ask for some ([`ArgumentClasses`]).
    pub argument: Option<usize>,
}

impl Places {
    /// Those of a type, if its first parameter is the result.
    pub fn of(info: &EventInfo) -> Option<Places> {
        let first = info.params.first()?;
        if !matches!(first.ty, ParamType::Errno | ParamType::Fd) || !matches!(first.name, "res" | "fd") {
            return None;
        }
        let path = |i: &usize| matches!(info.params[*i].ty, ParamType::Fspath | ParamType::Fsrelpath);
        let paths: Vec<usize> = (0..info.params.len()).filter(path).collect();
        let (flags, fixed) = match info.code {
            types::SYSCALL_OPEN_X => (Some(2), 0),
            types::SYSCALL_OPENAT_2_X | types::SYSCALL_OPENAT2_X => (Some(3), 0),
            types::SYSCALL_CREAT_X => (None, WRITES | CREATES | TRUNCATES),
            _ => (None, 0),
        };
        (paths.len() <= 2).then_some(Places {
            flags,
            fixed,
            paths,
            socket: socket::place(info.code),
            argument: argument::place(info.code),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(path: &str) -> PathTest {
        PathTest::Exact(path.as_bytes().into())
    }

    #[test]
    fn states_are_sets_of_bits() {
        assert!(States::with(WRITES).has(WRITES | SUCCESS) && !States::with(WRITES).has(SUCCESS));
        assert_eq!(States::with(SUCCESS).or(States::without(SUCCESS)), States::ALL);
        assert!(States::with(SUCCESS).and(States::without(SUCCESS)).is_empty());
    }

    #[test]
    fn a_path_and_a_state_are_both_asked_for() {
        let writes = Interest::states(States::with(WRITES));
        let both = Interest::paths([exact("/etc/shadow")]).and(&writes);
        assert_eq!(both.whatever, States::NONE);
        assert_eq!(both.paths[&exact("/etc/shadow")], States::with(WRITES));
        assert_eq!(writes.and(&Interest::paths([exact("/etc/shadow")])), both);
        let reads = Interest::paths([exact("/etc/shadow")]).and(&Interest::states(States::with(READS)));
        assert_eq!(both.or(&reads).paths[&exact("/etc/shadow")], States::with(READS | WRITES));
    }

    #[test]
    fn of_two_sets_of_paths_one_is_a_bound() {
        let one = Interest::paths([exact("/a"), exact("/b")]);
        let other = Interest::paths([PathTest::Prefix(b"/usr".as_slice().into())]);
        assert_eq!(one.clone().and(&other), one);
        assert_eq!(one.and(&Interest::default()), Interest::default());
        let below = Interest::paths([PathTest::prefix(b"/proc/").unwrap()]);
        let ends: [&[u8]; 2] = [b"/etc/shadow", b"/etc/gshadow"];
        let shadows = Interest::paths(ends.map(|end| PathTest::suffix(end).unwrap()));
        assert_eq!(below.clone().and(&shadows), shadows, "fewer are named so than are in there");
        assert_eq!(shadows.clone().and(&below), shadows);
    }

    #[test]
    fn tests_are_made_no_stricter_than_what_they_stand_for() {
        assert_eq!(PathTest::prefix(b"/et"), None);
        assert_eq!(PathTest::prefix(b"/etc/ssh/x"), Some(PathTest::Prefix(b"/etc/ssh".as_slice().into())));
        assert_eq!(
            PathTest::suffix(b"/.bash_history"),
            Some(PathTest::Suffix(b"_history".as_slice().into()))
        );
        assert_eq!(PathTest::holds(b"/.ssh/"), Some(PathTest::Holds(*b".ssh")));
        assert_eq!(PathTest::holds(b"abc"), None);
    }

    #[test]
    fn places_are_found_by_type() {
        let of = |ty: EventType| Places::of(ty.info().unwrap());
        assert_eq!(of(types::SYSCALL_OPENAT_2_X).unwrap().paths, [2]);
        assert_eq!(of(types::SYSCALL_RENAMEAT2_X).unwrap().paths, [2, 4]);
        assert_eq!(of(types::SYSCALL_CLOSE_X).unwrap().paths, [] as [usize; 0]);
        assert_eq!(of(types::PROCEXIT_1_E), None);
        assert_eq!(of(types::SYSCALL_GETUID_X), None);
        assert_eq!(
            (of(types::SOCKET_ACCEPT4_6_X).unwrap().socket, of(types::SYSCALL_CLOSE_X).unwrap().socket),
            (Some(0), None)
        );
    }
}
