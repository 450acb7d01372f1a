//! A shared object, and what it says of itself.

use std::ffi::{CStr, c_char, c_void};
use std::path::{Path, PathBuf};

use lanner_fields::{Argument, FieldType, ForeignField};
use libloading::Library;
use serde_json::Value;

use super::abi::{self, Rc, State};
use crate::builtin::Capability;

macro_rules! symbols {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of a plugin; those that it doesn't have are absent.
        #[derive(Clone, Copy)]
        pub(super) struct Api {
            $(pub $name: Option<unsafe extern "C" fn($($argument),*) $(-> $result)?>,)*
        }

        impl Api {
            fn of(library: &Library) -> Api {
                Api {
                    $($name: {
                        let symbol = concat!("plugin_", stringify!($name), "\0").as_bytes();
                        // SAFETY: the plugin API says that a symbol of this name is a function of this type.
                        unsafe { library.get(symbol) }.ok().map(|found| *found)
                    },)*
                }
            }
        }
    };
}

type Text = *const c_char;

symbols! {
    get_required_api_version: fn() -> Text;
    get_required_event_schema_version: fn(State) -> Text;
    get_name: fn() -> Text;
    get_description: fn() -> Text;
    get_contact: fn() -> Text;
    get_version: fn() -> Text;
    get_init_schema: fn(*mut u32) -> Text;
    init: fn(*const abi::InitInput, *mut Rc) -> State;
    destroy: fn(State);
    get_last_error: fn(State) -> Text;
    get_id: fn() -> u32;
    get_event_source: fn() -> Text;
    open: fn(State, Text, *mut Rc) -> *mut c_void;
    close: fn(State, *mut c_void);
    next_batch: fn(State, *mut c_void, *mut u32, *mut *mut *const u8) -> Rc;
    event_to_string: fn(State, *const abi::EventInput) -> Text;
    list_open_params: fn(State, *mut Rc) -> Text;
    get_fields: fn() -> Text;
    extract_fields: fn(State, *const abi::EventInput, *const abi::ExtractInput) -> Rc;
    get_extract_event_sources: fn() -> Text;
    get_extract_event_types: fn(*mut u32, State) -> *const u16;
    parse_event: fn(State, *const abi::EventInput, *const abi::ParseInput) -> Rc;
    get_parse_event_sources: fn() -> Text;
    get_parse_event_types: fn(*mut u32, State) -> *const u16;
    get_async_event_sources: fn() -> Text;
    get_async_events: fn() -> Text;
    dump_state: fn(State, abi::Owner, Option<abi::AsyncHandler>) -> Rc;
    set_config: fn(State, *const abi::ConfigInput) -> Rc;
    get_progress: fn(State, *mut c_void, *mut u32) -> Text;
    set_async_event_handler: fn(State, abi::Owner, Option<abi::AsyncHandler>) -> Rc;
    get_metrics: fn(State, *mut u32) -> *const abi::Metric;
    capture_open: fn(State, *const abi::CaptureInput) -> Rc;
    capture_close: fn(State, *const abi::CaptureInput) -> Rc;
}

/// Why a plugin can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// There is no such file, or it is no library for this machine.
    #[error("can't load plugin dynamic library: {0}")]
    Library(#[from] libloading::Error),
    /// It lacks a function that it must have.
    #[error("{path}: plugin_{symbol} symbol not implemented", path = path.display())]
    Symbol {
        /// The file.
        path: PathBuf,
        /// The function.
        symbol: &'static str,
    },
    /// It was built for another version of the API.
    #[error("{path}: the plugin needs version {wanted} of the plugin API, offered is {offered}", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that it asks for.
        wanted: String,
        /// The version that there is.
        offered: String,
    },
    /// What it says of itself can't be understood.
    #[error("{path}: {what}", path = path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It refuses to start, or a call to it failed.
    #[error("plugin '{plugin}': {what}")]
    Failed {
        /// Its name.
        plugin: String,
        /// What it says.
        what: String,
    },
}

/// A plugin in a shared object.
pub struct Foreign {
    pub(super) api: Api,
    /// The file.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does.
    pub description: String,
    /// Who made it.
    pub contact: String,
    /// The version of the API that it was built for.
    pub api_version: String,
    /// The number in its events; 0: it gives the kernel's events, or none.
    pub id: u32,
    /// The source of its events; empty where it gives none of its own.
    pub source: String,
    /// The JSON schema of its `init_config`.
    pub schema: Option<String>,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// Its fields.
    pub fields: Vec<ForeignField>,
    /// The sources over which it extracts; none stands for all.
    pub extract_sources: Vec<String>,
    /// The sources that it parses; none stands for all.
    pub parse_sources: Vec<String>,
    /// The sources into which it sends events; none stands for all.
    pub async_sources: Vec<String>,
    /// The names of the events that it may send.
    pub async_events: Vec<String>,
    /// Its code; it stays as long as anything of it may run.
    _library: Library,
}

