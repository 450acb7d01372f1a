//! What `-L` and `-l` tell of loaded rules.

mod order;
mod print;

use std::collections::HashMap;
use std::sync::Arc;

use lanner_filter::{Argument, Expr, ExprKind, Operand, Right};
use serde_json::{Value, json};

use crate::catalog::FieldCatalog;
use crate::collect::Collector;
use crate::define::{Entry, Exception};
use crate::rule::{List, Macro, Rule, RuleSet};
use crate::version::Version;
pub use order::UnorderedNames;

/// Rules as they were written, kept beside what became of them.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    engine: Version,
    rules: HashMap<String, WrittenRule>,
    macros: HashMap<String, String>,
    lists: HashMap<String, Vec<String>>,
}

#[derive(Clone, Debug)]
struct WrittenRule {
    condition: String,
    output: String,
    exceptions: Vec<Exception>,
}

/// There is no loaded rule of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Rule \"{0}\" is not loaded")]
pub struct NoSuchRule(pub String);

impl Definitions {
    pub(crate) fn new(collector: &Collector<'_>) -> Definitions {
        let rules = collector.rules.items.iter().map(|rule| {
            let rule = &rule.item;
            let written = WrittenRule {
                condition: rule.condition.text.clone(),
                output: rule.output.text.clone(),
                exceptions: rule.exceptions.clone(),
            };
            (rule.name.clone(), written)
        });
        let macros = collector.macros.items.iter();
        let lists = collector.lists.items.iter();
        Definitions {
            engine: collector.required_engine,
            rules: rules.collect(),
            macros: macros.map(|m| (m.item.name.clone(), m.item.condition.text.clone())).collect(),
            lists: lists.map(|l| (l.item.name.clone(), l.item.items.clone())).collect(),
        }
    }

    /// The JSON of `-L`: all rules, macros and lists.
    pub fn describe(&self, rules: &RuleSet, catalog: &dyn FieldCatalog) -> Value {
        let plugins: Vec<Value> = rules
            .plugins
            .iter()
            .map(|plugin| {
                let version = |(name, version): &(String, String)| json!({"name": name, "version": version});
                let mut described = json!({
                    "alternatives": plugin.any_of.iter().skip(1).map(version).collect::<Vec<_>>(),
                });
                if let Some((name, version)) = plugin.any_of.first() {
                    described["name"] = json!(name);
                    described["version"] = json!(version);
                }
                described
            })
            .collect();
        json!({
            "lists": rules.lists.iter().map(|list| self.list(list)).collect::<Vec<_>>(),
            "macros": rules.macros.iter().map(|m| self.macro_(m, catalog)).collect::<Vec<_>>(),
            "required_engine_version": self.engine.to_string(),
            "required_plugin_versions": plugins,
            "rules": rules.rules.iter().map(|rule| self.rule(rule, catalog)).collect::<Vec<_>>(),
        })
    }

    /// The JSON of `-l NAME`: one rule.
    pub fn describe_rule(
        &self,
        rules: &RuleSet,
        name: &str,
        catalog: &dyn FieldCatalog,
    ) -> Result<Value, NoSuchRule> {
        let rule = rules.rules.iter().find(|rule| rule.name == name);
        let rule = rule.ok_or_else(|| NoSuchRule(name.to_owned()))?;
        Ok(json!({ "rules": [self.rule(rule, catalog)] }))
    }

    fn rule(&self, rule: &Rule, catalog: &dyn FieldCatalog) -> Value {
        let written = self.rules.get(&rule.name);
        let condition = written.map_or("", |written| written.condition.as_str());
        let exceptions = written.map_or(&[] as &[Exception], |written| &written.exceptions);
        let used = self.used(condition);
        let compiled = Used::of(&rule.condition);
        let mut output_fields: Vec<String> =
            rule.extra_fields.iter().map(|(_, format, _)| format.clone()).collect();
        output_fields.extend(catalog.check_output(&rule.source, &rule.output).unwrap_or_default());
        let mut all_fields: Vec<String> = compiled.fields.iter().map(str::to_owned).collect();
        all_fields.extend(output_fields.iter().cloned());
        let mut details = json!({
            "condition_compiled": print::condition(&rule.condition),
            "condition_fields": list_of(&compiled.fields),
            "condition_operators": list_of(&compiled.operators),
            "events": catalog.event_names(&rule.source, &rule.condition),
            "exception_fields": rule.exception_fields,
            "exception_names": list_of(&UnorderedNames::of(exceptions.iter().map(|e| &e.name))),
            "exception_operators": list_of(&exception_operators(exceptions)),
        });
        let formatted = rule.extra_fields.iter().filter(|(_, _, raw)| !raw);
        for (key, format, _) in formatted {
            details["extra_output_formatted_fields"][key] = json!(format);
        }
        details["lists"] = list_of(&used.lists);
        details["macros"] = list_of(&used.macros);
        details["output_compiled"] = json!(rule.output);
        details["output_fields"] = json!(output_fields);
        details["plugins"] = list_of(&UnorderedNames::of(catalog.plugins_using(&rule.source, &all_fields)));
        json!({
            "details": details,
            "info": {
                "capture": rule.capture,
                "capture_duration": rule.capture_duration,
                "condition": condition,
                "description": rule.description,
                "enabled": rule.enabled,
                "name": rule.name,
                "output": written.map_or("", |written| written.output.as_str()),
                "priority": rule.priority.as_str(),
                "source": rule.source,
                "tags": rule.tags,
            },
        })
    }

