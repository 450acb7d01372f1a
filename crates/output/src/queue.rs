//! The lines that wait for a sink: bounded in number and in bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::Line;

/// Lines on their way to one thread.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Something is to be done.
    work: Condvar,
    /// There is room again.
    room: Condvar,
    capacity: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    reopen: bool,
    /// No more lines will come; those that wait may be written until then.
    closed: Option<Instant>,
}

/// What the queue's thread is to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Write a line.
    Write(Arc<Line>),
    /// Open targets anew.
    Reopen,
    /// Nothing waits now.
    Idle,
    /// Nothing will come any more.
    End,
}

impl Queue {
    /// A queue of at most `capacity` lines and `max_bytes` bytes; one line it takes always.
    pub fn new(capacity: usize, max_bytes: usize) -> Queue {
        Queue {
            state: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            capacity: capacity.max(1),
            max_bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn has_room(&self, state: &State, line: &Line) -> bool {
        let fits = state.bytes + line.text.len() <= self.max_bytes;
        state.lines.is_empty() || (state.lines.len() < self.capacity && fits)
    }

    /// Puts a line in. Without room it waits if it may, else the line is refused.
    pub fn push(&self, line: Arc<Line>, wait: bool) -> bool {
        let mut state = self.lock();
        while !self.has_room(&state, &line) {
            if !wait || state.closed.is_some() {
                return false;
            }
            state = self.room.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        state.bytes += line.text.len();
        state.lines.push_back(line);
        drop(state);
        self.work.notify_one();
        true
    }

    /// Asks that targets be opened anew; it comes before what waits, so that a stuck sink is no hindrance.
    pub fn reopen(&self) {
        self.lock().reopen = true;
        self.work.notify_one();
    }

    /// No more lines will come; what waits may be written until `end`.
    pub fn close(&self, end: Instant) {
        self.lock().closed = Some(end);
        self.work.notify_all();
        self.room.notify_all();
    }

    /// What is to be done; with `wait` never [`Order::Idle`].
    pub fn next(&self, wait: bool) -> Order {
        let mut state = self.lock();
        loop {
            if std::mem::take(&mut state.reopen) {
                return Order::Reopen;
            }
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.text.len();
                drop(state);
                self.room.notify_one();
                return Order::Write(line);
            }
            if state.closed.is_some() {
                return Order::End;
            }
            if !wait {
                return Order::Idle;
            }
            state = self.work.wait(state).unwrap_or_else(|e| e.into_inner());
        }
    }

    /// Waits before something is tried again; the queue's end cuts that short. False if the time for trying
    /// is over.
    pub fn pause(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let end = state.closed.map_or(until, |end| end.min(until));
            if state.closed.is_some_and(|end| now >= end) {
                return false;
            }
            if now >= end {
                return true;
            }
            state = self.work.wait_timeout(state, end - now).unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    /// The end that was set by [`Queue::close`].
    pub fn end(&self) -> Option<Instant> {
        self.lock().closed
    }

    /// Lines and bytes that wait.
    pub fn depth(&self) -> (usize, usize) {
        let state = self.lock();
        (state.lines.len(), state.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Priority;

    fn line(text: &str) -> Arc<Line> {
        Arc::new(Line { text: text.to_owned(), priority: Priority::Notice, priority_at: None })
    }

    #[test]
    fn lines_and_bytes_are_bounded_but_one_line_always_fits() {
        let queue = Queue::new(2, 10);
        assert!(queue.push(line("a line that is longer than all"), false));
        assert!(!queue.push(line("b"), false), "no bytes are left");
        assert!(matches!(queue.next(false), Order::Write(_)));
        assert!(queue.push(line("c"), false) && queue.push(line("d"), false));
        assert!(!queue.push(line("e"), false), "two lines are the most");
        assert_eq!(queue.depth(), (2, 2));
    }

    #[test]
    fn what_waits_is_still_given_out_after_the_end() {
        let queue = Queue::new(4, 100);
        queue.push(line("a"), false);
        queue.reopen();
        assert!(matches!(queue.next(true), Order::Reopen));
        queue.close(Instant::now());
        assert!(matches!(queue.next(true), Order::Write(_)));
        assert!(matches!(queue.next(true), Order::End));
        assert!(!queue.pause(Duration::from_secs(60)), "a pause ends with the queue's time");
    }
}
