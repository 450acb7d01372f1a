//! Putting macros in the place of their names.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use lanner_filter::{Expr, ExprKind, Span};

use super::{Compiler, Halt, Parsed, position};
use crate::collect::Dated;
use crate::fold::Folded;
use crate::place::Place;
use crate::report::{Diagnostic, ErrorCode};
use crate::suggest::closest;

/// How many checks a condition may have with its macros written out, and how deep they may stand: what goes
/// through conditions may then do so without further care.
const MOST_CHECKS: usize = 1_000_000;
const DEEPEST: usize = 1_000;
/// How many macros not yet put together may stand within each other.
const DEEPEST_BY_NAME: usize = 20;

/// Macros by their position among definitions.
#[derive(Default)]
pub(super) struct Macros {
    /// As parsed, names of other macros in them.
    parsed: Vec<Option<Parsed>>,
    /// With other macros in place.
    pub bodies: Vec<Option<Arc<Expr>>>,
    sizes: Vec<Size>,
    pub used: Vec<bool>,
    /// Which have been put together, whether or not that went well.
    tried: Vec<bool>,
}

/// What a condition comes to when macros are written out.
#[derive(Clone, Copy, Default)]
struct Size {
    checks: usize,
    depth: usize,
}

impl Size {
    const ENDLESS: Size = Size { checks: usize::MAX, depth: usize::MAX };
}

/// What went wrong at names of macros.
#[derive(Default)]
struct Trouble {
    unknown: Option<(String, Span)>,
    looped: Option<(String, Span)>,
    /// A macro that couldn't be read or compiled, which has been reported.
    spoiled: bool,
    too_deep: bool,
    /// Macros that were put together on the way, by position.
    found: HashMap<usize, Option<Arc<Expr>>>,
}

impl Macros {
    pub fn folded(&self, index: usize) -> Option<&Folded> {
        self.parsed.get(index)?.as_ref().map(|parsed| &parsed.folded)
    }
}

impl Compiler<'_, '_> {
    /// Parses all macros, then puts them into each other.
    pub(super) fn compile_macros(&mut self) -> Result<(), Halt> {
        let collector = self.collector;
        let count = collector.macros.items.len();
        self.macros.used = vec![false; count];
        self.macros.tried = vec![false; count];
        self.macros.bodies = vec![None; count];
        self.macros.sizes = vec![Size::default(); count];
        for Dated { item, .. } in &collector.macros.items {
            let parsed = match self.parse(Folded::plain(&item.condition), &item.condition_place) {
                Ok(parsed) => Some(parsed),
                Err(error) => {
                    self.fail(*error)?;
                    None
                }
            };
            self.macros.parsed.push(parsed);
        }
        for (index, Dated { item, visibility, .. }) in collector.macros.items.iter().enumerate() {
            let Some(Parsed { expr, .. }) = &self.macros.parsed[index] else { continue };
            let expr = expr.clone();
            let folded = Folded::plain(&item.condition);
            let body = self.put_in_macros(expr, &folded, *visibility, &item.place)?;
            self.macros.tried[index] = true;
            if let Some(body) = body {
                self.macros.sizes[index] = self.size(&body);
                self.macros.bodies[index] = Some(Arc::new(body));
            }
        }
        Ok(())
    }

    /// Puts macros defined before `visibility` in place of their names.
    pub(super) fn put_in_macros(
        &mut self,
        expr: Expr,
        folded: &Folded,
        visibility: usize,
        place: &Place,
    ) -> Result<Option<Expr>, Halt> {
        let mut trouble = Trouble::default();
        let expr = self.resolve(expr, visibility, &mut Vec::new(), &mut trouble);
        let (message, span, advice) = match (trouble.looped, trouble.unknown) {
            (Some((name, span)), _) => {
                let advice = "a macro can't be part of itself".to_owned();
                (format!("reference loop in macro '{name}'"), span, Some(advice))
            }
            (None, Some((name, span))) => {
                (format!("Undefined macro '{name}' used in filter."), span, self.advice_for(&name))
            }
            (None, None) if trouble.spoiled => return Ok(None),
            (None, None) => {
                let size = if trouble.too_deep { Size::ENDLESS } else { self.size(&expr) };
                if size.checks <= MOST_CHECKS && size.depth <= DEEPEST {
                    return Ok(Some(expr));
                }
                let message = "The condition grows too large once its macros are put in".to_owned();
                (message, Span::default(), Some("split it up, or use lists".to_owned()))
            }
        };
        let start = span.start.offset as usize;
        let origins = self.lists.origins(&folded.text);
        let raw = |offset: usize| origins.get(offset).copied().unwrap_or(offset);
        let mark = folded.marked(raw(start), raw((span.end as usize).saturating_sub(1)) + 1);
        let place = place.in_condition(position(span.start), folded.text.as_str().into()).mark(mark);
        let error = Diagnostic::error(ErrorCode::Validate, message, place);
        self.fail(error.advise_some(advice))?;
        Ok(None)
    }

