//! Any bytes as an event: it is refused, or all of it can be read and printed.
#![no_main]

use lanner_event::{Event, NoNames, print_args, print_param};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(event) = Event::decode(bytes, 0) else { return };
    let mut out = Vec::new();
    print_args(&event, &NoNames, &mut out);
    for index in 0..event.param_count().min(64) {
        out.clear();
        print_param(&event, index, &NoNames, &mut out);
        let _ = (event.i64(index), event.u32(index), event.u16(index), event.u8(index), event.text(index));
    }
});
