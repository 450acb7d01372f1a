//! The running host: probe, machine, engine, alerts, sinks, in one loop that never waits for anything but
//! events.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanner_alert::{Alert, Priority};
use lanner_container::ResolverError;
use lanner_engine::{EventTypes, Memory, RuleId};
use lanner_event::prefilter::Home;
use lanner_event::{Category, Event, EventType, types};
use lanner_fields::{Context, EventMeta, Foreign, ForeignFields, Progress, Scratch, may_wait};
use lanner_machine::{Container, Machine};
use lanner_output::Overflow;
use lanner_plugin::SourceError;
use lanner_plugin::host::Crew;
use lanner_probe::{EventSet, Probe};

use crate::announce::local_offset;
use crate::config::DropAction;
use crate::crew::{Dealings, counts_of_plugins};
use crate::dropping::{Circumstances, Dropping};
use crate::drops::DropWatch;
use crate::enrich::Enrichment;
use crate::hold::Hold;
use crate::host::{host_root, machine};
use crate::inventory::{Readers, Surroundings, records};
use crate::known_cgroups::{KnownCgroups, Wanted};
use crate::log::{Log, now};
use crate::memory::{self, MemoryGuard, Pressure};
use crate::metrics::{STRIDE, Station, View, Waiting};
use crate::moving::Moving;
use crate::notify::Notify;
use crate::outbox::Outbox;
use crate::prefilter::of_program;
use crate::program::Program;
use crate::reload::{News, Slot};
use crate::sending::Sending;
use crate::signals::Signals;
use crate::silence::Silence;
use crate::tally::Tally;
use crate::triggered::{Beginning, Matched, Pace, TriggerError, Triggered};
use crate::wanted::{asks_where, wanted};
use crate::{domains, learnt, open_files, sinks};

pub use crate::terms::{Ending, LiveError, LiveOptions, Outcome, Started};
use crate::terms::{LONGEST_WAIT, SWEEP};

/// Longest wait for events while alerts wait for their container.
const HELD_WAIT: Duration = Duration::from_millis(10);
/// How long the start may wait for runtimes to answer.
const RUNTIME_PATIENCE: Duration = Duration::from_millis(50);

struct Live {
    program: Arc<Program>,
    log: Log,
    outbox: Outbox,
    sending: Arc<Sending>,
    shared: bool,
    machine: Machine,
    progress: Progress,
    scratch: Scratch,
    memory: Memory,
    hits: Vec<RuleId>,
    hold: Hold,
    tally: Tally,
    drops: DropWatch,
    enrichment: Enrichment,
    host_root: PathBuf,
    known_cgroups: KnownCgroups,
    dropping: Dropping,
    /// When the last event happened.
    seen: u64,
    events: u64,
    station: Station,
    notify: Notify,
    guard: MemoryGuard,
    triggered: Triggered,
    silence: Silence,
    crew: Option<Arc<Crew>>,
    dealings: Dealings,
    moving: Moving,
}

