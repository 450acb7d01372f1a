//! No event, whatever its bytes, and no format text makes extraction or rendering panic.

#![allow(clippy::unwrap_used, reason = "a test may end so")]

mod world;

use lanner_event::{EVENTS, EventType};
use lanner_fields::{Field, Format, table};
use proptest::prelude::*;
use world::{COMMAND, WORKER, World};

/// A format of all fields that can be printed without argument, and some with one.
fn everything() -> Format {
    let printable = table().iter().filter(|f| f.has_source("syscall") && !f.argument.required);
    let mut text: String = printable.map(|f| format!("%{} ", f.name)).collect();
    for more in
        ["evt.arg[0]", "evt.arg[1]", "evt.arg.flags", "evt.rawarg.res", "evt.rawarg.name", "evt.abspath.dst"]
    {
        text.push_str(&format!("%{more} "));
    }
    text.push_str(
        "%len(evt.buffer) %b64(evt.arg[1]) %basename(fd.name) %getopt((fd.name, proc.name), \"ab:\")",
    );
    Format::parse("syscall", &text).unwrap()
}

/// Parameters of any length, short more often than long.
fn params() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let bytes = prop_oneof![
        Just(Vec::new()),
        Just(3i64.to_ne_bytes().to_vec()),
        Just((-100i64).to_ne_bytes().to_vec()),
        Just(b"a/../b\0".to_vec()),
        prop::collection::vec(any::<u8>(), 8),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(bytes, 0..32)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_event_renders(code in 0..EVENTS.len() as u16, params in params(), worker in any::<bool>()) {
        let format = everything();
        let params: Vec<&[u8]> = params.iter().map(Vec::as_slice).collect();
        let tid = if worker { WORKER } else { COMMAND };
        World::new().on(tid, EventType(code), &params, |cx| {
            let mut out = String::new();
            format.render(cx, &mut out);
            let values = format.values(cx);
            prop_assert_eq!(values.len(), format.fields().count());
            for field in format.fields() {
                field.operand(cx);
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_text_parses_or_is_refused(text in "[*%a-z.()\\[\\]\", 0-9ä\\\\]{0,60}") {
        if let Err(error) = Format::parse("syscall", &text) {
            prop_assert!(error.position <= text.len());
        }
    }

    #[test]
    fn any_name_resolves_or_is_refused(name in "[a-z.]{0,30}", argument in proptest::option::of("\\PC{0,10}")) {
        if let Err(error) = Field::resolve("syscall", &name, argument.as_deref()) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
