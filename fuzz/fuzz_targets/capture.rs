//! Any bytes as a capture: reading ends, says at most one fault, and what was read can be written and read again.
#![no_main]

use std::io::Cursor;

use lanner_capture::{Reader, Writer};
use lanner_event::EventBuf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = Reader::new(Cursor::new(bytes.to_vec())) else { return };
    let mut writer = Writer::new(Vec::new(), reader.snapshot()).expect("memory").for_old_readers();
    let snapshot = reader.snapshot().clone();
    let (mut events, mut faults) = (Vec::new(), 0);
    loop {
        match reader.next() {
            Ok(Some(event)) => {
                writer.write(&event).expect("memory");
                events.push(EventBuf::copy_of(&event));
            }
            Ok(None) => break,
            Err(_) => faults += 1,
        }
    }
    assert!(faults <= 1);
    let again = writer.finish().expect("memory");
    let mut reader = Reader::new(Cursor::new(again)).expect("it was just written");
    assert_eq!(*reader.snapshot(), snapshot);
    for event in events {
        let read = reader.next().expect("no fault").expect("as many as before");
        assert_eq!(read.as_bytes(), event.as_bytes());
    }
    assert!(reader.next().expect("no fault").is_none());
});
