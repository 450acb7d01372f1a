//! Any bytes that the process of a plugin writes are events or end its stream.

#![no_main]

use lanner_event::Event;
use lanner_plugin::host::read_message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut from = bytes;
    while let Some(message) = read_message(&mut from) {
        if let Ok(event) = Event::decode(&message, 0) {
            event.params().for_each(drop);
        }
    }
});
