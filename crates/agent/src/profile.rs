//! What a capture's events cost the rules.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lanner_capture::{CaptureError, Reader};
use lanner_engine::{Engine, Memory, Profiler};
use lanner_event::BufferFormat;

use crate::config::Config;
use crate::record::{self, RecordError, RecordOptions, Recorded};
use crate::recording::{Readers, RecordingOptions};
use crate::walk::walk;

/// Lets rules look at all events of a capture. What was measured before an error holds.
///
/// # Errors
/// When the capture can't be read to its end.
pub fn profile(file: &Path, engine: &Engine, profiler: &mut Profiler) -> Result<(), CaptureError> {
    let mut memory = Memory::default();
    let mut hits = Vec::new();
    walk(&mut Reader::open(file)?, BufferFormat::Printable, |cx, _| {
        hits.clear();
        profiler.process(engine, &mut memory, cx, &mut hits);
        Ok(())
    })
}

/// Records what happens on this host for a while, to be profiled. `started` is told once everything that happens is
/// recorded.
///
/// # Errors
/// When the probe can't be opened or the file not be written.
pub fn record(path: PathBuf, duration: Duration, started: &mut dyn FnMut()) -> Result<Recorded, RecordError> {
    let files = RecordingOptions { path, gzip: false, size: None, keep: None, readers: Readers::Today };
    let options = RecordOptions { duration: Some(duration), filter: None, files };
    record::run(&Config::default(), options, &mut |_| started())
}