/// A plugin's text; empty for none.
pub(super) fn text(text: Text) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the plugin API says that texts end with a zero and stay valid until the next call.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.trim().split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// Whether an offered version does for a wanted one: the same major, and no older.
pub(super) fn fits(wanted: &str, offered: (u32, u32, u32)) -> bool {
    version(wanted)
        .is_some_and(|wanted| wanted.0 == offered.0 && (wanted.1, wanted.2) <= (offered.1, offered.2))
}

pub(super) fn shown(version: (u32, u32, u32)) -> String {
    format!("{}.{}.{}", version.0, version.1, version.2)
}

impl Foreign {
    /// Loads a plugin.
    ///
    /// # Errors
    /// When there is none, it is for another version of the API, or what it says of itself is broken.
    pub fn load(path: &Path) -> Result<Foreign, PluginError> {
        // SAFETY: loading runs the library's initialisers; whoever names a plugin trusts it with the whole process.
        let library = unsafe { Library::new(path) }?;
        let api = Api::of(&library);
        let missing = |symbol| PluginError::Symbol { path: path.to_owned(), symbol };
        let ask = |function: Option<unsafe extern "C" fn() -> Text>| {
            // SAFETY: a function of the plugin API that takes nothing and gives a text.
            function.map(|f| text(unsafe { f() }))
        };
        let need = |function, symbol| ask(function).ok_or_else(|| missing(symbol));
        let wanted = need(api.get_required_api_version, "get_required_api_version")?;
        if !fits(&wanted, abi::VERSION) {
            let (path, offered) = (path.to_owned(), shown(abi::VERSION));
            return Err(PluginError::Version { path, wanted, offered });
        }
        for (there, symbol) in [
            (api.init.is_some(), "init"),
            (api.destroy.is_some(), "destroy"),
            (api.get_last_error.is_some(), "get_last_error"),
        ] {
            if !there {
                return Err(missing(symbol));
            }
        }
        let broken = |what: String| PluginError::Description { path: path.to_owned(), what };
        let list = |function, symbol: &str| sources(ask(function), symbol).map_err(broken);
        let fields = ask(api.get_fields).filter(|_| api.extract_fields.is_some());
        // SAFETY: a function of the plugin API that takes nothing.
        let id = api.get_id.filter(|_| api.next_batch.is_some()).map_or(0, |f| unsafe { f() });
        let mut plugin = Foreign {
            api,
            path: path.to_owned(),
            name: need(api.get_name, "get_name")?,
            version: need(api.get_version, "get_version")?,
            description: need(api.get_description, "get_description")?,
            contact: need(api.get_contact, "get_contact")?,
            api_version: wanted,
            id,
            source: ask(api.get_event_source).unwrap_or_default(),
            schema: schema(&api),
            capabilities: capabilities(&api),
            fields: fields.map_or(Ok(Vec::new()), |text| fields_of(&text)).map_err(broken)?,
            extract_sources: list(api.get_extract_event_sources, "get_extract_event_sources")?,
            parse_sources: list(api.get_parse_event_sources, "get_parse_event_sources")?,
            async_sources: list(api.get_async_event_sources, "get_async_event_sources")?,
            async_events: list(api.get_async_events, "get_async_events")?,
            _library: library,
        };
        // One that has a source of its own works on its events where it doesn't say on which.
        if plugin.id != 0 && !plugin.source.is_empty() {
            for sources in [&mut plugin.extract_sources, &mut plugin.parse_sources] {
                if sources.is_empty() {
                    sources.push(plugin.source.clone());
                }
            }
        }
        if plugin.can(Capability::Async) && plugin.async_events.is_empty() {
            return Err(broken("plugin_get_async_events names no events".to_owned()));
        }
        Ok(plugin)
    }

    /// Whether it does something over a source.
    pub(super) fn does(&self, capability: Capability, source: &str) -> bool {
        let sources = match capability {
            Capability::Extraction => &self.extract_sources,
            Capability::Parsing => &self.parse_sources,
            Capability::Async => &self.async_sources,
            _ => return self.can(capability),
        };
        self.can(capability) && (sources.is_empty() || sources.iter().any(|known| known == source))
    }

