//! Any bytes are a rule file or are refused; whatever they are, every form of the report can be written.
//! Two files, divided by a line of `=====`, see each other.

#![no_main]

use lanner_engine::Catalog;
use lanner_rules::{LoadOptions, SourceText, load};
use libfuzzer_sys::fuzz_target;

const DIVIDER: &[u8] = b"\n=====\n";

fuzz_target!(|bytes: &[u8]| {
    let divided = bytes.windows(DIVIDER.len()).position(|window| window == DIVIDER);
    let (first, second) = match divided {
        Some(at) => (&bytes[..at], &bytes[at + DIVIDER.len()..]),
        None => (bytes, &b""[..]),
    };
    let files = [
        SourceText::from_bytes("first.yaml", first.to_vec()),
        SourceText::from_bytes("second.yaml", second.to_vec()),
    ];
    let catalog = Catalog::new(["syscall"]);
    for all_errors in [false, true] {
        let options = LoadOptions { all_errors, ..LoadOptions::default() };
        let loaded = load(&files, &catalog, &options);
        let _ = loaded.report.human_text();
        for file in &loaded.report.files {
            let _ = loaded.report.falco_text(file);
            let _ = loaded.report.falco_json(file);
        }
        let _ = loaded.definitions.describe(&loaded.rules, &catalog);
    }
});
