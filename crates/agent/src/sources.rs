//! Sources beside the kernel's: each has a thread with a loop of its own, so that one which fails, ends or floods
//! doesn't touch the others. They share the rules and the sinks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lanner_alert::{Alert, Formatter};
use lanner_engine::{Memory, RuleId};
use lanner_event::Event;
use lanner_fields::{Context, EventMeta, Foreign, ForeignFields, Progress, Scratch};
use lanner_machine::Machine;
use lanner_plugin::host::Crew;
use lanner_plugin::{Given, Refusal, SourceStats};

use crate::announce::local_offset;
use crate::crew::{Dealings, counts_of_plugins};
use crate::log::Log;
use crate::metrics::{Board, Counted, STRIDE, Station, View, Waiting};
use crate::notify::Notify;
use crate::plugins::Opened;
use crate::program::Program;
use crate::reload::{News, Slot};
use crate::sending::Sending;
use crate::sinks;
use crate::tally::Tally;
use crate::terms::{Ending, LONGEST_WAIT, LiveOptions};

/// Between two looks at what runs.
const TICK: Duration = Duration::from_millis(10);

/// What became of a source.
#[derive(Debug)]
pub struct Ended {
    /// Its name.
    pub source: &'static str,
    /// Alerts by rule.
    pub tally: Tally,
    /// Events that rules looked at.
    pub events: u64,
    /// Why it can't give any more, if it failed.
    pub failure: Option<String>,
}

struct SideLoop {
    opened: Opened,
    program: Arc<Program>,
    slot: Slot,
    sending: Arc<Sending>,
    formatter: Formatter,
    end: Arc<AtomicBool>,
    log: Log,
    machine: Machine,
    progress: Progress,
    scratch: Scratch,
    memory: Memory,
    hits: Vec<RuleId>,
    tally: Tally,
    events: u64,
    station: Station,
    dealings: Dealings,
}

/// Sources that run.
#[derive(Default)]
pub struct Beside {
    end: Arc<AtomicBool>,
    loops: Vec<(&'static str, JoinHandle<Ended>)>,
}

impl Beside {
    /// Starts a loop for a source.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(
        &mut self,
        opened: Opened,
        program: &Arc<Program>,
        slot: Slot,
        sending: &Arc<Sending>,
        board: &Board,
        log: &Log,
    ) -> io::Result<()> {
        let config = &program.config;
        let hostname = sinks::hostname();
        let meta = EventMeta {
            source: opened.source,
            plugin: opened.plugin,
            foreign: Foreign(opened.crew.clone().map(|crew| crew as Arc<dyn ForeignFields>)),
            hostname: hostname.clone().into(),
            utc_offset: local_offset,
            buffer_format: config.buffers,
            ..EventMeta::default()
        };
        let source = opened.source;
        let (stats, crew) = (Arc::clone(&opened.stats), opened.crew.clone());
        let counts = Box::new(move || counts_of(&stats, crew.as_deref()));
        let side = SideLoop {
            opened,
            program: Arc::clone(program),
            slot,
            sending: Arc::clone(sending),
            station: Station::new(board, source, "source_plugin", program).counting(counts),
            formatter: sinks::formatter(config, hostname),
            end: Arc::clone(&self.end),
            log: log.clone(),
            machine: Machine::default(),
            progress: Progress::new(meta),
            scratch: Scratch::new(),
            memory: Memory::default(),
            hits: Vec::new(),
            tally: Tally::new(program.rules()),
            events: 0,
            dealings: Dealings::new(config),
        };
        let thread = std::thread::Builder::new().name(source.to_owned());
        self.loops.push((source, thread.spawn(move || side.run())?));
        Ok(())
    }

    /// Whether none runs any more.
    pub fn is_over(&self) -> bool {
        self.loops.iter().all(|(_, thread)| thread.is_finished())
    }

    /// Ends them all. One that doesn't end in time is left behind.
    pub fn end(mut self, patience: Duration) -> Vec<Ended> {
        self.end.store(true, Ordering::Relaxed);
        let until = Instant::now() + patience;
        let join = |(source, thread): (&'static str, JoinHandle<Ended>)| {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            let failed = |failure: &str| Ended {
                source,
                tally: Tally::default(),
                events: 0,
                failure: Some(failure.to_owned()),
            };
            if !thread.is_finished() {
                return failed("it hangs and was left behind");
            }
            thread.join().unwrap_or_else(|_| failed("its loop has panicked"))
        };
        std::mem::take(&mut self.loops).into_iter().map(join).collect()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

impl SideLoop {
    fn run(mut self) -> Ended {
        let failure = match self.begin() {
            Ok(()) => self.go_on(),
            Err(failure) => {
                self.fail(&failure);
                Some(failure)
            }
        };
        if let Some(crew) = &self.opened.crew {
            crew.end(&self.machine);
        }
        Ended { source: self.opened.source, tally: self.tally, events: self.events, failure }
    }

    /// Tells plugins that events are about to come.
    fn begin(&self) -> Result<(), String> {
        let Some(crew) = &self.opened.crew else { return Ok(()) };
        crew.begin(&self.machine).map_err(|error| error.to_string())
    }

    fn fail(&self, failure: &str) {
        let message = format!("source '{}' has failed: {failure}", self.opened.source);
        self.log.write(lanner_alert::Priority::Error, &message);
    }

