//! What readers of before 2023 want to find in a capture beside today's events.
//!
//! Once a call gave two events, and such readers take its fd and paths from that of its beginning. And they don't
//! know the types that calls such as `dup2` got later: to them those were events of `dup`. Both can be made from
//! today's event. They are marked, and lanner passes over what is so marked; to others they tell of state only.

use lanner_event::types::*;
use lanner_event::{Direction, EVENTS, Event, EventBuf, EventFlag, EventInfo, EventType, ParamInfo};

use crate::upgrade_table::RENAMED;

/// The last type that sysdig 0.29 knows.
const LAST_KNOWN: EventType = SYSCALL_CAPSET_X;

/// Types that came later and change the fds, with the older one that the same call, or one that does the same, had.
const OLDER: &[(EventType, EventType)] = &[
    (SYSCALL_DUP_1_X, SYSCALL_DUP_X),
    (SYSCALL_DUP2_X, SYSCALL_DUP_X),
    (SYSCALL_DUP3_X, SYSCALL_DUP_X),
    (SYSCALL_PIPE2_X, SYSCALL_PIPE_X),
    (SYSCALL_EVENTFD2_X, SYSCALL_EVENTFD_X),
    (SYSCALL_SIGNALFD4_X, SYSCALL_SIGNALFD_X),
    (SYSCALL_INOTIFY_INIT1_X, SYSCALL_INOTIFY_INIT_X),
    (SOCKET_ACCEPT4_6_X, SOCKET_ACCEPT4_5_X),
];

/// Parameters that have another name in an older type or at the beginning: type, name, older name.
const SAME: &[(EventType, &str, &str)] = &[(SYSCALL_DUP2_X, "oldfd", "fd"), (SYSCALL_DUP3_X, "oldfd", "fd")];

/// No older event has more parameters.
const MOST_PARAMS: usize = 8;
/// What a parameter has that today's event doesn't tell.
const ZEROS: [u8; 16] = [0; 16];

/// How an older event is made from today's.
#[derive(Debug)]
struct Making {
    ty: EventType,
    /// For each of its parameters, which one of today's event it is, or the bytes of an unknown one.
    params: Box<[Result<usize, &'static [u8]>]>,
}

impl Making {
    fn new(from: &EventInfo, to: EventType) -> Option<Making> {
        let to = to.info()?;
        let param = |param: &ParamInfo| {
            place(from, param).ok_or(&ZEROS[..param.ty.fixed_len().unwrap_or(0).min(ZEROS.len())])
        };
        (to.params.len() <= MOST_PARAMS)
            .then(|| Making { ty: to.code, params: to.params.iter().map(param).collect() })
    }

    /// The older event; nothing if today's lacks what it should have.
    fn make(&self, event: &Event<'_>) -> Option<EventBuf> {
        let mut params: [&[u8]; MOST_PARAMS] = [&[]; MOST_PARAMS];
        let params = &mut params[..self.params.len()];
        for (param, source) in params.iter_mut().zip(&*self.params) {
            *param = match *source {
                Err(unknown) => unknown,
                Ok(place) => {
                    let fixed = event.info.params.get(place)?.ty.fixed_len();
                    event.param(place).filter(|value| fixed.is_none_or(|len| value.len() == len))?
                }
            };
        }
        EventBuf::new(event.ts, event.tid, event.cpu, self.ty, params).ok()
    }
}

/// Where today's event has a parameter of an older one.
fn place(today: &EventInfo, param: &ParamInfo) -> Option<usize> {
    let mut names = RENAMED.iter().chain(SAME);
    let renamed = names.find(|(ty, _, older)| *ty == today.code && *older == param.name);
    let name = renamed.map_or(param.name, |(_, name, _)| name);
    today.params.iter().position(|p| p.name == name && p.ty == param.ty)
}

/// The older events of one type of today.
#[derive(Debug, Default)]
struct Older {
    before: Option<Making>,
    after: Vec<Making>,
}

impl Older {
    fn of(event: &EventInfo) -> Older {
        if event.direction == Direction::Enter || event.has(EventFlag::Unused) {
            return Older::default();
        }
        let older = OLDER.iter().find(|(today, _)| *today == event.code).map(|(_, older)| *older);
        let Some(older) = older else {
            let known = event.code <= LAST_KNOWN && needs_beginning(event);
            let begin = known.then(|| beginning(event.code)).flatten().filter(|b| b.name == event.name);
            let making = begin.and_then(|begin| Making::new(event, begin.code));
            // A beginning of which a part would have to be made up is none.
            let before = making.filter(|making| making.params.iter().all(Result::is_ok));
            return Older { before, after: Vec::new() };
        };
        let both = [beginning(older).map(|begin| begin.code), Some(older)];
        let after = both.into_iter().flatten().filter_map(|ty| Making::new(event, ty)).collect();
        Older { before: None, after }
    }
}

/// Whether old readers make something of the call's beginning: the fd it works on, or a change of state.
fn needs_beginning(event: &EventInfo) -> bool {
    use EventFlag::{CreatesFd, DestroysFd, ModifiesState, UsesFd};
    [CreatesFd, DestroysFd, ModifiesState, UsesFd].into_iter().any(|flag| event.has(flag))
}

/// The event of a call's beginning, if it told anything.
fn beginning(end: EventType) -> Option<&'static EventInfo> {
    let begin = EventType(end.0.checked_sub(1)?).info()?;
    (begin.direction == Direction::Enter && !begin.params.is_empty()).then_some(begin)
}

