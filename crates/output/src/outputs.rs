//! Live, one bounded queue and one thread for each sink, so that a slow or dead sink holds up nothing but
//! itself. In a replay one for all of them: each line reaches every sink before the next line does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Sink;
use crate::channel::{Counts, Manner, Served, serve};
use crate::queue::Queue;
use lanner_alert::{Line, Lines, Priority};

/// Who is told of sinks that fail, lose lines or work again. It is called from the sinks' threads.
pub type Say = Arc<dyn Fn(Priority, &str) + Send + Sync>;

/// What happens when a sink's queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overflow {
    /// The line is lost for that sink, and counted: a live source must not wait.
    Lose,
    /// The caller waits. A sink that fails is tried for a limited time.
    Wait,
    /// The caller waits, and each line reaches every sink before the next line does, as in a replay.
    InStep,
}

/// How outputs treat their lines.
#[derive(Clone)]
pub struct OutputOptions {
    /// Lines that may wait for each sink.
    pub capacity: usize,
    /// Bytes that may wait for each sink.
    pub max_bytes: usize,
    /// What happens beyond that.
    pub overflow: Overflow,
    /// After so long with one line a sink counts as blocked, and that is said.
    pub timeout: Duration,
    /// Who is told.
    pub say: Say,
}

impl Default for OutputOptions {
    fn default() -> OutputOptions {
        OutputOptions {
            capacity: 8192,
            max_bytes: 16 << 20,
            overflow: Overflow::Lose,
            timeout: Duration::from_secs(2),
            say: Arc::new(|_, _| {}),
        }
    }
}

/// What became of a sink's lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelStats {
    /// The sink's name.
    pub sink: &'static str,
    /// Lines handed over to the sink.
    pub written: u64,
    /// Lines lost: the queue was full, or the sink refused them for good.
    pub lost: u64,
    /// Lines that wait, the one that the sink is busy with included.
    pub waiting: u64,
    /// Bytes that wait in the queue.
    pub waiting_bytes: u64,
    /// How often something was tried again.
    pub retries: u64,
    /// Why the sink last refused a line.
    pub last_error: Option<String>,
}

/// A queue, its thread, and the sinks that the thread serves in their order.
struct Channel {
    queue: Arc<Queue>,
    sinks: Vec<(&'static str, Arc<Counts>)>,
    thread: Option<JoinHandle<()>>,
    /// It was said that it is blocked.
    blocked: AtomicBool,
}

/// All sinks, running.
pub struct Outputs {
    channels: Vec<Channel>,
    options: OutputOptions,
    manner: Manner,
}

impl Outputs {
    /// Starts the sinks' threads.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(sinks: Vec<Box<dyn Sink>>, options: OutputOptions) -> std::io::Result<Outputs> {
        let waits = options.overflow != Overflow::Lose;
        let served: Vec<Vec<Box<dyn Sink>>> = match options.overflow {
            Overflow::InStep => vec![sinks],
            Overflow::Lose | Overflow::Wait => sinks.into_iter().map(|sink| vec![sink]).collect(),
        };
        let manner = Manner {
            patience: waits.then_some(options.timeout),
            epoch: Instant::now(),
            say: Arc::clone(&options.say),
        };
        let channels = served.into_iter().map(|sinks| Channel::start(sinks, &options, &manner));
        Ok(Outputs { channels: channels.collect::<std::io::Result<_>>()?, options, manner })
    }

    /// Hands a line to every sink.
    pub fn send(&self, line: Line) {
        self.send_all(line.into());
    }

    /// Hands lines to every sink, in their order.
    pub fn send_all(&self, mut lines: Lines) {
        if lines.is_empty() {
            return;
        }
        lines.fit();
        let lines = Arc::new(lines);
        let wait = self.options.overflow != Overflow::Lose;
        for channel in &self.channels {
            for (_, counts) in &channel.sinks {
                counts.sent.fetch_add(lines.len() as u64, Ordering::Relaxed);
            }
            let refused = channel.queue.push(&lines, wait) as u64;
            for (name, counts) in channel.sinks.iter().filter(|_| refused > 0) {
                counts.lose(refused, name, "its queue (outputs_queue) is full", &self.manner.say);
            }
        }
    }

