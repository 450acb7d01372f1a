//! What `falco.yaml` says of captures that rules start, of the state's size, and of silence.

use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use super::reader::Reader;

/// Captures that rules start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaptureConfig {
    /// There are any.
    pub enabled: bool,
    /// Every rule starts one, not only those that ask for it.
    pub all: bool,
    /// What the files' paths begin with.
    pub prefix: String,
    /// How long one lasts unless its rule says otherwise, ns.
    pub duration: u64,
    /// Bytes after which one ends; 0 for no limit.
    pub max_bytes: u64,
}

impl Default for CaptureConfig {
    fn default() -> CaptureConfig {
        let prefix = "/tmp/falco".to_owned();
        CaptureConfig { enabled: false, all: false, prefix, duration: 5_000_000_000, max_bytes: 0 }
    }
}

impl CaptureConfig {
    /// The file of a capture that an event starts, so named that files sort by time.
    pub fn path(&self, ts: u64, number: u64) -> PathBuf {
        format!("{}_{ts:020}_{number:020}.scap", self.prefix).into()
    }
}

/// How large the state of the host may grow, and how it is swept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateConfig {
    /// Most threads.
    pub threads: usize,
    /// Between two sweeps.
    pub sweep: Duration,
    /// A thread that was silent for so long may be taken for gone.
    pub thread_timeout: Duration,
}

impl Default for StateConfig {
    fn default() -> StateConfig {
        StateConfig {
            threads: 262_144,
            sweep: Duration::from_secs(60),
            thread_timeout: Duration::from_secs(1800),
        }
    }
}

impl Reader<'_> {
    pub(super) fn capture(&mut self) -> Result<CaptureConfig, ConfigError> {
        let mode = self.text("capture.mode", "rules");
        let all = match mode.as_str() {
            "rules" => false,
            "all_rules" => true,
            _ => return Err(self.error(&format!("capture.mode '{mode}' is not a valid mode."))),
        };
        Ok(CaptureConfig {
            enabled: self.flag("capture.enabled", false),
            all,
            prefix: self.text("capture.path_prefix", "/tmp/falco"),
            duration: u64::from(self.number("capture.default_duration", 5000u32)) * 1_000_000,
            max_bytes: self.number("capture.max_file_size_mb", 0u64).saturating_mul(1 << 20),
        })
    }

    pub(super) fn state(&mut self) -> StateConfig {
        let mut seconds = |key: &str, default: u32| {
            Duration::from_secs(self.number(&format!("falco_libs.{key}"), default).max(1).into())
        };
        StateConfig {
            sweep: seconds("thread_table_auto_purging_interval_s", 300),
            thread_timeout: seconds("thread_table_auto_purging_thread_timeout_s", 300),
            threads: match self.number("falco_libs.thread_table_size", 262_144u32) {
                0 => 262_144,
                n => n as usize,
            },
        }
    }

    /// Consecutive waits without an event after which that is told.
    pub(super) fn silence(&mut self) -> Result<u32, ConfigError> {
        let file = self.file.clone();
        match self.number("syscall_event_timeouts.max_consecutives", 1000u32) {
            0 => Err(ConfigError::Value(format!(
                "Error reading config file({file}): the maximum consecutive timeouts without an event must be an \
                 unsigned integer > 0"
            ))),
            n => Ok(n),
        }
    }
}
