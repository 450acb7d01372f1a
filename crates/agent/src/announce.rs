//! From a rule that matched to an alert.

use std::sync::{Arc, LazyLock};

use lanner_alert::{Alert, Clock, Fields, Origin, Priority};
use lanner_engine::{CompiledRule, Engine, RuleId};
use lanner_fields::{Context, Format, Late, Part, may_wait};
use lanner_machine::Machine;

/// Local time minus UTC, in seconds, at a time in seconds since 1970.
pub fn local_offset(seconds: i64) -> i64 {
    static LOCAL: LazyLock<Clock> = LazyLock::new(Clock::local);
    LOCAL.offset(seconds)
}

/// What all alerts of a rule share.
struct Shared {
    rule: Arc<str>,
    priority: Priority,
    origin: Origin,
}

/// Makes alerts of an engine's matches.
pub struct Announcer {
    shared: Vec<Shared>,
    with_fields: bool,
}

/// An alert of which parts may wait for what is known of a container.
pub struct Draft {
    alert: Alert,
    message: Vec<Part<String>>,
    fields: Vec<(String, Part<serde_json::Value>)>,
}

impl Announcer {
    /// For the rules of an engine. Field values are worked out only `with_fields`: text alerts have none.
    pub fn new(engine: &Engine, with_fields: bool) -> Announcer {
        Announcer { shared: engine.rules().iter().map(shared).collect(), with_fields }
    }

    /// A rule's name, which all of its lines share, and its priority.
    pub fn name(&self, id: RuleId) -> (&Arc<str>, Priority) {
        let shared = &self.shared[id.index()];
        (&shared.rule, shared.priority)
    }

    /// The alert of a rule, with what is known now.
    pub fn alert(&self, engine: &Engine, id: RuleId, cx: &Context<'_>) -> Alert {
        let rule = engine.rule(id);
        let mut alert = self.begin(id, cx);
        rule.output.render(cx, &mut alert.message);
        if self.with_fields {
            alert.fields.extend(rule.output.values(cx));
            for (key, format, raw) in &rule.extra_fields {
                alert.fields.insert(key.clone(), extra(format, *raw, cx));
            }
        }
        alert
    }

    /// The same, with parts that wait for what is not known yet of the event's container.
    pub fn draft(&self, engine: &Engine, id: RuleId, cx: &Context<'_>) -> Draft {
        if !may_wait(cx) {
            return Draft { alert: self.alert(engine, id, cx), message: Vec::new(), fields: Vec::new() };
        }
        let rule = engine.rule(id);
        let mut draft =
            Draft { alert: self.begin(id, cx), message: rule.output.render_parts(cx), fields: Vec::new() };
        if self.with_fields {
            draft.fields = rule.output.value_parts(cx);
            for (key, format, raw) in &rule.extra_fields {
                draft.fields.push((key.clone(), extra_part(format, *raw, cx)));
            }
        }
        draft
    }

    /// An alert without its message and fields.
    fn begin(&self, id: RuleId, cx: &Context<'_>) -> Alert {
        let shared = &self.shared[id.index()];
        Alert {
            ts: cx.event.ts,
            priority: shared.priority,
            rule: Arc::clone(&shared.rule),
            origin: shared.origin.clone(),
            message: String::new(),
            fields: Fields::new(),
        }
    }
}

fn shared(compiled: &CompiledRule) -> Shared {
    let rule = &compiled.rule;
    Shared {
        rule: rule.name.as_str().into(),
        priority: rule.priority,
        origin: Origin::Rule {
            source: rule.source.as_str().into(),
            tags: rule.tags.iter().cloned().collect(),
        },
    }
}

/// The value of an added field: the field's own, or a text.
fn extra(format: &Format, raw: bool, cx: &Context<'_>) -> serde_json::Value {
    if raw {
        return format.values(cx).into_iter().next().map(|(_, value)| value).unwrap_or_default();
    }
    let mut text = String::new();
    format.render(cx, &mut text);
    text.into()
}

/// The same, if it can wait. A text of several parts can't: it is rendered with what is known.
fn extra_part(format: &Format, raw: bool, cx: &Context<'_>) -> Part<serde_json::Value> {
    let waiting = raw.then(|| format.value_parts(cx).into_iter().next()).flatten();
    waiting.map_or_else(|| Part::Done(extra(format, raw, cx)), |(_, part)| part)
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
