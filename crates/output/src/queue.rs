//! The lines that wait for a sink: bounded in number and in bytes.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use lanner_alert::{LineRef, Lines, SomeLines};
use rustc_hash::FxHashMap;

/// Lines that are handed out at once.
const BATCH: usize = 256;

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

/// Lines that were handed over together, or those of them for which there was room.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    lines: Arc<Lines>,
    places: Range<usize>,
}

impl Piece {
    /// The lines.
    pub fn lines(&self) -> SomeLines<'_> {
        self.lines.all().part(self.places.clone())
    }
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Piece>,
    /// What waits, and of each rule, by the address of its name, how much.
    waiting: Waiting,
    by_rule: FxHashMap<usize, Waiting>,
    reopen: bool,
    /// No more lines will come; those that wait may be written until then.
    closed: Option<Instant>,
    /// Whether the thread waits for work, and how many callers for room.
    idle: bool,
    crowded: usize,
}

/// Lines that wait.
#[derive(Debug, Default, Clone, Copy)]
struct Waiting {
    lines: usize,
    bytes: usize,
}

impl Waiting {
    fn add(&mut self, line: LineRef<'_>) {
        self.lines += 1;
        self.bytes += line.text.len();
    }

    fn take(&mut self, line: LineRef<'_>) {
        self.lines -= 1;
        self.bytes -= line.text.len();
    }
}

impl State {
    /// Counts a line that is taken in.
    fn count(&mut self, line: LineRef<'_>) {
        self.by_rule.entry(key(line)).or_default().add(line);
        self.waiting.add(line);
    }

    /// Puts in lines that were counted.
    fn put(&mut self, lines: &Arc<Lines>, places: Range<usize>) {
        if !places.is_empty() {
            self.pieces.push_back(Piece { lines: Arc::clone(lines), places });
        }
    }

    /// Takes out the first lines that came together, at most some.
    fn take(&mut self, most: usize) -> Option<Piece> {
        let first = self.pieces.front_mut()?;
        let piece = if first.places.len() > most {
            let places = first.places.start..first.places.start + most;
            first.places.start = places.end;
            Piece { lines: Arc::clone(&first.lines), places }
        } else {
            self.pieces.pop_front()?
        };
        for line in piece.lines().iter() {
            self.waiting.take(line);
            if let Entry::Occupied(mut of_rule) = self.by_rule.entry(key(line)) {
                of_rule.get_mut().take(line);
                if of_rule.get().lines == 0 {
                    of_rule.remove();
                }
            }
        }
        Some(piece)
    }
}