    /// Has every sink open its target anew.
    pub fn reopen(&self) {
        self.channels.iter().for_each(|channel| channel.queue.reopen());
    }

    /// Says which sinks have been busy with one line for too long; to be called now and then.
    pub fn watch(&self) {
        let now = self.manner.epoch.elapsed().as_nanos() as u64;
        for channel in &self.channels {
            let since = channel.busy_since();
            let stuck = since != 0 && now.saturating_sub(since) > self.options.timeout.as_nanos() as u64;
            if !stuck {
                channel.blocked.store(false, Ordering::Relaxed);
            } else if !channel.blocked.swap(true, Ordering::Relaxed) {
                let message = format!("\"{}\" output timeout, this output is blocked", channel.name());
                (self.manner.say)(Priority::Critical, &message);
            }
        }
    }

    /// What became of the lines so far, by sink.
    pub fn stats(&self) -> Vec<ChannelStats> {
        self.channels.iter().flat_map(Channel::stats).collect()
    }

    /// Lets the sinks write what waits, for at most `patience`, and ends their threads. A sink that is still
    /// blocked then is left behind; the lines it did not take count as lost.
    pub fn close(mut self, patience: Duration) -> Vec<ChannelStats> {
        let end = Instant::now() + patience;
        self.channels.iter().for_each(|channel| channel.queue.close(end));
        for channel in &mut self.channels {
            channel.end(end, &self.manner.say);
        }
        self.stats()
    }
}

/// How long a thread whose time is over may take to notice.
const GRACE: Duration = Duration::from_millis(200);

impl Channel {
    fn start(
        sinks: Vec<Box<dyn Sink>>,
        options: &OutputOptions,
        manner: &Manner,
    ) -> std::io::Result<Channel> {
        let queue = Arc::new(Queue::new(options.capacity, options.max_bytes));
        let served: Vec<Served> =
            sinks.into_iter().map(|sink| Served::new(sink, Arc::new(Counts::default()))).collect();
        let names = served.iter().map(|s| (s.sink.name(), Arc::clone(&s.counts))).collect();
        let (of_thread, manner) = (Arc::clone(&queue), manner.clone());
        let thread = std::thread::Builder::new()
            .name("outputs".into())
            .stack_size(512 << 10)
            .spawn(move || serve(served, &of_thread, &manner))?;
        Ok(Channel { queue, sinks: names, thread: Some(thread), blocked: AtomicBool::new(false) })
    }

    fn busy_since(&self) -> u64 {
        self.sinks.iter().map(|(_, counts)| counts.busy.load(Ordering::Relaxed)).max().unwrap_or(0)
    }

