//! What is remembered from one event to the next: which rules cannot match because of something about a
//! thread, an fd or a file's name that has not changed since.

use std::hash::Hasher;

use lanner_event::EventType;
use lanner_fields::{Context, NamedFile, named_file};
use lanner_machine::{FdKind, Versions};
use rustc_hash::FxHasher;
use smallvec::SmallVec;

use crate::board::Board;
use crate::directory::Directory;
use crate::plan::Plan;
use crate::scope::{Files, Scope};

/// How many conditions of a plan can be remembered; those behind are evaluated each time.
pub(crate) const REMEMBERED: usize = 128;

/// Threads times event types that are remembered; a power of two.
const THREADS: usize = 2048;

/// Threads times event types of which it is at hand that nothing can match; a power of two.
const SETTLED: usize = 64;

/// Fds times event types that are remembered; a power of two. Each fd that is opened has another place, so that many
/// places would only throw other things out of the cache.
const FDS: usize = 1024;

/// Sorts of files times event types that are remembered; a power of two.
const SORTS: usize = 32;

/// File names times event types that are remembered; a power of two. What directories settle needs none.
const NAMES: usize = 512;

/// Directories times event types that are remembered; a power of two.
const DIRECTORIES: usize = 1024;

/// The visit at which all is found out that a name settles.
const CURIOUS: u8 = 1;

/// Bytes of a name that stand where the rest does that is remembered of it, so that they come into the cache with it.
const NEAR: usize = 64;

/// Names that are longer, with what they are asked for by, are not remembered.
const LONGEST: usize = 256;

/// What an [`crate::Engine`] remembers. Whoever processes events keeps one from event to event; it may be
/// used with any engine and any machine, though what was remembered of others is then forgotten.
#[derive(Debug, Default)]
pub struct Memory {
    settled: Settled,
    threads: Vec<Entry>,
    fds: Vec<Entry>,
    sorts: [OfSort; SORTS],
    names: Vec<Named>,
    directories: Vec<Named>,
    board: Board,
    /// Number of the engine whose memory it is.
    engine: u64,
    /// Place in the engine of the rules over the source that events came from last, and the source's name.
    pub(crate) source: usize,
    source_name: &'static str,
}

/// Threads that settle all conditions over events of a type, as long as nothing about any thread changes: a look at one
/// cache line spares most events all else.
#[derive(Debug)]
struct Settled([Verdict; SETTLED]);

#[derive(Clone, Copy, Debug, Default)]
struct Verdict {
    tid: i64,
    ty: u16,
    /// What the machine's clock showed; 0 for none.
    clock: u64,
}

impl Default for Settled {
    fn default() -> Settled {
        Settled([Verdict::default(); SETTLED])
    }
}

impl Settled {
    #[inline]
    fn place(tid: i64, ty: u16) -> usize {
        (tid as usize).wrapping_add(usize::from(ty).wrapping_mul(13)) % SETTLED
    }

    #[inline]
    fn has(&self, tid: i64, EventType(ty): EventType, clock: u64) -> bool {
        let known = &self.0[Settled::place(tid, ty)];
        known.tid == tid && known.ty == ty && known.clock == clock
    }

    fn note(&mut self, tid: i64, EventType(ty): EventType, clock: u64) {
        self.0[Settled::place(tid, ty)] = Verdict { tid, ty, clock };
    }
}

/// What is remembered of one thread, or of one fd as the thread uses it, for events of one type.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry {
    ty: u16,
    versions: Versions,
    /// The fd's version; 0 without an fd.
    fd: u64,
    /// Conditions of the plan, by position, that cannot hold for as long as thread and fd don't change.
    lasting: u128,
    /// The same for as long as nothing about any thread changes.
    brief: u128,
}

