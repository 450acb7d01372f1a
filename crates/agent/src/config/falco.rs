//! What `falco.yaml` says, in terms of our settings.

use lanner_event::BufferFormat;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lanner_alert::{Form, JsonParts, Priority};
use lanner_probe::CallPoint;
use lanner_rules::{Selection, Target};

use super::files::{ConfigError, Settings};
use super::node::Node;
use super::node::truth;
use super::reader::Reader;
use super::{Append, BaseSyscalls, Config, DropAction, DropConfig, Hardening, LogConfig, Matching, SNAPLEN};

/// Queue length that stands for `outputs_queue.capacity: 0`, "unbounded": there is always a bound.
const LARGE_QUEUE: usize = 65_536;

impl Config {
    /// Settings as `falco.yaml` and the command line give them.
    ///
    /// # Errors
    /// With Falco's message, where a value is not one of those that its key allows.
    pub fn from_falco(settings: &Settings) -> Result<Config, ConfigError> {
        let mut reader = Reader::new(settings);
        let read = reader.check().and_then(|()| reader.config());
        match read {
            Ok(mut config) => {
                let ignored = config.containers.ignored.drain(..);
                let ignored = ignored.map(|what| format!("init_config of the container plugin: {what}"));
                reader.warnings.extend(ignored);
                Ok(Config { warnings: reader.warnings, ..config })
            }
            // What was wrong before may be why.
            Err(ConfigError::Value(error)) if !reader.warnings.is_empty() => {
                Err(ConfigError::Value(format!("{error}\n{}", reader.warnings.join("\n"))))
            }
            Err(error) => Err(error),
        }
    }
}

fn attachment(text: &str) -> Option<CallPoint> {
    match text {
        "auto" => Some(CallPoint::Auto),
        "fexit" => Some(CallPoint::Fexit),
        "sys_exit" => Some(CallPoint::SysExit),
        "records" => Some(CallPoint::Records),
        _ => None,
    }
}

fn hardening(text: &str) -> Option<Hardening> {
    match text {
        "full" => Some(Hardening::Full),
        "capabilities" => Some(Hardening::Capabilities),
        "none" => Some(Hardening::None),
        _ => None,
    }
}

fn nice(text: &str) -> Option<i32> {
    text.parse().ok().filter(|nice| (-20..=0).contains(nice))
}

/// A number of bytes, perhaps in K, M or G, each 1024 times the one before.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &*text[digits.len()..].to_ascii_lowercase() {
        "" | "b" => 1,
        "k" | "kb" | "ki" | "kib" => 1 << 10,
        "m" | "mb" | "mi" | "mib" => 1 << 20,
        "g" | "gb" | "gi" | "gib" => 1 << 30,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(unit)
}

