//! From definitions to rules: lists and exceptions put into conditions, macros put in place, everything
//! checked against the fields that there are.

mod check;
mod macros;

use std::collections::HashMap;
use std::sync::Arc;

use lanner_filter::{Expr, Function, ParseError, Reason};

use crate::collect::{Collector, Dated};
use crate::define::RuleDefinition;
use crate::fold::Folded;
use crate::lists::Lists;
use crate::options::{LoadOptions, Scope};
use crate::place::{Place, Position};
use crate::report::{DEPRECATED_FIELDS, Diagnostic, ErrorCode, FileReport, MOST_ERRORS, WarningCode};
use crate::rule::{List, Macro, PluginRequirement, Rule, RuleSet};
use check::Checked;
use macros::Macros;

/// Above how many event types a rule is warned of.
const MANY_EVENT_TYPES: usize = 100;

/// An error was found and compiling is to end with the first.
struct Halt;

/// A condition as text and tree.
struct Parsed {
    folded: Folded,
    expr: Expr,
}

pub(crate) struct Compiler<'a, 'c> {
    collector: &'a Collector<'c>,
    options: &'a LoadOptions,
    report: &'a mut FileReport,
    lists: Lists,
    macros: Macros,
    /// What checking a macro's condition for a source came to.
    checked: HashMap<(String, usize), Arc<Checked>>,
}

/// Compiles all that is defined so far. Nothing comes of it if there is an error, unless all errors are
/// asked for.
pub(crate) fn compile(collector: &Collector<'_>, options: &LoadOptions, report: &mut FileReport) -> RuleSet {
    let lists = match Lists::new(&collector.lists) {
        Ok(lists) => lists,
        Err(_) => {
            let place = Place::file(report.name.as_str().into());
            let message = "Lists that name other lists grow beyond four million items";
            report.errors.push(Diagnostic::error(ErrorCode::Validate, message, place));
            return RuleSet::default();
        }
    };
    let macros = Macros::default();
    let mut compiler = Compiler { collector, options, report, lists, macros, checked: HashMap::new() };
    let mut rules = Vec::new();
    if compiler.compile_macros().is_err() || compiler.rules(&mut rules).is_err() {
        return RuleSet::default();
    }
    if compiler.report.errors.is_empty() {
        compiler.warn_of_unused();
    }
    compiler.finish(rules)
}

impl Compiler<'_, '_> {
    fn fail(&mut self, error: Diagnostic) -> Result<(), Halt> {
        self.report.errors.push(error);
        let go_on = self.options.all_errors && self.report.errors.len() < MOST_ERRORS;
        if go_on { Ok(()) } else { Err(Halt) }
    }

    /// Puts lists into a condition and parses it.
    fn parse(&mut self, folded: Folded, place: &Place) -> Result<Parsed, Box<Diagnostic>> {
        let Ok(text) = self.lists.put_in(&folded.text) else {
            let message = "The condition grows beyond 4 MiB once its lists are put in";
            let error = Diagnostic::error(ErrorCode::Validate, message, place.clone());
            return Err(Box::new(error.advise("use fewer or shorter lists")));
        };
        match lanner_filter::parse(&text) {
            Ok(expr) => Ok(Parsed { folded, expr }),
            Err(error) => {
                let origins = self.lists.origins(&folded.text);
                let at = error.position.offset as usize;
                let raw = origins.get(at).copied().unwrap_or(folded.text.len());
                let list = self.lists.name_at(&folded.text, raw);
                let mark = folded.marked(raw, raw + list.map_or(1, str::len));
                let at_hash = folded.text.get(raw..).is_some_and(|rest| rest.starts_with('#'));
                let advice = match list {
                    _ if at_hash => {
                        "no comment can stand within a condition: put it above the key".to_owned()
                    }
                    Some(list) => {
                        format!(
                            "an item of list '{list}' can't stand in a condition so: put quotes within its quotes"
                        )
                    }
                    None => parse_advice(&error),
                };
                let place = place.in_condition(position(error.position), text.into()).mark(mark);
                let found = Diagnostic::error(ErrorCode::CompileCondition, error.to_string(), place);
                Err(Box::new(found.advise(advice)))
            }
        }
    }

