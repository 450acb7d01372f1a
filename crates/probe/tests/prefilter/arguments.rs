//! What is dropped by the value of an argument.

use lanner_event::prefilter::{
    ArgumentClasses, Home, Interest, Keep, Prefilter, Sieves, SocketClass, States, argument,
};
use lanner_event::{EventBuf, EventType, types as t};

use crate::support::call::{Arg::N, call};
use crate::support::number;
use crate::{told, watch};

/// An event of which nothing but its result and its argument is looked at.
fn finished(ty: EventType, result: i64, at: usize, value: u64) -> EventBuf {
    let info = ty.info().unwrap();
    let (result, value) = (result.to_ne_bytes(), argument::bytes(info.params[at].ty, value));
    let params = (0..info.params.len()).map(|i| match i {
        0 => &result[..],
        i if i == at => &value[..],
        _ => &[],
    });
    EventBuf::new(1, 1, 0, ty, &params.collect::<Vec<_>>()).unwrap()
}

/// A call about nobody's process, which fails.
fn trace(request: i64) -> i64 {
    call(libc::SYS_ptrace, &[N(request), N(i64::from(i32::MAX)), N(0), N(0)])
}

#[test]
fn the_kernel_tells_values_apart_as_the_tables_say() {
    let ty = t::SYSCALL_PTRACE_X;
    let Some(mut watch) = watch(&[ty, t::SYSCALL_MUNLOCKALL_X]) else { return };
    let mut seed = 5u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    // 0 would let this process be traced
    let requests = [1, 2, 4, 7, 12, 16, 17, 24, 0x4200, 0x4206, 0x4207, 99];
    let values = requests.map(|request| {
        trace(request);
        number(&told(&mut watch)[0].event().unwrap(), "request").unwrap() as u64
    });
    assert!(values.contains(&11) && values.contains(&20), "attach and seize: {values:?}");
    let (mut let_through, mut dropped) = (0, 0);
    for _ in 0..40 {
        let (ask, mask) = (next(15) + 1, next(64));
        let classes = (0..argument::values(ty) as u64).map(|value| (value & mask) % ask).collect::<Vec<_>>();
        let prefilter = Prefilter {
            types: [(ty, (Interest::states(States(next(1 << 31) << 1)), Keep::Nothing))].into(),
            classes: ArgumentClasses::new(&classes).map(|classes| (ty, classes)).into_iter().collect(),
            ..Prefilter::default()
        };
        watch.probe.update_prefilter(&prefilter);
        told(&mut watch);
        let sieves = Sieves::new(&prefilter);
        for (request, value) in requests.into_iter().zip(values) {
            let event = finished(ty, trace(request), 3, value);
            let expected =
                sieves.may_matter(&event.event().unwrap(), SocketClass::Unknown, b"cat", Home::Unknown);
            assert_eq!(!told(&mut watch).is_empty(), expected, "{request:#x} {value}");
            *(if expected { &mut let_through } else { &mut dropped }) += 1;
        }
    }
    assert!(let_through > 50 && dropped > 50, "{let_through} {dropped}");
}
