//! Checking conditions against the fields that there are.

use std::sync::Arc;

use lanner_filter::{Argument, Check, Expr, ExprKind, Literal, Operand, Operator, Right, Span};

use super::{Compiler, Halt, position};
use crate::catalog::{CheckWarning, Problem};
use crate::define::RuleDefinition;
use crate::fold::Folded;
use crate::place::{Marked, Place, Position};
use crate::report::{DEPRECATED_FIELDS, Diagnostic, ErrorCode, WarningCode};
use crate::suggest::closest;

/// What is to be said of a condition: of a macro's, which macro (by position) is known.
#[derive(Default)]
pub(super) struct Checked {
    problems: Vec<Found<Problem>>,
    warnings: Vec<Found<CheckWarning>>,
}

#[derive(Clone)]
struct Found<T> {
    what: T,
    span: Span,
    in_macro: Option<usize>,
}

impl Compiler<'_, '_> {
    /// The condition if it can be evaluated.
    pub(super) fn check_condition(
        &mut self,
        expr: Expr,
        folded: &Folded,
        rule: &RuleDefinition,
    ) -> Result<Option<Expr>, Halt> {
        let mut checked = Checked::default();
        self.check_expr(&expr, &rule.source, None, &mut checked);
        let place = &rule.condition_place;
        for found in &checked.problems {
            let place = self.place_of(found, folded, place);
            let Problem { message, advice, unknown, .. } = found.what.clone();
            let advice = self.advice_for_field(&found.what, &rule.source).or(advice);
            if unknown && rule.skip_if_unknown_filter {
                let warning = Diagnostic::warning(WarningCode::UnknownFilter, message, place);
                self.report.warnings.push(warning.advise_some(advice));
                return Ok(None);
            }
            // A macro's error is reported with the first rule that has it.
            let again = found.in_macro.is_some()
                && self.report.errors.iter().any(|e| e.message == message && e.place.marked == place.marked);
            if !again {
                let error = Diagnostic::error(ErrorCode::CompileCondition, message, place);
                self.fail(error.advise_some(advice))?;
            }
        }
        if !checked.problems.is_empty() {
            return Ok(None);
        }
        for found in &checked.warnings {
            let place = self.place_of(found, folded, place);
            self.report.warnings.push(Diagnostic::warning(
                WarningCode::CompileCondition,
                found.what.message.clone(),
                place,
            ));
        }
        Ok(Some(expr))
    }

