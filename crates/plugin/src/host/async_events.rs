//! Events that plugins send beside a source's own, from threads of theirs.

use std::collections::VecDeque;
use std::ffi::{CString, c_char};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lanner_event::{Event, EventBuf, types};

use super::abi;
use super::owner::Owner;
use crate::files::now;
use crate::source::Sink;

/// Events that may wait for the loop.
const MAX_WAITING: usize = 10_000;
/// Bytes of an event.
const MAX_EVENT: usize = 16 << 20;

/// Events on their way into a loop.
#[derive(Default)]
pub(super) struct Inbox {
    events: Mutex<VecDeque<EventBuf>>,
    lost: AtomicU64,
}

impl Inbox {
    fn events(&self) -> MutexGuard<'_, VecDeque<EventBuf>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events that there was no room for.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Hands over what waits, and says how much that was.
    pub(super) fn drain(&self, sink: &mut Sink<'_>) -> usize {
        let events = std::mem::take(&mut *self.events());
        // What was written here can be read.
        events.iter().filter_map(|event| event.event().ok()).for_each(|event| sink(&event));
        events.len()
    }

    /// Takes an event of a plugin into a loop whose own events have the number `plugin`.
    pub(super) fn take(&self, event: &Event<'_>, plugin: u32) -> Result<(), String> {
        if event.ty() != types::ASYNCEVENT_E {
            return Err(format!("only asynchronous events can be sent, not {}", event.info.name));
        }
        let name = event.param(1).unwrap_or_default();
        let data = event.param(2).unwrap_or_default();
        let ts = if event.ts == u64::MAX { now() } else { event.ts };
        let mut buf = EventBuf::default();
        buf.write(ts, event.tid, 0, types::ASYNCEVENT_E, &[&plugin.to_ne_bytes(), name, data])
            .map_err(|error| error.to_string())?;
        let mut events = self.events();
        if events.len() >= MAX_WAITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(format!("{MAX_WAITING} events wait already"));
        }
        events.push_back(buf);
        Ok(())
    }
}

/// The bytes of an event that a plugin gives.
///
/// # Safety
/// There must be an event at the pointer, whose header says how long it is.
pub(super) unsafe fn bytes<'a>(event: *const u8) -> Result<&'a [u8], String> {
    if event.is_null() {
        return Err("an event is missing".to_owned());
    }
    // SAFETY: as the caller promises; the length stands behind time and thread, not aligned.
    let length = unsafe { event.add(16).cast::<u32>().read_unaligned() } as usize;
    if !(lanner_event::HEADER_LEN..=MAX_EVENT).contains(&length) {
        return Err(format!("an event says that it has {length} bytes"));
    }
    // SAFETY: as the caller promises.
    Ok(unsafe { std::slice::from_raw_parts(event, length) })
}

/// The function that plugins send by.
pub(super) unsafe extern "C" fn handler(owner: abi::Owner, event: *const u8, error: *mut c_char) -> abi::Rc {
    // SAFETY: plugins hand back the pointer that they were given, while their owner lives.
    let Some(owner) = (unsafe { owner.cast::<Owner>().as_ref() }) else { return abi::FAILURE };
    // SAFETY: the plugin API says that there is an event.
    let taken = unsafe { bytes(event) }.and_then(|bytes| {
        let event = Event::decode(bytes, 0).map_err(|error| error.to_string())?;
        owner.inbox.take(&event, owner.source_id)
    });
    let Err(why) = taken else { return abi::SUCCESS };
    if !error.is_null() {
        let mut text = why.into_bytes();
        text.truncate(abi::MAX_ERROR - 1);
        let text = CString::new(text).unwrap_or_default();
        // SAFETY: the plugin API says that there is room for MAX_ERROR bytes; the text with its end has no more.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), error, text.as_bytes_with_nul().len()) };
    }
    abi::FAILURE
}
