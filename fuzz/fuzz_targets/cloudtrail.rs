//! Any file of CloudTrail entries is read or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = lanner_plugin::read_document("aws_cloudtrail", bytes);
});
