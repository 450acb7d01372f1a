//! Where the loops and whoever asks about them meet: a loop writes what it knows only when somebody wants it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::observation::Observation;

/// A loop that has shown no sign of life for so long is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// How long the answer of a loop is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// All loops of this process.
#[derive(Clone)]
pub struct Board(Arc<Inner>);

struct Inner {
    epoch: Instant,
    places: Mutex<Vec<Arc<Place>>>,
}

/// One loop's place.
pub(super) struct Place {
    source: String,
    epoch: Instant,
    /// When the loop last came by, ms since the epoch.
    beat: AtomicU64,
    /// Somebody wants to know.
    wanted: AtomicBool,
    posted: Notify,
    latest: Mutex<Option<Arc<Observation>>>,
    /// For how many seconds nothing has come though something should have; 0 while events flow.
    dry: AtomicU64,
    /// The loop has ended.
    over: AtomicBool,
}

/// Whether lanner works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    /// What is wrong; nothing while all is well.
    pub faults: Vec<String>,
}

impl Health {
    /// Whether all is well.
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Default for Board {
    fn default() -> Board {
        Board(Arc::new(Inner { epoch: Instant::now(), places: Mutex::default() }))
    }
}

impl Board {
    /// A place for a loop.
    pub(super) fn place(&self, source: &str) -> Arc<Place> {
        let place = Arc::new(Place {
            source: source.to_owned(),
            epoch: self.0.epoch,
            beat: AtomicU64::new(self.0.epoch.elapsed().as_millis() as u64),
            wanted: AtomicBool::new(false),
            posted: Notify::new(),
            latest: Mutex::default(),
            dry: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        lock(&self.0.places).push(Arc::clone(&place));
        place
    }

    fn places(&self) -> Vec<Arc<Place>> {
        lock(&self.0.places).iter().filter(|place| !place.over.load(Ordering::Relaxed)).cloned().collect()
    }

    /// What the loops know now; of one that does not answer, what it last told.
    pub async fn observations(&self) -> Vec<Arc<Observation>> {
        let mut found = Vec::new();
        for place in self.places() {
            let posted = place.posted.notified();
            tokio::pin!(posted);
            posted.as_mut().enable();
            place.wanted.store(true, Ordering::Release);
            // A loop that is stuck is told of by the health; its last word is better than none.
            let _ = tokio::time::timeout(PATIENCE, posted).await;
            found.extend(lock(&place.latest).clone());
        }
        found
    }

    /// Whether all loops go on and events flow.
    pub fn health(&self) -> Health {
        let now = self.0.epoch.elapsed();
        let fault = |place: &Arc<Place>| {
            let beat = Duration::from_millis(place.beat.load(Ordering::Relaxed));
            let silent = now.saturating_sub(beat);
            if silent > STUCK {
                return Some(format!(
                    "source {}: nothing has been read for {} s",
                    place.source,
                    silent.as_secs()
                ));
            }
            let dry = place.dry.load(Ordering::Relaxed);
            (dry > 0).then(|| format!("source {}: no event has come for {dry} s", place.source))
        };
        Health { faults: self.places().iter().filter_map(fault).collect() }
    }
}

impl Place {
    /// The loop comes by.
    pub fn beat(&self) {
        self.beat.store(self.epoch.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Whether somebody wants to know what the loop knows; asking settles it.
    pub fn take_wanted(&self) -> bool {
        // The load keeps the line shared while nobody asks.
        self.wanted.load(Ordering::Relaxed) && self.wanted.swap(false, Ordering::AcqRel)
    }

    /// Tells what the loop knows.
    pub fn post(&self, observation: Observation) {
        *lock(&self.latest) = Some(Arc::new(observation));
        self.posted.notify_waiters();
    }

    /// Tells whether events flow: 0, or for how many seconds they have not.
    pub fn set_dry(&self, seconds: u64) {
        self.dry.store(seconds, Ordering::Relaxed);
    }

    /// The loop ends.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_without_events_or_without_life_is_a_fault() {
        let board = Board::default();
        assert!(board.health().is_good(), "nothing runs, nothing fails");
        let place = board.place("syscall");
        place.beat();
        assert!(board.health().is_good());
        place.set_dry(7);
        assert_eq!(board.health().faults, ["source syscall: no event has come for 7 s"]);
        place.set_dry(0);
        assert!(board.health().is_good());
        let old = Board(Arc::new(Inner {
            epoch: Instant::now().checked_sub(Duration::from_secs(100)).unwrap(),
            places: Mutex::default(),
        }));
        let place = old.place("syscall");
        place.beat.store(1000, Ordering::Relaxed);
        assert_eq!(old.health().faults, ["source syscall: nothing has been read for 99 s"]);
        place.end();
        assert!(old.health().is_good(), "one that has ended is nobody's concern");
    }
}