    fn rules(&mut self, rules: &mut Vec<Rule>) -> Result<(), Halt> {
        let collector = self.collector;
        for Dated { item: definition, .. } in &collector.rules.items {
            if !definition.unknown_source {
                rules.extend(self.rule(definition)?);
            }
        }
        Ok(())
    }

    fn rule(&mut self, definition: &RuleDefinition) -> Result<Option<Rule>, Halt> {
        let folded = match Folded::rule(definition) {
            Ok(folded) => folded,
            Err((message, place)) => {
                let error = Diagnostic::error(ErrorCode::Validate, message, place);
                let advice = "each element of values is a list with one value for each of the fields";
                self.fail(error.advise(advice))?;
                return Ok(None);
            }
        };
        let exception_fields = folded.fields.clone();
        let output = self.output(definition);
        let extra_fields = self.extra_fields(definition);
        let output_fits = self.check_output(definition, &output, &extra_fields)?;
        if !output_fits && !self.options.all_errors {
            return Ok(None);
        }
        let Some(condition) = self.condition(definition, folded)? else { return Ok(None) };
        if !output_fits {
            return Ok(None);
        }
        if definition.source == "syscall"
            && definition.warn_evttypes
            && self.collector.catalog.event_type_count(&condition) > MANY_EVENT_TYPES
        {
            let message =
                "Rule matches too many evt.type values. This has a significant performance penalty.";
            let warning = Diagnostic::warning(WarningCode::NoEvtType, message, definition.place.clone());
            let advice = "add 'evt.type in (…) and' to its condition";
            self.report.warnings.push(warning.advise(advice));
        }
        Ok(Some(Rule {
            name: definition.name.clone(),
            description: definition.description.clone(),
            source: definition.source.clone(),
            condition: Arc::new(condition),
            output,
            priority: definition.priority,
            tags: definition.tags.clone(),
            enabled: definition.enabled,
            capture: definition.capture,
            capture_duration: definition.capture_duration,
            exception_fields,
            extra_fields,
            place: definition.place.clone(),
        }))
    }

    fn in_scope(rule: &RuleDefinition, scope: &Scope) -> bool {
        (scope.source.is_empty() || scope.source == rule.source)
            && scope.tags.iter().all(|tag| rule.tags.contains(tag))
            && (scope.rule.is_empty() || scope.rule == rule.name)
    }

    fn output(&mut self, rule: &RuleDefinition) -> String {
        const CONTAINER_INFO: &str = "%container.info";
        let mut output = rule.output.text.clone();
        for extra in self.options.extra_outputs.iter().filter(|e| Self::in_scope(rule, &e.scope)) {
            output.push(' ');
            output.push_str(&extra.format);
        }
        if output.contains(CONTAINER_INFO) {
            let message = "%container.info is deprecated and no more useful, and will be dropped by Falco 1.0.0. \
                           The container plugin will automatically add required fields to the output message.";
            let mark = Folded::plain(&rule.output).marked_word(CONTAINER_INFO);
            let place = rule.place.clone().mark(mark);
            let warning = Diagnostic::warning(WarningCode::DeprecatedItem, message, place);
            self.report.warnings.push(warning.advise("remove %container.info from the output"));
            output = output.replace(CONTAINER_INFO, "");
        }
        output
    }

    fn extra_fields(&self, rule: &RuleDefinition) -> Vec<(String, String, bool)> {
        let mut fields: Vec<(String, String, bool)> = Vec::new();
        for extra in self.options.extra_fields.iter().filter(|e| Self::in_scope(rule, &e.scope)) {
            fields.retain(|(key, _, _)| *key != extra.key);
            fields.push((extra.key.clone(), extra.format.clone(), extra.raw));
        }
        fields.sort();
        fields
    }

