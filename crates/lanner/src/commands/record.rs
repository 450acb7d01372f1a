//! `lanner record`

use std::time::Duration;

use lanner_agent::record::{self, RecordOptions};
use lanner_agent::recording::{Readers, RecordingOptions};

use crate::cli::{AlertArgs, RecordArgs};

/// Records this host. The filter is read before anything is attached to the kernel.
pub fn record(args: RecordArgs) -> Result<(), String> {
    let filter = args.filter.as_deref().map(record::filter).transpose();
    let file = args.output.display().to_string();
    let options = RecordOptions {
        duration: args.duration.map(Duration::from_secs),
        filter: filter.map_err(|error| format!("lanner: --filter: {error}"))?,
        files: RecordingOptions {
            path: args.output,
            gzip: args.gzip,
            size: args.size,
            keep: args.rotate,
            readers: if args.modern { Readers::Today } else { Readers::All },
        },
    };
    let config = super::config(args.config.as_ref(), &AlertArgs::default())?;
    let recorded = record::run(&config, options, &mut |_| eprintln!("recording to {file}"));
    let recorded = recorded.map_err(|error| format!("lanner: {error}"))?;
    super::print(&format!("events {}, bytes {}, lost {}\n", recorded.events, recorded.bytes, recorded.lost))
}