/// Watches this host, by a probe that was opened at a time, until a signal comes or the time is up. `started` is told once watching has begun.
///
/// # Errors
/// When the kernel or the system refuses what is needed; nothing stays attached then.
pub fn run(
    program: Arc<Program>,
    (mut probe, begin): (Probe, Instant),
    log: &Log,
    options: LiveOptions,
    started: &mut dyn FnMut(&Started<'_>),
) -> Result<Outcome, LiveError> {
    let host_root = host_root();
    let config = &program.config;
    let resolver_config =
        lanner_container::Config { host_root: host_root.clone(), ..config.containers.clone() };
    let mut enrichment = Enrichment::start(resolver_config, &mut probe)?;
    enrichment.want_domains(domains::names(&program.engine)).map_err(ResolverError::from)?;
    if options.crew.as_deref().is_some_and(Crew::parses) {
        probe.update_events(&asked(&program, options.crew.as_deref()))?;
    }
    let hostname = sinks::hostname();
    let shared = options.sending.is_some();
    let sending = match options.sending {
        Some(sending) => sending,
        None => Arc::new(Sending::start(config, options.colour, Overflow::Lose, log)?),
    };
    let mut station = Station::new(&options.board, "syscall", "modern_bpf", &program);
    if let Some(crew) = options.crew.clone() {
        station = station.counting(Box::new(move || counts_of_plugins(&crew)));
    }
    let mut live = Live {
        log: log.clone(),
        outbox: Outbox::new(sinks::formatter(config, hostname.clone()), Arc::clone(&sending)),
        sending,
        shared,
        machine: machine(&host_root, &config.state),
        progress: Progress::new(EventMeta {
            hostname: hostname.into(),
            utc_offset: local_offset,
            buffer_format: config.buffers,
            foreign: Foreign(options.crew.clone().map(|crew| crew as Arc<dyn ForeignFields>)),
            ..EventMeta::default()
        })
        .counting_turns(),
        scratch: Scratch::new(),
        memory: Memory::default(),
        hits: Vec::new(),
        hold: Hold::new(config.enrichment_timeout),
        tally: Tally::new(program.rules()),
        drops: DropWatch::new(config.drops.clone()),
        enrichment,
        known_cgroups: KnownCgroups::new(&host_root),
        dropping: Dropping::default(),
        host_root,
        seen: 0,
        events: 0,
        notify: Notify::from_environment(),
        guard: MemoryGuard::new(config.memory_limit, begin),
        silence: Silence::new(config.silence),
        triggered: Triggered::new(config.capture.clone(), Pace::Live, log),
        station,
        crew: options.crew.clone(),
        dealings: Dealings::new(config),
        moving: Moving::default(),
        program,
    };
    let snapshot = probe.snapshot(&mut |event| {
        live.station.count_type(event);
        live.machine.apply(event);
    })?;
    live.station.begin(&snapshot);
    if let Some(crew) = &live.crew {
        crew.begin(&live.machine).map_err(|error| SourceError::Failed(error.to_string()))?;
    }
    live.drop_by(&Arc::clone(&live.program), &mut probe);
    live.enrichment.ask(&mut live.machine);
    started(&Started {
        attachment: probe.attachment(),
        snapshot,
        runtimes: live.enrichment.runtimes_within(RUNTIME_PATIENCE),
        took: begin.elapsed(),
    });
    live.notify.ready(&live.status());
    let end = options.duration.map(|d| Instant::now() + d);
    let result = live.watch(&mut probe, &options.signals, end, &options.slot);
    Ok(live.close(probe.lost().total(), result?))
}

/// Waits as a run does, without a source of events.
pub fn idle(mut program: Arc<Program>, sending: &Sending, log: &Log, options: &LiveOptions) -> Ending {
    let mut station = Station::new(&options.board, "syscall", "nodriver", &program);
    let (machine, mut tally) = (Machine::default(), Tally::new(program.rules()));
    let (mut formatter, mut log) = (sinks::formatter(&program.config, sinks::hostname()), log.clone());
    let end = options.duration.map(|d| Instant::now() + d);
    let mut notify = Notify::from_environment();
    notify.ready("no source of events");
    loop {
        notify.alive(Instant::now());
        if options.signals.end() {
            notify.stopping();
            return Ending::Signal;
        }
        if let Some(news) = options.slot.take() {
            notify.reloaded("no source of events");
            if let Some(new) = sending.take(news, &mut formatter, &log) {
                log = Log::new(new.config.log.clone(), new.config.iso8601);
                tally.renew(new.rules());
                station.follow(&new, Instant::now());
                program = new;
            }
        }
        if options.signals.take_reopen() {
            log.info("SIGUSR1 received, reopening outputs...");
            sending.reopen();
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ending::TimeUp;
        }
        let view = View {
            program: &program,
            probe: None,
            machine: &machine,
            tally: &tally,
            outputs: &|| sending.stats(),
            waiting: Waiting::default(),
            sheds: 0,
        };
        station.tick(&view, Instant::now(), &log, &mut |alert| sending.send(formatter.line(&alert)));
        sending.watch();
        std::thread::sleep(LONGEST_WAIT);
    }
}

/// The types of events that rules, settings and plugins ask for.
fn asked(program: &Program, crew: Option<&Crew>) -> EventSet {
    let mut events = wanted(&program.engine.event_types(), &program.config.base_syscalls);
    if let Some(crew) = crew.filter(|crew| crew.parses()) {
        match crew.parse_types() {
            Some(types) => events.extend(types.into_iter().map(EventType)),
            // One that names none is shown what there is.
            None => events.extend(wanted(&EventTypes::all(), &program.config.base_syscalls).iter()),
        }
    }
    events
}

fn is_alive(proc: &Path, tid: i64) -> bool {
    proc.join(tid.to_string()).exists()
}

impl Live {
    fn watch(
        &mut self,
        probe: &mut Probe,
        signals: &Signals,
        end: Option<Instant>,
        slot: &Slot,
    ) -> Result<Ending, LiveError> {
        let mut sweep = Instant::now() + self.program.config.state.sweep;
        let mut sweep_containers = Instant::now() + SWEEP;
        loop {
            let before = Instant::now();
            if signals.end() {
                return Ok(Ending::Signal);
            }
            if end.is_some_and(|end| before >= end) {
                return Ok(Ending::TimeUp);
            }
            match slot.take() {
                Some(News::Program(program)) => self.adopt(program, probe),
                Some(News::Refused(error)) => {
                    self.send(&News::refusal(&error));
                    self.notify.reloaded(&format!("{}; a reload was refused", self.status()));
                }
                None => {}
            }
            if signals.take_reopen() {
                self.log.info("SIGUSR1 received, reopening outputs...");
                self.sending.reopen();
            }
            let mut wait = self.hold.due_in(before).map_or(LONGEST_WAIT, |due| due.min(HELD_WAIT));
            if let Some(end) = end {
                wait = wait.min(end.saturating_duration_since(before));
            }
            let polled = probe.poll(wait, &mut |event| self.event(event));
            self.outbox.flush();
            let idle = polled? == 0;
            let news = self.known_cgroups.look(probe.known_cgroups(), &self.machine, self.seen, idle);
            if let Some(what) = news {
                self.log.write(Priority::Debug, &what);
            }
            self.drop_more_or_less(probe);
            let done = self.between_polls(probe);
            self.outbox.flush();
            done?;
            self.notify.alive(before);
            if let Some(pressure) = self.guard.look(before) {
                self.relieve(pressure);
            }
            if before >= sweep_containers {
                sweep_containers = before + SWEEP;
                self.machine.sweep_containers(now());
            }
            if before >= sweep {
                sweep = before + self.program.config.state.sweep;
                let proc = self.host_root.join("proc");
                self.machine.sweep(now(), |tid| is_alive(&proc, tid));
                if let Some(crew) = &self.crew {
                    crew.sweep(&self.machine);
                }
            }
        }
    }

    /// Goes on with other rules and settings, between two events. The probe delivers what the new rules need before
    /// they see their first event; the state of the host, alerts that wait, and counts stay.
    fn adopt(&mut self, program: Arc<Program>, probe: &mut Probe) {
        let config = &program.config;
        // Until the new prefilter is in place, everything is delivered.
        probe.update_prefilter(&Default::default());
        if let Err(error) = probe.update_events(&asked(&program, self.crew.as_deref())) {
            self.drop_by(&Arc::clone(&self.program), probe);
            let message = format!("Not reloaded, the old rules go on: {error}");
            self.notify.reloaded(&format!("{}; a reload was refused", self.status()));
            return self.log.write(Priority::Error, &message);
        }
        self.drop_by(&program, probe);
        probe.tell_resolved(asks_where(&program.engine));
        self.log = Log::new(config.log.clone(), config.iso8601);
        if let Err(error) = self.enrichment.want_domains(domains::names(&program.engine)) {
            self.log.write(Priority::Error, &format!("Domain names in rules are not looked up: {error}"));
        }
        if let Err(error) = self.sending.follow(config, &self.log) {
            let message = format!("The outputs stay as they were, the new ones can't be started: {error}");
            self.log.write(Priority::Error, &message);
        }
        self.outbox.set_formatter(sinks::formatter(config, sinks::hostname()));
        self.progress.set_buffer_format(config.buffers);
        self.hold.set_patience(config.enrichment_timeout);
        self.drops.set_config(config.drops.clone());
        self.tally.renew(program.rules());
        self.station.follow(&program, Instant::now());
        self.guard.set_limit(config.memory_limit);
        self.triggered.follow(config.capture.clone(), &self.log);
        self.silence.set_waits(config.silence);
        if let Some(crew) = &self.crew {
            self.dealings.configure(crew, config, &self.log);
        }
        self.program = program;
        self.notify.reloaded(&self.status());
    }

    /// Has the kernel drop what a program can spare now, and list what that asks for.
    fn drop_by(&mut self, program: &Program, probe: &mut Probe) {
        let now = self.circumstances();
        let prefilter = self.dropping.used(of_program(program, self.crew.as_deref()), now);
        probe.update_prefilter(&prefilter);
        let [others, of_containers] = [Home::Host, Home::Container].map(|home| prefilter.asks_for(home));
        if let Err(error) = self.known_cgroups.want(Wanted { others, of_containers }) {
            self.log.warning(&format!("Cgroups are not listed: {error}"));
        }
    }

    /// The same, if something has changed that decides of it.
    fn drop_more_or_less(&mut self, probe: &mut Probe) {
        if let Some(why) = self.dropping.changed_by(self.circumstances()) {
            self.log.write(Priority::Debug, why);
            self.drop_by(&Arc::clone(&self.program), probe);
        }
    }

    fn circumstances(&self) -> Circumstances {
        Circumstances { has_room: self.machine.has_room(), captured: self.triggered.is_writing() }
    }

    fn status(&self) -> String {
        format!("watching, {} rules in force", self.program.engine.rules().len())
    }

    /// Lets go what can be had again, or what is needed least, when memory comes near its limit.
    fn relieve(&mut self, pressure: Pressure) {
        let known = self.machine.stats().threads as usize;
        match pressure {
            Pressure::Near => {
                let proc = self.host_root.join("proc");
                self.machine.shed(now(), |tid| is_alive(&proc, tid));
                self.memory = Memory::default();
                self.scratch = Scratch::new();
                self.release_all();
                memory::trim();
                self.log.warning("memory_limit is near: caches were shed");
            }
            Pressure::Reached => {
                self.machine.limit_threads(known);
                let message = format!("memory_limit is reached: no more than {known} threads are known");
                self.log.write(Priority::Error, &message);
            }
            Pressure::Over => {
                self.machine.limit_threads(self.program.config.state.threads);
                self.log.info("memory_limit: there is room again");
            }
        }
    }

    fn send(&mut self, alert: &Alert) {
        self.outbox.put(alert);
        self.outbox.flush();
    }

    fn release_all(&mut self) {
        let outbox = &mut self.outbox;
        self.hold.release_all(&self.machine, &mut |alert| outbox.put(&alert));
        self.outbox.flush();
    }

    /// One event: what it does to the machine, and which rules it matches.
    fn event(&mut self, event: &Event<'_>) {
        let subject = self.machine.apply(event);
        // what a file is that a call is about to use, and that nobody was told of
        if event.info.is(Category::Iter) {
            return;
        }
        self.events += 1;
        self.seen = event.ts;
        self.outbox.pass();
        self.progress.advance(event);
        if let Some(crew) = &self.crew {
            self.dealings.note(crew.parse(event, self.progress.meta(), &self.machine), &self.log);
        }
        self.scratch.reset();
        let cx = Context {
            event,
            machine: &self.machine,
            subject: &subject,
            meta: self.progress.meta(),
            scratch: &self.scratch,
        };
        self.hits.clear();
        let program = &*self.program;
        if self.station.count(event) {
            let tally = &mut self.tally;
            program.engine.measure(&cx, |id, time| tally.spend(id.index(), time, STRIDE));
        }
        program.engine.process(&mut self.memory, &cx, &mut self.hits);
        if self.hits.is_empty() {
            if self.triggered.is_writing() {
                let written = self.triggered.write(event);
                self.captured(written);
            }
            return;
        }
        let waits = may_wait(&cx).then(Instant::now);
        for id in &self.hits {
            self.tally.count(id.index());
            let outbox = &mut self.outbox;
            match waits {
                None => outbox.tell(program, *id, &cx),
                Some(now) => {
                    let draft = program.announcer.draft(&program.engine, *id, &cx);
                    self.hold.take(draft, now, &self.machine, &mut |alert| outbox.put(&alert));
                }
            }
        }
        if self.triggered.is_enabled() || self.triggered.is_writing() {
            let (machine, root, crew) = (&self.machine, &self.host_root, self.crew.as_deref());
            let matched = Matched {
                rules: &mut self.hits.iter().map(|id| &program.engine.rule(*id).rule),
                number: self.progress.meta().num,
                beginning: &|| {
                    let around = Surroundings::read(machine, root);
                    let mut known = records(machine, &around, Readers::Today);
                    let subject = machine.thread(event.tid).map_or(event.tid, |thread| thread.pid);
                    open_files::add_to(&mut known, machine, &root.join("proc"), subject);
                    Beginning::new(machine, known, event.ts).with_plugins(crew, machine)
                },
            };
            let written = self.triggered.matched(event, matched);
            self.captured(written);
        }
    }

    /// Takes in what is known of a container. Rules hear of it once, when all is known.
    fn learn(&mut self, container: Container) {
        let known = self.machine.container(container.id.as_bytes()).is_some_and(|known| known.complete);
        let heard = self.program.engine.event_types().contains(types::ASYNCEVENT_E);
        if !container.complete || known || !heard {
            return self.machine.set_container(container);
        }
        let tid = self
            .machine
            .threads()
            .find(|thread| *thread.container == *container.id.as_bytes())
            .map(|t| t.tid);
        let told = learnt::announcement(now(), tid, &container);
        self.machine.set_container(container);
        if let Some(event) = told.as_ref().ok().and_then(|told| told.event().ok()) {
            self.event(&event);
        }
    }

    /// Tells a capture under way who a container is.
    fn capture_names(&mut self, container: &Container) {
        let told = learnt::container_event(now(), container);
        if let Some(event) = told.as_ref().ok().and_then(|told| told.event().ok()) {
            let written = self.triggered.write(&event);
            self.captured(written);
        }
    }

    /// What came of writing an event to a capture. Watching goes on whatever that is.
    fn captured(&mut self, written: Result<Option<Alert>, TriggerError>) {
        match written {
            Ok(None) => {}
            Ok(Some(alert)) => self.send(&alert),
            Err(error) => self.log.write(Priority::Error, &error.to_string()),
        }
    }

    /// What is done while no event waits: containers are asked about and answers taken, alerts that waited go,
    /// losses are told.
    fn between_polls(&mut self, probe: &Probe) -> Result<(), LiveError> {
        if let Some(crew) = self.crew.clone() {
            crew.sent(&mut |event| self.event(event));
        }
        self.moving.look(probe.attachment(), &self.log);
        self.enrichment.ask(&mut self.machine);
        self.enrichment.tell_domains(&mut self.machine);
        let mut news = false;
        let mut answers = Vec::new();
        self.enrichment.drain(&mut |container| answers.push(container), &mut |accounts| {
            accounts.give_to(&mut self.machine);
        });
        for container in answers {
            // A runtime also tells by itself of containers in which nothing has happened yet.
            if self.machine.container(container.id.as_bytes()).is_some() {
                news = true;
                if self.triggered.is_writing() {
                    self.capture_names(&container);
                }
                self.learn(container);
            }
        }
        let (outbox, sending) = (&mut self.outbox, &self.sending);
        let mut send = |alert: Alert| outbox.put(&alert);
        self.hold.release(Instant::now(), news, &self.machine, &mut send);
        let view = View {
            program: &self.program,
            probe: Some(probe),
            machine: &self.machine,
            sheds: self.guard.sheds,
            tally: &self.tally,
            outputs: &|| sending.stats(),
            waiting: Waiting {
                held: self.hold.len() as u64,
                incomplete: self.hold.incomplete,
                unasked: self.enrichment.unasked() as u64,
            },
        };
        let at = Instant::now();
        self.station.tick(&view, at, &self.log, &mut send);
        self.silence.look(self.events, at).into_iter().for_each(&mut send);
        let ts = now();
        self.triggered.tick(ts);
        if !self.drops.due(ts) {
            return Ok(());
        }
        sending.watch();
        let Some(drops) = self.drops.check(ts, probe.lost(), self.events) else { return Ok(()) };
        for action in &self.program.config.drops.actions {
            match action {
                DropAction::Alert => send(drops.alert_naming(ts, &drops.missed_by(&self.program.engine))),
                DropAction::Log => self.log.write(Priority::Debug, &drops.message()),
                DropAction::Exit => {
                    self.log.write(Priority::Critical, &drops.message());
                    self.log.write(Priority::Critical, "Exiting.");
                    return Err(LiveError::Dropped);
                }
            }
        }
        Ok(())
    }

    fn close(mut self, lost: u64, ending: Ending) -> Outcome {
        self.notify.stopping();
        if let Some(crew) = &self.crew {
            crew.end(&self.machine);
        }
        self.release_all();
        Outcome {
            ending,
            tally: self.tally,
            events: self.events,
            lost,
            drops: self.drops,
            outputs: if self.shared {
                self.sending.stats()
            } else {
                self.sending.close(self.program.config.output_timeout)
            },
            incomplete: self.hold.incomplete,
        }
    }
}
