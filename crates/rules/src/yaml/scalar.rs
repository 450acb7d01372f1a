//! Reading of one scalar: plain, quoted or block, over as many lines as it takes.

use super::stream::{Stream, is_blank_break_or_end, is_blank_or_break};
use super::{Style, YamlError};

/// What ends a scalar besides the end of the text and too little indentation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// `: `, ` #`
    Plain,
    /// The same, and `,?[]{}`
    PlainInFlow,
    SingleQuote,
    DoubleQuote,
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    Keep,
    Block,
    Flow,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Chomp {
    Strip,
    Clip,
    Keep,
}

/// How to read it.
pub(super) struct Plan {
    pub end: End,
    pub indent: usize,
    pub detect_indent: bool,
    pub fold: Fold,
    pub chomp: Chomp,
}

/// What was read.
pub(super) struct Read {
    pub text: String,
    /// Whether it ended because the next line is indented less.
    pub ended_by_indent: bool,
}

impl Plan {
    fn plain(&self) -> bool {
        matches!(self.end, End::Plain | End::PlainInFlow)
    }

    fn quoted(&self) -> bool {
        matches!(self.end, End::SingleQuote | End::DoubleQuote)
    }
}

impl End {
    /// How many bytes of the stream are the end, if it is here.
    fn here(self, stream: &Stream<'_>) -> bool {
        match self {
            End::Nothing => false,
            End::SingleQuote => stream.peek() == Some(b'\'') && stream.peek_at(1) != Some(b'\''),
            End::DoubleQuote => stream.peek() == Some(b'"'),
            End::Plain => colon_ends(stream, b"") || comment_follows(stream),
            End::PlainInFlow => {
                colon_ends(stream, b",]}")
                    || matches!(stream.peek(), Some(b',' | b'?' | b'[' | b']' | b'{' | b'}'))
                    || comment_follows(stream)
            }
        }
    }
}

fn colon_ends(stream: &Stream<'_>, also: &[u8]) -> bool {
    let next = stream.peek_at(1);
    stream.peek() == Some(b':') && (is_blank_break_or_end(next) || next.is_some_and(|b| also.contains(&b)))
}

fn comment_follows(stream: &Stream<'_>) -> bool {
    is_blank_or_break(stream.peek()) && (stream.peek_at(1) == Some(b'#') || (stream.starts_with(b"\r\n#")))
}

/// A scalar being put together.
struct Builder {
    text: String,
    /// Its length up to the last byte that isn't a blank of the line's end.
    solid: usize,
    /// Its length after the last escape: what precedes isn't trimmed.
    escaped: Option<usize>,
    found_text: bool,
    past_opening_break: bool,
    empty_line: bool,
    more_indented: bool,
    folded_breaks: usize,
    fold_started_more_indented: bool,
}

/// Reads a scalar; a quoted one from after its first quote to after its last.
pub(super) fn scan(stream: &mut Stream<'_>, mut plan: Plan) -> Result<Read, YamlError> {
    let mut b = Builder {
        text: String::new(),
        solid: 0,
        escaped: None,
        found_text: false,
        past_opening_break: plan.fold == Fold::Flow,
        empty_line: false,
        more_indented: false,
        folded_breaks: 0,
        fold_started_more_indented: false,
    };
    let mut ended_by_indent = false;
    while !stream.at_end() {
        let escaped_break = b.line(stream, &plan)?;
        if stream.at_end() {
            break;
        }
        if plan.plain() && stream.at_document_mark() {
            break;
        }
        if plan.end.here(stream) {
            if plan.quoted() {
                stream.eat(1);
                return Ok(Read { text: b.finish(&plan), ended_by_indent: false });
            }
            break;
        }
        if plan.fold == Fold::Flow {
            b.text.truncate(b.solid);
        }
        stream.eat_break();
        b.indentation(stream, &mut plan)?;
        b.fold(stream, &plan, escaped_break);
        if !b.empty_line && stream.column() < plan.indent {
            ended_by_indent = true;
            break;
        }
    }
    if plan.quoted() {
        return Err(YamlError::new(stream.mark(), "illegal EOF in scalar"));
    }
    Ok(Read { text: b.finish(&plan), ended_by_indent })
}

