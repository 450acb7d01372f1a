//! Live, one bounded queue and one thread for each sink, so that a slow or dead sink holds up nothing but
//! itself. In a replay one for all of them: each line reaches every sink before the next line does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Line, Sink};

/// What happens when a sink's queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overflow {
    /// The line is lost for that sink, and counted: a live source must not wait.
    Lose,
    /// The caller waits: a replay loses nothing.
    Wait,
}

/// What became of a sink's lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelStats {
    /// The sink's name.
    pub sink: String,
    /// Lines handed over to the sink.
    pub written: u64,
    /// Lines lost: the queue was full or the sink refused them.
    pub lost: u64,
    /// Why the sink last refused a line.
    pub last_error: Option<String>,
}

enum Order {
    Write(Arc<Line>),
    Reopen,
}

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    lost: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// A queue, its thread, and the sinks that the thread serves in their order.
struct Channel {
    queue: Option<SyncSender<Order>>,
    sinks: Vec<(String, Arc<Counts>)>,
    thread: Option<JoinHandle<()>>,
}

/// All sinks, running.
pub struct Outputs {
    channels: Vec<Channel>,
    overflow: Overflow,
}

impl Outputs {
    /// Starts the sinks' threads with queues of `capacity` lines.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(sinks: Vec<Box<dyn Sink>>, capacity: usize, overflow: Overflow) -> std::io::Result<Outputs> {
        let served: Vec<Vec<Box<dyn Sink>>> = match overflow {
            Overflow::Wait => vec![sinks],
            Overflow::Lose => sinks.into_iter().map(|sink| vec![sink]).collect(),
        };
        let channels = served.into_iter().map(|sinks| Channel::start(sinks, capacity.max(1)));
        Ok(Outputs { channels: channels.collect::<std::io::Result<_>>()?, overflow })
    }

    /// Hands a line to every sink.
    pub fn send(&self, line: Line) {
        let line = Arc::new(line);
        for channel in &self.channels {
            channel.send(Order::Write(Arc::clone(&line)), self.overflow);
        }
    }

    /// Has every sink open its target anew, after the lines that already wait.
    pub fn reopen(&self) {
        for channel in &self.channels {
            channel.send(Order::Reopen, Overflow::Wait);
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
        for channel in &mut self.channels {
            channel.queue = None;
        }
        for channel in &mut self.channels {
            while channel.thread.as_ref().is_some_and(|t| !t.is_finished()) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
            }
            if let Some(thread) = channel.thread.take_if(|t| t.is_finished()) {
                // A panic of the sink's thread has printed itself; its lines show as missing in the counts.
                let _ = thread.join();
            }
        }
        self.stats()
    }
}

impl Channel {
    fn start(sinks: Vec<Box<dyn Sink>>, capacity: usize) -> std::io::Result<Channel> {
        let counted: Vec<_> = sinks.into_iter().map(|sink| (sink, Arc::new(Counts::default()))).collect();
        let names =
            counted.iter().map(|(sink, counts)| (sink.name().to_owned(), Arc::clone(counts))).collect();
        let (queue, orders) = sync_channel(capacity);
        let thread = std::thread::Builder::new()
            .name("outputs".into())
            .stack_size(256 << 10)
            .spawn(move || serve(counted, &orders))?;
        Ok(Channel { queue: Some(queue), sinks: names, thread: Some(thread) })
    }

    fn send(&self, order: Order, overflow: Overflow) {
        let Some(queue) = &self.queue else { return };
        let sent = match overflow {
            Overflow::Lose => queue.try_send(order).map_err(|e| match e {
                TrySendError::Full(order) | TrySendError::Disconnected(order) => order,
            }),
            Overflow::Wait => queue.send(order).map_err(|e| e.0),
        };
        if let Err(Order::Write(_)) = sent {
            self.sinks.iter().for_each(|(_, counts)| counts.lose());
        }
    }

    fn stats(&self) -> impl Iterator<Item = ChannelStats> {
        self.sinks.iter().map(|(name, counts)| ChannelStats {
            sink: name.clone(),
            written: counts.written.load(Ordering::Relaxed),
            lost: counts.lost.load(Ordering::Relaxed),
            last_error: counts.last_error.lock().unwrap_or_else(|e| e.into_inner()).clone(),
        })
    }
}

