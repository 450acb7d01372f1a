//! Reading format strings: `%field`, `%field[argument]`, `%(field)`, `%20field`, `%tolower(field)`.
//!
//! A field's name ends where the longest name that is one ends: in `%proc.name.` the last dot is plain text.

use crate::{FormatError, FormatErrorReason, Term, TermError, Vocabulary};

use super::Piece;

/// Deepest nesting of transformers.
const MAX_DEPTH: usize = 50;

/// The pieces of a format, and the terms in it whose values JSON shows.
pub(super) struct Parsed {
    pub pieces: Vec<Piece>,
    pub require_all: bool,
}

pub(super) fn parse(vocabulary: Vocabulary<'_>, text: &str) -> Result<Parsed, FormatError> {
    if text.is_empty() {
        return Err(FormatError { position: 0, reason: FormatErrorReason::Empty });
    }
    let mut pieces = Vec::new();
    let mut at = usize::from(text.starts_with('*'));
    let require_all = at == 0;
    while let Some(percent) = text[at..].find('%').map(|i| at + i) {
        if percent > at {
            pieces.push(Piece::Text(text[at..percent].into()));
        }
        let (piece, end) = piece(vocabulary, text, percent)?;
        pieces.push(piece);
        at = end;
    }
    if at < text.len() {
        pieces.push(Piece::Text(text[at..].into()));
    }
    Ok(Parsed { pieces, require_all })
}

/// The term behind a percent sign, and where it ends.
fn piece(vocabulary: Vocabulary<'_>, text: &str, percent: usize) -> Result<(Piece, usize), FormatError> {
    let fail = |position, reason| Err(FormatError { position, reason });
    let mut at = percent + 1;
    if at == text.len() {
        return fail(percent, FormatErrorReason::OpenPercent);
    }
    let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
    let width = text[at..at + digits].parse().unwrap_or(0);
    at += digits;
    if at == text.len() {
        return fail(percent, FormatErrorReason::OpenWidth);
    }
    let bracketed = text[at..].starts_with('(');
    at += usize::from(bracketed);
    let mut reader = Reader { vocabulary, text, at, depth: 0 };
    let term = reader.term_or_shorter()?;
    if bracketed {
        reader.expect(')', "a closing parenthesis")?;
    }
    Ok((Piece::Term { term: Box::new(term), width }, reader.at))
}

