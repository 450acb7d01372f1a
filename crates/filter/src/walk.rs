//! Going through a tree, and changing it.

use std::sync::Arc;

use crate::ast::{Argument, Check, Expr, ExprKind, Field, Operand, Right};
use crate::position::Span;

/// Gives the condition of the macro of a name used at a place; see [`Expr::replace_names`].
pub type FindMacro<'f, E> = dyn FnMut(&str, Span) -> Result<Option<Arc<Expr>>, E> + 'f;

impl Expr {
    /// Calls `see` for this and every condition within, outermost first, those of macros too.
    pub fn visit<'e>(&'e self, see: &mut dyn FnMut(&'e Expr)) {
        see(self);
        match &self.kind {
            ExprKind::And(parts) | ExprKind::Or(parts) => parts.iter().for_each(|part| part.visit(see)),
            ExprKind::Not(inner) => inner.visit(see),
            ExprKind::Macro { body, .. } => body.visit(see),
            ExprKind::Name(_) | ExprKind::Exists(_) | ExprKind::Check(_) => {}
        }
    }

    /// Calls `see` for every field, left, right and within transformers.
    pub fn visit_fields<'e>(&'e self, see: &mut dyn FnMut(&'e Field)) {
        self.visit(&mut |expr| match &expr.kind {
            ExprKind::Exists(operand) => operand.visit_fields(see),
            ExprKind::Check(check) => {
                check.left.visit_fields(see);
                if let Right::Operand(operand) = &check.right {
                    operand.visit_fields(see);
                }
            }
            _ => {}
        });
    }

    /// Puts macros in the place of their names. `find` gives a macro's condition, `None` to leave
    /// the name as it is, or an error, which ends the work. Macros already in place are left alone.
    pub fn replace_names<E>(self, find: &mut FindMacro<'_, E>) -> Result<Expr, E> {
        let span = self.span;
        let all = |parts: Vec<Expr>, find: &mut FindMacro<'_, E>| {
            parts.into_iter().map(|part| part.replace_names(find)).collect::<Result<Vec<_>, E>>()
        };
        let kind = match self.kind {
            ExprKind::And(parts) => ExprKind::And(all(parts, find)?),
            ExprKind::Or(parts) => ExprKind::Or(all(parts, find)?),
            ExprKind::Not(inner) => ExprKind::Not(Box::new(inner.replace_names(find)?)),
            ExprKind::Name(name) => match find(&name, span)? {
                Some(body) => ExprKind::Macro { name: name.into(), body },
                None => ExprKind::Name(name),
            },
            kind @ (ExprKind::Macro { .. } | ExprKind::Exists(_) | ExprKind::Check(_)) => kind,
        };
        Ok(Expr { kind, span })
    }

    /// Lets `change` change every comparison outside of macros, for example to put a list in the
    /// place of its name.
    pub fn change_checks(&mut self, change: &mut dyn FnMut(&mut Check)) {
        match &mut self.kind {
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                parts.iter_mut().for_each(|part| part.change_checks(change));
            }
            ExprKind::Not(inner) => inner.change_checks(change),
            ExprKind::Check(check) => change(check),
            ExprKind::Name(_) | ExprKind::Macro { .. } | ExprKind::Exists(_) => {}
        }
    }

    /// Lets `change` change every place outside of macros, for example from places in the
    /// condition to places in its file.
    pub fn change_spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
        change(&mut self.span);
        match &mut self.kind {
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                parts.iter_mut().for_each(|part| part.change_spans(change));
            }
            ExprKind::Not(inner) => inner.change_spans(change),
            ExprKind::Exists(operand) => operand.change_spans(change),
            ExprKind::Check(check) => {
                check.left.change_spans(change);
                match &mut check.right {
                    Right::Value(value) | Right::Name(value) => change(&mut value.span),
                    Right::List(values) => values.iter_mut().for_each(|value| change(&mut value.span)),
                    Right::Operand(operand) => operand.change_spans(change),
                }
            }
            ExprKind::Name(_) | ExprKind::Macro { .. } => {}
        }
    }
}

impl Operand {
    /// Where it was read from.
    pub fn span(&self) -> Span {
        match self {
            Operand::Field(field) => field.span,
            Operand::Transform(transform) => transform.span,
        }
    }

    /// Calls `see` for every field within.
    pub fn visit_fields<'e>(&'e self, see: &mut dyn FnMut(&'e Field)) {
        match self {
            Operand::Field(field) => see(field),
            Operand::Transform(transform) => {
                transform.arguments.iter().for_each(|argument| argument.visit_fields(see));
            }
        }
    }

    fn change_spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
        match self {
            Operand::Field(field) => change(&mut field.span),
            Operand::Transform(transform) => {
                change(&mut transform.span);
                transform.arguments.iter_mut().for_each(|argument| argument.change_spans(change));
            }
        }
    }
}

impl Argument {
    fn visit_fields<'e>(&'e self, see: &mut dyn FnMut(&'e Field)) {
        match self {
            Argument::Operand(operand) => operand.visit_fields(see),
            Argument::List(items) => items.iter().for_each(|item| item.visit_fields(see)),
            Argument::Value(_) => {}
        }
    }

    fn change_spans(&mut self, change: &mut dyn FnMut(&mut Span)) {
        match self {
            Argument::Operand(operand) => operand.change_spans(change),
            Argument::List(items) => items.iter_mut().for_each(|item| item.change_spans(change)),
            Argument::Value(value) => change(&mut value.span),
        }
    }
}