impl Reader<'_> {
    fn config(&mut self) -> Result<Config, ConfigError> {
        let log = self.log()?;
        let engine = self.engine()?;
        let plugin_settings = self.plugins()?;
        let (rules, missing_rules) = self.rules()?;
        Ok(Config {
            source: engine.source,
            ring_bytes: engine.ring_bytes,
            drop_failed: engine.drop_failed,
            iterators: engine.iterators,
            snaplen: match self.number("falco_libs.snaplen", 0u32) {
                0 => SNAPLEN,
                n => n,
            },
            cpus_per_ring: engine.cpus_per_ring,
            log,
            rules,
            missing_rules,
            form: if self.flag("json_output", false) { Form::Json } else { Form::Text },
            json: JsonParts {
                output: self.flag("json_include_output_property", true),
                tags: self.flag("json_include_tags_property", true),
                message: self.flag("json_include_message_property", false),
                fields: self.flag("json_include_output_fields_property", true),
            },
            sinks: self.sinks()?,
            output_timeout: Duration::from_millis(self.number("output_timeout", 2000)),
            matching: self.matching()?,
            priority: self.priority()?,
            buffered: self.flag("buffered_outputs", false),
            queue_capacity: match self.number("outputs_queue.capacity", 0usize) {
                0 => LARGE_QUEUE,
                n => n.min(1 << 20),
            },
            iso8601: self.flag("time_format_iso_8601", false),
            buffers: if self.flag("buffer_format_base64", false) {
                BufferFormat::Base64
            } else {
                BufferFormat::Printable
            },
            drops: self.drops()?,
            base_syscalls: BaseSyscalls {
                custom: self.texts("base_syscalls.custom_set"),
                repair: self.flag("base_syscalls.repair", false),
                all: self.flag("base_syscalls.all", false),
                entries: self.flag("lanner.entry_events", false),
            },
            capture: self.capture()?,
            state: self.state(),
            silence: self.silence()?,
            metrics: self.metrics(),
            web: self.web()?,
            selections: self.selections()?,
            append: self.appends()?,
            static_fields: self.static_fields(),
            containers: super::containers::containers(self.root)
                .map_err(|error| self.error(&error.to_string()))?,
            plugins: plugin_settings.iter().map(|plugin| plugin.name.clone()).collect(),
            plugin_settings,
            isolate_plugins: self.text("plugins_isolation", "none") == "process",
            watch_files: self.flag("watch_config_files", true),
            calls: self.scalar(
                "lanner.attachment",
                CallPoint::Auto,
                "auto, fexit, sys_exit or records",
                attachment,
            ),
            copies: self.flag("lanner.kernel_copies", true),
            hardening: self.scalar(
                "lanner.hardening",
                Hardening::Full,
                "full, capabilities or none",
                hardening,
            ),
            nice: self.scalar("lanner.nice", -5, "a number from -20 to 0", nice),
            memory_limit: self.scalar("memory_limit", 0, "a number of bytes, such as 256M", bytes),
            enrichment_timeout: Duration::from_millis(self.number("lanner.enrichment_timeout", 1000)),
            warnings: Vec::new(),
        })
    }

    fn log(&mut self) -> Result<LogConfig, ConfigError> {
        let level = self.text("log_level", "info");
        let known = Priority::from_str(&level).ok().filter(|p| level == "info" || level == lower(*p));
        let level = known.ok_or_else(|| ConfigError::Value(format!("Unknown log level {level}")))?;
        self.libs_logger()?;
        // The built-in plugins know the host through lanner itself, whatever this says.
        self.flag("plugins_hostinfo", true);
        Ok(LogConfig { level, stderr: self.flag("log_stderr", false), syslog: self.flag("log_syslog", true) })
    }

    /// There are no libraries whose messages could be chosen: the settings are only checked.
    fn libs_logger(&mut self) -> Result<(), ConfigError> {
        let severity = self.text("libs_logger.severity", "info");
        let known = ["trace", "debug", "info", "notice", "warning", "error", "critical", "fatal"];
        if self.flag("libs_logger.enabled", true) && !known.contains(&severity.as_str()) {
            return Err(ConfigError::Value(format!("Unknown sinsp log severity {severity}")));
        }
        Ok(())
    }

    /// The configured rule files, those that exist and those that don't.
    fn rules(&mut self) -> Result<(Vec<PathBuf>, Vec<PathBuf>), ConfigError> {
        let both = self.root.get("rules_files").is_some() && self.root.get("rules_file").is_some();
        if both {
            return Err(self.error("both 'rules_files' and 'rules_file' keys set"));
        }
        if self.root.get("rules_file").is_some() {
            self.warnings.push(
                "Using deprecated config key 'rules_file' (singular form). Please use new 'rules_files' config key \
                 (plural form)."
                    .to_owned(),
            );
        }
        let mut files = self.texts("rules_files");
        files.extend(self.texts("rules_file"));
        Ok(files.into_iter().map(PathBuf::from).partition(|path| path.exists()))
    }

    fn matching(&mut self) -> Result<Matching, ConfigError> {
        let text = self.text("rule_matching", "first");
        match text.to_ascii_lowercase().as_str() {
            "first" => Ok(Matching::First),
            "all" => Ok(Matching::All),
            _ => Err(ConfigError::Value(format!(
                "Unknown rule matching strategy \"{text}\"--must be one of first, all"
            ))),
        }
    }

    fn priority(&mut self) -> Result<Priority, ConfigError> {
        let text = self.text("priority", "debug");
        text.parse().map_err(|_| {
            let names: Vec<String> = Priority::ALL.into_iter().map(lower).collect();
            ConfigError::Value(format!("Unknown priority \"{text}\"--must be one of {}", names.join(", ")))
        })
    }

    fn drops(&mut self) -> Result<DropConfig, ConfigError> {
        let mut actions = Vec::new();
        let mut ignore = false;
        for name in self.texts("syscall_event_drops.actions") {
            let action = match name.as_str() {
                "ignore" => {
                    ignore = true;
                    continue;
                }
                "log" => DropAction::Log,
                "alert" => DropAction::Alert,
                "exit" => DropAction::Exit,
                _ => {
                    return Err(self.error(
                        "available actions for syscall event drops are \"ignore\", \"log\", \"alert\", and \"exit\"",
                    ));
                }
            };
            if ignore && action != DropAction::Exit {
                return Err(self.error(&format!(
                    "syscall event drop action \"{name}\" does not make sense with the \"ignore\" action"
                )));
            }
            if !actions.contains(&action) {
                actions.push(action);
            }
        }
        let threshold = self.number("syscall_event_drops.threshold", 0.1);
        if !(0.0..=1.0).contains(&threshold) {
            return Err(self.error("syscall event drops threshold must be a double in the range [0, 1]"));
        }
        Ok(DropConfig {
            actions,
            threshold,
            rate: self.number("syscall_event_drops.rate", 0.03333),
            max_burst: self.number("syscall_event_drops.max_burst", 1.0),
            simulate: self.flag("syscall_event_drops.simulate_drops", false),
        })
    }

    fn selections(&mut self) -> Result<Vec<Selection>, ConfigError> {
        let mut selections = Vec::new();
        for item in self.root.at("rules").map(Node::items).unwrap_or_default() {
            let enable = item.get("enable");
            let of = |key: &str| enable.or(item.get("disable"))?.get(key)?.as_str().map(str::to_owned);
            let targets = [of("rule").map(Target::Name), of("tag").map(Target::Tag)];
            let steps = targets.into_iter().flatten();
            let before = selections.len();
            selections.extend(steps.map(|target| Selection { enable: enable.is_some(), target }));
            if selections.len() == before {
                return Err(self.bad(item, "rules: an item must enable or disable a rule or a tag"));
            }
        }
        Ok(selections)
    }

    fn appends(&mut self) -> Result<Vec<Append>, ConfigError> {
        let items = self.root.at("append_output").map(Node::items).unwrap_or_default();
        let appends: Vec<Append> = items.iter().map(|item| self.append(item)).collect::<Result<_, _>>()?;
        for append in appends.iter().filter(|append| !append.rule.is_empty() && !append.tags.is_empty()) {
            let (rule, tags) = (&append.rule, append.tags.join(", "));
            self.warnings.push(format!(
                "An append_output entry specifies both a rule ({rule}) and a list of tags ({tags}). It counts for \
                 that rule only, and only if it has all these tags."
            ));
        }
        Ok(appends)
    }

    fn append(&self, item: &Node) -> Result<Append, ConfigError> {
        let text = |node: Option<&Node>| node.and_then(Node::as_str).unwrap_or_default().to_owned();
        let mut append = Append { output: text(item.get("extra_output")), ..Append::default() };
        if let Some(of) = item.get("match") {
            append.source = text(of.get("source"));
            append.rule = text(of.get("rule"));
            let tags = of.get("tags").map(Node::items).unwrap_or_default();
            append.tags = tags.iter().filter_map(Node::as_str).map(str::to_owned).collect();
        }
        append.suggested =
            item.get("suggested_output").and_then(Node::as_str).and_then(truth).unwrap_or(false);
        for field in item.get("extra_fields").map(Node::items).unwrap_or_default() {
            match (field.as_str(), field.pairs()) {
                (Some(name), _) => append.raw.push(name.to_owned()),
                (None, [(name, format)]) => append.formatted.push((name.clone(), text(Some(format)))),
                _ => {
                    return Err(
                        self.bad(field, "append_output: extra_fields takes names, or maps of one field")
                    );
                }
            }
        }
        Ok(append)
    }

    fn static_fields(&mut self) -> Vec<(String, String)> {
        let pairs = self.root.at("static_fields").map(Node::pairs).unwrap_or_default();
        for (name, node) in pairs.iter().filter(|(_, node)| node.as_str().is_none()) {
            let place = self.place(node.place);
            self.warnings.push(format!("{place}: static_fields.{name} must be a text; it is left out"));
        }
        pairs.iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
    }

    /// The plugins to load: those that `load_plugins` names; all that are configured where it is absent.
    fn plugins(&mut self) -> Result<Vec<lanner_plugin::Settings>, ConfigError> {
        let items = self.root.at("plugins").map(Node::items).unwrap_or_default();
        if let Some(item) = items.iter().find(|item| item.get("name").is_none()) {
            return Err(self.bad(item, "could not load plugins config: a plugin must have a name"));
        }
        let configured = super::plugins::plugins(self.root);
        if self.root.get("load_plugins").is_none() {
            return Ok(configured);
        }
        let find = |name: &String| {
            configured.iter().find(|plugin| plugin.name == *name).cloned().ok_or_else(|| {
                let why = "plugin config not found for given name";
                ConfigError::Value(format!("Cannot load plugin '{name}': {why}"))
            })
        };
        self.texts("load_plugins").iter().map(find).collect()
    }
}

