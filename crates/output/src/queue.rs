//! The lines that wait for a sink: bounded in number and in bytes.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use lanner_alert::Line;

/// Lines that are handed out at once.
const BATCH: usize = 64;

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

/// So many times as much as is free may wait of one rule: a rule that floods leaves room to others, a quarter of the
/// queue if it is the only one.
const SHARE: usize = 3;

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    /// Of each rule, by the address of its name, how much waits.
    by_rule: HashMap<usize, Waiting>,
    reopen: bool,
    /// No more lines will come; those that wait may be written until then.
    closed: Option<Instant>,
    /// Whether the thread waits for work, and how many callers for room.
    idle: bool,
    crowded: usize,
}

/// What waits of one rule.
#[derive(Debug, Default, Clone, Copy)]
struct Waiting {
    lines: usize,
    bytes: usize,
}

impl State {
    fn add(&mut self, line: Arc<Line>) {
        let of_rule = self.by_rule.entry(key(&line)).or_default();
        of_rule.lines += 1;
        of_rule.bytes += line.text.len();
        self.bytes += line.text.len();
        self.lines.push_back(line);
    }

    fn take(&mut self) -> Option<Arc<Line>> {
        let line = self.lines.pop_front()?;
        self.bytes -= line.text.len();
        if let Entry::Occupied(mut of_rule) = self.by_rule.entry(key(&line)) {
            let waiting = of_rule.get_mut();
            waiting.lines -= 1;
            waiting.bytes -= line.text.len();
            if waiting.lines == 0 {
                of_rule.remove();
            }
        }
        Some(line)
    }
}

/// The lines of a rule have its name in common, not only its text.
fn key(line: &Line) -> usize {
    line.rule.as_ptr().addr()
}

/// What the queue's thread is to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Write the lines that were handed out.
    Write,
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
        if state.lines.is_empty() {
            return true;
        }
        let lines = self.capacity.saturating_sub(state.lines.len());
        let bytes = self.max_bytes.saturating_sub(state.bytes);
        let of_rule = state.by_rule.get(&key(line)).copied().unwrap_or_default();
        let fits = lines > 0 && bytes >= line.text.len();
        fits && of_rule.lines < SHARE.saturating_mul(lines) && of_rule.bytes <= SHARE.saturating_mul(bytes)
    }

    /// Puts a line in. Without room it waits if it may, else the line is refused.
    pub fn push(&self, line: Arc<Line>, wait: bool) -> bool {
        let mut state = self.lock();
        while !self.has_room(&state, &line) {
            if !wait || state.closed.is_some() {
                return false;
            }
            state.crowded += 1;
            state = self.room.wait(state).unwrap_or_else(|e| e.into_inner());
            state.crowded -= 1;
        }
        state.add(line);
        // to wake is a system call: a thread that is busy, or is waking up, looks by itself
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        if idle {
            self.work.notify_one();
        }
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

    /// What is to be done; with `wait` never [`Order::Idle`]. Lines to be written, at most [`BATCH`], are put into
    /// `taken`.
    pub fn next(&self, wait: bool, taken: &mut Vec<Arc<Line>>) -> Order {
        let mut state = self.lock();
        loop {
            if std::mem::take(&mut state.reopen) {
                return Order::Reopen;
            }
            if !state.lines.is_empty() {
                taken.extend(std::iter::from_fn(|| state.take()).take(BATCH));
                let crowded = state.crowded > 0;
                drop(state);
                if crowded {
                    self.room.notify_all();
                }
                return Order::Write;
            }
            if state.closed.is_some() {
                return Order::End;
            }
            if !wait {
                return Order::Idle;
            }
            state.idle = true;
            state = self.work.wait(state).unwrap_or_else(|e| e.into_inner());
            state.idle = false;
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
    use lanner_alert::Priority;

    fn line_of(rule: &Arc<str>, text: &str) -> Arc<Line> {
        let rule = Arc::clone(rule);
        Arc::new(Line { text: text.to_owned(), priority: Priority::Notice, priority_at: None, rule })
    }

    fn line(text: &str) -> Arc<Line> {
        line_of(&"some rule".into(), text)
    }

    fn next(queue: &Queue, wait: bool) -> (Order, Vec<String>) {
        let mut taken = Vec::new();
        let order = queue.next(wait, &mut taken);
        (order, taken.iter().map(|line| line.text.clone()).collect())
    }

    #[test]
    fn a_rule_that_floods_leaves_room_to_others() {
        let queue = Queue::new(400, 1 << 20);
        let rules: [Arc<str>; 3] = ["flood", "other flood", "seldom"].map(Arc::from);
        let push = |rule: usize| queue.push(line_of(&rules[rule], "text"), false);
        assert_eq!((0..1000).filter(|_| push(0)).count(), 300);
        assert_eq!((0..1000).filter(|_| push(1)).count(), 75);
        assert!(push(2) && !push(0));
        // what was handed out makes room again
        assert_eq!(next(&queue, false).1.len(), BATCH);
        assert!(push(0) && queue.depth().0 == 376 - BATCH + 1);
        while !matches!(next(&queue, false).0, Order::Idle) {}
        assert!(queue.lock().by_rule.is_empty());
    }

    #[test]
    fn lines_and_bytes_are_bounded_but_one_line_always_fits() {
        let queue = Queue::new(2, 10);
        assert!(queue.push(line("a line that is longer than all"), false));
        assert!(!queue.push(line("b"), false), "no bytes are left");
        assert!(matches!(next(&queue, false).0, Order::Write));
        assert!(queue.push(line("c"), false) && queue.push(line("d"), false));
        assert!(!queue.push(line("e"), false), "two lines are the most");
        assert_eq!(queue.depth(), (2, 2));
    }

    #[test]
    fn what_waits_is_still_given_out_after_the_end() {
        let queue = Queue::new(4, 100);
        queue.push(line("a"), false);
        queue.reopen();
        assert!(matches!(next(&queue, true).0, Order::Reopen));
        queue.close(Instant::now());
        assert_eq!(next(&queue, true).1, ["a"]);
        assert!(matches!(next(&queue, true).0, Order::End));
        assert!(!queue.pause(Duration::from_secs(60)), "a pause ends with the queue's time");
    }
}