/// Reads terms from a place in a text.
struct Reader<'a> {
    vocabulary: Vocabulary<'a>,
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, reason: impl Into<FormatErrorReason>) -> Result<T, FormatError> {
        Err(FormatError { position: self.at, reason: reason.into() })
    }

    fn blank(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, c: char) -> bool {
        let there = self.rest().starts_with(c);
        self.at += if there { c.len_utf8() } else { 0 };
        there
    }

    fn expect(&mut self, c: char, what: &'static str) -> Result<(), FormatError> {
        if self.eat(c) { Ok(()) } else { self.fail(FormatErrorReason::Expected(what)) }
    }

    /// A transformer or field; what is no field any more at its end is left.
    fn term_or_shorter(&mut self) -> Result<Term, FormatError> {
        if let Some(name) = self.transformer() {
            return self.arguments(name);
        }
        let start = self.at;
        let Some(name) = self.field_name() else {
            return self.fail(FormatErrorReason::Expected("the name of a field or transformer"));
        };
        self.at = start + name.len();
        let whole = match self.argument() {
            Ok(argument) => Term::field(self.vocabulary, name, argument.as_deref()),
            Err(_) => Term::field(self.vocabulary, name, None),
        };
        let first_error = match whole {
            Ok(term) => return Ok(term),
            Err(error) => error,
        };
        for end in (1..=name.len()).rev() {
            if let Ok(term) = Term::field(self.vocabulary, &name[..end], None) {
                self.at = start + end;
                return Ok(term);
            }
        }
        self.at = start;
        self.fail(TermError::from(first_error))
    }

    /// The name of a transformer with its opening parenthesis.
    fn transformer(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let found = length > 0 && rest[length..].starts_with('(');
        self.at += if found { length + 1 } else { 0 };
        found.then_some(&rest[..length])
    }

    /// Words with dots between, two at least, at the current place.
    fn field_name(&self) -> Option<&'a str> {
        let rest = self.rest();
        let word = |from: usize| {
            let bytes = &rest.as_bytes()[from..];
            let starts = bytes.first().is_some_and(u8::is_ascii_alphabetic);
            let length = bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
            starts.then_some(from + length)
        };
        let first = word(0)?;
        let mut end = first;
        while rest[end..].starts_with('.') {
            match word(end + 1) {
                Some(next) => end = next,
                None => break,
            }
        }
        (end > first).then_some(&rest[..end])
    }

    /// What stands in brackets, if they are there.
    fn argument(&mut self) -> Result<Option<String>, FormatError> {
        let start = self.at;
        if !self.eat('[') {
            return Ok(None);
        }
        let argument = match self.quoted() {
            Some(text) => Some(text),
            None => {
                let length = self
                    .rest()
                    .find(|c: char| matches!(c, '[' | ']' | '"' | '\'') || c.is_ascii_whitespace())
                    .unwrap_or(self.rest().len());
                let bare = &self.rest()[..length];
                self.at += length;
                (length > 0).then(|| bare.to_string())
            }
        };
        if argument.is_none() || !self.eat(']') {
            self.at = start;
            return self.fail(FormatErrorReason::Expected("an argument in brackets"));
        }
        Ok(argument)
    }

    /// A text in quotes.
    fn quoted(&mut self) -> Option<String> {
        let rest = self.rest();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let mut out = String::new();
        let mut chars = rest[1..].char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.at += 1 + i + 1;
                    return Some(out);
                }
                '\\' => match chars.next()?.1 {
                    'b' => out.push('\u{8}'),
                    'f' => out.push('\u{c}'),
                    'n' => out.push('\n'),
                    'r' => out.push('\r'),
                    't' => out.push('\t'),
                    other => out.push(other),
                },
                _ => out.push(c),
            }
        }
        None
    }

    fn number(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let length = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
        let starts = rest.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'-' || b == b'+');
        self.at += if starts { length } else { 0 };
        starts.then_some(&rest[..length])
    }

    /// What stands between a transformer's parentheses, and what it then is.
    fn arguments(&mut self, name: &str) -> Result<Term, FormatError> {
        let start = self.at - name.len() - 1;
        let mut arguments = Vec::new();
        loop {
            self.blank();
            arguments.push(self.operand()?);
            self.blank();
            if !self.eat(',') {
                break;
            }
        }
        self.expect(')', "a comma or a closing parenthesis")?;
        let selector = self.argument()?;
        Term::apply(name, arguments, selector.as_deref())
            .map_err(|e| FormatError { position: start, reason: e.into() })
    }

    /// A constant, a list, a transformer or a field.
    fn operand(&mut self) -> Result<Term, FormatError> {
        if let Some(text) = self.quoted() {
            return Ok(Term::Text(text.into()));
        }
        if let Some(number) = self.number() {
            return Ok(Term::Text(number.into()));
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail(FormatErrorReason::Expected("fewer parentheses in each other"));
        }
        let term = if self.eat('(') {
            self.list()
        } else if let Some(name) = self.transformer() {
            self.arguments(name)
        } else {
            self.field()
        };
        self.depth -= 1;
        term
    }

    fn list(&mut self) -> Result<Term, FormatError> {
        let mut terms = Vec::new();
        self.blank();
        while !self.eat(')') {
            if !terms.is_empty() {
                self.expect(',', "a comma or a closing parenthesis")?;
            }
            self.blank();
            terms.push(self.operand()?);
            self.blank();
        }
        Ok(Term::List(terms.into()))
    }

    fn field(&mut self) -> Result<Term, FormatError> {
        let start = self.at;
        let Some(name) = self.field_name() else {
            return self
                .fail(FormatErrorReason::Expected("a field, a transformer, a number or a text in quotes"));
        };
        self.at += name.len();
        let argument = self.argument()?;
        Term::field(self.vocabulary, name, argument.as_deref())
            .map_err(|e| FormatError { position: start, reason: TermError::from(e).into() })
    }
}
