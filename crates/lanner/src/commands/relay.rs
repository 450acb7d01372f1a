//! `lanner relay`

use std::sync::Arc;

use lanner_agent::signals::Signals;
use lanner_relay::RelayOptions;

use crate::cli::RelayArgs;

/// Relays until a signal ends it.
pub(super) fn relay(args: RelayArgs) -> Result<(), String> {
    let failure = |error: &dyn std::fmt::Display| format!("lanner: {error}");
    let signals = Signals::install().map_err(|error| failure(&error))?;
    let options = RelayOptions {
        source: args.source,
        from_start: args.from_start,
        http: args.http,
        otlp: args.otlp,
        hostname: lanner_agent::sinks::hostname(),
    };
    let say = Arc::new(|priority: lanner_alert::Priority, text: &str| {
        eprintln!("lanner relay: {}: {text}", priority.as_str().to_lowercase());
    });
    lanner_relay::run(options, say, &|| signals.end()).map_err(|error| failure(&error))
}