/// What is remembered of all files of a sort, for events of one type.
#[derive(Clone, Copy, Debug, Default)]
struct OfSort {
    ty: u16,
    sort: Sort,
    /// It was found out which conditions the sort settles.
    asked: bool,
    /// Conditions of the plan, by position, that cannot hold for such files.
    dead: u128,
}

/// What files have in common, wherever they lie.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Sort {
    pub(crate) kind: Option<FdKind>,
    /// They are asked for by a name alone, which counts from an open or the working directory.
    pub(crate) bare: bool,
}

impl Sort {
    fn of(file: &NamedFile<'_>) -> Sort {
        let bare = |asked: &[u8]| !asked.is_empty() && !asked.contains(&b'/');
        Sort { kind: file.kind, bare: file.asked.is_some_and(bare) }
    }

    fn place(self, ty: u16) -> usize {
        let kind = self.kind.map_or(31, |kind| kind as usize);
        usize::from(ty).wrapping_mul(5).wrapping_add(kind).wrapping_add(usize::from(self.bare) << 4) % SORTS
    }
}

/// What is remembered of one file name, or of one directory, for events of one type.
#[derive(Debug, Default)]
struct Named {
    hash: u64,
    ty: u16,
    kind: Option<FdKind>,
    /// The name, and behind it that by which the file was asked for, if it is another one.
    text: SmallVec<[u8; NEAR]>,
    /// Where the name ends in it.
    end: usize,
    asked_otherwise: bool,
    access: u32,
    /// How often it was seen; more than a few times isn't counted.
    visits: u8,
    /// Hash of the last other file that would have stood here: it takes the place if it comes once more. Most files
    /// come once, and would drive out those that come all the time.
    waiting: u64,
    /// Conditions of the plan, by position, that cannot hold for a file of this kind and name, or in this
    /// directory.
    dead: u128,
}

/// What is remembered of an event's thread and file.
#[derive(Default)]
pub(crate) struct Recalled<'m> {
    thread: Option<&'m mut Entry>,
    fd: Option<&'m mut Entry>,
    sort: Option<&'m mut OfSort>,
    directory: Option<&'m mut Named>,
    name: Option<&'m mut Named>,
}

impl Memory {
    /// Whether the last event of this engine came from that source, by the address of its name.
    #[inline]
    pub(crate) fn is_source(&self, engine: u64, name: &'static str) -> bool {
        self.engine == engine && std::ptr::eq(self.source_name, name)
    }

    pub(crate) fn set_source(&mut self, engine: u64, name: &'static str, place: usize) {
        self.become_of(engine);
        self.settled = Settled::default();
        (self.source, self.source_name) = (place, name);
    }

    /// Forgets what is another engine's.
    #[inline]
    fn become_of(&mut self, engine: u64) {
        if self.engine != engine {
            self.forget(engine);
        }
    }

    #[cold]
    fn forget(&mut self, engine: u64) {
        *self = Memory { engine, ..Memory::default() };
    }

    /// Whether an event's thread is known to settle everything.
    #[inline]
    pub(crate) fn settles(&self, engine: u64, cx: &Context<'_>) -> bool {
        self.settled.has(cx.subject.tid, cx.event.ty(), cx.machine.clock())
            && self.is_source(engine, cx.meta.source)
    }

