//! Values that a container's runtime may still tell, so that an alert can wait for them.

use lanner_machine::Machine;

use super::{Format, Piece, render_term, term_json};
use crate::extract::container;
use crate::text::{json_value, render_value};
use crate::{Context, FieldType, NumberFormat, Scratch, Term};

/// A finished part of an alert, or one that waits for what is known of a container.
#[derive(Clone, Debug)]
pub enum Part<T> {
    /// Finished.
    Done(T),
    /// Not yet.
    Late(Box<Late>),
}

/// A value that depends on what will be known of a container.
#[derive(Clone, Debug)]
pub struct Late {
    term: Term,
    width: usize,
    container: Box<[u8]>,
}

impl Late {
    /// Id of the container.
    pub fn container(&self) -> &[u8] {
        &self.container
    }

    /// Whether all is known that will be.
    pub fn is_known(&self, machine: &Machine) -> bool {
        machine.container(&self.container).is_some_and(|c| c.complete)
    }

    fn value<T>(&self, machine: &Machine, take: impl FnOnce(&crate::Value<'_>) -> T) -> T {
        let scratch = Scratch::new();
        let view = container::View::of_container(&self.container, machine, &scratch);
        let value = self.term.evaluate(&scratch, &|field| container::late_value(field, &view));
        take(&value)
    }
}

impl Part<String> {
    /// The text with what is known now.
    pub fn finish(self, machine: &Machine) -> String {
        match self {
            Part::Done(text) => text,
            Part::Late(late) => late.value(machine, |value| {
                let mut out = Vec::new();
                render_value(value, late.term.ty(), NumberFormat::Plain, &mut out);
                if late.width > 0 {
                    out.resize(late.width, b' ');
                }
                String::from_utf8_lossy(&out).into_owned()
            }),
        }
    }
}

impl Part<serde_json::Value> {
    /// The JSON value with what is known now.
    pub fn finish(self, machine: &Machine) -> serde_json::Value {
        match self {
            Part::Done(value) => value,
            Part::Late(late) => {
                let ty: FieldType = late.term.ty();
                late.value(machine, |value| json_value(value, ty, NumberFormat::Plain))
            }
        }
    }
}

impl Format {
    /// Like [`Format::render`], in parts that may wait for what is known of the event's container.
    pub fn render_parts(&self, cx: &Context<'_>) -> Vec<Part<String>> {
        let mut parts = Vec::new();
        let mut done = Vec::new();
        let close = |done: &mut Vec<u8>, parts: &mut Vec<Part<String>>| {
            if !done.is_empty() {
                parts.push(Part::Done(String::from_utf8_lossy(done).into_owned()));
                done.clear();
            }
        };
        let mut cx = *cx;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => done.extend_from_slice(text.as_bytes()),
                Piece::Term { term, width } => match late(term, *width, &cx) {
                    Some(late) => {
                        close(&mut done, &mut parts);
                        parts.push(Part::Late(Box::new(late)));
                    }
                    None => render_term(term, &term.value(&cx), &cx, *width, &mut done),
                },
            }
            cx = self.after(piece, cx);
        }
        close(&mut done, &mut parts);
        parts
    }

    /// Like [`Format::values`], in parts that may wait for what is known of the event's container.
    pub fn value_parts(&self, cx: &Context<'_>) -> Vec<(String, Part<serde_json::Value>)> {
        let cx = self.after_all(cx);
        let part = |term: &Term| match late(term, 0, &cx) {
            Some(late) => Part::Late(Box::new(late)),
            None => Part::Done(term_json(term, &cx)),
        };
        self.fields.iter().map(|(name, term)| (name.to_string(), part(term))).collect()
    }
}

/// The term as one that waits, if there is something to wait for.
fn late(term: &Term, width: usize, cx: &Context<'_>) -> Option<Late> {
    let id = unknown_container(cx)?;
    let fields = term.fields();
    if fields.is_empty() || !fields.iter().all(|f| f.is_late()) {
        return None;
    }
    Some(Late { term: term.clone(), width, container: id.into() })
}

/// The container of the event's thread, if not all is known of it that will be.
fn unknown_container<'a>(cx: &Context<'a>) -> Option<&'a [u8]> {
    let id: &[u8] = &cx.thread()?.container;
    (!id.is_empty() && !cx.machine.container(id).is_some_and(|c| c.complete)).then_some(id)
}

/// Whether anything that a format says of this event may have to wait.
pub fn may_wait(cx: &Context<'_>) -> bool {
    unknown_container(cx).is_some()
}
