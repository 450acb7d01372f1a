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

    /// Takes an event into the loop.
    fn take(&self, buf: EventBuf) -> Result<(), String> {
        let mut events = self.events();
        if events.len() >= MAX_WAITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(format!("{MAX_WAITING} events wait already"));
        }
        events.push_back(buf);
        Ok(())
    }
}

/// Events by which a plugin tells of its state.
#[derive(Default)]
pub(super) struct Dump(Mutex<Vec<EventBuf>>);

impl Dump {
    /// What was told since the last call.
    pub(super) fn take(&self) -> Vec<EventBuf> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, buf: EventBuf) -> Result<(), String> {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= MAX_WAITING {
            return Err(format!("no more than {MAX_WAITING} events can tell of a plugin's state"));
        }
        events.push(buf);
        Ok(())
    }
}

/// An event that a plugin sends, in a form of our own: with the number of the loop's source and a time.
fn sent(event: &Event<'_>, owner: &Owner) -> Result<EventBuf, String> {
    if event.ty() != types::ASYNCEVENT_E {
        return Err(format!("only asynchronous events can be sent, not {}", event.info.name));
    }
    let (name, data) = (event.param(1).unwrap_or_default(), event.param(2).unwrap_or_default());
    let told = name.strip_suffix(&[0]).unwrap_or(name);
    if !owner.plugin.async_events.iter().any(|known| known.as_bytes() == told) {
        let told = String::from_utf8_lossy(told);
        return Err(format!("plugin '{}' hasn't said that it sends events '{told}'", owner.plugin.name));
    }
    let ts = if event.ts == u64::MAX { now() } else { event.ts };
    let mut buf = EventBuf::default();
    buf.write(ts, event.tid, 0, types::ASYNCEVENT_E, &[&owner.source_id.to_ne_bytes(), name, data])
        .map_err(|error| error.to_string())?;
    Ok(buf)
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
    // SAFETY: as the plugin API says.
    unsafe { receive(owner, event, error, |owner, event| owner.inbox.take(event)) }
}

/// The function by which plugins tell of their state.
pub(super) unsafe extern "C" fn dumper(owner: abi::Owner, event: *const u8, error: *mut c_char) -> abi::Rc {
    // SAFETY: as the plugin API says.
    unsafe { receive(owner, event, error, |owner, event| owner.dump.add(event)) }
}

/// Takes an event of a plugin, or says why not.
///
/// # Safety
/// The pointers must be as the plugin API says.
unsafe fn receive(
    owner: abi::Owner,
    event: *const u8,
    error: *mut c_char,
    take: impl FnOnce(&Owner, EventBuf) -> Result<(), String>,
) -> abi::Rc {
    // SAFETY: plugins hand back the pointer that they were given, while their owner lives.
    let Some(owner) = (unsafe { owner.cast::<Owner>().as_ref() }) else { return abi::FAILURE };
    // SAFETY: the plugin API says that there is an event.
    let taken = unsafe { bytes(event) }.and_then(|bytes| {
        let event = Event::decode(bytes, 0).map_err(|error| error.to_string())?;
        take(owner, sent(&event, owner)?)
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
