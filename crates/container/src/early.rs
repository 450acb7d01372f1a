//! What is known of containers nobody has asked about yet: one that lives a few milliseconds is known even when all
//! trace of it is gone by the time somebody asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lanner_machine::{Container, Runtime};

/// What is known early is kept that long for whoever asks.
const KEPT: Duration = Duration::from_secs(60);
/// And no more of it than this.
const MAX_KEPT: usize = 4096;

/// Containers known from their bundles, by full id.
#[derive(Clone, Default)]
pub(crate) struct Early(Arc<Mutex<HashMap<String, (Instant, Container)>>>);

impl Early {
    /// What a bundle said when it was written, with the ids and the runtime of the container asked about.
    pub(crate) fn tell(&self, container: &mut Container) -> bool {
        let Some((_, early)) = self.lock().remove(&container.full_id) else { return false };
        let id = std::mem::take(&mut container.id);
        let full_id = std::mem::take(&mut container.full_id);
        // The cgroup's word on the runtime stands where it had one.
        let runtime = match container.runtime {
            Runtime::Unknown | Runtime::Cri => early.runtime,
            known => known,
        };
        *container = Container { id, full_id, runtime, ..early };
        true
    }

    /// Keeps what is known of a container nobody has asked about yet. What a runtime told is more than what a
    /// file says.
    pub(crate) fn keep(&self, container: Container) {
        let now = Instant::now();
        let mut kept = self.lock();
        let worth = |container: &Container| (container.complete, !container.name.is_empty());
        if kept.get(&container.full_id).is_some_and(|(_, known)| worth(known) > worth(&container)) {
            return;
        }
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, (since, _)| now.duration_since(*since) < KEPT);
        }
        if kept.len() < MAX_KEPT {
            kept.insert(container.full_id.clone(), (now, container));
        }
    }

    /// The map is whole at every moment, so a panic elsewhere does no harm to it.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Container)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
