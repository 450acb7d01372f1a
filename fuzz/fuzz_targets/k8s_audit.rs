//! Any body posted to the web server for Kubernetes audit events is taken or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = lanner_plugin::read_document("k8s_audit", bytes);
});