impl Counts {
    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn note(&self, result: Result<(), crate::SinkError>) {
        if let Err(error) = result {
            *self.last_error.lock().unwrap_or_else(|e| e.into_inner()) = Some(error.to_string());
        }
    }

    fn write(&self, sink: &mut dyn Sink, line: &Line) {
        match sink.write(line) {
            Ok(()) => {
                self.written.fetch_add(1, Ordering::Relaxed);
            }
            failed => {
                self.lose();
                self.note(failed);
            }
        }
    }
}

/// The thread: writes until the queue is closed and empty, and flushes whenever nothing waits.
fn serve(mut sinks: Vec<(Box<dyn Sink>, Arc<Counts>)>, orders: &Receiver<Order>) {
    loop {
        let order = match orders.try_recv() {
            Ok(order) => order,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                sinks.iter_mut().for_each(|(sink, counts)| counts.note(sink.flush()));
                match orders.recv() {
                    Ok(order) => order,
                    Err(_) => break,
                }
            }
        };
        for (sink, counts) in &mut sinks {
            match &order {
                Order::Reopen => counts.note(sink.reopen()),
                Order::Write(line) => counts.write(&mut **sink, line),
            }
        }
    }
    sinks.iter_mut().for_each(|(sink, counts)| counts.note(sink.flush()));
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use super::*;
    use crate::{Priority, SinkError};

    /// Takes lines only while its gate is open.
    struct Gated {
        gate: Arc<(Mutex<bool>, Condvar)>,
        taken: Arc<Mutex<Vec<String>>>,
    }

    impl Sink for Gated {
        fn name(&self) -> &str {
            "gated"
        }
        fn write(&mut self, line: &Line) -> Result<(), SinkError> {
            let mut open = self.gate.0.lock().unwrap();
            while !*open {
                open = self.gate.1.wait(open).unwrap();
            }
            self.taken.lock().unwrap().push(line.text.clone());
            Ok(())
        }
        fn flush(&mut self) -> Result<(), SinkError> {
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
        Line { text: n.to_string(), priority: Priority::Notice, priority_at: None }
    }

    #[test]
    fn a_blocked_sink_loses_only_its_own_lines_and_they_are_counted() {
        let (blocked, gate, _) = gated(false);
        let (open, _, taken) = gated(true);
        let outputs = Outputs::start(vec![blocked, open], 4, Overflow::Lose).unwrap();
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
        assert!(stats[0].lost >= 15, "{stats:?}");
    }

    /// Writes every line it takes into a list that it shares.
    struct Shared(&'static str, Arc<Mutex<Vec<String>>>);

    impl Sink for Shared {
        fn name(&self) -> &str {
            self.0
        }
        fn write(&mut self, line: &Line) -> Result<(), SinkError> {
            self.1.lock().unwrap().push(format!("{}{}", self.0, line.text));
            Ok(())
        }
        fn flush(&mut self) -> Result<(), SinkError> {
            Ok(())
        }
    }

    #[test]
    fn in_a_replay_a_line_reaches_all_sinks_before_the_next() {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let sinks: Vec<Box<dyn Sink>> =
            vec![Box::new(Shared("a", Arc::clone(&taken))), Box::new(Shared("b", Arc::clone(&taken)))];
        let outputs = Outputs::start(sinks, 8, Overflow::Wait).unwrap();
        (0..2).for_each(|n| outputs.send(line(n)));
        outputs.close(Duration::from_secs(10));
        assert_eq!(*taken.lock().unwrap(), ["a0", "b0", "a1", "b1"]);
    }

    #[test]
    fn a_replay_waits_and_keeps_order() {
        let (sink, _, taken) = gated(true);
        let outputs = Outputs::start(vec![sink], 1, Overflow::Wait).unwrap();
        (0..1000).for_each(|n| outputs.send(line(n)));
        outputs.close(Duration::from_secs(10));
        let want: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(*taken.lock().unwrap(), want);
    }
}
