//! An alert as one line: text, or Falco's JSON object with its keys in alphabetical order.

use std::sync::Arc;

use serde_json::Value;

use crate::{Alert, Clock, Fields, Line, Lines, Origin, Priority};

/// The form of a line.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Form {
    /// `TIME: Priority message`.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// Which optional parts a JSON line has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JsonParts {
    /// `output`: the text line.
    pub output: bool,
    /// `output_fields`.
    pub fields: bool,
    /// `tags`.
    pub tags: bool,
    /// `message`: the text without time and priority.
    pub message: bool,
}

impl Default for JsonParts {
    fn default() -> JsonParts {
        JsonParts { output: true, fields: true, tags: true, message: false }
    }
}

/// Makes lines of alerts.
#[derive(Clone, Debug)]
pub struct Formatter {
    /// Form of the lines.
    pub form: Form,
    /// Optional parts of JSON lines.
    pub json: JsonParts,
    /// Print whole UTC dates instead of the local time of day.
    pub iso8601: bool,
    /// Name of the host, as JSON lines give it.
    pub hostname: String,
    /// Zone of the local time of day.
    pub clock: Clock,
}

impl Formatter {
    /// The line for an alert.
    pub fn line(&self, alert: &Alert) -> Line {
        let mut text = String::with_capacity(512);
        let priority_at = self.write(alert, &mut text);
        Line { text, priority: alert.priority, priority_at, rule: Arc::clone(&alert.rule) }
    }

    /// Puts the line for an alert behind others.
    pub fn append(&self, alert: &Alert, lines: &mut Lines) {
        lines.push(alert.priority, &alert.rule, |text| self.write(alert, text));
    }

    /// Puts the text line of a rule's alert behind others, straight from its parts; for [`Form::Text`].
    pub fn append_text(
        &self,
        (ts, message): (u64, &str),
        priority: Priority,
        rule: &Arc<str>,
        lines: &mut Lines,
    ) {
        lines.push(priority, rule, |text| Some(self.rule_text(ts, priority, message, text)));
    }

    /// Tells where the priority begins, in a text line.
    fn write(&self, alert: &Alert, out: &mut String) -> Option<usize> {
        match (self.form, &alert.origin) {
            (Form::Text, Origin::Rule { .. }) => {
                Some(self.rule_text(alert.ts, alert.priority, &alert.message, out))
            }
            (Form::Text, Origin::Internal) => Some(self.internal_text(alert, out)),
            (Form::Json, _) => {
                self.json(alert, out);
                None
            }
        }
    }

    /// Time and priority, as they begin a text; tells where the priority does, from where the text begins.
    fn prefix(&self, ts: u64, priority: Priority, out: &mut String) -> usize {
        let start = out.len();
        if self.iso8601 {
            Clock::iso8601(ts, out);
            out.push_str("+0000");
        } else {
            self.clock.time_of_day(ts, out);
        }
        out.push_str(": ");
        let at = out.len() - start;
        out.push_str(priority.as_str());
        out.push(' ');
        at
    }

    /// Text lines escape what JSON escapes, so that no message can forge a second line.
    fn rule_text(&self, ts: u64, priority: Priority, message: &str, out: &mut String) -> usize {
        let at = self.prefix(ts, priority, out);
        escape(message, out);
        at
    }

    /// Internal alerts carry their fields in parentheses, and always the local time of day.
    fn internal_text(&self, alert: &Alert, out: &mut String) -> usize {
        let start = out.len();
        self.clock.time_of_day(alert.ts, out);
        out.push_str(": ");
        let at = out.len() - start;
        out.push_str(alert.priority.as_str());
        out.push(' ');
        out.push_str(&alert.message);
        out.push_str(" (");
        for (i, (key, value)) in alert.fields.iter().enumerate() {
            if i > 0 {
                out.push(' ');
            }
            out.push_str(key);
            out.push('=');
            value_text(value, out);
        }
        out.push(')');
        at
    }

    fn json(&self, alert: &Alert, out: &mut String) {
        let (source, tags) = match &alert.origin {
            Origin::Rule { source, tags } => (&**source, Some(tags)),
            Origin::Internal => ("internal", None),
        };
        let internal = tags.is_none();
        out.push_str("{\"hostname\":");
        quote(&self.hostname, out);
        if self.json.message && !internal {
            out.push_str(",\"message\":");
            quote(&alert.message, out);
        }
        if internal {
            out.push_str(",\"output\":");
            quote(&alert.message, out);
        } else if self.json.output {
            // What stands before the message has nothing that needs to be escaped.
            out.push_str(",\"output\":\"");
            self.prefix(alert.ts, alert.priority, out);
            escape(&alert.message, out);
            out.push('"');
        }
        if self.json.fields || internal {
            out.push_str(",\"output_fields\":");
            self.fields(alert, internal, out);
        }
        for (key, text) in [("priority", alert.priority.as_str()), ("rule", &*alert.rule), ("source", source)]
        {
            out.push_str(",\"");
            out.push_str(key);
            out.push_str("\":");
            quote(text, out);
        }
        if let Some(tags) = tags.filter(|_| self.json.tags) {
            out.push_str(",\"tags\":[");
            for (i, tag) in tags.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                quote(tag, out);
            }
            out.push(']');
        }
        out.push_str(",\"time\":\"");
        Clock::iso8601(alert.ts, out);
        out.push_str("Z\"}");
    }

    /// The fields, and the one that the time before the message stands for, in alphabetical order.
    fn fields(&self, alert: &Alert, internal: bool, out: &mut String) {
        let time = if self.iso8601 { "evt.time.iso8601" } else { "evt.time" };
        let time_value = Value::from(alert.ts);
        out.push('{');
        let mut first = true;
        let mut put = |key: &str, value: &Value| {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            quote(key, out);
            out.push(':');
            value_text(value, out);
        };
        if internal {
            alert.fields.iter().for_each(|(key, value)| put(key, value));
        } else {
            with_time(&alert.fields, time, &time_value, &mut put);
        }
        out.push('}');
    }
}

