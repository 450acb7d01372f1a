//! The plugins whose places lanner takes.

use serde::de::DeserializeOwned;

use crate::audit::AuditEvents;
use crate::cloudtrail;
use crate::documents::Reporting;
use crate::inputs::{self, InputConfig};
use crate::json::JsonEvents;
use crate::source::{EventSource, SourceError};

/// How a plugin is set up.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// The shared object; of no account for a plugin that is built in.
    pub library: String,
    /// What it is set up with, as JSON or whatever it takes.
    pub init_config: String,
    /// Where it gets its events.
    pub open_params: String,
}

/// What a plugin can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capability {
    /// Give events.
    Sourcing,
    /// Give values of fields.
    Extraction,
    /// Look at events before rules do.
    Parsing,
    /// Give events beside a source's own.
    Async,
    /// Hear when events begin and end to come, and do work meanwhile.
    Listening,
}

type Open = fn(&BuiltIn, &Settings, Reporting) -> Result<Box<dyn EventSource>, SourceError>;

/// A plugin whose place lanner takes.
#[derive(Debug)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// The version that is answered for: rules may require it or an earlier one.
    pub version: &'static str,
    /// What it does.
    pub description: &'static str,
    /// What it can do.
    pub capabilities: &'static [Capability],
    /// The number in its events; 0 where it gives none.
    pub id: u32,
    /// The source of its events; empty where it gives none.
    pub source: &'static str,
    /// The JSON schema of its `init_config`.
    pub schema: &'static str,
    /// What its `open_params` may look like, with what that means.
    pub params: &'static [(&'static str, &'static str)],
    open: Option<Open>,
}

/// The number for events of plugins that have none of their own.
const UNREGISTERED: u32 = 999;

/// What sources of documents may be opened with.
const INPUTS: [(&str, &str); 5] = [
    ("http://:9765/k8s-audit", "a web server on a port, for documents posted to a path"),
    ("https://:9765/k8s-audit", "the same with TLS, by the certificate and key of init_config"),
    ("/var/log/events.json", "a file of JSON lines, or a folder of such files, read to the end"),
    ("file:///var/log/events.json", "a file of JSON lines, of which what is appended from now on is read"),
    ("-", "JSON lines from standard input"),
];

/// The schema of `init_config` for sources of documents, but for its end. `useAsync` chooses between two ways of
/// extracting, of which lanner has one.
macro_rules! input_schema {
    () => {
        r#"{"type":"object","properties":{"useAsync":{"type":"boolean"},"sslCertificate":{"type":"string"},"sslKey":{"type":"string"},"sslClientCa":{"type":"string"},"maxEventSize":{"type":"integer"},"webhookMaxBatchSize":{"type":"integer"},"queueSize":{"type":"integer"}"#
    };
}

