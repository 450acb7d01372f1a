//! From a rule that matched to an alert.

use std::sync::{Arc, LazyLock};

use lanner_fields::{Context, Format, FormatError, Late, Part};
use lanner_machine::Machine;
use lanner_output::{Alert, Clock, Fields, Origin, Priority};
use lanner_rules::{Rule, RuleSet};

/// Local time minus UTC, in seconds, at a time in seconds since 1970.
pub fn local_offset(seconds: i64) -> i64 {
    static LOCAL: LazyLock<Clock> = LazyLock::new(Clock::local);
    LOCAL.offset(seconds)
}

/// Our priority for a rule's.
pub fn priority(rule: lanner_rules::Priority) -> Priority {
    Priority::ALL[rule as usize % Priority::ALL.len()]
}

/// A rule whose output can't be read.
#[derive(Debug, thiserror::Error)]
#[error("rule {rule}: output {text:?}: {cause}")]
pub struct OutputError {
    /// The rule.
    pub rule: String,
    /// The output, or the format of an added field.
    pub text: String,
    /// What is wrong with it.
    pub cause: FormatError,
}

/// What one rule's alerts are made from.
struct Template {
    rule: Arc<str>,
    priority: Priority,
    origin: Origin,
    message: Format,
    extra: Vec<Extra>,
}

/// A field that the configuration adds to JSON alerts.
struct Extra {
    key: String,
    format: Format,
    raw: bool,
}

/// Makes alerts of matches.
pub struct Announcer {
    templates: Vec<Template>,
    with_fields: bool,
}

/// An alert of which parts may wait for what is known of a container.
pub struct Draft {
    alert: Alert,
    message: Vec<Part<String>>,
    fields: Vec<(String, Part<serde_json::Value>)>,
}

impl Announcer {
    /// Reads the outputs of all rules. Field values are worked out only `with_fields`: text alerts have none.
    ///
    /// # Errors
    /// When an output can't be read.
    pub fn new(rules: &RuleSet, with_fields: bool) -> Result<Announcer, OutputError> {
        let templates = rules.rules.iter().map(template).collect::<Result<_, _>>()?;
        Ok(Announcer { templates, with_fields })
    }

    /// The alert of a rule, `index` being its place among all rules, with what is known now.
    pub fn alert(&self, index: usize, cx: &Context<'_>) -> Option<Alert> {
        let template = self.templates.get(index)?;
        let mut alert = template.alert(cx);
        template.message.render(cx, &mut alert.message);
        if self.with_fields {
            alert.fields.extend(template.message.values(cx));
            alert.fields.extend(template.extra.iter().map(|extra| extra.value(cx)));
        }
        Some(alert)
    }

    /// The same, with parts that wait for what is not known yet of the event's container.
    pub fn draft(&self, index: usize, cx: &Context<'_>) -> Option<Draft> {
        let template = self.templates.get(index)?;
        let mut draft = Draft {
            alert: template.alert(cx),
            message: template.message.render_parts(cx),
            fields: Vec::new(),
        };
        if self.with_fields {
            draft.fields = template.message.value_parts(cx);
            draft.fields.extend(template.extra.iter().map(|extra| extra.part(cx)));
        }
        Some(draft)
    }
}

fn template(rule: &Rule) -> Result<Template, OutputError> {
    let read = |text: &str| {
        Format::parse(&rule.source, text).map_err(|cause| OutputError {
            rule: rule.name.clone(),
            text: text.to_owned(),
            cause,
        })
    };
    let extra = |(key, format, raw): &(String, String, bool)| {
        Ok(Extra { key: key.clone(), format: read(format)?, raw: *raw })
    };
    Ok(Template {
        rule: rule.name.as_str().into(),
        priority: priority(rule.priority),
        origin: Origin::Rule {
            source: rule.source.as_str().into(),
            tags: rule.tags.iter().cloned().collect(),
        },
        message: read(&rule.output)?,
        extra: rule.extra_fields.iter().map(extra).collect::<Result<_, _>>()?,
    })
}

impl Template {
    /// The alert without its message and fields.
    fn alert(&self, cx: &Context<'_>) -> Alert {
        Alert {
            ts: cx.event.ts,
            priority: self.priority,
            rule: Arc::clone(&self.rule),
            origin: self.origin.clone(),
            message: String::new(),
            fields: Fields::new(),
        }
    }
}

impl Extra {
    fn value(&self, cx: &Context<'_>) -> (String, serde_json::Value) {
        let value = if self.raw {
            self.format.values(cx).into_iter().next().map(|(_, value)| value).unwrap_or_default()
        } else {
            let mut text = String::new();
            self.format.render(cx, &mut text);
            text.into()
        };
        (self.key.clone(), value)
    }

    /// Only raw fields wait: a text of several parts is rendered with what is known.
    fn part(&self, cx: &Context<'_>) -> (String, Part<serde_json::Value>) {
        let waiting = self.raw.then(|| self.format.value_parts(cx).into_iter().next()).flatten();
        match waiting {
            Some((_, part)) => (self.key.clone(), part),
            None => {
                let (key, value) = self.value(cx);
                (key, Part::Done(value))
            }
        }
    }
}

impl Draft {
    fn late(&self) -> impl Iterator<Item = &Late> {
        let message = self.message.iter().filter_map(|part| match part {
            Part::Late(late) => Some(&**late),
            Part::Done(_) => None,
        });
        message.chain(self.fields.iter().filter_map(|(_, part)| match part {
            Part::Late(late) => Some(&**late),
            Part::Done(_) => None,
        }))
    }

    /// Whether a part waits for what isn't known yet.
    pub fn waits(&self, machine: &Machine) -> bool {
        self.late().any(|late| !late.is_known(machine))
    }

    /// The alert with what is known now.
    pub fn finish(self, machine: &Machine) -> Alert {
        let mut alert = self.alert;
        for part in self.message {
            alert.message.push_str(&part.finish(machine));
        }
        alert.fields.extend(self.fields.into_iter().map(|(key, part)| (key, part.finish(machine))));
        alert
    }
}
