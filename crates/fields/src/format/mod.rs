//! Output formats: text with fields in it.

mod late;
mod parse;

use std::fmt;

use crate::text::{json_value, render_value, until_nul};
use crate::{Context, Field, FormatError, Term, Value, Vocabulary};

pub use late::{Late, Part, may_wait};

/// Room for the text of most alerts.
const USUAL_LENGTH: usize = 256;

/// A part of a format.
#[derive(Clone, Debug)]
enum Piece {
    /// Text as it stands.
    Text(Box<str>),
    /// A value, cut or filled up to a width unless that is 0.
    Term { term: Box<Term>, width: usize },
}

/// A format string, ready to be filled in.
#[derive(Clone, Debug)]
pub struct Format {
    written: Box<str>,
    pieces: Box<[Piece]>,
    require_all: bool,
    /// Some field in it changes what later ones see; see [`Format::after`].
    moves_fd: bool,
    /// The fields whose values JSON shows, by the names it shows them under, in order of these.
    fields: Box<[(Box<str>, Term)]>,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Format {
    /// Reads a format that names fields of the vocabulary (or any that events of a source have).
    ///
    /// # Errors
    /// When something behind a `%` is no field or transformer; the error says where.
    pub fn parse<'v>(vocabulary: impl Into<Vocabulary<'v>>, text: &str) -> Result<Format, FormatError> {
        let parsed = parse::parse(vocabulary.into(), text)?;
        let mut fields: Vec<(Box<str>, Term)> = Vec::new();
        for piece in &parsed.pieces {
            if let Piece::Term { term, .. } = piece {
                fields.extend(
                    term.fields().into_iter().map(|f| (f.to_string().into(), Term::Field(f.clone()))),
                );
            }
        }
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields.dedup_by(|a, b| a.0 == b.0);
        Ok(Format {
            written: text.into(),
            pieces: parsed.pieces.into(),
            require_all: parsed.require_all,
            moves_fd: fields.iter().any(|(_, term)| term.as_field().is_some_and(Field::moves_fd)),
            fields: fields.into(),
        })
    }

    /// Whether the text doesn't begin with `*`, which says that a text with absent values is wanted too.
    pub fn requires_all(&self) -> bool {
        self.require_all
    }

    /// The fields in it, each once, in alphabetical order.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter_map(|(_, term)| term.as_field())
    }

    /// Appends the text with the values filled in, `<NA>` for absent ones. False if there was one of these.
    pub fn render(&self, cx: &Context<'_>, out: &mut String) -> bool {
        let mut bytes = Vec::with_capacity(USUAL_LENGTH);
        let complete = self.render_bytes(cx, &mut bytes);
        match String::from_utf8(bytes) {
            Ok(text) if out.is_empty() => *out = text,
            Ok(text) => out.push_str(&text),
            Err(error) => out.push_str(&String::from_utf8_lossy(error.as_bytes())),
        }
        complete
    }

    /// The same, as the bytes that the values are.
    pub fn render_bytes(&self, cx: &Context<'_>, out: &mut Vec<u8>) -> bool {
        if !self.moves_fd {
            return self.pieces.iter().fold(true, |complete, piece| complete & piece.render(cx, out));
        }
        let mut complete = true;
        let mut cx = *cx;
        for piece in &self.pieces {
            complete &= piece.render(&cx, out);
            cx = self.after(piece, cx);
        }
        complete
    }

    /// The fields' values for JSON, in alphabetical order of the names.
    pub fn values(&self, cx: &Context<'_>) -> Vec<(String, serde_json::Value)> {
        let cx = self.after_all(cx);
        self.fields.iter().map(|(name, term)| (name.to_string(), term_json(term, &cx))).collect()
    }

    /// What the pieces after one see. In Falco taking `evt.abspath` leaves the directory as the event's fd, and
    /// its users know their outputs so.
    fn after<'a>(&self, piece: &Piece, cx: Context<'a>) -> Context<'a> {
        match piece {
            Piece::Term { term, .. } if self.moves_fd => {
                term.fields().into_iter().fold(cx, |cx, field| field.after(cx))
            }
            _ => cx,
        }
    }

    /// What JSON's values see, which come after the whole text.
    fn after_all<'a>(&self, cx: &Context<'a>) -> Context<'a> {
        if !self.moves_fd {
            return *cx;
        }
        self.pieces.iter().fold(*cx, |cx, piece| self.after(piece, cx))
    }
}

impl Piece {
    /// Appends its text; false if the value is absent.
    fn render(&self, cx: &Context<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Piece::Text(text) => {
                out.extend_from_slice(text.as_bytes());
                true
            }
            Piece::Term { term, width } => {
                let value = term.value(cx);
                render_term(term, &value, cx, *width, out);
                !value.is_absent()
            }
        }
    }
}

fn render_term(term: &Term, value: &Value<'_>, cx: &Context<'_>, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    if let Value::Text(text) = value {
        // What most values are: neither type nor format makes a difference.
        out.extend_from_slice(until_nul(text));
    } else {
        let format = term.as_field().map_or(crate::NumberFormat::Plain, |f| f.number_format(cx));
        render_value(value, term.ty(), format, out);
    }
    if width > 0 {
        out.resize(start + width, b' ');
    }
}

fn term_json(term: &Term, cx: &Context<'_>) -> serde_json::Value {
    match term.as_field() {
        Some(field) => field
            .special_json(cx)
            .unwrap_or_else(|| json_value(&field.extract(cx), field.ty(), field.number_format(cx))),
        None => json_value(&term.value(cx), term.ty(), crate::NumberFormat::Plain),
    }
}

#[cfg(test)]
mod tests;