/// Calls `put` for every field and the time, which replaces a field of its name, in order.
fn with_time(fields: &Fields, time: &str, value: &Value, put: &mut dyn FnMut(&str, &Value)) {
    let mut due = true;
    for (key, other) in fields {
        if due && key.as_str() >= time {
            put(time, value);
            due = false;
        }
        if key != time {
            put(key, other);
        }
    }
    if due {
        put(time, value);
    }
}

fn value_text(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => quote(text, out),
        other => out.push_str(&other.to_string()),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    escape(text, out);
    out.push('"');
}

fn needs_escape(text: &str) -> bool {
    // by pieces of which each byte is looked at, so that the compiler takes many at once
    let special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
    text.as_bytes().chunks(64).any(|piece| piece.iter().fold(false, |found, b| found | special(b)))
}

/// Appends `text` as the inside of a JSON string.
fn escape(text: &str, out: &mut String) {
    if !needs_escape(text) {
        return out.push_str(text);
    }
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        out.push_str(short);
        if short.is_empty() {
            out.push_str("\\u00");
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        from = at + 1;
    }
    out.push_str(&text[from..]);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const TS: u64 = 1_470_327_477_881_785_348;

    fn formatter(form: Form) -> Formatter {
        Formatter {
            form,
            json: JsonParts::default(),
            iso8601: false,
            hostname: "h".into(),
            clock: Clock::utc(),
        }
    }

    fn alert(origin: Origin) -> Alert {
        let fields =
            [("fd.name", Value::from("/a\u{1}b")), ("evt.args", Value::Null), ("proc.pid", 3.into())];
        Alert {
            ts: TS,
            priority: Priority::Warning,
            rule: "open_1".into(),
            origin,
            message: "Open one (file=\"/a\nb\")".into(),
            fields: fields.map(|(k, v)| (k.to_owned(), v)).into(),
        }
    }

    fn of_rule() -> Alert {
        alert(Origin::Rule { source: "syscall".into(), tags: Arc::from(["a".to_owned(), "b".to_owned()]) })
    }

    #[test]
    fn a_text_line_is_one_line_whatever_the_message_holds() {
        let line = formatter(Form::Text).line(&of_rule());
        assert_eq!(line.text, r#"16:17:57.881785348: Warning Open one (file=\"/a\nb\")"#);
        assert_eq!(line.priority_at, Some(20));
    }

    #[test]
    fn lines_together_are_what_each_is_alone() {
        for form in [Form::Text, Form::Json] {
            let formatter = formatter(form);
            let alerts = [of_rule(), alert(Origin::Internal), of_rule()];
            let mut lines = Lines::default();
            alerts.iter().for_each(|alert| formatter.append(alert, &mut lines));
            let alone: Vec<Line> = alerts.iter().map(|alert| formatter.line(alert)).collect();
            assert!(lines.all().iter().eq(alone.iter().map(Line::view)));
        }
        let (mut lines, alert) = (Lines::default(), of_rule());
        let formatter = formatter(Form::Text);
        formatter.append_text((alert.ts, &alert.message), alert.priority, &alert.rule, &mut lines);
        assert_eq!(lines.all().iter().next(), Some(formatter.line(&alert).view()));
    }

    #[test]
    fn json_lists_its_keys_and_fields_in_order_and_counts_the_time_as_a_field() {
        let line = formatter(Form::Json).line(&of_rule());
        assert_eq!(
            line.text,
            concat!(
                r#"{"hostname":"h","output":"16:17:57.881785348: Warning Open one (file=\"/a\nb\")","#,
                r#""output_fields":{"evt.args":null,"evt.time":1470327477881785348,"fd.name":"/a\u0001b","proc.pid":3},"#,
                r#""priority":"Warning","rule":"open_1","source":"syscall","tags":["a","b"],"#,
                r#""time":"2016-08-04T16:17:57.881785348Z"}"#
            )
        );
    }

    #[test]
    fn json_is_what_serde_json_makes_of_it() {
        let mut formatter = formatter(Form::Json);
        formatter.json = JsonParts { output: true, fields: true, tags: true, message: true };
        formatter.iso8601 = true;
        let alert = of_rule();
        let parsed: Value = serde_json::from_str(&formatter.line(&alert).text).unwrap();
        assert_eq!(parsed["message"], alert.message.as_str());
        assert_eq!(parsed["output_fields"]["evt.time.iso8601"], TS);
        assert_eq!(
            parsed["output"].as_str().unwrap(),
            format!("2016-08-04T16:17:57.881785348+0000: Warning {}", alert.message)
        );
    }

    #[test]
    fn internal_alerts_have_their_own_form() {
        let alert = alert(Origin::Internal);
        let line = formatter(Form::Text).line(&alert);
        assert!(
            line.text.ends_with("b\") (evt.args=null fd.name=\"/a\\u0001b\" proc.pid=3)"),
            "{}",
            line.text
        );
        let parsed: Value = serde_json::from_str(&formatter(Form::Json).line(&alert).text).unwrap();
        assert_eq!((&parsed["source"], parsed.get("tags")), (&Value::from("internal"), None));
        assert_eq!(parsed["output_fields"].as_object().unwrap().len(), 3);
    }
}