    /// Whether other settings can be given to it while it runs.
    pub fn takes_config(&self) -> bool {
        self.api.set_config.is_some()
    }

    /// Whether it was built for a version of the API whose tables can be iterated over.
    pub(super) fn has_extended_tables(&self) -> bool {
        version(&self.api_version).is_some_and(|version| version.1 >= 1)
    }

    /// Whether it can do something.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}

fn capabilities(api: &Api) -> Vec<Capability> {
    let sourcing = api.open.is_some() && api.close.is_some() && api.next_batch.is_some();
    let extraction = api.get_fields.is_some() && api.extract_fields.is_some();
    let sends = api.get_async_events.is_some() && api.set_async_event_handler.is_some();
    let listens = api.capture_open.is_some() && api.capture_close.is_some();
    let all = [
        (sourcing, Capability::Sourcing),
        (extraction, Capability::Extraction),
        (api.parse_event.is_some(), Capability::Parsing),
        (sends, Capability::Async),
        (listens, Capability::Listening),
    ];
    all.into_iter().filter(|(can, _)| *can).map(|(_, capability)| capability).collect()
}

fn schema(api: &Api) -> Option<String> {
    let mut kind = 0u32;
    // SAFETY: a function of the plugin API that fills the number it is given.
    let schema = text(unsafe { api.get_init_schema?(&mut kind) });
    (kind == abi::SCHEMA_JSON && !schema.is_empty()).then_some(schema)
}

/// A list of sources' names, in JSON.
fn sources(text: Option<String>, symbol: &str) -> Result<Vec<String>, String> {
    match text.as_deref().map(str::trim) {
        None | Some("") => Ok(Vec::new()),
        Some(text) => serde_json::from_str(text).map_err(|error| format!("plugin_{symbol}: {error}")),
    }
}

/// The fields, in JSON.
fn fields_of(text: &str) -> Result<Vec<ForeignField>, String> {
    let fields: Vec<Value> =
        serde_json::from_str(text).map_err(|error| format!("plugin_get_fields: {error}"))?;
    fields.iter().map(|field| field_of(field).map_err(|what| format!("plugin_get_fields: {what}"))).collect()
}

fn field_of(field: &Value) -> Result<ForeignField, String> {
    let name = field["name"].as_str().ok_or("a field has no name")?.to_owned();
    let ty = match field["type"].as_str().unwrap_or_default() {
        "string" => FieldType::Text,
        "uint64" => FieldType::Uint64,
        "reltime" => FieldType::RelTime,
        "abstime" => FieldType::AbsTime,
        "bool" => FieldType::Bool,
        "ipaddr" => FieldType::Ip,
        "ipnet" => FieldType::Net,
        other => return Err(format!("the type '{other}' of field {name} is not known")),
    };
    let said = |key: &str| field["arg"][key].as_bool().unwrap_or(false);
    let (index, key) = (said("isIndex"), said("isKey"));
    let argument = Argument { allowed: index || key, required: said("isRequired"), index, key, dot: false };
    let description = field["desc"].as_str().unwrap_or_default().to_owned();
    let list = field["isList"].as_bool().unwrap_or(false);
    Ok(ForeignField { name, ty, list, argument, description })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_fit_within_a_major_one() {
        for fitting in ["3.0.0", "3.10.0", "3.11.4", "3.12.0"] {
            assert!(fits(fitting, abi::VERSION), "{fitting}");
        }
        for other in ["3.13.0", "2.0.0", "4.0.0", "3.12", "x", ""] {
            assert!(!fits(other, abi::VERSION), "{other}");
        }
    }

    #[test]
    fn fields_are_described_in_json() {
        let text = r#"[{"type":"uint64","name":"a.b","isList":true,"arg":{"isIndex":true},"desc":"D"}]"#;
        let fields = fields_of(text).unwrap();
        assert_eq!((fields[0].ty, fields[0].list, fields[0].argument.index), (FieldType::Uint64, true, true));
        assert!(fields_of(r#"[{"type":"odd","name":"x"}]"#).unwrap_err().contains("'odd' of field x"));
        assert!(fields_of("{").is_err() && fields_of("[{}]").is_err());
        assert_eq!(sources(Some(r#"["a"]"#.into()), "s").unwrap(), ["a"]);
    }

    #[test]
    fn what_is_no_plugin_is_refused() {
        let said = |path: &str| Foreign::load(Path::new(path)).err().unwrap().to_string();
        assert!(said("/nowhere.so").starts_with("can't load plugin dynamic library: "));
        assert!(said("libc.so.6").contains("plugin_get_required_api_version symbol not implemented"));
    }
}