    fn check_expr(&mut self, expr: &Expr, source: &str, in_macro: Option<usize>, out: &mut Checked) {
        if !out.problems.is_empty() && !self.options.all_errors {
            return;
        }
        match &expr.kind {
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                parts.iter().for_each(|part| self.check_expr(part, source, in_macro, out));
            }
            ExprKind::Not(inner) => self.check_expr(inner, source, in_macro, out),
            ExprKind::Name(_) => {}
            ExprKind::Macro { name, body } => {
                let Some(index) = self.collector.macros.position(name) else { return };
                let checked = self.check_macro(index, body, source);
                out.problems.extend(checked.problems.iter().cloned());
                out.warnings.extend(checked.warnings.iter().cloned());
            }
            ExprKind::Exists(_) | ExprKind::Check(_) => {
                match self.collector.catalog.check_condition(source, expr) {
                    Ok(warnings) => out.warnings.extend(warnings.into_iter().map(|what| Found {
                        span: what.span,
                        what,
                        in_macro,
                    })),
                    Err(what) => {
                        let span = what.span.unwrap_or(expr.span);
                        out.problems.push(Found { what, span, in_macro });
                    }
                }
            }
        }
    }

    /// Checks a macro's condition, once for each source.
    fn check_macro(&mut self, index: usize, body: &Arc<Expr>, source: &str) -> Arc<Checked> {
        let key = (source.to_owned(), index);
        if let Some(checked) = self.checked.get(&key) {
            return Arc::clone(checked);
        }
        let mut checked = Checked::default();
        self.check_expr(body, source, Some(index), &mut checked);
        let checked = Arc::new(checked);
        self.checked.insert(key, Arc::clone(&checked));
        checked
    }

    /// Where a finding stands: as Falco gives it, and what a person should look at.
    fn place_of<T>(&self, found: &Found<T>, folded: &Folded, place: &Place) -> Place {
        let mark = self.mark_of(found, folded);
        place.in_condition(position(found.span.start), folded.text.as_str().into()).mark(mark)
    }

    fn mark_of<T>(&self, found: &Found<T>, folded: &Folded) -> Option<Marked> {
        let folded = match found.in_macro {
            Some(index) => self.macros.folded(index)?,
            None => folded,
        };
        let origins = self.lists.origins(&folded.text);
        let raw = |offset: usize| origins.get(offset).copied().unwrap_or(folded.text.len());
        let start = found.span.start.offset as usize;
        let last = (found.span.end as usize).saturating_sub(1).max(start);
        folded.marked(raw(start), raw(last) + 1)
    }

    /// "Did you mean" for a field that doesn't exist; its name ends the message.
    fn advice_for_field(&self, problem: &Problem, source: &str) -> Option<String> {
        if !problem.unknown || problem.advice.is_some() {
            return None;
        }
        let word = problem.message.rsplit(' ').next()?;
        let word = word.split('[').next()?;
        let names = self.collector.catalog.field_names(source);
        closest(word, names.iter().map(String::as_str)).map(|meant| format!("did you mean '{meant}'?"))
    }

    /// Warns of fields that are going away and of comparisons with `<NA>`, once for each rule.
    pub(super) fn warn_of_doubtful(&mut self, expr: &Expr, folded: &Folded, rule: &RuleDefinition) {
        let mut deprecated = [false; DEPRECATED_FIELDS.len()];
        let mut unsafe_na = false;
        expr.visit(&mut |expr| match &expr.kind {
            ExprKind::Exists(operand) => note_deprecated(operand, &mut deprecated),
            ExprKind::Check(check) => {
                note_deprecated(&check.left, &mut deprecated);
                unsafe_na |= compares_with_na(check);
            }
            _ => {}
        });
        let place = rule.condition_place.in_condition(Position::default(), folded.text.as_str().into());
        if unsafe_na {
            let place = place.clone().mark(folded.marked_word("<NA>"));
            let warning = Diagnostic::warning(WarningCode::UnsafeNaCheck, "", place);
            self.report.warnings.push(warning.advise("write 'exists' or 'not … exists' instead"));
        }
        for ((field, why), _) in DEPRECATED_FIELDS.iter().zip(deprecated).filter(|(_, used)| *used) {
            let place = place.clone().mark(folded.marked_word(field));
            let mut warning = Diagnostic::warning(WarningCode::DeprecatedItem, *why, place);
            warning.deprecated_field = Some(field);
            self.report.warnings.push(warning.advise(format!("remove the check of {field}")));
        }
    }
}

fn note_deprecated(operand: &Operand, deprecated: &mut [bool]) {
    operand.visit_fields(&mut |field| {
        if let Some(index) = DEPRECATED_FIELDS.iter().position(|(name, _)| *name == field.name) {
            deprecated[index] = true;
        }
    });
}

/// Whether a Kubernetes audit field is compared with the text that stands for no value.
fn compares_with_na(check: &Check) -> bool {
    let equality = matches!(
        check.operator,
        Operator::DoubleEqual
            | Operator::Equal
            | Operator::NotEqual
            | Operator::In
            | Operator::Intersects
            | Operator::PMatch
    );
    if !equality || check.modifier.is_some() || !is_audit_field(&check.left) {
        return false;
    }
    let is_na = |value: &Literal| value.bytes == b"<NA>";
    match &check.right {
        Right::Value(value) | Right::Name(value) => is_na(value),
        Right::List(values) => values.iter().any(is_na),
        Right::Operand(_) => false,
    }
}

/// Whether the last field of an operand is one of those that have no values but texts.
fn is_audit_field(operand: &Operand) -> bool {
    match operand {
        Operand::Field(field) => field.name.starts_with("ka.") || field.name.starts_with("jevt."),
        Operand::Transform(transform) => match transform.arguments.last() {
            Some(Argument::Operand(operand)) => is_audit_field(operand),
            _ => false,
        },
    }
}