    fn macro_(&self, macro_: &Macro, catalog: &dyn FieldCatalog) -> Value {
        let condition = self.macros.get(&macro_.name).map_or("", String::as_str);
        let used = self.used(condition);
        let compiled = Used::of(&macro_.condition);
        json!({
            "details": {
                "condition_compiled": print::condition(&macro_.condition),
                "condition_fields": list_of(&compiled.fields),
                "condition_operators": list_of(&compiled.operators),
                "events": catalog.event_names("", &macro_.condition),
                "lists": list_of(&used.lists),
                "macros": list_of(&used.macros),
                "plugins": [],
                "used": macro_.used,
            },
            "info": { "condition": condition, "name": macro_.name },
        })
    }

    fn list(&self, list: &List) -> Value {
        let written = self.lists.get(&list.name).map_or(&[] as &[String], Vec::as_slice);
        // What was written and is no longer there was the name of a list.
        let (items, names): (Vec<&String>, Vec<&String>) =
            written.iter().partition(|item| list.items.contains(item));
        json!({
            "details": {
                "items_compiled": list.items,
                "lists": list_of(&UnorderedNames::of(names)),
                "plugins": [],
                "used": list.used,
            },
            "info": { "items": items, "name": list.name },
        })
    }

    /// What a condition uses as it was written.
    fn used(&self, condition: &str) -> Used {
        let mut used = Used::default();
        if let Ok(expr) = lanner_filter::parse(condition) {
            expr.visit(&mut |expr| match &expr.kind {
                ExprKind::Name(name) if self.macros.contains_key(name) => used.macros.insert(name),
                ExprKind::Check(check) => {
                    if let Right::List(values) = &check.right {
                        let known = values.iter().filter(|value| self.lists.contains_key(&*value.text()));
                        known.for_each(|value| used.lists.insert(&value.text()));
                    }
                }
                _ => {}
            });
        }
        used
    }
}

/// Names that a condition has in it.
#[derive(Default)]
struct Used {
    macros: UnorderedNames,
    lists: UnorderedNames,
    fields: UnorderedNames,
    operators: UnorderedNames,
}

impl Used {
    /// Fields and operators, those of macros included.
    fn of(expr: &Arc<Expr>) -> Used {
        let mut used = Used::default();
        expr.visit(&mut |expr| match &expr.kind {
            ExprKind::Exists(operand) => {
                used.note_fields(operand);
                used.operators.insert("exists");
            }
            ExprKind::Check(check) => {
                used.note_fields(&check.left);
                used.operators.insert(&print::operator(check));
                if let Right::Operand(operand) = &check.right {
                    used.note_fields(operand);
                }
            }
            _ => {}
        });
        used
    }

    fn note_fields(&mut self, operand: &Operand) {
        match operand {
            Operand::Field(field) => match field.argument.as_deref() {
                None | Some("") => self.fields.insert(&field.name),
                Some(argument) => self.fields.insert(&format!("{}[{argument}]", field.name)),
            },
            Operand::Transform(transform) => self.note_arguments(&transform.arguments),
        }
    }

    fn note_arguments(&mut self, arguments: &[Argument]) {
        for argument in arguments {
            match argument {
                Argument::Operand(operand) => self.note_fields(operand),
                Argument::List(items) => self.note_arguments(items),
                Argument::Value(_) => {}
            }
        }
    }
}

fn exception_operators(exceptions: &[Exception]) -> UnorderedNames {
    let mut operators = UnorderedNames::default();
    for exception in exceptions {
        match &exception.comps {
            Entry::List(comps) => comps.iter().for_each(|comp| operators.insert(comp.item())),
            comp => operators.insert(comp.item()),
        }
    }
    operators
}

fn list_of(names: &UnorderedNames) -> Value {
    names.iter().collect()
}

/// The text of `-L` and `-l`: names and descriptions in two columns.
pub fn description_table(described: &Value) -> String {
    const INDENT: usize = 51;
    const WIDTH: usize = 110;
    let mut out = format!("{:50} {}\n{:50} {}\n", "Rule", "Description", "----", "-----------");
    for rule in described["rules"].as_array().into_iter().flatten() {
        let info = &rule["info"];
        let mut text = String::new();
        let mut length = 0;
        for word in info["description"].as_str().unwrap_or_default().split_ascii_whitespace() {
            if length + word.len() < WIDTH - INDENT {
                length += word.len() + 1;
            } else {
                text.push_str(&format!("\n{:INDENT$}", " "));
                length = word.len() + 1;
            }
            text.push_str(word);
            text.push(' ');
        }
        out.push_str(&format!("{:50} {text}\n\n", info["name"].as_str().unwrap_or_default()));
    }
    out
}