    fn resolve(
        &mut self,
        expr: Expr,
        visibility: usize,
        path: &mut Vec<usize>,
        trouble: &mut Trouble,
    ) -> Expr {
        let mut find = |name: &str, span: Span| -> Result<Option<Arc<Expr>>, Infallible> {
            Ok(self.find(name, span, visibility, path, trouble))
        };
        match expr.replace_names(&mut find) {
            Ok(expr) => expr,
            Err(never) => match never {},
        }
    }

    fn find(
        &mut self,
        name: &str,
        span: Span,
        visibility: usize,
        path: &mut Vec<usize>,
        trouble: &mut Trouble,
    ) -> Option<Arc<Expr>> {
        let collector = self.collector;
        let position = collector.macros.position(name);
        let visible = position.filter(|&n| collector.macros.items[n].index < visibility);
        let Some(index) = visible else {
            if collector.spoiled.contains(name) || collector.unreadable {
                trouble.spoiled = true;
            } else if trouble.unknown.is_none() {
                trouble.unknown = Some((name.to_owned(), span));
            }
            return None;
        };
        if path.contains(&index) {
            trouble.looped.get_or_insert_with(|| (name.to_owned(), span));
            return None;
        }
        self.macros.used[index] = true;
        if let Some(body) = &self.macros.bodies[index] {
            return Some(Arc::clone(body));
        }
        if let Some(body) = trouble.found.get(&index) {
            return body.clone();
        }
        // Changed after its first definition, so that it comes later in the order, yet visible here.
        let Some(Parsed { expr, .. }) =
            self.macros.parsed[index].as_ref().filter(|_| !self.macros.tried[index])
        else {
            trouble.spoiled = true;
            return None;
        };
        if path.len() >= DEEPEST_BY_NAME {
            trouble.too_deep = true;
            return None;
        }
        let expr = expr.clone();
        path.push(index);
        let body = self.resolve(expr, visibility, path, trouble);
        path.pop();
        let body = Some(body).filter(|body| {
            let size = self.size(body);
            let fits = size.checks <= MOST_CHECKS && size.depth <= DEEPEST;
            trouble.too_deep |= !fits;
            fits
        });
        let body = body.map(Arc::new);
        trouble.found.insert(index, body.clone());
        body
    }

    fn size(&self, expr: &Expr) -> Size {
        let of = |parts: &[Expr]| {
            parts.iter().fold(Size::default(), |sum, part| {
                let size = self.size(part);
                Size { checks: sum.checks.saturating_add(size.checks), depth: sum.depth.max(size.depth) }
            })
        };
        let inner = match &expr.kind {
            ExprKind::And(parts) | ExprKind::Or(parts) => of(parts),
            ExprKind::Not(inner) => self.size(inner),
            ExprKind::Macro { name, body } => match self.collector.macros.position(name) {
                Some(index) if self.macros.bodies[index].is_some() => self.macros.sizes[index],
                _ => self.size(body),
            },
            ExprKind::Name(_) | ExprKind::Exists(_) | ExprKind::Check(_) => Size { checks: 1, depth: 0 },
        };
        Size { depth: inner.depth + 1, ..inner }
    }

    fn advice_for(&self, name: &str) -> Option<String> {
        if self.lists.has(name) {
            return Some(format!("'{name}' is a list: write 'some.field in ({name})'"));
        }
        if self.collector.macros.position(name).is_some() {
            return Some(format!("macro '{name}' is defined below: move it above what uses it"));
        }
        if let Some(meant) = closest(name, self.collector.macros.names()) {
            return Some(format!("did you mean the macro '{meant}'?"));
        }
        Some(format!("define it: '- macro: {name}' with a condition, above or in a file loaded before"))
    }
}