    /// The sink that is busy.
    fn name(&self) -> &'static str {
        let busy = |counts: &Counts| counts.busy.load(Ordering::Relaxed) != 0;
        self.sinks.iter().find(|(_, counts)| busy(counts)).map_or("", |(name, _)| name)
    }

    fn end(&mut self, end: Instant, say: &Say) {
        while self.thread.as_ref().is_some_and(|t| !t.is_finished()) && Instant::now() < end + GRACE {
            std::thread::sleep(Duration::from_millis(1));
        }
        match self.thread.take_if(|t| t.is_finished()) {
            // A panic of the sink's thread has printed itself; its lines show as missing below.
            Some(thread) => drop(thread.join()),
            None => say(
                Priority::Notice,
                &format!("\"{}\" output still blocked, discarding what waits for it", self.name()),
            ),
        }
        for (_, counts) in &self.sinks {
            let written = counts.written.load(Ordering::Relaxed);
            counts.lost.store(counts.sent.load(Ordering::Relaxed).saturating_sub(written), Ordering::Relaxed);
        }
    }

    fn stats(&self) -> impl Iterator<Item = ChannelStats> {
        let bytes = self.queue.depth().1 as u64;
        self.sinks.iter().map(move |(sink, counts)| {
            let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            let (written, lost) = (count(&counts.written), count(&counts.lost));
            ChannelStats {
                sink,
                written,
                lost,
                waiting: count(&counts.sent).saturating_sub(written + lost),
                waiting_bytes: bytes,
                retries: count(&counts.retries),
                last_error: counts.last_error.lock().unwrap_or_else(|e| e.into_inner()).clone(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;
    use crate::SinkError;
    use lanner_alert::{LineRef, Priority};

    /// Takes lines only while its gate is open.
    struct Gated {
        gate: Arc<(Mutex<bool>, Condvar)>,
        taken: Arc<Mutex<Vec<String>>>,
    }

    impl Sink for Gated {
        fn name(&self) -> &'static str {
            "gated"
        }
        fn write(&mut self, line: LineRef<'_>) -> Result<(), SinkError> {
            let mut open = self.gate.0.lock().unwrap();
            while !*open {
                open = self.gate.1.wait(open).unwrap();
            }
            self.taken.lock().unwrap().push(line.text.to_owned());
            Ok(())
        }
    }

    type Gate = Arc<(Mutex<bool>, Condvar)>;

    fn gated(open: bool) -> (Box<Gated>, Gate, Arc<Mutex<Vec<String>>>) {
        let gate = Arc::new((Mutex::new(open), Condvar::new()));
        let taken = Arc::new(Mutex::new(Vec::new()));
        (Box::new(Gated { gate: Arc::clone(&gate), taken: Arc::clone(&taken) }), gate, taken)
    }

    fn line(n: usize) -> Line {
        Line { text: n.to_string(), priority: Priority::Notice, priority_at: None, rule: "".into() }
    }

    fn options(capacity: usize, overflow: Overflow) -> OutputOptions {
        OutputOptions { capacity, overflow, ..OutputOptions::default() }
    }

    #[test]
    fn a_blocked_sink_loses_only_its_own_lines_and_they_are_counted() {
        let (blocked, gate, _) = gated(false);
        let (open, _, taken) = gated(true);
        let outputs = Outputs::start(vec![blocked, open], options(4, Overflow::Lose)).unwrap();
        for n in 0..20 {
            outputs.send(line(n));
            while taken.lock().unwrap().len() <= n {
                std::thread::yield_now();
            }
        }
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        let stats = outputs.close(Duration::from_secs(10));
        assert_eq!((stats[1].written, stats[1].lost), (20, 0));
        assert_eq!(stats[0].written + stats[0].lost, 20);
        // what it had in hand when it was blocked and what waited: once the queue each, at most
        assert!(stats[0].lost >= 20 - 2 * 4, "{stats:?}");
    }

    /// Writes every line it takes into a list that it shares.
    struct Shared(&'static str, Arc<Mutex<Vec<String>>>);

    impl Sink for Shared {
        fn name(&self) -> &'static str {
            self.0
        }
        fn write(&mut self, line: LineRef<'_>) -> Result<(), SinkError> {
            self.1.lock().unwrap().push(format!("{}{}", self.0, line.text));
            Ok(())
        }
    }

    #[test]
    fn in_a_replay_a_line_reaches_all_sinks_before_the_next() {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let sinks: Vec<Box<dyn Sink>> =
            vec![Box::new(Shared("a", Arc::clone(&taken))), Box::new(Shared("b", Arc::clone(&taken)))];
        let outputs = Outputs::start(sinks, options(8, Overflow::InStep)).unwrap();
        (0..2).for_each(|n| outputs.send(line(n)));
        outputs.close(Duration::from_secs(10));
        assert_eq!(*taken.lock().unwrap(), ["a0", "b0", "a1", "b1"]);
    }

    #[test]
    fn a_replay_waits_and_keeps_order() {
        let (sink, _, taken) = gated(true);
        let outputs = Outputs::start(vec![sink], options(1, Overflow::InStep)).unwrap();
        (0..1000).for_each(|n| outputs.send(line(n)));
        outputs.close(Duration::from_secs(10));
        let want: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(*taken.lock().unwrap(), want);
    }

    /// Fails so many times before it takes lines.
    struct Failing {
        left: u32,
        again: bool,
        taken: Arc<Mutex<Vec<String>>>,
    }

    impl Sink for Failing {
        fn name(&self) -> &'static str {
            "failing"
        }
        fn write(&mut self, line: LineRef<'_>) -> Result<(), SinkError> {
            if self.left > 0 {
                self.left -= 1;
                let cause = std::io::Error::other("not now");
                return Err(SinkError { sink: "failing", what: "write".into(), cause, again: self.again });
            }
            self.taken.lock().unwrap().push(line.text.to_owned());
            Ok(())
        }
    }

    fn failing(left: u32, again: bool, overflow: Overflow) -> (Vec<String>, ChannelStats, Vec<String>) {
        let (taken, said) = (Arc::default(), Arc::new(Mutex::new(Vec::new())));
        let sink = Failing { left, again, taken: Arc::clone(&taken) };
        let heard = Arc::clone(&said);
        let options = OutputOptions {
            overflow,
            timeout: Duration::from_millis(200),
            say: Arc::new(move |_, text| heard.lock().unwrap().push(text.to_owned())),
            ..OutputOptions::default()
        };
        let outputs = Outputs::start(vec![Box::new(sink)], options).unwrap();
        (0..3).for_each(|n| outputs.send(line(n)));
        while outputs.stats()[0].waiting > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let stats = outputs.close(Duration::from_secs(1)).remove(0);
        (taken.lock().unwrap().clone(), stats, said.lock().unwrap().clone())
    }

    #[test]
    fn what_fails_is_tried_again_and_nothing_is_lost() {
        let (taken, stats, said) = failing(2, true, Overflow::Lose);
        assert_eq!(taken, ["0", "1", "2"]);
        assert_eq!((stats.written, stats.lost, stats.retries), (3, 0, 2));
        assert_eq!(
            said,
            [
                "failing output: write: not now; trying again",
                "failing output: works again; alerts lost so far: 0"
            ]
        );
    }

    #[test]
    fn what_is_refused_for_good_is_lost_counted_and_said_once() {
        let (taken, stats, said) = failing(2, false, Overflow::Lose);
        assert_eq!((taken.len(), stats.written, stats.lost), (1, 1, 2));
        assert_eq!(said[0], "failing output: 1 alert lost so far: failing output: write: not now");
        assert_eq!(said.len(), 2, "{said:?}");
    }

    #[test]
    fn a_replay_does_not_wait_for_a_dead_sink_for_ever() {
        let (taken, stats, _) = failing(1000, true, Overflow::InStep);
        assert_eq!((taken.len(), stats.lost), (0, 3));
        assert!(stats.retries < 5, "only the first line is tried again: {stats:?}");
    }

    #[test]
    fn a_sink_that_does_not_come_back_is_left_behind_with_its_lines_counted() {
        let (blocked, _gate, _) = gated(false);
        let outputs = Outputs::start(vec![blocked], options(8, Overflow::Lose)).unwrap();
        (0..5).for_each(|n| outputs.send(line(n)));
        outputs.reopen();
        let stats = outputs.close(Duration::from_millis(50));
        assert_eq!((stats[0].written, stats[0].lost, stats[0].waiting), (0, 5, 0));
    }

    #[test]
    fn a_blocked_sink_is_named_once() {
        let (blocked, gate, _) = gated(false);
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let outputs = Outputs::start(
            vec![blocked],
            OutputOptions {
                timeout: Duration::from_millis(20),
                say: Arc::new(move |_, text| heard.lock().unwrap().push(text.to_owned())),
                ..OutputOptions::default()
            },
        )
        .unwrap();
        outputs.send(line(1));
        std::thread::sleep(Duration::from_millis(60));
        outputs.watch();
        outputs.watch();
        assert_eq!(*said.lock().unwrap(), ["\"gated\" output timeout, this output is blocked"]);
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
    }
}
