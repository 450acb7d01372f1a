//! One probe for all tests of a thread: opening one takes an emulated machine seconds.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use lanner_event::EventType;

use super::Watch;

thread_local! {
    static KEPT: Cell<Option<Watch>> = const { Cell::new(None) };
}

/// The probe, lent.
pub struct Lent(Option<Watch>);

impl Deref for Lent {
    type Target = Watch;

    fn deref(&self) -> &Watch {
        self.0.as_ref().unwrap()
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Watch {
        self.0.as_mut().unwrap()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        KEPT.set(self.0.take());
    }
}

/// A probe for some types, which was opened with the first; says why and gives `None` where the machine does not let
/// it.
pub fn watch(first: &[EventType], types: &[EventType]) -> Option<Lent> {
    let mut watch = KEPT.take().or_else(|| super::watch(first))?;
    watch.follow(types);
    Some(Lent(Some(watch)))
}
