//! Any bytes are JSON or are refused, as serde_json says, and what is read is written again as it was; each value is found
//! by its pointer.

#![no_main]

use lanner_fields::Scratch;
use lanner_fields::json::{Tape, indent};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = lanner_plugin::read_document("json", bytes);
    let mut tape = Tape::new();
    if tape.read(bytes).is_err() {
        return;
    }
    let scratch = Scratch::new();
    let root = tape.root(bytes).expect("what was read has a root");
    for (key, value) in root.entries() {
        let _ = (std::str::from_utf8(key).map(|key| root.get(key)), value.show(&scratch));
    }
    root.items().for_each(|item| {
        std::hint::black_box(item.show(&scratch));
    });
    let mut written = Vec::new();
    root.write(&mut written);
    let mut again = Tape::new();
    again.read(&written).expect("what is written is JSON");
    let mut twice = Vec::new();
    again.root(&written).expect("a root").write(&mut twice);
    assert_eq!(written, twice);
    let mut laid_out = Vec::new();
    indent(&written, &mut laid_out);
    again.read(&laid_out).expect("what is laid out is JSON");
});
