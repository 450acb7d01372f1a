//! Words of the condition language, read one at a time as the parser asks for them.
//!
//! What a piece of text is depends on where it stands (`in` may be an operator, a value or a
//! macro), so there is no list of tokens: the parser tries the words that may come next.

use crate::ast::{Function, Modifier, Operator};
use crate::error::Reason;
use crate::escape::{bare_byte, unescape};
use crate::position::{Position, Span};

pub(crate) struct Lexer<'t> {
    text: &'t str,
    position: Position,
    /// The last word that was read, as messages quote it.
    last: Last<'t>,
}

#[derive(Clone)]
enum Last<'t> {
    Word(&'t str),
    Quoted(Vec<u8>),
}

/// A state to which a lexer can go back.
pub(crate) struct Mark<'t>(Position, Last<'t>);

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Lexer { text, position: Position::default(), last: Last::Word("") }
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    pub(crate) fn span_from(&self, start: Position) -> Span {
        Span { start, end: self.position.offset }
    }

    pub(crate) fn next_char(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn last_word(&self) -> String {
        match &self.last {
            Last::Word(word) => (*word).to_owned(),
            Last::Quoted(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        }
    }

    pub(crate) fn mark(&self) -> Mark<'t> {
        Mark(self.position, self.last.clone())
    }

    pub(crate) fn go_back(&mut self, mark: Mark<'t>) {
        self.position = mark.0;
        self.last = mark.1;
    }

    fn rest(&self) -> &'t str {
        // Every step ends behind an ASCII byte or a whole word, so this is a character boundary.
        self.text.get(self.position.offset as usize..).unwrap_or_default()
    }

    fn advance(&mut self, length: usize) -> &'t str {
        let word = self.rest().get(..length).unwrap_or_default();
        self.position = word.bytes().fold(self.position, Position::after);
        word
    }

    /// Reads `length` bytes as a word, if there are any.
    fn word(&mut self, length: usize) -> Option<&'t str> {
        (length > 0).then(|| {
            let word = self.advance(length);
            self.last = Last::Word(word);
            word
        })
    }

    /// Skips blanks; whether there were any.
    pub(crate) fn blank(&mut self) -> bool {
        let blanks = count(self.rest().as_bytes(), |b| matches!(b, b' ' | b'\t' | 8 | b'\r' | b'\n'));
        self.advance(blanks);
        blanks > 0
    }

    /// Reads exactly `word`, whatever follows it.
    pub(crate) fn exact(&mut self, word: &str) -> bool {
        self.rest().starts_with(word) && self.word(word.len()).is_some()
    }

    /// Reads `word` and the blanks that must follow it.
    fn spaced(&mut self, word: &str) -> bool {
        let mark = self.mark();
        if self.exact(word) && self.blank() {
            return true;
        }
        self.go_back(mark);
        false
    }

    /// `not` and the blanks after it.
    pub(crate) fn not(&mut self) -> bool {
        let rest = self.rest().as_bytes();
        let Some(tail) = rest.strip_prefix(b"not") else { return false };
        let spaces = count(tail, |b| matches!(b, b' ' | b'\t'..=b'\r'));
        spaces > 0 && self.word(3 + spaces).is_some()
    }

    pub(crate) fn identifier(&mut self) -> Option<&'t str> {
        self.word(identifier_length(self.rest().as_bytes()))
    }

    /// Two or more identifiers with dots between them.
    pub(crate) fn field_name(&mut self) -> Option<&'t str> {
        let rest = self.rest().as_bytes();
        let mut length = identifier_length(rest);
        let mut parts = usize::from(length > 0);
        while parts > 0 && rest.get(length) == Some(&b'.') {
            let part = identifier_length(&rest[length + 1..]);
            if part == 0 {
                break;
            }
            length += 1 + part;
            parts += 1;
        }
        if parts > 1 { self.word(length) } else { None }
    }

    /// A field's argument without quotes.
    pub(crate) fn bare_argument(&mut self) -> Option<&'t str> {
        let plain = |b: u8| !matches!(b, b'[' | b']' | b'"' | b'\'' | b' ' | b'\t'..=b'\r');
        self.word(count(self.rest().as_bytes(), plain))
    }

    pub(crate) fn bare_text(&mut self) -> Option<&'t str> {
        self.word(count(self.rest().as_bytes(), bare_byte))
    }

    pub(crate) fn number(&mut self) -> Option<&'t str> {
        let rest = self.rest().as_bytes();
        let length = hex_length(rest).unwrap_or_else(|| number_length(rest));
        self.word(length)
    }

    /// A text in quotes, escapes resolved. `None` where there is none or it isn't closed.
    pub(crate) fn quoted(&mut self) -> Result<Option<Vec<u8>>, Reason> {
        let rest = self.rest().as_bytes();
        let Some(&quote) = rest.first().filter(|byte| matches!(byte, b'"' | b'\'')) else {
            return Ok(None);
        };
        // A quote closes unless a backslash is right before it, even one that is itself escaped:
        // so Falco reads it.
        let Some(inner) = (1..rest.len()).find(|at| rest[*at] == quote && rest[*at - 1] != b'\\') else {
            return Ok(None);
        };
        self.advance(inner + 1);
        let bytes = unescape(&rest[1..inner], quote)?;
        self.last = Last::Quoted(bytes.clone());
        Ok(Some(bytes))
    }

    pub(crate) fn exists(&mut self) -> bool {
        self.exact("exists")
    }

    pub(crate) fn operator(&mut self) -> Option<Operator> {
        Operator::ALL.iter().copied().find(|operator| {
            // Words over texts need a blank after them; `in(a)` doesn't.
            let word = operator.as_str();
            let spaced = word.as_bytes()[0].is_ascii_alphabetic() && !operator.takes_list();
            if spaced { self.spaced(word) } else { self.exact(word) }
        })
    }

    pub(crate) fn modifier(&mut self) -> Option<Modifier> {
        Modifier::ALL.iter().copied().find(|modifier| self.spaced(modifier.as_str()))
    }

    /// A transformer's name and its parenthesis.
    pub(crate) fn function(&mut self) -> Option<Function> {
        let function = Function::ALL.iter().copied().find(|function| {
            let tail = self.rest().strip_prefix(function.as_str());
            *function != Function::Val && tail.is_some_and(|tail| tail.starts_with('('))
        })?;
        self.open_function(function);
        Some(function)
    }

    /// `val(`
    pub(crate) fn val(&mut self) -> bool {
        let found = self.rest().starts_with("val(");
        if found {
            self.open_function(Function::Val);
        }
        found
    }

    fn open_function(&mut self, function: Function) {
        let name = function.as_str();
        self.word(name.len() + 1);
        self.last = Last::Word(name);
    }

    /// Whether a list or its name begins here, and not `and`, `or`, `not`.
    pub(crate) fn list_follows(&self) -> bool {
        let rest = self.rest().as_bytes();
        let keyword = ["and", "or", "not"].iter().any(|keyword| {
            let tail = rest.strip_prefix(keyword.as_bytes());
            tail.is_some_and(|tail| !tail.first().is_some_and(u8::is_ascii_alphanumeric))
        });
        !keyword && (rest.first() == Some(&b'(') || identifier_length(rest) > 0)
    }
}

