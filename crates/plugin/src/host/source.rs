//! Events that a plugin gives.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use lanner_event::{Event, types};

use super::abi;
use super::async_events::bytes;
use super::instance::Instance;
use super::owner::Tell;
use crate::files::now;
use crate::source::{EventSource, Given, Sink, SourceError};
use crate::stats::SourceStats;

/// A call for events that takes so long hangs.
const HANGS: Duration = Duration::from_secs(10);
/// Between two questions of how far it is.
const PROGRESS: Duration = Duration::from_secs(1);
/// Where the number of the plugin stands in its events: behind the header and two lengths.
const ID_AT: usize = 34;

/// When a call began, in ms since the watch did; 0 outside of calls.
struct Watch {
    began: Instant,
    since: AtomicU64,
}

/// A plugin's open source.
pub(super) struct HostSource {
    instance: Arc<Instance>,
    handle: *mut c_void,
    watch: Arc<Watch>,
    buf: Vec<u8>,
    stats: Arc<SourceStats>,
    pause: bool,
    /// When it is to be asked how far it is.
    ask: Instant,
}

// SAFETY: the handle is used by one thread at a time, as the plugin API wants it.
unsafe impl Send for HostSource {}

impl HostSource {
    /// Opens the source of a plugin. `tell` hears of calls that hang.
    pub(super) fn open(
        instance: &Arc<Instance>,
        params: &str,
        stats: &Arc<SourceStats>,
        tell: Tell,
    ) -> Result<HostSource, SourceError> {
        let handle = instance.open(params).map_err(|error| SourceError::Failed(error.to_string()))?;
        let watch = Arc::new(Watch { began: Instant::now(), since: AtomicU64::new(0) });
        let (watched, name) = (Arc::downgrade(&watch), instance.plugin.name.clone());
        // Without the thread nobody is told of a hang; events come all the same.
        let _ = std::thread::Builder::new().name("watch".into()).spawn(move || look(&watched, &name, &tell));
        Ok(HostSource {
            instance: Arc::clone(instance),
            handle,
            watch,
            buf: Vec::new(),
            stats: Arc::clone(stats),
            pause: false,
            ask: Instant::now(),
        })
    }

    /// One event, with what the plugin leaves to be filled in.
    fn event(&mut self, event: *const u8, sink: &mut Sink<'_>) -> Result<(), String> {
        self.buf.clear();
        // SAFETY: the plugin API says that there is an event.
        self.buf.extend_from_slice(unsafe { bytes(event) }?);
        if self.buf[..8] == u64::MAX.to_ne_bytes() {
            self.buf[..8].copy_from_slice(&now().to_ne_bytes());
        }
        let id = self.instance.plugin.id;
        let decoded = Event::decode(&self.buf, 0).map_err(|error| error.to_string())?;
        if id != 0 {
            let said = decoded.u32(0).filter(|_| decoded.ty() == types::PLUGINEVENT_E);
            match said {
                Some(0) => self.buf[ID_AT..ID_AT + 4].copy_from_slice(&id.to_ne_bytes()),
                Some(same) if same == id => {}
                Some(other) => return Err(format!("an event has the plugin number {other}, not {id}")),
                None => return Err(format!("an event of type {}, not pluginevent", decoded.info.name)),
            }
        }
        let event = Event::decode(&self.buf, 0).map_err(|error| error.to_string())?;
        sink(&event);
        Ok(())
    }
}

fn look(watch: &Weak<Watch>, name: &str, tell: &Tell) {
    let mut told = 0;
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let Some(watch) = watch.upgrade() else { return };
        let since = watch.since.load(Ordering::Relaxed);
        let inside =
            watch.began.elapsed().as_millis() as u64 - since.min(watch.began.elapsed().as_millis() as u64);
        if since != 0 && since != told && inside > HANGS.as_millis() as u64 {
            told = since;
            tell(4, &format!("plugin '{name}' hangs: it has been in next_batch for {} s", inside / 1000));
        }
    }
}

impl EventSource for HostSource {
    fn give(&mut self, patience: Duration, sink: &mut Sink<'_>) -> Result<Given, SourceError> {
        if std::mem::take(&mut self.pause) {
            // It had nothing: spare it, and the CPU.
            std::thread::sleep(patience.min(Duration::from_millis(5)));
        }
        let begin = self.watch.began.elapsed().as_millis() as u64 + 1;
        self.watch.since.store(begin, Ordering::Relaxed);
        let instance = Arc::clone(&self.instance);
        // SAFETY: the handle is open until this is dropped.
        let (rc, events) = unsafe { instance.next(self.handle) };
        self.watch.since.store(0, Ordering::Relaxed);
        if rc == abi::EOF || self.ask.elapsed() > PROGRESS {
            self.ask = Instant::now();
            // SAFETY: as above.
            unsafe { instance.ask_progress(self.handle) };
        }
        for event in events {
            self.event(*event, sink).map_err(|what| {
                SourceError::Failed(format!("plugin '{}' gives a broken event: {what}", instance.plugin.name))
            })?;
        }
        self.stats.take(events.len() as u64);
        match rc {
            _ if !events.is_empty() && rc != abi::FAILURE => Ok(Given::Events(events.len())),
            abi::EOF => Ok(Given::End),
            abi::SUCCESS | abi::TIMEOUT => {
                self.pause = true;
                Ok(Given::Nothing)
            }
            _ => {
                let what = instance.last_error();
                Err(SourceError::Failed(format!("plugin '{}' has failed: {what}", instance.plugin.name)))
            }
        }
    }
}

impl Drop for HostSource {
    fn drop(&mut self) {
        // SAFETY: the handle is not used afterwards.
        unsafe { self.instance.close(self.handle) };
    }
}
