//! Any text is a condition or is refused; what is a condition prints and reads back.

#![no_main]

use lanner_filter::{MAX_DEPTH, parse, parse_with_limit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(tree) = parse(text) {
        let printed = tree.to_string();
        // Printing writes out parentheses that the text could do without.
        let again = parse_with_limit(&printed, 2 * MAX_DEPTH).map(|tree| tree.to_string());
        assert_eq!(again, Ok(printed));
    }
});
