//! Waiting for what a resolver finds out.

use std::thread;
use std::time::{Duration, Instant};

use lanner_container::Resolver;
use lanner_machine::Container;

/// The first answer that fits.
pub fn wait_for(resolver: &Resolver, fits: impl Fn(&Container) -> bool) -> Container {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut found = None;
    while found.is_none() {
        assert!(Instant::now() < deadline, "no answer that fits");
        resolver.drain(&mut |container| {
            if fits(&container) {
                found.get_or_insert(container);
            }
        });
        thread::sleep(Duration::from_millis(2));
    }
    found.unwrap_or_default()
}