    /// Whether outputs can be rendered.
    fn check_output(
        &mut self,
        rule: &RuleDefinition,
        output: &str,
        extra: &[(String, String, bool)],
    ) -> Result<bool, Halt> {
        if let Err(problem) = self.collector.catalog.check_output(&rule.source, output) {
            let own = Folded::plain(&rule.output);
            let mark =
                problem.span.and_then(|span| own.marked(span.start.offset as usize, span.end as usize));
            let place = rule.output_place.clone().mark(mark);
            if problem.unknown && rule.skip_if_unknown_filter {
                let warning = Diagnostic::warning(WarningCode::UnknownFilter, problem.message, place);
                self.report.warnings.push(warning.advise_some(problem.advice));
                return Ok(false);
            }
            let error = Diagnostic::error(ErrorCode::CompileOutput, problem.message, place);
            self.fail(error.advise_some(problem.advice))?;
            return Ok(false);
        }
        self.warn_of_deprecated_in_output(rule, output);
        for (_, format, _) in extra {
            if let Err(problem) = self.collector.catalog.check_output(&rule.source, format) {
                let place = rule.output_place.clone();
                let error = Diagnostic::error(ErrorCode::CompileOutput, problem.message, place);
                self.fail(error.advise("the field is asked for by append_output in the configuration"))?;
                return Ok(false);
            }
            self.warn_of_deprecated_in_output(rule, format);
        }
        Ok(true)
    }

    fn warn_of_deprecated_in_output(&mut self, rule: &RuleDefinition, output: &str) {
        for (field, _) in DEPRECATED_FIELDS {
            if output.contains(field) {
                let message =
                    format!("usage of deprecated field '{field}' has been detected in the rule output");
                let mark = Folded::plain(&rule.output).marked_word(field);
                let place = rule.output_place.clone().mark(mark);
                let mut warning = Diagnostic::warning(WarningCode::DeprecatedItem, message, place);
                warning.deprecated_field = Some(field);
                self.report.warnings.push(warning.advise(format!("remove %{field} from the output")));
            }
        }
    }

    /// The condition, ready; `None` if the rule is to be left out.
    fn condition(&mut self, rule: &RuleDefinition, folded: Folded) -> Result<Option<Expr>, Halt> {
        let Parsed { folded, expr } = match self.parse(folded, &rule.condition_place) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.fail(*error)?;
                return Ok(None);
            }
        };
        let Some(expr) = self.put_in_macros(expr, &folded, usize::MAX, &rule.place)? else { return Ok(None) };
        self.warn_of_doubtful(&expr, &folded, rule);
        self.check_condition(expr, &folded, rule)
    }

    fn warn_of_unused(&mut self) {
        let collector = self.collector;
        for (macro_, used) in collector.macros.items.iter().zip(&self.macros.used) {
            if !used {
                let message = "Macro not referred to by any other rule/macro";
                let warning =
                    Diagnostic::warning(WarningCode::UnusedMacro, message, macro_.item.place.clone());
                self.report.warnings.push(warning.advise("remove it, or use it in a condition"));
            }
        }
        for (list, ready) in collector.lists.items.iter().zip(&self.lists.lists) {
            if !ready.used {
                let message = "List not referred to by any other rule/macro";
                let warning = Diagnostic::warning(WarningCode::UnusedList, message, list.item.place.clone());
                self.report.warnings.push(warning.advise("remove it, or use it in a condition"));
            }
        }
    }

    fn finish(self, rules: Vec<Rule>) -> RuleSet {
        let macros = self.collector.macros.items.iter().enumerate().filter_map(|(index, definition)| {
            Some(Macro {
                name: definition.item.name.clone(),
                condition: self.macros.bodies.get(index)?.clone()?,
                used: self.macros.used[index],
            })
        });
        RuleSet {
            rules,
            macros: macros.collect(),
            lists: self
                .lists
                .lists
                .into_iter()
                .map(|list| List { name: list.name, items: list.items, used: list.used })
                .collect(),
            plugins: self
                .collector
                .plugins
                .iter()
                .map(|plugin| PluginRequirement { any_of: plugin.any_of.clone() })
                .collect(),
        }
    }
}

fn parse_advice(error: &ParseError) -> String {
    match &error.reason {
        Reason::Trailing { after, found: '(' } if after.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            let known: Vec<&str> = Function::ALL.iter().map(|function| function.as_str()).collect();
            format!("'{after}' is no transformer: known are {}", known.join(", "))
        }
        _ => error.advice(),
    }
}

fn position(position: lanner_filter::Position) -> Position {
    Position {
        offset: position.offset as usize,
        line: position.line as usize,
        column: position.column as usize,
    }
}