impl Builder {
    /// Reads to the end of the line or of the scalar; true if the line break is escaped.
    fn line(&mut self, stream: &mut Stream<'_>, plan: &Plan) -> Result<bool, YamlError> {
        self.solid = self.text.len();
        while !stream.at_end() && !stream.at_break() && !plan.end.here(stream) {
            if stream.at_document_mark() {
                if plan.plain() {
                    break;
                }
                if plan.quoted() {
                    return Err(YamlError::new(stream.mark(), "illegal document indicator in scalar"));
                }
            }
            self.found_text = true;
            self.past_opening_break = true;
            match (plan.end, stream.peek()) {
                (End::DoubleQuote, Some(b'\\')) if matches!(stream.peek_at(1), Some(b'\n' | b'\r')) => {
                    stream.eat(1);
                    self.mark_escape();
                    return Ok(true);
                }
                (End::DoubleQuote, Some(b'\\')) => {
                    stream.eat(1);
                    self.text.push(escape(stream)?);
                    self.mark_escape();
                }
                (End::SingleQuote, Some(b'\'')) => {
                    stream.eat(2);
                    self.text.push('\'');
                    self.mark_escape();
                }
                _ => self.run(stream, plan),
            }
        }
        Ok(false)
    }

    fn mark_escape(&mut self) {
        self.solid = self.text.len();
        self.escaped = Some(self.text.len());
    }

    /// Takes the next byte and the ordinary ones after it.
    fn run(&mut self, stream: &mut Stream<'_>, plan: &Plan) {
        let start = stream.offset();
        stream.eat(1);
        while let Some(byte) = stream.peek() {
            let special = match plan.end {
                End::Nothing => matches!(byte, b'\n' | b'\r'),
                End::SingleQuote => matches!(byte, b'\n' | b'\r' | b'\''),
                End::DoubleQuote => matches!(byte, b'\n' | b'\r' | b'"' | b'\\'),
                End::Plain | End::PlainInFlow => !byte.is_ascii_alphanumeric() && byte < 0x80,
            };
            if special {
                break;
            }
            stream.eat(1);
        }
        let taken = stream.text.get(start..stream.offset()).unwrap_or_default();
        let before = self.text.len();
        self.text.push_str(taken);
        let solid = taken.trim_end_matches([' ', '\t']).len();
        if solid > 0 {
            self.solid = before + solid;
        }
    }

    /// Eats what is indentation at the start of a line.
    fn indentation(&mut self, stream: &mut Stream<'_>, plan: &mut Plan) -> Result<(), YamlError> {
        let detecting = plan.detect_indent && !self.found_text;
        while stream.peek() == Some(b' ')
            && (stream.column() < plan.indent || detecting)
            && !plan.end.here(stream)
        {
            stream.eat(1);
        }
        if detecting {
            plan.indent = plan.indent.max(stream.column());
        }
        while stream.at_blank() {
            if stream.peek() == Some(b'\t') && stream.column() < plan.indent && !plan.quoted() {
                return Err(YamlError::new(stream.mark(), "illegal tab when looking for indentation"));
            }
            if plan.fold != Fold::Flow || plan.end.here(stream) {
                break;
            }
            stream.eat(1);
        }
        Ok(())
    }

