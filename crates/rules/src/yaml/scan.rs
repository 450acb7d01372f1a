//! Tokens: what stands between the bytes of a document and its nodes.
//!
//! A key is known to be one only when its colon is reached, so tokens that depend on it wait in the queue
//! as unverified until then.

use std::collections::VecDeque;

use super::scalar::{self, Chomp, End, Fold, Plan};
use super::stream::{Stream, is_blank_break_or_end, is_blank_or_break};
use super::{Scalar, Style, YamlError};
use crate::place::Position;

/// How far a key may stand before its colon, in bytes.
const LONGEST_KEY: usize = 1024;
/// How deep brackets may stand within each other.
const DEEPEST_FLOW: usize = 100;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Directive,
    DocumentStart,
    DocumentEnd,
    SequenceStart,
    MapStart,
    SequenceEnd,
    MapEnd,
    Entry,
    FlowSequenceStart,
    FlowMapStart,
    FlowSequenceEnd,
    FlowMapEnd,
    FlowEntry,
    Key,
    Value,
    Anchor(String),
    Alias(String),
    Tag,
    Scalar(Scalar),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Valid,
    Invalid,
    Unverified,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub kind: Kind,
    pub at: Position,
    pub end: usize,
    status: Status,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Collection {
    None,
    Sequence,
    Map,
}

struct Indent {
    column: isize,
    collection: Collection,
    status: Status,
    /// Its start token, counted from the first token of the document.
    start: usize,
}

/// A key that is one if a colon follows in time.
struct SimpleKey {
    at: Position,
    flow_level: usize,
    key: usize,
    /// The map it begins, as an index of `all_indents`.
    indent: Option<usize>,
}

