//! Alerts as log records of OpenTelemetry, in OTLP's JSON form over HTTP (opentelemetry.io/docs/specs/otlp).

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use lanner_alert::LineRef;
use lanner_output::{HttpOptions, HttpSink, Sink, SinkError, Trust};
use serde_json::{Map, Value, json};

/// Where collectors take log records.
const LOGS: &str = "/v1/logs";

/// Sends each line to a collector.
pub struct OtlpSink {
    http: HttpSink,
    hostname: String,
}

impl OtlpSink {
    /// A sink for the collector at an address such as `http://collector:4318`.
    pub fn new(url: &str, hostname: String) -> OtlpSink {
        let base = url.trim_end_matches('/');
        let url = if base.ends_with(LOGS) { base.to_owned() } else { format!("{base}{LOGS}") };
        let http = HttpSink::new(HttpOptions {
            url,
            user_agent: "lanner".to_owned(),
            json: true,
            trust: Trust::Folder(PathBuf::from("/etc/ssl/certs")),
            client: None,
            echo: false,
            compress: false,
            keep_alive: true,
            max_timeouts: 5,
            timeout: Duration::from_secs(10),
        });
        OtlpSink { http, hostname }
    }
}

impl Sink for OtlpSink {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn write(&mut self, line: LineRef<'_>) -> Result<(), SinkError> {
        let now = Timestamp::now();
        let record = record(line.text, now);
        let text = request(record, &self.hostname).to_string();
        self.http.write(LineRef { text: &text, ..line })
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.http.flush()
    }
}

fn request(record: Value, hostname: &str) -> Value {
    let resource = [attribute("service.name", &json!("lanner")), attribute("host.name", &json!(hostname))];
    json!({"resourceLogs": [{
        "resource": {"attributes": resource},
        "scopeLogs": [{"scope": {"name": "lanner"}, "logRecords": [record]}],
    }]})
}

/// A JSON alert taken apart; a text line is the record's body.
fn record(text: &str, now: Timestamp) -> Value {
    let alert: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let word = |key: &str| alert.get(key).and_then(Value::as_str);
    let time = word("time").and_then(|time| time.parse().ok()).unwrap_or(now);
    let priority = word("priority").unwrap_or_default();
    let mut attributes = Vec::new();
    for key in ["rule", "source"] {
        attributes.extend(word(key).map(|value| attribute(key, &json!(value))));
    }
    attributes.extend(alert.get("tags").map(|tags| attribute("tags", tags)));
    let fields = alert.get("output_fields").and_then(Value::as_object);
    attributes.extend(fields.into_iter().flatten().map(|(key, value)| attribute(key, value)));
    let mut record = json!({
        "timeUnixNano": time.as_nanosecond().to_string(),
        "observedTimeUnixNano": now.as_nanosecond().to_string(),
        "body": {"stringValue": word("output").unwrap_or(text)},
        "attributes": attributes,
    });
    if let (Some(number), Some(record)) = (severity(priority), record.as_object_mut()) {
        record.insert("severityNumber".into(), json!(number));
        record.insert("severityText".into(), json!(priority));
    }
    record
}

/// OpenTelemetry's number for a priority, by its table for syslog.
fn severity(priority: &str) -> Option<u8> {
    Some(match priority {
        "Emergency" => 21,
        "Alert" => 19,
        "Critical" => 18,
        "Error" => 17,
        "Warning" => 13,
        "Notice" => 10,
        "Informational" => 9,
        "Debug" => 5,
        _ => return None,
    })
}

fn attribute(key: &str, value: &Value) -> Value {
    json!({"key": key, "value": any(value)})
}

/// A value in OTLP's form, where 64-bit numbers are texts.
fn any(value: &Value) -> Value {
    match value {
        Value::Bool(word) => json!({"boolValue": word}),
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::String(text) => json!({"stringValue": text}),
        Value::Array(list) => json!({"arrayValue": {"values": list.iter().map(any).collect::<Vec<_>>()}}),
        Value::Null | Value::Object(_) => json!({"stringValue": value.to_string()}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_alert_is_taken_apart() {
        let alert = r#"{"time":"2026-01-02T03:04:05.000000006Z","priority":"Warning","rule":"r","source":"syscall",
            "tags":["a"],"output":"o","output_fields":{"proc.pid":7,"fd.name":null}}"#;
        let record = record(alert, Timestamp::UNIX_EPOCH);
        assert_eq!(record["timeUnixNano"], "1767323045000000006");
        assert_eq!((&record["severityNumber"], &record["severityText"]), (&json!(13), &json!("Warning")));
        assert_eq!(record["body"]["stringValue"], "o");
        let attributes = record["attributes"].as_array().unwrap();
        assert_eq!(attributes[0], json!({"key": "rule", "value": {"stringValue": "r"}}));
        assert_eq!(attributes[2]["value"]["arrayValue"]["values"][0], json!({"stringValue": "a"}));
        assert_eq!(attributes[3], json!({"key": "proc.pid", "value": {"intValue": "7"}}));
    }

    #[test]
    fn a_text_line_is_the_body() {
        let record = record("03:04:05: Notice hello", Timestamp::UNIX_EPOCH);
        assert_eq!(record["body"]["stringValue"], "03:04:05: Notice hello");
        assert_eq!((&record["timeUnixNano"], record.get("severityNumber")), (&json!("0"), None));
    }
}