    /// Puts in what the line break stands for.
    fn fold(&mut self, stream: &Stream<'_>, plan: &Plan, escaped_break: bool) {
        let next_empty = stream.at_break();
        let next_more_indented = stream.at_blank();
        if plan.fold == Fold::Block && self.folded_breaks == 0 && next_empty {
            self.fold_started_more_indented = self.more_indented;
        }
        if self.past_opening_break {
            match plan.fold {
                Fold::Keep => self.text.push('\n'),
                Fold::Block => {
                    let joined = !self.empty_line
                        && !next_empty
                        && !self.more_indented
                        && !next_more_indented
                        && stream.column() >= plan.indent;
                    self.fold_block(joined, next_empty, next_more_indented);
                }
                Fold::Flow if next_empty => self.text.push('\n'),
                Fold::Flow if !self.empty_line && !escaped_break => self.text.push(' '),
                Fold::Flow => {}
            }
        }
        self.empty_line = next_empty;
        self.more_indented = next_more_indented;
        self.past_opening_break = true;
    }

    fn fold_block(&mut self, joined: bool, next_empty: bool, next_more_indented: bool) {
        if joined {
            self.text.push(' ');
        } else if next_empty {
            self.folded_breaks += 1;
        } else {
            self.text.push('\n');
        }
        if !next_empty && self.folded_breaks > 0 {
            self.text.extend(std::iter::repeat_n('\n', self.folded_breaks - 1));
            if self.fold_started_more_indented || next_more_indented || !self.found_text {
                self.text.push('\n');
            }
            self.folded_breaks = 0;
        }
    }

    /// Trims the end as the kind of scalar demands, but never into an escape.
    fn finish(mut self, plan: &Plan) -> String {
        let keep = self.escaped.unwrap_or(0);
        if plan.plain() {
            let len = self.text.trim_end_matches([' ', '\t']).len().max(keep);
            self.text.truncate(len);
        }
        let solid = self.text.trim_end_matches('\n').len().max(keep);
        match plan.chomp {
            Chomp::Keep => {}
            Chomp::Strip => self.text.truncate(solid),
            Chomp::Clip if solid == 0 => self.text.clear(),
            Chomp::Clip => self.text.truncate(solid + 1),
        }
        self.text
    }
}

/// The character that an escape stands for, its backslash already eaten.
fn escape(stream: &mut Stream<'_>) -> Result<char, YamlError> {
    let digits = match stream.next() {
        Some(b'0') => return Ok('\0'),
        Some(b'a') => return Ok('\x07'),
        Some(b'b') => return Ok('\x08'),
        Some(b't' | b'\t') => return Ok('\t'),
        Some(b'n') => return Ok('\n'),
        Some(b'v') => return Ok('\x0b'),
        Some(b'f') => return Ok('\x0c'),
        Some(b'r') => return Ok('\r'),
        Some(b'e') => return Ok('\x1b'),
        Some(byte @ (b' ' | b'"' | b'\'' | b'\\' | b'/')) => return Ok(byte.into()),
        Some(b'N') => return Ok('\u{85}'),
        Some(b'_') => return Ok('\u{a0}'),
        Some(b'L') => return Ok('\u{2028}'),
        Some(b'P') => return Ok('\u{2029}'),
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        other => {
            let what = other.map_or(String::new(), |byte| char::from(byte).to_string());
            return Err(YamlError::new(stream.mark(), format!("unknown escape character: {what}")));
        }
    };
    let mut code = 0u32;
    for _ in 0..digits {
        let digit = stream.peek().and_then(|byte| char::from(byte).to_digit(16));
        let Some(digit) = digit else {
            return Err(YamlError::new(stream.mark(), "bad character found while scanning hex number"));
        };
        stream.eat(1);
        code = code.wrapping_mul(16).wrapping_add(digit);
    }
    char::from_u32(code).ok_or_else(|| YamlError::new(stream.mark(), format!("invalid unicode: {code}")))
}

impl Style {
    /// The style of a scalar that ends so.
    pub(super) fn ending(end: End) -> Style {
        match end {
            End::Plain | End::PlainInFlow => Style::Plain,
            End::SingleQuote => Style::SingleQuoted,
            End::DoubleQuote => Style::DoubleQuoted,
            End::Nothing => Style::Block,
        }
    }
}