pub(super) struct Scanner<'a> {
    stream: Stream<'a>,
    tokens: VecDeque<Token>,
    /// Tokens taken off the front so far.
    taken: usize,
    all_indents: Vec<Indent>,
    /// The open ones, as indexes of `all_indents`.
    indents: Vec<usize>,
    flows: Vec<Collection>,
    keys: Vec<SimpleKey>,
    key_allowed: bool,
    /// After a quoted text or a closed flow collection a colon needs no blank, as in JSON.
    json_like: bool,
    ended: bool,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Scanner<'a> {
        let ground = Indent { column: -1, collection: Collection::None, status: Status::Valid, start: 0 };
        Scanner {
            stream: Stream::new(text),
            tokens: VecDeque::new(),
            taken: 0,
            all_indents: vec![ground],
            indents: vec![0],
            flows: Vec::new(),
            keys: Vec::new(),
            key_allowed: true,
            json_like: false,
            ended: false,
        }
    }

    /// How far the bytes have been read.
    pub fn mark(&self) -> Position {
        self.stream.mark()
    }

    /// How many tokens have been taken.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// The next token, if there is one.
    pub fn peek(&mut self) -> Result<Option<&Token>, YamlError> {
        loop {
            match self.tokens.front().map(|token| token.status) {
                Some(Status::Valid) => return Ok(self.tokens.front()),
                Some(Status::Invalid) => self.pop(),
                Some(Status::Unverified) | None if self.ended => return Ok(None),
                Some(Status::Unverified) | None => self.scan()?,
            }
        }
    }

    pub fn pop(&mut self) {
        self.tokens.pop_front();
        self.taken += 1;
    }

    /// Takes the next token.
    pub fn next(&mut self) -> Result<Option<Token>, YamlError> {
        if self.peek()?.is_none() {
            return Ok(None);
        }
        self.taken += 1;
        Ok(self.tokens.pop_front())
    }

    fn push(&mut self, kind: Kind, at: Position, status: Status) -> usize {
        let end = self.stream.offset();
        self.tokens.push_back(Token { kind, at, end, status });
        self.taken + self.tokens.len() - 1
    }

    fn set_status(&mut self, token: usize, status: Status) {
        if let Some(token) = token.checked_sub(self.taken).and_then(|index| self.tokens.get_mut(index)) {
            token.status = status;
        }
    }

    fn in_flow(&self) -> bool {
        !self.flows.is_empty()
    }

    fn error<T>(&self, reason: &str) -> Result<T, YamlError> {
        Err(YamlError::new(self.stream.mark(), reason))
    }

    fn scan(&mut self) -> Result<(), YamlError> {
        self.skip_to_next_token();
        self.pop_indents_to_here();
        let Some(byte) = self.stream.peek() else { return self.end() };
        let after = self.stream.peek_at(1);
        let flow = self.in_flow();
        match byte {
            b'%' if self.stream.column() == 0 => self.directive(),
            _ if self.stream.at_mark(b"---") => self.document_mark(Kind::DocumentStart),
            _ if self.stream.at_mark(b"...") => self.document_mark(Kind::DocumentEnd),
            b'[' | b'{' if self.flows.len() >= DEEPEST_FLOW => return self.error("bad file"),
            b'[' | b'{' => self.flow_start(byte),
            b']' | b'}' => return self.flow_end(byte),
            b',' => self.flow_entry(),
            b'-' if is_blank_break_or_end(after) => return self.block_entry(),
            b'?' if is_blank_or_break(after) => return self.key(),
            b':' if self.value_follows(after) => return self.value(),
            b'*' | b'&' => return self.anchor_or_alias(byte),
            b'!' => self.tag(),
            b'|' | b'>' if !flow => return self.block_scalar(byte),
            b'\'' | b'"' => return self.quoted_scalar(byte),
            b'#' | b'@' | b'`' | b'%' | b'|' | b'>' => return self.error("unknown token"),
            b'?' if flow => return self.error("unknown token"),
            b':' if is_blank_break_or_end(after) => return self.error("unknown token"),
            _ => return self.plain_scalar(),
        }
        Ok(())
    }

    fn value_follows(&self, after: Option<u8>) -> bool {
        if !self.in_flow() {
            return is_blank_break_or_end(after);
        }
        self.json_like || is_blank_or_break(after) || matches!(after, Some(b',' | b']' | b'}'))
    }

    fn skip_to_next_token(&mut self) {
        loop {
            while self.stream.at_blank() {
                if !self.in_flow() && self.stream.peek() == Some(b'\t') {
                    self.key_allowed = false;
                }
                self.stream.eat(1);
            }
            if self.stream.peek() == Some(b'#') {
                self.stream.eat_line();
            }
            if !self.stream.at_break() {
                return;
            }
            self.stream.eat_break();
            self.invalidate_key();
            if !self.in_flow() {
                self.key_allowed = true;
            }
        }
    }

    fn end(&mut self) -> Result<(), YamlError> {
        self.stream.reset_column();
        self.pop_all();
        self.ended = true;
        Ok(())
    }

    fn pop_all(&mut self) {
        if !self.in_flow() {
            while self.indents.len() > 1 {
                self.pop_indent();
            }
        }
        while let Some(key) = self.keys.pop() {
            self.resolve(&key, Status::Invalid);
        }
        self.key_allowed = false;
    }

    fn pop_indents_to_here(&mut self) {
        if self.in_flow() {
            return;
        }
        let column = self.stream.column() as isize;
        let at_entry = self.stream.peek() == Some(b'-') && is_blank_break_or_end(self.stream.peek_at(1));
        while self.indents.len() > 1 {
            let top = self.top_indent();
            let sequence_over = top.collection == Collection::Sequence && !at_entry;
            if top.column < column || (top.column == column && !sequence_over) {
                break;
            }
            self.pop_indent();
        }
        while self.indents.len() > 1 && self.top_indent().status == Status::Invalid {
            self.pop_indent();
        }
    }

    fn top_indent(&self) -> &Indent {
        &self.all_indents[*self.indents.last().unwrap_or(&0)]
    }

    fn pop_indent(&mut self) {
        let Some(index) = self.indents.pop() else { return };
        if self.all_indents[index].status != Status::Valid {
            self.invalidate_key();
            return;
        }
        let kind = match self.all_indents[index].collection {
            Collection::Sequence => Kind::SequenceEnd,
            Collection::Map => Kind::MapEnd,
            Collection::None => return,
        };
        self.push(kind, self.stream.mark(), Status::Valid);
    }

    /// Opens a collection here, unless it is open already.
    fn push_indent(&mut self, collection: Collection) -> Option<usize> {
        if self.in_flow() {
            return None;
        }
        let column = self.stream.column() as isize;
        let last = self.top_indent();
        let in_map = collection == Collection::Sequence && last.collection == Collection::Map;
        if column < last.column || (column == last.column && !in_map) {
            return None;
        }
        let kind = if collection == Collection::Map { Kind::MapStart } else { Kind::SequenceStart };
        let start = self.push(kind, self.stream.mark(), Status::Valid);
        self.all_indents.push(Indent { column, collection, status: Status::Valid, start });
        self.indents.push(self.all_indents.len() - 1);
        self.indents.last().copied()
    }

    fn insert_potential_key(&mut self) {
        let level = self.flows.len();
        if !self.key_allowed || self.keys.last().is_some_and(|key| key.flow_level == level) {
            return;
        }
        let at = self.stream.mark();
        let indent = self.push_indent(Collection::Map);
        if let Some(index) = indent {
            self.all_indents[index].status = Status::Unverified;
            self.set_status(self.all_indents[index].start, Status::Unverified);
        }
        let key = self.push(Kind::Key, at, Status::Unverified);
        self.keys.push(SimpleKey { at, flow_level: level, key, indent });
    }

    fn pop_key_of_level(&mut self) -> Option<SimpleKey> {
        let level = self.flows.len();
        if self.keys.last()?.flow_level == level { self.keys.pop() } else { None }
    }

    fn invalidate_key(&mut self) {
        if let Some(key) = self.pop_key_of_level() {
            self.resolve(&key, Status::Invalid);
        }
    }

    fn verify_key(&mut self) -> bool {
        let Some(key) = self.pop_key_of_level() else { return false };
        let here = self.stream.mark();
        let valid = here.line == key.at.line && here.offset - key.at.offset <= LONGEST_KEY;
        self.resolve(&key, if valid { Status::Valid } else { Status::Invalid });
        valid
    }

    fn resolve(&mut self, key: &SimpleKey, status: Status) {
        if let Some(index) = key.indent {
            self.all_indents[index].status = status;
            self.set_status(self.all_indents[index].start, status);
        }
        self.set_status(key.key, status);
    }

    fn directive(&mut self) {
        self.pop_all();
        let at = self.stream.mark();
        self.stream.eat_line();
        self.push(Kind::Directive, at, Status::Valid);
    }

    fn document_mark(&mut self, kind: Kind) {
        self.pop_all();
        let at = self.stream.mark();
        self.stream.eat(3);
        self.push(kind, at, Status::Valid);
    }

    fn flow_start(&mut self, byte: u8) {
        self.insert_potential_key();
        self.key_allowed = true;
        let (kind, collection) = match byte {
            b'[' => (Kind::FlowSequenceStart, Collection::Sequence),
            _ => (Kind::FlowMapStart, Collection::Map),
        };
        let at = self.stream.mark();
        self.stream.eat(1);
        self.flows.push(collection);
        self.push(kind, at, Status::Valid);
    }

    /// A key without a value may stand before a comma or the end.
    fn settle_flow_key(&mut self) {
        match self.flows.last().copied() {
            Some(Collection::Map) if self.verify_key() => {
                self.push(Kind::Value, self.stream.mark(), Status::Valid);
            }
            Some(Collection::Sequence) => self.invalidate_key(),
            _ => {}
        }
    }

    fn flow_end(&mut self, byte: u8) -> Result<(), YamlError> {
        if !self.in_flow() {
            return self.error("illegal flow end");
        }
        self.settle_flow_key();
        self.key_allowed = false;
        self.json_like = true;
        let (kind, collection) = match byte {
            b']' => (Kind::FlowSequenceEnd, Collection::Sequence),
            _ => (Kind::FlowMapEnd, Collection::Map),
        };
        if self.flows.last() != Some(&collection) {
            return self.error("illegal flow end");
        }
        let at = self.stream.mark();
        self.stream.eat(1);
        self.flows.pop();
        self.push(kind, at, Status::Valid);
        Ok(())
    }

    fn flow_entry(&mut self) {
        self.settle_flow_key();
        self.key_allowed = true;
        self.json_like = false;
        let at = self.stream.mark();
        self.stream.eat(1);
        self.push(Kind::FlowEntry, at, Status::Valid);
    }

    fn block_entry(&mut self) -> Result<(), YamlError> {
        if self.in_flow() || !self.key_allowed {
            return self.error("illegal block entry");
        }
        self.push_indent(Collection::Sequence);
        self.key_allowed = true;
        self.json_like = false;
        let at = self.stream.mark();
        self.stream.eat(1);
        self.push(Kind::Entry, at, Status::Valid);
        Ok(())
    }

    fn key(&mut self) -> Result<(), YamlError> {
        if !self.in_flow() {
            if !self.key_allowed {
                return self.error("illegal map key");
            }
            self.push_indent(Collection::Map);
        }
        self.key_allowed = !self.in_flow();
        let at = self.stream.mark();
        self.stream.eat(1);
        self.push(Kind::Key, at, Status::Valid);
        Ok(())
    }

    fn value(&mut self) -> Result<(), YamlError> {
        let has_key = self.verify_key();
        self.json_like = false;
        if has_key {
            self.key_allowed = false;
        } else {
            if !self.in_flow() {
                if !self.key_allowed {
                    return self.error("illegal map value");
                }
                self.push_indent(Collection::Map);
            }
            self.key_allowed = !self.in_flow();
        }
        let at = self.stream.mark();
        self.stream.eat(1);
        self.push(Kind::Value, at, Status::Valid);
        Ok(())
    }

    fn anchor_or_alias(&mut self, byte: u8) -> Result<(), YamlError> {
        self.insert_potential_key();
        self.key_allowed = false;
        let at = self.stream.mark();
        self.stream.eat(1);
        let start = self.stream.offset();
        let ends = |byte: Option<u8>| {
            is_blank_break_or_end(byte) || matches!(byte, Some(b'[' | b']' | b'{' | b'}' | b','))
        };
        while !ends(self.stream.peek()) {
            self.stream.eat(1);
        }
        let name = self.stream.text.get(start..self.stream.offset()).unwrap_or_default().to_owned();
        let alias = byte == b'*';
        if name.is_empty() {
            return self.error(if alias { "alias not found after *" } else { "anchor not found after &" });
        }
        if matches!(self.stream.peek(), Some(b'[' | b'{')) {
            let what = if alias { "alias" } else { "anchor" };
            return self.error(&format!("illegal character found while scanning {what}"));
        }
        self.push(if alias { Kind::Alias(name) } else { Kind::Anchor(name) }, at, Status::Valid);
        Ok(())
    }

    fn tag(&mut self) {
        self.insert_potential_key();
        self.key_allowed = false;
        let at = self.stream.mark();
        let ends = |byte: Option<u8>| {
            is_blank_break_or_end(byte) || matches!(byte, Some(b'[' | b']' | b'{' | b'}' | b','))
        };
        while !ends(self.stream.peek()) {
            self.stream.eat(1);
        }
        self.push(Kind::Tag, at, Status::Valid);
    }

    fn plain_scalar(&mut self) -> Result<(), YamlError> {
        let indent = if self.in_flow() { 0 } else { (self.top_indent().column + 1) as usize };
        let end = if self.in_flow() { End::PlainInFlow } else { End::Plain };
        self.insert_potential_key();
        let at = self.stream.mark();
        let plan = Plan { end, indent, detect_indent: false, fold: Fold::Flow, chomp: Chomp::Strip };
        let ended_by_indent = self.scalar(at, plan)?;
        self.key_allowed = ended_by_indent;
        self.json_like = false;
        Ok(())
    }

    fn quoted_scalar(&mut self, quote: u8) -> Result<(), YamlError> {
        let end = if quote == b'"' { End::DoubleQuote } else { End::SingleQuote };
        self.insert_potential_key();
        let at = self.stream.mark();
        self.stream.eat(1);
        let plan = Plan { end, indent: 0, detect_indent: false, fold: Fold::Flow, chomp: Chomp::Clip };
        self.scalar(at, plan)?;
        self.key_allowed = false;
        self.json_like = true;
        Ok(())
    }

    fn block_scalar(&mut self, indicator: u8) -> Result<(), YamlError> {
        let at = self.stream.mark();
        self.stream.eat(1);
        let fold = if indicator == b'>' { Fold::Block } else { Fold::Keep };
        let mut plan = Plan { end: End::Nothing, indent: 1, detect_indent: true, fold, chomp: Chomp::Clip };
        while let Some(byte @ (b'+' | b'-' | b'0'..=b'9')) = self.stream.peek() {
            self.stream.eat(1);
            match byte {
                b'+' => plan.chomp = Chomp::Keep,
                b'-' => plan.chomp = Chomp::Strip,
                b'0' => return self.error("cannot set zero indentation for a block scalar"),
                digit => {
                    plan.indent = usize::from(digit - b'0');
                    plan.detect_indent = false;
                }
            }
        }
        while self.stream.at_blank() {
            self.stream.eat(1);
        }
        if self.stream.peek() == Some(b'#') {
            self.stream.eat_line();
        }
        if !self.stream.at_end() && !self.stream.at_break() {
            return self.error("unexpected character in block scalar");
        }
        plan.indent += self.top_indent().column.max(0) as usize;
        self.scalar(at, plan)?;
        self.key_allowed = true;
        self.json_like = false;
        Ok(())
    }

    fn scalar(&mut self, at: Position, plan: Plan) -> Result<bool, YamlError> {
        let style = Style::ending(plan.end);
        let quoted = matches!(style, Style::SingleQuoted | Style::DoubleQuoted);
        let read = scalar::scan(&mut self.stream, plan).map_err(|error| match error.reason.as_str() {
            "illegal EOF in scalar" if quoted => YamlError { opened: Some(at), ..error },
            _ => error,
        })?;
        self.push(Kind::Scalar(Scalar { text: read.text, style }), at, Status::Valid);
        Ok(read.ended_by_indent)
    }
}