    /// What is remembered of an event's thread and file, and a board for its evaluation. The file is not looked for if
    /// the thread settles everything, nor its name if the directory does.
    pub(crate) fn recall<'m>(
        &'m mut self,
        engine: u64,
        plan: &Plan,
        cx: &Context<'_>,
    ) -> (Recalled<'m>, &'m mut Board) {
        self.become_of(engine);
        let Memory { settled, threads, fds, sorts, names, directories, board, .. } = self;
        let mut recalled = Recalled::default();
        if !plan.remembers {
            return (recalled, board);
        }
        let ty = cx.event.ty();
        let wanted = plan.memorable;
        let versions = cx.machine.versions(cx.subject);
        recalled.thread = versions.map(|versions| entry::<THREADS>(threads, versions, 0, ty));
        if wanted & !recalled.dead() == 0 {
            if plan.roots.len() <= REMEMBERED {
                settled.note(cx.subject.tid, ty, cx.machine.clock());
            }
            return (recalled, board);
        }
        match plan.files {
            Files::ByName => {
                if let Some(file) = named_file(cx).filter(is_short) {
                    recalled.sort = Some(of_sort(sorts, ty, Sort::of(&file)));
                    if wanted & !recalled.dead() == 0 {
                        return (recalled, board);
                    }
                    if let Some(Directory { name, asked, .. }) = Directory::of(&file) {
                        let directory = NamedFile { name, asked, ..file };
                        recalled.directory = named::<DIRECTORIES>(directories, ty, directory, true);
                    }
                    if wanted & !recalled.dead() != 0 {
                        recalled.name = named::<NAMES>(names, ty, file, false);
                    }
                }
            }
            Files::Nothing => {}
            Files::ByFd => {
                let fd = cx.machine.fd_version(cx.subject);
                recalled.fd = versions.zip(fd).map(|(versions, fd)| entry::<FDS>(fds, versions, fd, ty));
            }
        }
        (recalled, board)
    }
}

#[inline]
fn entry<const PLACES: usize>(
    entries: &mut Vec<Entry>,
    versions: Versions,
    fd: u64,
    ty: EventType,
) -> &mut Entry {
    let place = (versions.slot as usize)
        .wrapping_mul(61)
        .wrapping_add(fd as usize)
        .wrapping_add(usize::from(ty.0).wrapping_mul(7));
    if entries.len() != PLACES {
        entries.resize(PLACES, Entry::default());
    }
    let entry = &mut entries[place % PLACES];
    let known = &entry.versions;
    let same = (known.slot, known.own, known.main) == (versions.slot, versions.own, versions.main);
    if entry.ty != ty.0 || entry.fd != fd || !same {
        *entry = Entry { ty: ty.0, versions, fd, lasting: 0, brief: 0 };
    } else if known.all != versions.all {
        entry.versions = versions;
        entry.brief = 0;
    }
    entry
}

fn of_sort(sorts: &mut [OfSort; SORTS], EventType(ty): EventType, sort: Sort) -> &mut OfSort {
    let known = &mut sorts[sort.place(ty)];
    if (known.ty, known.sort) != (ty, sort) {
        *known = OfSort { ty, sort, ..OfSort::default() };
    }
    known
}

fn is_short(file: &NamedFile<'_>) -> bool {
    file.name.len() + file.asked.map_or(0, <[u8]>::len) <= LONGEST
}

/// What is remembered of a name. Where another one stands in its place it takes that at once if it is `likely` to come
/// back, else when it does.
fn named<'m, const PLACES: usize>(
    names: &'m mut Vec<Named>,
    ty: EventType,
    file: NamedFile<'_>,
    likely: bool,
) -> Option<&'m mut Named> {
    let NamedFile { kind, name, asked, access } = file;
    if names.is_empty() {
        names.resize_with(PLACES, Named::default);
    }
    let mut hasher = FxHasher::default();
    hasher.write(name);
    if let Some(asked) = asked {
        hasher.write(asked);
    }
    hasher.write_u32(u32::from(ty.0) | access << 16);
    let hash = hasher.finish();
    let entry = &mut names[hash as usize % PLACES];
    if (entry.hash, entry.ty, entry.kind, entry.access) == (hash, ty.0, kind, access)
        && entry.is_of(name, asked)
    {
        entry.visits = entry.visits.saturating_add(1);
        return Some(entry);
    }
    if !likely && !entry.text.is_empty() && entry.waiting != hash {
        entry.waiting = hash;
        return None;
    }
    (entry.hash, entry.ty, entry.kind, entry.access) = (hash, ty.0, kind, access);
    (entry.visits, entry.waiting, entry.dead) = (0, 0, 0);
    entry.set(name, asked);
    Some(entry)
}