fn lower(priority: Priority) -> String {
    priority.as_str().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn read(yaml: &str, assignments: &[&str]) -> Result<Config, String> {
        let mut settings = Settings { root: Node::parse(yaml).unwrap(), ..Settings::default() };
        settings.main = "f.yaml".into();
        for assignment in assignments {
            let (key, value) = assignment.split_once('=').unwrap();
            settings.root.set(key, Node::scalar(value)).unwrap();
        }
        Config::from_falco(&settings).map_err(|e| e.to_string())
    }

    #[test]
    fn an_empty_file_gives_falcos_defaults() {
        let config = read("", &[]).unwrap();
        assert_eq!(
            (config.source, config.form, config.matching),
            (Source::Live, Form::Text, Matching::First)
        );
        assert_eq!((config.drops.actions.len(), config.drops.threshold), (0, 0.1));
        assert_eq!((config.ring_bytes, config.queue_capacity), (8 << 20, LARGE_QUEUE));
        assert!(!config.sinks.stdout && config.warnings.is_empty());
    }

    #[test]
    fn values_are_read_from_file_and_command_line() {
        let yaml =
            "engine: {kind: modern_ebpf}\njson_output: Yes\nappend_output: [{suggested_output: true}]\n";
        let options = [
            "engine.kind=replay",
            "engine.replay.capture_file=x.scap",
            "append_output[0].extra_output=on %evt.num",
            "append_output[0].extra_fields[0]=proc.sid",
            "append_output[0].match.tags[0]=container",
            "priority=INFO",
            "buffer_format_base64=true",
        ];
        let config = read(yaml, &options).unwrap();
        assert_eq!((config.source, config.form), (Source::Replay("x.scap".into()), Form::Json));
        assert_eq!((config.priority, config.buffers), (Priority::Informational, BufferFormat::Base64));
        let append = &config.append[0];
        assert!(append.suggested && append.output == "on %evt.num");
        assert_eq!(
            (&append.raw[..], &append.tags[..]),
            (&["proc.sid".to_owned()][..], &["container".to_owned()][..])
        );
    }

    #[test]
    fn a_list_of_additions_that_was_given_a_name_is_no_list() {
        let yaml = "append_output: [{suggested_output: true}]";
        assert!(read(yaml, &["append_output.suggested_output=false"]).unwrap().append.is_empty());
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(
            ["64", "2k", "256M", "1GiB"].map(bytes),
            [Some(64), Some(2048), Some(256 << 20), Some(1 << 30)]
        );
        assert_eq!(["", "M", "1.5G", "3 parsecs", "99999999999G"].map(bytes), [None; 5]);
    }

    #[test]
    fn what_a_key_does_not_allow_is_refused_and_wrong_types_are_told() {
        let message = |yaml: &str| read(yaml, &[]).unwrap_err();
        assert_eq!(
            message("engine: {kind: ebpf}"),
            "Error reading config file (f.yaml): engine.kind 'ebpf' is not a valid kind."
        );
        assert!(
            message("priority: loud")
                .starts_with("Unknown priority \"loud\"--must be one of emergency, alert,")
        );
        assert!(message("rule_matching: some").contains("must be one of first, all"));
        assert!(message("syscall_event_drops: {threshold: 2}").contains("in the range [0, 1]"));
        assert!(message("syscall_event_drops: {actions: [ignore, alert]}").contains("does not make sense"));
        assert!(message("file_output: {enabled: true}").contains("no filename"));
        assert!(message("load_plugins: [x]").contains("plugin config not found"));
        let config = read("json_output: [1]\noutput_timeout: soon\n", &[]).unwrap();
        assert_eq!(
            config.warnings[0],
            "f.yaml, line 1, column 14: json_output must be true or false; the default is used"
        );
        assert_eq!(config.warnings.len(), 2);
    }
}
