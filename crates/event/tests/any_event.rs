//! Encoding, decoding and printing of events of every type with any parameters.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use lanner_event::{
    EVENTS, Event, EventBuf, EventInfo, EventType, FdLabel, Names, ParamInfo, print_args, print_param,
    print_raw, print_resolved,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Knows a name for everything.
struct KnowsAll;

impl Names for KnowsAll {
    fn has_thread(&self) -> bool {
        true
    }
    fn fd(&self, num: i64) -> Option<FdLabel<'_>> {
        (num % 2 == 0).then_some(FdLabel { kind: '4', protocol: Some('t'), name: b"name" })
    }
    fn thread_name(&self, _tid: i64) -> Option<&[u8]> {
        Some(b"thread")
    }
    fn absolute_path(&self, _dir: Option<i64>, path: &[u8], out: &mut Vec<u8>) -> bool {
        out.extend(path);
        true
    }
    fn utc_offset(&self, _seconds: i64) -> i64 {
        -12_345
    }
}

fn any_event() -> impl Strategy<Value = EventBuf> {
    let param = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 1..40),
        prop::sample::select(vec![1usize, 2, 4, 8, 16])
            .prop_flat_map(|len| prop::collection::vec(any::<u8>(), len)),
    ];
    (0..EVENTS.len() as u16, prop::collection::vec(param, 0..36), any::<u64>(), any::<i64>()).prop_map(
        |(code, params, ts, tid)| {
            let params: Vec<&[u8]> = params.iter().map(Vec::as_slice).collect();
            EventBuf::new(ts, tid, 1, EventType(code), &params).unwrap()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_encoded_is_decoded(buf in any_event()) {
        let event = buf.event().unwrap();
        let params: Vec<&[u8]> = event.params().collect();
        prop_assert_eq!(params.len(), event.param_count());
        for (index, param) in params.iter().enumerate() {
            prop_assert_eq!(event.param(index), Some(*param));
        }
        let again = EventBuf::new(event.ts, event.tid, event.cpu, event.ty(), &params).unwrap();
        prop_assert_eq!(again, buf.clone());
    }

    #[test]
    fn everything_prints(buf in any_event()) {
        let event = buf.event().unwrap();
        let mut args = Vec::new();
        print_args(&event, &KnowsAll, &mut args);
        // The whole is made of the parts.
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for index in 0..event.param_count().min(event.info.params.len()) {
            let mut part = format!("{}=", event.info.params[index].name).into_bytes();
            let (mut raw, mut resolved, mut shown) = (Vec::new(), Vec::new(), Vec::new());
            prop_assert!(print_raw(&event, index, &KnowsAll, &mut raw));
            let has_resolved = print_resolved(&event, index, &KnowsAll, &mut resolved);
            prop_assert_eq!(has_resolved, !resolved.is_empty());
            prop_assert!(print_param(&event, index, &KnowsAll, &mut shown));
            prop_assert_eq!(&shown, if has_resolved { &resolved } else { &raw });
            part.extend(&raw);
            if has_resolved {
                part.extend([b"(", &resolved[..], b")"].concat());
            }
            parts.push(part);
        }
        prop_assert_eq!(args, parts.join(&b' '));
    }

    #[test]
    fn random_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), code in 0u16..500) {
        let mut bytes = bytes;
        let len = (bytes.len() as u32).to_ne_bytes();
        if bytes.len() >= 22 {
            bytes[16..20].copy_from_slice(&len);
            bytes[20..22].copy_from_slice(&code.to_ne_bytes());
        }
        if let Ok(event) = Event::decode(&bytes, 0) {
            let total: usize = event.params().map(<[u8]>::len).sum();
            prop_assert!(total <= bytes.len());
            print_args(&event, &KnowsAll, &mut Vec::new());
        }
    }
}

/// Parameters as the table has them: numbers of their length, texts and bytes of any, now and then nothing.
fn params_of(info: &EventInfo) -> Vec<BoxedStrategy<Vec<u8>>> {
    let bytes = |length| prop::collection::vec(any::<u8>(), length).boxed();
    let param = |param: &ParamInfo| match param.ty.fixed_len() {
        Some(len) => prop_oneof![9 => bytes(len..len + 1), 1 => Just(Vec::new())].boxed(),
        None => bytes(0..200),
    };
    info.params.iter().map(param).collect()
}

#[test]
fn every_type_of_the_table_is_encoded_decoded_and_printed() {
    let mut runner = TestRunner::new(ProptestConfig::with_cases(16));
    for info in &EVENTS {
        let ended = runner.run(&params_of(info), |params| {
            let slices: Vec<&[u8]> = params.iter().map(Vec::as_slice).collect();
            let buf = EventBuf::new(7, -3, 2, info.code, &slices).unwrap();
            let event = buf.event().unwrap();
            prop_assert_eq!((event.ts, event.tid, event.cpu, event.ty()), (7, -3, 2, info.code));
            prop_assert_eq!(event.params().collect::<Vec<_>>(), slices);
            let mut out = Vec::new();
            for index in 0..params.len() {
                print_param(&event, index, &KnowsAll, &mut out);
            }
            // No event is longer than its bytes, and none that lacks some is read.
            let bytes = buf.as_bytes();
            prop_assert!(Event::decode(&bytes[..bytes.len() - 1], 0).is_err());
            Ok(())
        });
        ended.unwrap_or_else(|error| panic!("{}: {error}", info.symbol));
    }
}
