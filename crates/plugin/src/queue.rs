//! A bounded queue of batches between those who receive events and the loop that looks at them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::batch::Batch;
use crate::source::SourceError;

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub events: usize,
    pub bytes: usize,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>,
    events: usize,
    bytes: usize,
    /// How it ended, once nothing more comes.
    ended: Option<Result<(), SourceError>>,
    /// Nobody takes any more.
    closed: bool,
}

struct Shared {
    room: Room,
    state: Mutex<State>,
    /// Something came, or it ended.
    came: Condvar,
    /// Something was taken, or it is closed.
    went: Condvar,
}

impl Shared {
    /// The state; it is whole even after a panic elsewhere.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Whether a batch fits. A batch that is larger than the queue fits into an empty one.
    fn fits(&self, state: &State, batch: &Batch) -> bool {
        let fits =
            state.events + batch.len() <= self.room.events && state.bytes + batch.bytes() <= self.room.bytes;
        fits || state.batches.is_empty()
    }

    fn put(&self, state: &mut State, batch: Batch) {
        state.events += batch.len();
        state.bytes += batch.bytes();
        state.batches.push_back(batch);
        self.came.notify_one();
    }
}

/// The end that events are put into.
#[derive(Clone)]
pub(crate) struct Sender(Arc<Shared>);

/// The end that events are taken from. Dropping it closes the queue.
pub(crate) struct Receiver(Arc<Shared>);

/// What a receiver finds.
pub(crate) enum Found {
    Batch(Batch),
    Nothing,
    End,
}

pub(crate) fn queue(room: Room) -> (Sender, Receiver) {
    let shared =
        Arc::new(Shared { room, state: Mutex::default(), came: Condvar::new(), went: Condvar::new() });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl Sender {
    /// Puts a batch in as a whole, or not at all where there is no room or nobody takes any more.
    pub(crate) fn try_send(&self, batch: Batch) -> bool {
        let mut state = self.0.state();
        let fits = !state.closed && state.ended.is_none() && self.0.fits(&state, &batch);
        if fits {
            self.0.put(&mut state, batch);
        }
        fits
    }

    /// Puts a batch in when there is room; `false` when nobody takes any more.
    pub(crate) fn send(&self, batch: Batch) -> bool {
        let mut state = self.0.state();
        while !state.closed && !self.0.fits(&state, &batch) {
            state = self.0.went.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        if !state.closed {
            self.0.put(&mut state, batch);
        }
        !state.closed
    }

    /// Says that nothing more comes, and why. The first to say so counts.
    pub(crate) fn end(&self, how: Result<(), SourceError>) {
        self.0.state().ended.get_or_insert(how);
        self.0.came.notify_all();
    }
}

impl Receiver {
    /// The oldest batch, waiting for one for at most `patience`.
    pub(crate) fn take(&self, patience: Duration) -> Result<Found, SourceError> {
        let state = self.0.state();
        let waits = |state: &mut State| state.batches.is_empty() && state.ended.is_none();
        let waited = self.0.came.wait_timeout_while(state, patience, waits);
        let (mut state, _) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(batch) = state.batches.pop_front() {
            state.events -= batch.len();
            state.bytes -= batch.bytes();
            self.0.went.notify_all();
            return Ok(Found::Batch(batch));
        }
        match state.ended.replace(Ok(())) {
            None => {
                state.ended = None;
                Ok(Found::Nothing)
            }
            Some(how) => how.map(|()| Found::End),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.went.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(events: usize) -> Batch {
        let mut batch = Batch::default();
        (0..events).for_each(|_| assert!(batch.add(0, 9, |out| out.push(b'x'))));
        batch
    }

    fn taken(receiver: &Receiver) -> usize {
        match receiver.take(Duration::ZERO).unwrap() {
            Found::Batch(batch) => batch.len(),
            _ => 0,
        }
    }

    #[test]
    fn a_full_queue_takes_a_batch_whole_or_not_at_all() {
        let (sender, receiver) = queue(Room { events: 10, bytes: 12 });
        assert!(sender.try_send(batch(6)) && !sender.try_send(batch(5)) && sender.try_send(batch(4)));
        assert_eq!((taken(&receiver), taken(&receiver), taken(&receiver)), (6, 4, 0));
        assert!(sender.try_send(batch(50)), "an empty queue takes a batch of any size");
        assert!(!sender.try_send(batch(1)));
    }

    #[test]
    fn what_waits_is_given_before_the_end_is_told() {
        let (sender, receiver) = queue(Room { events: 10, bytes: 99 });
        assert!(sender.send(batch(1)));
        sender.end(Err(SourceError::Failed("broken".into())));
        sender.end(Ok(()));
        assert_eq!(taken(&receiver), 1);
        assert_eq!(receiver.take(Duration::ZERO).err().unwrap().to_string(), "broken");
        assert!(matches!(receiver.take(Duration::from_secs(9)), Ok(Found::End)));
    }

    #[test]
    fn a_waiting_sender_is_let_go_when_the_queue_closes() {
        let (sender, receiver) = queue(Room { events: 1, bytes: 9 });
        assert!(sender.send(batch(1)));
        let waiting = sender.clone();
        let thread = std::thread::spawn(move || waiting.send(batch(1)));
        drop(receiver);
        assert!(!thread.join().unwrap() && !sender.try_send(batch(1)));
    }
}
