//! Whatever events say, in whatever order: the machine doesn't panic, keeps its limits, and stays coherent.

use std::collections::HashSet;

use lanner_event::{EVENTS, EventBuf, EventType, ParamType};
use lanner_machine::{Machine, MachineOptions, Thread};
use proptest::prelude::*;

const MAX_THREADS: usize = 12;
const MAX_FDS: usize = 6;

/// Numbers that mean something to each other: few ids, so that events meet.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0i64..16, 1 => -3i64..0, 1 => Just(-100), 1 => any::<i64>()]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"/a/../b\0".to_vec()),
        Just(b"rel/x\0".to_vec()),
        Just(b"cpu=/docker/8ccfeddbf91f9bd933b4842130cd61492ea189b413a603500dd20687602cd52c\0".to_vec()),
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 0..12),
    ]
}

/// Bytes of a parameter, mostly of the right type.
fn param(ty: ParamType) -> BoxedStrategy<Vec<u8>> {
    let of = |len: usize| number().prop_map(move |n| n.to_ne_bytes()[..len].to_vec()).boxed();
    match ty {
        ParamType::Int64 | ParamType::Uint64 | ParamType::Errno | ParamType::Fd | ParamType::Pid => of(8),
        ParamType::Int32 | ParamType::Uint32 | ParamType::Fd32 | ParamType::Uid | ParamType::Gid => of(4),
        ParamType::Flags32 | ParamType::Enumflags32 | ParamType::Mode => {
            any::<u32>().prop_map(|n| n.to_ne_bytes().to_vec()).boxed()
        }
        ParamType::Flags8 | ParamType::Enumflags8 | ParamType::Uint8 => of(1),
        ParamType::Sockaddr | ParamType::Socktuple => {
            let family = prop_oneof![Just(1u8), Just(2), Just(10), any::<u8>()];
            (family, prop::collection::vec(any::<u8>(), 0..40))
                .prop_map(|(f, rest)| [vec![f], rest].concat())
                .boxed()
        }
        _ => text().boxed(),
    }
}

/// An event of any type, by any of few threads.
fn event() -> impl Strategy<Value = (u64, i64, EventType, Vec<Vec<u8>>)> {
    let state: Vec<_> = EVENTS.iter().filter(|e| !e.params.is_empty()).collect();
    let clones: Vec<_> =
        EVENTS.iter().filter(|e| e.symbol.contains("CLONE") && e.params.len() == 21).collect();
    let ends: Vec<_> = EVENTS.iter().filter(|e| e.symbol.starts_with("PROCEXIT_1")).collect();
    let info = prop_oneof![6 => prop::sample::select(state), 2 => prop::sample::select(clones), 1 => prop::sample::select(ends)];
    (0u64..5_000_000_000, number(), info).prop_flat_map(|(ts, tid, info)| {
        let params: Vec<_> = info.params.iter().map(|p| param(p.ty)).collect();
        let kept = 0..=params.len();
        (Just(ts), Just(tid), Just(info.code), params, kept).prop_map(|(ts, tid, code, mut params, kept)| {
            if kept % 4 == 0 {
                params.truncate(kept);
            }
            (ts, tid, code, params)
        })
    })
}

fn check(machine: &Machine) {
    let stats = machine.stats();
    assert!(stats.threads <= MAX_THREADS as u64, "{stats:?}");
    assert_eq!(stats.threads as usize, machine.threads().count());
    let mut alive: std::collections::HashMap<i64, usize> = Default::default();
    for thread in machine.threads() {
        assert_eq!(machine.thread(thread.tid).map(|t| t.tid), Some(thread.tid));
        assert!(machine.fds(thread.tid).count() <= MAX_FDS);
        assert!(machine.ancestors(thread).count() <= 4 * MAX_THREADS);
        *alive.entry(thread.pid).or_default() +=
            usize::from(!thread.dead && machine.thread_count(thread) > 0);
        let mut nums = HashSet::new();
        for fd in machine.fds(thread.tid) {
            assert!(nums.insert(fd.num), "fd {} twice", fd.num);
            assert_eq!(machine.fd(thread.tid, fd.num).map(|f| f.num), Some(fd.num));
        }
    }
    for thread in machine.threads().filter(|t| machine.thread_count(t) > 0) {
        assert_eq!(machine.thread_count(thread), alive[&thread.pid], "threads of {}", thread.pid);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks_the_machine(events in prop::collection::vec(event(), 1..120)) {
        let options = MachineOptions { max_threads: MAX_THREADS, max_fds: MAX_FDS, ..MachineOptions::default() };
        let mut machine = Machine::new(options);
        for tid in 1..5 {
            let thread = Thread { pid: tid, ptid: tid - 1, vtid: tid, vpid: tid, ..Thread::unknown(tid) };
            machine.add_thread(thread);
        }
        for (ts, tid, ty, params) in events {
            let params: Vec<&[u8]> = params.iter().map(|p| &p[..]).collect();
            let event = EventBuf::new(ts, tid, 0, ty, &params).unwrap();
            let subject = machine.apply(&event.event().unwrap());
            let _ = (machine.thread_of(&subject), machine.fd_of(&subject));
            check(&machine);
        }
        machine.sweep(u64::MAX, |_| false);
        prop_assert_eq!(machine.stats().threads, machine.threads().count() as u64);
    }
}
