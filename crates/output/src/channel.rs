//! One queue, its thread, and the sinks that the thread serves: what fails is tried again after a pause that
//! grows, and what is lost is counted and said.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::queue::{Order, Queue};
use crate::{Say, Sink, SinkError};
use lanner_alert::{Priority, SomeLines};

/// The first pause before another try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Between two messages about a sink that goes on losing lines.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// What became of a sink's lines, counted by whoever knows.
#[derive(Default)]
pub(crate) struct Counts {
    pub sent: AtomicU64,
    pub written: AtomicU64,
    pub lost: AtomicU64,
    pub retries: AtomicU64,
    pub last_error: Mutex<Option<String>>,
    said: Mutex<Said>,
    /// When the sink was given the line that it still has, ns since the clock's start plus one; 0 for none.
    pub busy: AtomicU64,
}

#[derive(Default)]
struct Said {
    at: Option<Instant>,
    lost: u64,
    failing: bool,
}

/// How a channel treats lines that can't be delivered.
#[derive(Clone)]
pub(crate) struct Manner {
    /// How long a line is tried at most; without limit until the queue ends.
    pub patience: Option<Duration>,
    /// Zero of the clock of [`Counts::busy`].
    pub epoch: Instant,
    pub say: Say,
}

impl Counts {
    /// Lines are lost; that is said, but not for every line of a flood.
    pub fn lose(&self, lines: u64, name: &str, why: &str, say: &Say) {
        let lost = self.lost.fetch_add(lines, Ordering::Relaxed) + lines;
        let mut said = lock(&self.said);
        if said.at.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
            said.at = Some(Instant::now());
            said.lost = lost;
            let number = if lost == 1 { "1 alert".to_owned() } else { format!("{lost} alerts") };
            say(Priority::Error, &format!("{name} output: {number} lost so far: {why}"));
        }
    }

    fn fails(&self, error: &SinkError, say: &Say) {
        let text = error.to_string();
        if !std::mem::replace(&mut lock(&self.said).failing, true) && error.again {
            say(Priority::Error, &format!("{text}; trying again"));
        }
        *lock(&self.last_error) = Some(text);
    }

    fn works(&self, name: &str, say: &Say) {
        let mut said = lock(&self.said);
        if std::mem::take(&mut said.failing) {
            said.at = None;
            let lost = self.lost.load(Ordering::Relaxed);
            say(Priority::Notice, &format!("{name} output: works again; alerts lost so far: {lost}"));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// A sink on its thread.
pub(crate) struct Served {
    pub sink: Box<dyn Sink>,
    pub counts: Arc<Counts>,
    /// Lines that the sink may still have in its buffer.
    unflushed: u64,
    /// The last line could not be delivered in time: the next is tried once only.
    down: bool,
}

impl Served {
    pub fn new(sink: Box<dyn Sink>, counts: Arc<Counts>) -> Served {
        Served { sink, counts, unflushed: 0, down: false }
    }

    /// Tries until it goes well, or trying makes no sense any more.
    fn attempt(
        &mut self,
        queue: &Queue,
        manner: &Manner,
        mut step: impl FnMut(&mut dyn Sink) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let begin = Instant::now();
        let busy = begin.duration_since(manner.epoch).as_nanos() as u64 + 1;
        self.counts.busy.store(busy, Ordering::Relaxed);
        let mut pause = FIRST_PAUSE;
        let result = loop {
            let Err(error) = step(&mut *self.sink) else { break Ok(()) };
            self.counts.fails(&error, &manner.say);
            let tired = manner.patience.is_some_and(|limit| self.down || begin.elapsed() + pause > limit);
            if !error.again || tired || !queue.pause(pause) {
                break Err(error);
            }
            self.counts.retries.fetch_add(1, Ordering::Relaxed);
            // A queue that ends has little time left.
            pause = if queue.end().is_some() { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        };
        self.counts.busy.store(0, Ordering::Relaxed);
        self.down = result.as_ref().is_err_and(|e| e.again);
        if result.is_ok() {
            self.counts.works(self.sink.name(), &manner.say);
        }
        result
    }

    fn write(&mut self, lines: SomeLines<'_>, queue: &Queue, manner: &Manner) {
        let mut done = 0;
        while done < lines.len() {
            let before = done;
            let written = self.attempt(queue, manner, |sink| {
                let (taken, result) = sink.write_some(lines.part(done..lines.len()));
                done += taken;
                result
            });
            let taken = (done - before) as u64;
            self.unflushed += taken;
            self.counts.written.fetch_add(taken, Ordering::Relaxed);
            if let Err(error) = written {
                self.counts.lose(1, self.sink.name(), &error.to_string(), &manner.say);
                done += 1;
            }
        }
    }

    fn flush(&mut self, queue: &Queue, manner: &Manner) {
        if self.unflushed == 0 {
            return;
        }
        let flushed = self.attempt(queue, manner, |sink| sink.flush());
        if let Err(error) = flushed {
            self.counts.written.fetch_sub(self.unflushed, Ordering::Relaxed);
            self.counts.lose(self.unflushed, self.sink.name(), &error.to_string(), &manner.say);
        }
        self.unflushed = 0;
    }
}

/// The thread: writes until the queue is closed and empty, and flushes whenever nothing waits.
pub(crate) fn serve(mut sinks: Vec<Served>, queue: &Queue, manner: &Manner) {
    let mut wait = false;
    let mut taken = Vec::new();
    loop {
        let order = queue.next(wait, &mut taken);
        wait = matches!(order, Order::Idle);
        // Where several take lines in step, each line is through before the next sink has it: they may share a target.
        let in_step = sinks.len() > 1;
        for piece in taken.drain(..) {
            let lines = piece.lines();
            let step = if in_step { 1 } else { lines.len() };
            for start in (0..lines.len()).step_by(step) {
                for served in &mut sinks {
                    served.write(lines.part(start..start + step), queue, manner);
                    if in_step && !served.sink.may_keep() {
                        served.flush(queue, manner);
                    }
                }
            }
        }
        for served in &mut sinks {
            match &order {
                Order::Write if !served.sink.may_keep() => served.flush(queue, manner),
                Order::Write => {}
                Order::Reopen => {
                    if let Err(error) = served.sink.reopen() {
                        served.counts.fails(&error, &manner.say);
                    }
                }
                Order::Idle | Order::End => served.flush(queue, manner),
            }
        }
        if matches!(order, Order::End) {
            return;
        }
    }
}