/// Makes older events.
#[derive(Debug)]
pub(crate) struct Former(Vec<Older>);

impl Former {
    pub fn new() -> Former {
        Former(EVENTS.iter().map(Older::of).collect())
    }

    /// The event to stand before this one. It has this one's time: when the call began nobody knows.
    pub fn before(&self, event: &Event<'_>) -> Option<EventBuf> {
        self.0.get(usize::from(event.ty().0))?.before.as_ref()?.make(event)
    }

    /// The events to stand behind this one.
    pub fn after<'e>(&'e self, event: &'e Event<'_>) -> impl Iterator<Item = EventBuf> + 'e {
        let older = self.0.get(usize::from(event.ty().0));
        older.into_iter().flat_map(|older| &older.after).filter_map(|making| making.make(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(ty: EventType, params: &[&[u8]]) -> EventBuf {
        EventBuf::new(7, 42, 1, ty, params).unwrap()
    }

    fn before(ty: EventType, params: &[&[u8]]) -> Option<EventBuf> {
        Former::new().before(&event(ty, params).event().unwrap())
    }

    #[test]
    fn a_beginning_says_what_the_end_repeats() {
        let (fd, size) = (3i64.to_ne_bytes(), 10u32.to_ne_bytes());
        let begin = before(SYSCALL_READ_X, &[&5i64.to_ne_bytes(), b"hello", &fd, &size]);
        assert_eq!(begin, Some(event(SYSCALL_READ_E, &[&fd, &size])));
    }

    #[test]
    fn nothing_is_made_up_at_a_beginning() {
        assert_eq!(before(SYSCALL_READ_X, &[&5i64.to_ne_bytes(), b"hello", &[], &[]]), None);
        assert_eq!(before(SYSCALL_READ_X, &[&5i64.to_ne_bytes()]), None);
        assert_eq!(before(SYSCALL_GETCWD_X, &[&5i64.to_ne_bytes(), b"/\0"]), None);
        assert_eq!(before(PROCEXIT_1_E, &[]), None);
    }

    #[test]
    fn every_call_with_an_fd_that_old_readers_know_has_its_beginning() {
        let older = Former::new();
        let left_out: Vec<_> = EVENTS
            .iter()
            .filter(|end| end.direction == Direction::Exit && !end.has(EventFlag::OldVersion))
            .filter(|end| end.code <= LAST_KNOWN && end.has(EventFlag::UsesFd))
            .filter(|end| older.0[usize::from(end.code.0)].before.is_none() && beginning(end.code).is_some())
            .map(|end| end.name)
            .collect();
        assert_eq!(left_out, Vec::<&str>::new());
    }

    #[test]
    fn a_dup2_is_a_dup_to_old_readers() {
        let (from, to) = (3i64.to_ne_bytes(), 1i64.to_ne_bytes());
        let dup2 = event(SYSCALL_DUP2_X, &[&to, &from, &to]);
        let after: Vec<EventBuf> = Former::new().after(&dup2.event().unwrap()).collect();
        assert_eq!(after, [event(SYSCALL_DUP_E, &[&from]), event(SYSCALL_DUP_X, &[&to])]);
    }
}
