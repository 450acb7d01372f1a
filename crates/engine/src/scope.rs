//! On what an answer depends, and what of it can be remembered for which events.

use lanner_event::{Category, EventFlag, EventType};
use lanner_fields::StableUntil;

/// On what an answer depends: a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Scope(u8);

impl Scope {
    /// On nothing.
    pub(crate) const NONE: Scope = Scope(0);
    /// On the event: it can't be remembered.
    pub(crate) const EVENT: Scope = Scope(1);
    /// On ancestors, a container, a user.
    pub(crate) const THREADS: Scope = Scope(1 << 1);
    /// On the thread or the first thread of its process.
    pub(crate) const THREAD: Scope = Scope(1 << 2);
    /// On the fd.
    pub(crate) const FD: Scope = Scope(1 << 3);
    /// On the kind of what the fd refers to.
    pub(crate) const KIND: Scope = Scope(1 << 7);
    /// On kind and name of the file that the fd refers to.
    pub(crate) const NAME: Scope = Scope(1 << 4);
    /// On the name by which it was asked for.
    pub(crate) const RAW: Scope = Scope(1 << 5);

    /// On what the event opens a file for.
    pub(crate) const ACCESS: Scope = Scope(1 << 6);

    /// Any of what depends on the fd or the file.
    pub(crate) const FILE: Scope = Scope(Scope::FD.0 | Scope::OPENED.0);
    /// What can be remembered with the name of a file that is opened.
    pub(crate) const OPENED: Scope = Scope(Scope::KIND.0 | Scope::NAME.0 | Scope::RAW.0 | Scope::ACCESS.0);

    /// The scope of a value that is stable for so long.
    pub(crate) fn of(stable: StableUntil) -> Scope {
        let scope_of = |change| match change {
            StableUntil::EVENT => Scope::EVENT,
            StableUntil::PARENT | StableUntil::ENRICHMENT => Scope::THREADS,
            StableUntil::FD => Scope::FD,
            StableUntil::NAME => Scope::NAME,
            StableUntil::RAW => Scope::RAW,
            StableUntil::ACCESS => Scope::ACCESS,
            StableUntil::KIND => Scope::KIND,
            _ => Scope::THREAD,
        };
        if stable == StableUntil::default() {
            return Scope::THREAD;
        }
        stable.iter().map(scope_of).fold(Scope::NONE, Scope::and)
    }

    /// Whether it depends on a file's names and what it is opened for, and on nothing else.
    pub(crate) fn is_of_name(self) -> bool {
        self != Scope::NONE && self.0 & !Scope::OPENED.0 == 0
    }

    /// Whether it depends on the name by which a file was asked for or on its kind, and on nothing else.
    pub(crate) fn is_of_asked(self) -> bool {
        self != Scope::NONE && self.0 & !(Scope::KIND.0 | Scope::RAW.0) == 0
    }

    /// That of an answer which depends on both.
    pub(crate) const fn and(self, other: Scope) -> Scope {
        Scope(self.0 | other.0)
    }

    pub(crate) fn has(self, part: Scope) -> bool {
        self.0 & part.0 != 0
    }
}

/// What a plan can remember of files.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Files {
    /// Nothing: its events have no fd, or no rule asks for it.
    #[default]
    Nothing,
    /// What depends on the file's name: its events open files, each time under a new fd.
    ByName,
    /// What depends on the fd, or on thread and fd together.
    ByFd,
}

impl Files {
    /// What can be remembered for events of a type.
    pub(crate) fn of(ty: EventType) -> Files {
        match ty.info() {
            Some(info) if info.has(EventFlag::CreatesFd) && info.is(Category::File) => Files::ByName,
            Some(info) if info.has(EventFlag::UsesFd) => Files::ByFd,
            _ => Files::Nothing,
        }
    }

    /// Whether an answer of that scope can be remembered with a file.
    pub(crate) fn keeps(self, scope: Scope) -> bool {
        match self {
            Files::Nothing => false,
            Files::ByName => scope.is_of_name(),
            Files::ByFd => !scope.has(Scope::EVENT.and(Scope::ACCESS)) && scope.has(Scope::FILE),
        }
    }

    /// Whether an answer of that scope can be remembered at all.
    pub(crate) fn or_thread_keeps(self, scope: Scope) -> bool {
        !scope.has(Scope::EVENT) && (!scope.has(Scope::FILE) || self.keeps(scope))
    }
}