impl Named {
    fn is_of(&self, name: &[u8], asked: Option<&[u8]>) -> bool {
        let Directory { name: known, asked: other, .. } = self.directory();
        // Comparing nothing isn't free: the C library's function loads before it counts.
        known == name
            && match (other, asked) {
                (None, None) | (Some([]), Some([])) => true,
                (Some(other), Some(asked)) => other == asked,
                _ => false,
            }
    }

    fn set(&mut self, name: &[u8], asked: Option<&[u8]>) {
        self.text.clear();
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(asked.unwrap_or_default());
        (self.end, self.asked_otherwise) = (name.len(), asked.is_some());
    }

    /// What it says, if it is a directory's.
    fn directory(&self) -> Directory<'_> {
        let (name, asked) = self.text.split_at(self.end);
        Directory { kind: self.kind, name, asked: self.asked_otherwise.then_some(asked) }
    }
}

impl Recalled<'_> {
    /// Conditions that cannot hold.
    pub(crate) fn dead(&self) -> u128 {
        let of_entry = |entry: &Option<&mut Entry>| entry.as_ref().map_or(0, |entry| entry.dead());
        let of_name = |name: &Option<&mut Named>| name.as_ref().map_or(0, |n| n.dead);
        let of_sort = self.sort.as_ref().map_or(0, |sort| sort.dead);
        of_entry(&self.thread) | of_entry(&self.fd) | of_sort | of_name(&self.directory) | of_name(&self.name)
    }

    /// Remembers which conditions cannot hold for any file of the event's sort, if that was not found out before.
    pub(crate) fn bury_with_sort(&mut self, conditions: impl FnOnce(Sort) -> u128) {
        if let Some(known) = self.sort.as_mut().filter(|known| !known.asked) {
            (known.asked, known.dead) = (true, conditions(known.sort));
        }
    }

    /// Whether it is worth to find out more about the file than this event needs: it has come back for the first
    /// time.
    pub(crate) fn is_curious(&self) -> bool {
        [&self.directory, &self.name].into_iter().flatten().any(|named| named.visits == CURIOUS)
    }

    /// Remembers that conditions cannot hold, for a reason of that scope; `settled` says whether a file's directory
    /// is reason enough. False: it is not, and only this name is remembered.
    pub(crate) fn bury(
        &mut self,
        conditions: u128,
        scope: Scope,
        settled: impl Fn(Directory<'_>) -> bool,
    ) -> bool {
        if !scope.has(Scope::FILE) {
            if let Some(thread) = &mut self.thread {
                thread.bury(conditions, scope);
            }
        } else if let Some(fd) = &mut self.fd {
            if !scope.has(Scope::ACCESS) {
                fd.bury(conditions, scope);
            }
        } else if scope.is_of_name() {
            if let Some(directory) = self.directory.as_mut().filter(|named| settled(named.directory())) {
                directory.dead |= conditions;
            } else if let Some(file) = &mut self.name {
                file.dead |= conditions;
                return false;
            }
        }
        true
    }

    /// Remembers with the directory that conditions cannot hold, while it is new enough to be asked what it settles.
    pub(crate) fn bury_with_directory(&mut self, conditions: u128, settled: impl Fn(Directory<'_>) -> bool) {
        let young = self.directory.as_mut().filter(|named| named.visits <= CURIOUS);
        if let Some(directory) = young.filter(|named| settled(named.directory())) {
            directory.dead |= conditions;
        }
    }
}

impl Entry {
    /// Conditions that cannot hold.
    #[inline]
    pub(crate) fn dead(&self) -> u128 {
        self.lasting | self.brief
    }

    fn bury(&mut self, conditions: u128, scope: Scope) {
        if scope.has(Scope::THREADS) {
            self.brief |= conditions;
        } else {
            self.lasting |= conditions;
        }
    }
}
