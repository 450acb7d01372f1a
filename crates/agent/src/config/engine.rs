//! What `falco.yaml` says of where events come from.

use super::reader::Reader;
use super::{ConfigError, Source};

/// Sizes of a ring buffer: 1 is 1 MB, each further one twice that.
const PRESETS: std::ops::RangeInclusive<i64> = 1..=10;

/// Where events come from, and how.
pub(super) struct EngineConfig {
    pub source: Source,
    pub ring_bytes: usize,
    pub cpus_per_ring: usize,
    pub drop_failed: bool,
    pub iterators: bool,
}

impl Reader<'_> {
    pub(super) fn engine(&mut self) -> Result<EngineConfig, ConfigError> {
        let kind = self.text("engine.kind", "kmod");
        let mut engine = EngineConfig {
            source: Source::Live,
            ring_bytes: 8 << 20,
            cpus_per_ring: 2,
            drop_failed: false,
            iterators: true,
        };
        match kind.as_str() {
            "kmod" => {
                engine.cpus_per_ring = 1;
                self.of_kind("kmod", &mut engine)?;
            }
            "modern_ebpf" => {
                self.of_kind("modern_ebpf", &mut engine)?;
                engine.cpus_per_ring = match self.number("engine.modern_ebpf.cpus_for_each_buffer", 2u16) {
                    // All of them share one.
                    0 => usize::MAX,
                    cpus => cpus.into(),
                };
                engine.iterators = !self.flag("engine.modern_ebpf.disable_iterators", false);
            }
            "replay" => {
                let file = self.text("engine.replay.capture_file", "");
                if file.is_empty() {
                    return Err(
                        self.error("engine.kind is 'replay' but no engine.replay.capture_file specified.")
                    );
                }
                engine.source = Source::Replay(file.into());
            }
            "nodriver" => engine.source = Source::None,
            _ => return Err(self.error(&format!("engine.kind '{kind}' is not a valid kind."))),
        }
        Ok(engine)
    }

    /// What both kinds of live source know.
    fn of_kind(&mut self, kind: &str, engine: &mut EngineConfig) -> Result<(), ConfigError> {
        let key = format!("engine.{kind}.buf_size_preset");
        let preset = self.number(&key, 4i64);
        if !PRESETS.contains(&preset) {
            let (least, most) = (PRESETS.start(), PRESETS.end());
            return Err(ConfigError::Value(format!(
                "{key}: The 'buf_size_preset' value must be between '{least}' and '{most}'"
            )));
        }
        engine.ring_bytes = 1 << (19 + preset);
        engine.drop_failed = self.flag(&format!("engine.{kind}.drop_failed_exit"), false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Node, Settings};

    fn read(yaml: &str) -> Result<Config, String> {
        let settings = Settings { root: Node::parse(yaml).unwrap(), ..Settings::default() };
        Config::from_falco(&settings).map_err(|error| error.to_string())
    }

    #[test]
    fn buffers_are_sized_and_shared_as_falco_does() {
        let of = |yaml| read(yaml).map(|config| (config.ring_bytes >> 20, config.cpus_per_ring)).unwrap();
        assert_eq!(of(""), (8, 1));
        assert_eq!(of("engine: {kind: modern_ebpf}"), (8, 2));
        assert_eq!(
            of("engine: {kind: modern_ebpf, modern_ebpf: {buf_size_preset: 1, cpus_for_each_buffer: 0}}"),
            (1, usize::MAX)
        );
        let error = read("engine: {kind: kmod, kmod: {buf_size_preset: 11}}").unwrap_err();
        assert_eq!(
            error,
            "engine.kmod.buf_size_preset: The 'buf_size_preset' value must be between '1' and '10'"
        );
    }

    #[test]
    fn failures_and_iterators_can_be_left_out() {
        let config = read(
            "engine: {kind: modern_ebpf, modern_ebpf: {drop_failed_exit: true, disable_iterators: true}}",
        );
        let config = config.unwrap();
        assert!(config.drop_failed && !config.iterators);
    }
}
