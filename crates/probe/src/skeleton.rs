//! What libbpf's generator made of the BPF programs.
#![allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::undocumented_unsafe_blocks,
    clippy::allow_attributes_without_reason,
    dead_code,
    reason = "generated"
)]

pub mod probe {
    include!(concat!(env!("OUT_DIR"), "/probe.skel.rs"));
}

pub mod snapshot {
    include!(concat!(env!("OUT_DIR"), "/snapshot.skel.rs"));
}