fn count(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| wanted(**byte)).count()
}

fn identifier_length(bytes: &[u8]) -> usize {
    match bytes.first() {
        Some(first) if first.is_ascii_alphabetic() => {
            count(bytes, |byte| byte.is_ascii_alphanumeric() || byte == b'_')
        }
        _ => 0,
    }
}

fn hex_length(bytes: &[u8]) -> Option<usize> {
    let digits = bytes.strip_prefix(b"0x").or_else(|| bytes.strip_prefix(b"0X"))?;
    let length = count(digits, |byte| byte.is_ascii_hexdigit());
    (length > 0).then_some(2 + length)
}

/// Sign, digits, point, digits, exponent with a sign of its own.
fn number_length(bytes: &[u8]) -> usize {
    let digits = |from: usize| count(bytes.get(from..).unwrap_or_default(), |byte| byte.is_ascii_digit());
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(sign);
    if whole == 0 {
        return 0;
    }
    let mut length = sign + whole;
    if bytes.get(length) == Some(&b'.') {
        length += 1 + digits(length + 1);
    }
    let exponent = matches!(bytes.get(length), Some(b'e' | b'E'))
        && matches!(bytes.get(length + 1), Some(b'+' | b'-'))
        && digits(length + 2) > 0;
    if exponent { length + 2 + digits(length + 2) } else { length }
}