    /// Goes on until it is to end, or the source ends. Answers why, if the source has failed.
    fn go_on(&mut self) -> Option<String> {
        loop {
            if self.end.load(Ordering::Relaxed) {
                break self.finish();
            }
            if let Some(news) = self.slot.take() {
                self.follow(news);
            }
            self.tell();
            match self.step() {
                Ok(Given::End) => {
                    self.log.write(
                        lanner_alert::Priority::Debug,
                        &format!("Stopping capture for event source '{}'", self.opened.source),
                    );
                    break None;
                }
                Ok(_) => {}
                Err(failure) => {
                    self.fail(&failure);
                    break Some(failure);
                }
            }
        }
    }

    /// Looks at what senders were told is taken, before it ends.
    fn finish(&mut self) -> Option<String> {
        if self.opened.events.finish() {
            let until = Instant::now() + self.program.config.output_timeout;
            while Instant::now() < until {
                match self.step() {
                    Ok(Given::Events(_)) => {}
                    Ok(_) => break,
                    Err(failure) => return Some(failure),
                }
            }
        }
        None
    }

    fn follow(&mut self, news: News) {
        match news {
            News::Refused(error) => self.sending.send(self.formatter.line(&News::refusal(&error))),
            News::Program(program) => {
                self.formatter = sinks::formatter(&program.config, sinks::hostname());
                self.progress.set_buffer_format(program.config.buffers);
                self.log = Log::new(program.config.log.clone(), program.config.iso8601);
                self.tally.renew(program.rules());
                self.station.follow(&program, Instant::now());
                if let Some(crew) = &self.opened.crew {
                    self.dealings.configure(crew, &program.config, &self.log);
                }
                self.program = program;
            }
        }
    }

    /// Tells of itself what is wanted or due.
    fn tell(&mut self) {
        let (formatter, sending) = (&self.formatter, &self.sending);
        let view = View {
            program: &self.program,
            probe: None,
            machine: &self.machine,
            sheds: 0,
            tally: &self.tally,
            // Sinks are shared: they are told of once, by the kernel's loop if there is one.
            outputs: &|| sending.stats(),
            waiting: Waiting::default(),
        };
        let mut send = |alert: Alert| sending.send(formatter.line(&alert));
        self.station.tick(&view, Instant::now(), &self.log, &mut send);
    }

    /// Shows the rules what the source gives.
    fn step(&mut self) -> Result<Given, String> {
        let SideLoop { opened, program, sending, formatter, .. } = self;
        let (machine, progress, scratch) = (&mut self.machine, &mut self.progress, &mut self.scratch);
        let (memory, hits, tally) = (&mut self.memory, &mut self.hits, &mut self.tally);
        let (events, station) = (&mut self.events, &mut self.station);
        let (dealings, log, crew) = (&mut self.dealings, &self.log, opened.crew.clone());
        let mut see = |event: &Event<'_>| {
            *events += 1;
            let subject = machine.apply(event);
            progress.advance(event);
            if let Some(crew) = &crew {
                dealings.note(crew.parse(event, progress.meta(), machine), log);
            }
            scratch.reset();
            let cx = Context {
                event,
                machine: &*machine,
                subject: &subject,
                meta: progress.meta(),
                scratch: &*scratch,
            };
            if station.count(event) {
                program.engine.measure(&cx, |id, time| tally.spend(id.index(), time, STRIDE));
            }
            hits.clear();
            program.engine.process(memory, &cx, hits);
            for id in hits.iter() {
                tally.count(id.index());
                sending.send(formatter.line(&program.announcer.alert(&program.engine, *id, &cx)));
            }
        };
        if let Some(crew) = &crew {
            crew.sent(&mut see);
        }
        opened.events.give(LONGEST_WAIT, &mut see).map_err(|error| error.to_string())
    }
}

/// What came to a source, and what its plugins count.
fn counts_of(stats: &SourceStats, crew: Option<&Crew>) -> Vec<Counted> {
    let own = |name: &str, reason, value: u64| Counted {
        plugin: "",
        name: name.to_owned(),
        reason,
        value: value as f64,
        monotonic: true,
    };
    let refused = |reason, refusal| own("source_refused_total", reason, stats.refused(refusal));
    let mut all = vec![
        own("source_taken_total", "", stats.taken()),
        refused("malformed", Refusal::Malformed),
        refused("too_large", Refusal::TooLarge),
        refused("full", Refusal::Full),
    ];
    if let Some(progress) = crew.and_then(Crew::progress) {
        all.push(Counted { monotonic: false, value: progress, ..own("source_progress_ratio", "", 0) });
    }
    all.extend(crew.map(counts_of_plugins).unwrap_or_default());
    all
}

/// Waits, without the kernel's source, until all have ended, a signal comes or the time is up. `None`: all have ended.
pub fn watch(
    program: &Program,
    beside: &Beside,
    sending: &Sending,
    log: &Log,
    options: &LiveOptions,
) -> Option<Ending> {
    let until = options.duration.map(|d| Instant::now() + d);
    let mut formatter = sinks::formatter(&program.config, sinks::hostname());
    let mut notify = Notify::from_environment();
    notify.ready("sources are open");
    loop {
        notify.alive(Instant::now());
        if beside.is_over() {
            return None;
        }
        if options.signals.end() {
            notify.stopping();
            return Some(Ending::Signal);
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Some(Ending::TimeUp);
        }
        if let Some(news) = options.slot.take() {
            notify.reloaded("sources are open");
            sending.take(news, &mut formatter, log);
        }
        if options.signals.take_reopen() {
            log.info("SIGUSR1 received, reopening outputs...");
            sending.reopen();
        }
        sending.watch();
        std::thread::sleep(TICK);
    }
}
