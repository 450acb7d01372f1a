//! Falco's metrics as a list: one that both Prometheus and the snapshots are written from, so that they agree.

use std::borrow::Cow;

use lanner_event::{EVENTS, EventFlag};
use lanner_probe::LostReason;

use super::observation::Observation;
use super::usage::Usage;
use crate::config::MetricsConfig;
use crate::drops;

/// What a number counts, which decides its name for Prometheus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    Count,
    Percent,
    Bytes,
    Kibibytes,
    /// A span of time in ns.
    Nanoseconds,
    /// Spans in ns, added up.
    NanosecondsSum,
    /// Spans in s, added up.
    SecondsSum,
    /// A moment, ns since 1970.
    Timestamp,
}

/// Whether it only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// Which part of Falco a metric is about, which decides its prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Group {
    Resources,
    State,
    Kernel,
    PerCpu,
    Programs,
    Iterators,
}

/// A number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

/// A metric with Falco's own name.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Metric {
    pub name: Cow<'static, str>,
    pub group: Group,
    pub unit: Unit,
    pub kind: Kind,
    pub value: Number,
}

impl Metric {
    fn new(name: impl Into<Cow<'static, str>>, group: Group, value: u64) -> Metric {
        Metric {
            name: name.into(),
            group,
            unit: Unit::Count,
            kind: Kind::Counter,
            value: Number::Whole(value),
        }
    }

    fn gauge(self) -> Metric {
        Metric { kind: Kind::Gauge, ..self }
    }

    fn unit(self, unit: Unit) -> Metric {
        Metric { unit, ..self }
    }
}

/// The metrics that the settings ask for.
pub(super) fn metrics(seen: &Observation, config: &MetricsConfig) -> Vec<Metric> {
    let mut list = Vec::new();
    if config.kernel {
        list.extend(kernel(seen));
    }
    if config.per_cpu {
        list.extend(per_cpu(seen));
    }
    if config.programs {
        list.extend(programs(seen));
    }
    if config.iterators && seen.iterated {
        list.extend(iterators(seen));
    }
    if config.resources {
        list.extend(resources(&Usage::read(seen.started)));
    }
    if config.state {
        list.extend(state(seen));
    }
    list
}

fn kernel(seen: &Observation) -> impl Iterator<Item = Metric> {
    let lost = &seen.lost;
    let of = |reason| lost.by_type.iter().filter(|((_, r), _)| *r == reason).map(|(_, n)| n).sum::<u64>();
    let scratch = of(LostReason::TooLarge) + of(LostReason::NoBuffer);
    let full = of(LostReason::RingFull);
    let by_call = drops::by_kind(&lost.by_type);
    let counts = [("n_evts", seen.all_events()), ("n_drops_buffer_total", full)];
    let sums = [("n_drops_scratch_map", scratch), ("n_drops", lost.total())];
    let all = counts.into_iter().chain(by_call).chain(sums);
    all.map(|(name, count)| Metric::new(name, Group::Kernel, count)).collect::<Vec<_>>().into_iter()
}

fn per_cpu(seen: &Observation) -> impl Iterator<Item = Metric> {
    let cpus = seen.by_cpu.len().max(seen.lost_by_cpu.len());
    (0..cpus).flat_map(|cpu| {
        let of = |counts: &[u64]| counts.get(cpu).copied().unwrap_or(0);
        let (read, lost) = (of(&seen.by_cpu), of(&seen.lost_by_cpu));
        [
            Metric::new(format!("n_evts_cpu_{cpu}"), Group::PerCpu, read + lost),
            Metric::new(format!("n_drops_cpu_{cpu}"), Group::PerCpu, lost),
        ]
    })
}

fn programs(seen: &Observation) -> impl Iterator<Item = Metric> {
    seen.programs.iter().flat_map(|program| {
        let metric =
            |name: &str, value| Metric::new(format!("{}.{name}", program.name), Group::Programs, value);
        [
            metric("run_cnt", program.runs),
            metric("run_time_ns", program.time).unit(Unit::NanosecondsSum),
            metric("avg_time_ns", program.time.checked_div(program.runs).unwrap_or(0))
                .unit(Unit::Nanoseconds)
                .gauge(),
        ]
    })
}

/// The snapshot's events; the names of their types are those of the metrics.
fn iterators(seen: &Observation) -> impl Iterator<Item = Metric> {
    let types = EVENTS.iter().filter(|e| e.symbol.starts_with("ITER_") && !e.has(EventFlag::Unused));
    types.flat_map(|info| {
        let lost = seen.lost.by_type.iter().filter(|((ty, _), _)| *ty == info.code).map(|(_, n)| n).sum();
        [
            Metric::new(format!("n_evts_{}", info.name), Group::Iterators, seen.of_type(info.code)),
            Metric::new(format!("n_drops_{}", info.name), Group::Iterators, lost),
        ]
    })
}

fn resources(usage: &Usage) -> impl Iterator<Item = Metric> {
    let percent = |name: &'static str, value| {
        let metric = Metric::new(name, Group::Resources, 0).unit(Unit::Percent);
        Metric { value: Number::Real(value), ..metric }
    };
    let kib = |name: &'static str, value| Metric::new(name, Group::Resources, value).unit(Unit::Kibibytes);
    let list = [
        percent("cpu_usage_perc", usage.cpu),
        kib("memory_rss_kb", usage.rss),
        kib("memory_vsz_kb", usage.vsz),
        kib("memory_pss_kb", usage.pss),
        Metric::new("container_memory_used_bytes", Group::Resources, usage.cgroup).unit(Unit::Bytes),
        percent("host_cpu_usage_perc", usage.host_cpu),
        kib("host_memory_used_kb", usage.host_memory),
        Metric::new("host_procs_running", Group::Resources, usage.host_procs),
        Metric::new("host_open_fds", Group::Resources, usage.host_fds),
    ];
    list.into_iter().map(Metric::gauge)
}

/// What Falco calls the state. Counters of its caches, which lanner doesn't have, are left out.
fn state(seen: &Observation) -> impl Iterator<Item = Metric> {
    let machine = &seen.machine;
    let sizes = [("n_threads", machine.threads), ("n_fds", machine.fds)];
    let counts = [
        ("n_failed_fd_lookups", machine.unknown_fds),
        ("n_added_fds", machine.fds_added),
        ("n_removed_fds", machine.fds_removed),
        ("n_failed_thread_lookups", machine.unknown_threads),
        ("n_added_threads", machine.threads_added),
        ("n_removed_threads", machine.threads_removed),
        ("n_drops_full_threadtable", machine.threads_refused),
    ];
    let sizes = sizes.into_iter().map(|(name, size)| Metric::new(name, Group::State, size).gauge());
    sizes.chain(counts.into_iter().map(|(name, count)| Metric::new(name, Group::State, count)))
}
