//! What a value is taken from.

use lanner_event::{BufferFormat, Event, types};
use lanner_machine::{Fd, Machine, Subject, Thread};
use rustc_hash::FxHashMap;

use crate::{Foreign, Scratch};

/// What is known of an event besides its own bytes.
#[derive(Clone, Debug)]
pub struct EventMeta {
    /// Number of the event, counted from 1.
    pub num: u64,
    /// Name of the source: `syscall`, `k8s_audit`, …
    pub source: &'static str,
    /// Name of the plugin that makes the source's events; empty for the kernel's.
    pub plugin: &'static str,
    /// The plugins of this loop that have fields of their own.
    pub foreign: Foreign,
    /// Time of the first event, ns since 1970.
    pub first_ts: u64,
    /// Time of the event before this one, ns since 1970; this one's own for the first.
    pub previous_ts: u64,
    /// For a scheduler switch: how long the thread ran since the CPU's previous one, ns; else 0.
    pub exec_time: u64,
    /// The same, added up over all switches of the thread.
    pub total_exec_time: u64,
    /// Name of the host.
    pub hostname: Box<str>,
    /// Local time minus UTC, in seconds, at a time in seconds since 1970.
    pub utc_offset: fn(i64) -> i64,
    /// How data that was read or written is shown.
    pub buffer_format: BufferFormat,
}

impl Default for EventMeta {
    fn default() -> EventMeta {
        EventMeta {
            num: 0,
            source: "syscall",
            plugin: "",
            foreign: Foreign::default(),
            first_ts: 0,
            previous_ts: 0,
            exec_time: 0,
            total_exec_time: 0,
            hostname: "".into(),
            utc_offset: |_| 0,
            buffer_format: BufferFormat::Printable,
        }
    }
}

/// Most threads whose turns are added up.
const MAX_TURNS: usize = 32_768;

/// Keeps an [`EventMeta`] up to date while events go by.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    meta: EventMeta,
    last_ts: u64,
    /// Time of the last switch, by CPU.
    switches: Vec<u64>,
    /// Time of all turns, by thread.
    turns: FxHashMap<i64, u64>,
    count_turns: bool,
}

impl Progress {
    /// Before the first event; `meta` tells what stays the same for all events.
    pub fn new(meta: EventMeta) -> Progress {
        Progress { meta, ..Progress::default() }
    }

    /// The same, counting threads' turns on the CPUs. That makes sense while all events of all CPUs are seen;
    /// a capture has gaps, and its turns are left at 0.
    #[must_use]
    pub fn counting_turns(self) -> Progress {
        Progress { count_turns: true, ..self }
    }

    /// Shows data that was read or written in another form from the next event on.
    pub fn set_buffer_format(&mut self, format: BufferFormat) {
        self.meta.buffer_format = format;
    }

    /// Counts an event, which becomes the current one.
    #[inline]
    pub fn advance(&mut self, event: &Event<'_>) -> &EventMeta {
        let meta = &mut self.meta;
        if meta.num == 0 {
            meta.first_ts = event.ts;
            self.last_ts = event.ts;
        }
        meta.num += 1;
        meta.previous_ts = std::mem::replace(&mut self.last_ts, event.ts);
        meta.exec_time = 0;
        if self.count_turns {
            self.count(event);
        }
        &self.meta
    }

    fn count(&mut self, event: &Event<'_>) {
        if event.ty() == types::SCHEDSWITCH_6_E {
            self.count_turn(event);
        } else if !self.turns.is_empty() {
            if event.ty() == types::PROCEXIT_1_E {
                self.turns.remove(&event.tid);
            }
            self.meta.total_exec_time = self.turns.get(&event.tid).copied().unwrap_or(0);
        }
    }

    /// The thread gives up a CPU that it had since the CPU's last switch.
    fn count_turn(&mut self, event: &Event<'_>) {
        let cpu = usize::from(event.cpu);
        if cpu >= self.switches.len() {
            self.switches.resize(cpu + 1, 0);
        }
        let before = std::mem::replace(&mut self.switches[cpu], event.ts);
        self.meta.exec_time = if before == 0 { 0 } else { event.ts.saturating_sub(before) };
        if self.turns.len() >= MAX_TURNS {
            self.turns.clear();
        }
        let total = self.turns.entry(event.tid).or_default();
        *total += self.meta.exec_time;
        self.meta.total_exec_time = *total;
    }

    /// Says which source the current event is of, and which plugin made it.
    pub fn set_source(&mut self, source: &'static str, plugin: &'static str) {
        (self.meta.source, self.meta.plugin) = (source, plugin);
    }

    /// Sets the event's number, where the source numbers its events itself.
    pub fn renumber(&mut self, num: u64) {
        self.meta.num = num;
    }

    /// The current event's.
    pub fn meta(&self) -> &EventMeta {
        &self.meta
    }
}

/// Everything that a value may depend on.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The event.
    pub event: &'a Event<'a>,
    /// The host's state, the event already applied.
    pub machine: &'a Machine,
    /// What the event is about.
    pub subject: &'a Subject,
    /// What else is known of the event.
    pub meta: &'a EventMeta,
    /// Where built values live.
    pub scratch: &'a Scratch,
}

impl<'a> Context<'a> {
    /// The thread that caused the event, if it is known.
    pub fn thread(&self) -> Option<&'a Thread> {
        self.machine.thread_of(self.subject)
    }

    /// The file descriptor that the event is about, if it is known.
    pub fn fd(&self) -> Option<&'a Fd> {
        self.machine.fd_of(self.subject)
    }
}