/// The lines of a rule have its name in common, not only its text.
fn key(line: LineRef<'_>) -> usize {
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

    fn has_room(&self, state: &State, line: LineRef<'_>) -> bool {
        if state.waiting.lines == 0 {
            return true;
        }
        let lines = self.capacity.saturating_sub(state.waiting.lines);
        let bytes = self.max_bytes.saturating_sub(state.waiting.bytes);
        let of_rule = state.by_rule.get(&key(line)).copied().unwrap_or_default();
        let fits = lines > 0 && bytes >= line.text.len();
        fits && of_rule.lines < SHARE.saturating_mul(lines) && of_rule.bytes <= SHARE.saturating_mul(bytes)
    }

    /// Puts lines in. Where there is no room for one it waits if it may, else the line is refused. Says how many were.
    pub fn push(&self, lines: &Arc<Lines>, wait: bool) -> usize {
        let mut state = self.lock();
        let (mut put, mut refused) = (0, 0);
        // copies of those that were taken in beside refused ones, whose memory would be kept with theirs
        let mut kept: Option<Lines> = None;
        for (at, line) in lines.all().iter().enumerate() {
            while wait && state.closed.is_none() && !self.has_room(&state, line) {
                // what was put in before may be all that there is to do
                state.put(lines, put..at);
                put = at;
                if std::mem::take(&mut state.idle) {
                    self.work.notify_one();
                }
                state.crowded += 1;
                state = self.room.wait(state).unwrap_or_else(|e| e.into_inner());
                state.crowded -= 1;
            }
            if !self.has_room(&state, line) {
                refused += 1;
                kept.get_or_insert_with(|| lines.all().part(put..at).copied());
                continue;
            }
            state.count(line);
            if let Some(kept) = &mut kept {
                kept.copy(line);
            }
        }
        match kept.map(Arc::new) {
            Some(kept) => state.put(&kept, 0..kept.len()),
            None => state.put(lines, put..lines.len()),
        }
        // to wake is a system call: a thread that is busy, or is waking up, looks by itself
        let idle = !state.pieces.is_empty() && std::mem::take(&mut state.idle);
        drop(state);
        if idle {
            self.work.notify_one();
        }
        refused
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
    pub fn next(&self, wait: bool, taken: &mut Vec<Piece>) -> Order {
        let mut state = self.lock();
        loop {
            if std::mem::take(&mut state.reopen) {
                return Order::Reopen;
            }
            if !state.pieces.is_empty() {
                let mut room = BATCH;
                while let Some(piece) = state.take(room) {
                    room -= piece.places.len();
                    taken.push(piece);
                    if room == 0 {
                        break;
                    }
                }
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
        (state.waiting.lines, state.waiting.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_alert::{Line, Priority};

    fn line_of(rule: &Arc<str>, text: &str) -> Arc<Lines> {
        let rule = Arc::clone(rule);
        let line = Line { text: text.to_owned(), priority: Priority::Notice, priority_at: None, rule };
        Arc::new(line.into())
    }

    fn line(text: &str) -> Arc<Lines> {
        line_of(&"some rule".into(), text)
    }

    /// Whether all lines were taken in.
    fn push(queue: &Queue, lines: Arc<Lines>) -> bool {
        queue.push(&lines, false) == 0
    }

    fn next(queue: &Queue, wait: bool) -> (Order, Vec<String>) {
        let mut taken = Vec::new();
        let order = queue.next(wait, &mut taken);
        let lines = taken.iter().flat_map(|piece| piece.lines().iter());
        (order, lines.map(|line| line.text.to_owned()).collect())
    }

    #[test]
    fn a_rule_that_floods_leaves_room_to_others() {
        let queue = Queue::new(400, 1 << 20);
        let rules: [Arc<str>; 3] = ["flood", "other flood", "seldom"].map(Arc::from);
        let push = |rule: usize| push(&queue, line_of(&rules[rule], "text"));
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
        assert!(push(&queue, line("a line that is longer than all")));
        assert!(!push(&queue, line("b")), "no bytes are left");
        assert!(matches!(next(&queue, false).0, Order::Write));
        assert!(push(&queue, line("c")) && push(&queue, line("d")));
        assert!(!push(&queue, line("e")), "two lines are the most");
        assert_eq!(queue.depth(), (2, 2));
    }

    #[test]
    fn of_lines_that_come_together_those_are_taken_that_fit() {
        let rules: [Arc<str>; 2] = ["flood", "seldom"].map(Arc::from);
        let queue = Queue::new(400, 1 << 20);
        let mut lines = Lines::default();
        for n in 0..402 {
            let rule = &rules[usize::from(n % 201 == 200)];
            lines.push(Priority::Notice, rule, |text| {
                text.push_str(&n.to_string());
                None
            });
        }
        assert_eq!(queue.push(&Arc::new(lines), false), 100);
        let mut expected = (0..301).chain([401]).map(|n| n.to_string());
        let mut batches = Vec::new();
        while let (Order::Write, lines) = next(&queue, false) {
            batches.push(lines.len());
            assert!(lines.into_iter().all(|line| Some(line) == expected.next()));
        }
        assert_eq!((batches, expected.next(), queue.depth()), (vec![BATCH, 302 - BATCH], None, (0, 0)));
        assert!(queue.lock().by_rule.is_empty());
    }

    #[test]
    fn what_waits_is_still_given_out_after_the_end() {
        let queue = Queue::new(4, 100);
        push(&queue, line("a"));
        queue.reopen();
        assert!(matches!(next(&queue, true).0, Order::Reopen));
        queue.close(Instant::now());
        assert_eq!(next(&queue, true).1, ["a"]);
        assert!(matches!(next(&queue, true).0, Order::End));
        assert!(!queue.pause(Duration::from_secs(60)), "a pause ends with the queue's time");
    }
}