/// All plugins that are built in.
pub const BUILT_IN: [BuiltIn; 4] = [
    BuiltIn {
        name: "container",
        version: "0.7.1",
        description: "Container metadata enrichment, built into lanner",
        capabilities: &[Capability::Extraction, Capability::Parsing, Capability::Async],
        id: 0,
        source: "",
        schema: r#"{"type":"object","properties":{"label_max_len":{"type":"integer"},"with_size":{"type":"boolean"}}}"#,
        params: &[],
        open: None,
    },
    BuiltIn {
        name: "k8saudit",
        version: "0.18.0",
        description: "Kubernetes audit events, built into lanner",
        capabilities: &[Capability::Sourcing, Capability::Extraction],
        id: 1,
        source: "k8s_audit",
        schema: concat!(input_schema!(), "}}"),
        params: &[("/var/log/audit.log", "a file of JSON lines, or a folder of such files, read to the end")],
        open: Some(open_audit),
    },
    BuiltIn {
        name: "cloudtrail",
        version: "0.17.1",
        description: "AWS CloudTrail logs, built into lanner",
        capabilities: &[Capability::Sourcing, Capability::Extraction],
        id: 2,
        source: "aws_cloudtrail",
        schema: r#"{"type":"object","properties":{"s3DownloadConcurrency":{"type":"integer"},"s3Interval":{"type":"string"},"sqsDelete":{"type":"boolean"},"useAsync":{"type":"boolean"},"useS3SNS":{"type":"boolean"},"s3AccountList":{"type":"string"},"sqsOwnerAccount":{"type":"string"},"resumeFile":{"type":"string"},"maxFileSize":{"type":"integer"},"pollInterval":{"type":"integer"},"aws":{"type":"object","properties":{"profile":{"type":"string"},"region":{"type":"string"},"config":{"type":"string"},"credentials":{"type":"string"},"endpoint":{"type":"string"},"sqs_endpoint":{"type":"string"}}}}}"#,
        params: &[
            ("/path/to/folder", "files .json and .json.gz in a folder and below it"),
            ("s3://bucket/prefix", "the same in an S3 bucket"),
            ("sqs://queue", "files that messages of an SQS queue tell of"),
        ],
        open: Some(open_trail),
    },
    BuiltIn {
        name: "json",
        version: "0.7.4",
        description: "Fields of events whose payload is JSON, and a source of such events, built into lanner",
        capabilities: &[Capability::Sourcing, Capability::Extraction],
        id: UNREGISTERED,
        source: "json",
        schema: concat!(input_schema!(), r#","time":{"type":"string"}}}"#),
        params: &INPUTS,
        open: Some(open_json),
    },
];

impl BuiltIn {
    /// The one of that name.
    pub fn named(name: &str) -> Option<&'static BuiltIn> {
        BUILT_IN.iter().find(|plugin| plugin.name == name)
    }

    /// The source whose events it gives under these settings.
    pub fn source(&self, settings: &Settings) -> Option<&'static str> {
        // Falco's json plugin is no source; ours is one if it is told where to read.
        let asked = self.name != "json" || !settings.open_params.trim().is_empty();
        (self.open.is_some() && asked).then_some(self.source)
    }

    /// Opens its source.
    ///
    /// # Errors
    /// When the settings don't fit or what they name can't be opened.
    pub fn open(
        &self,
        settings: &Settings,
        reporting: Reporting,
    ) -> Result<Box<dyn EventSource>, SourceError> {
        match self.open {
            Some(open) => open(self, settings, reporting),
            None => Err(SourceError::Settings(format!("plugin '{}' gives no events", self.name))),
        }
    }
}

/// What `init_config` says, in JSON; the defaults where it is empty.
fn init_config<T: DeserializeOwned + Default>(settings: &Settings) -> Result<T, SourceError> {
    let text = settings.init_config.trim();
    if text.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(text)
        .map_err(|error| SourceError::Settings(format!("init_config of plugin '{}': {error}", settings.name)))
}

fn open_audit(
    plugin: &BuiltIn,
    settings: &Settings,
    reporting: Reporting,
) -> Result<Box<dyn EventSource>, SourceError> {
    let config: InputConfig = init_config(settings)?;
    let documents = Box::new(AuditEvents::new(config.max_event_size));
    inputs::open(&settings.open_params, plugin.id, &config, documents, reporting)
}

fn open_json(
    plugin: &BuiltIn,
    settings: &Settings,
    reporting: Reporting,
) -> Result<Box<dyn EventSource>, SourceError> {
    let config: InputConfig = init_config(settings)?;
    let documents = Box::new(JsonEvents::new(config.max_event_size, config.time.clone()));
    inputs::open(&settings.open_params, plugin.id, &config, documents, reporting)
}

fn open_trail(
    plugin: &BuiltIn,
    settings: &Settings,
    reporting: Reporting,
) -> Result<Box<dyn EventSource>, SourceError> {
    cloudtrail::open(&settings.open_params, plugin.id, &init_config(settings)?, reporting)
}
