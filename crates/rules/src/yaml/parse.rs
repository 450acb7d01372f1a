//! Nodes out of tokens.

use std::collections::HashMap;
use std::rc::Rc;

use super::scan::{Kind, Scanner, Token};
use super::{Node, Scalar, Style, Value, YamlError};
use crate::place::Position;

/// How deep nodes may stand within each other, aliases included.
const DEEPEST: u32 = 100;
/// How many nodes all aliases together may stand for.
const MOST_ALIASED: usize = 1_000_000;

/// The documents of a text.
pub(crate) fn parse(text: &str) -> Result<Vec<Rc<Node>>, YamlError> {
    let mut parser =
        Parser { scanner: Scanner::new(text), anchors: HashMap::new(), depth: 0, aliased: 0, end: 0 };
    let mut documents = Vec::new();
    loop {
        while parser.next_is(&Kind::Directive)? {
            parser.scanner.pop();
        }
        if parser.scanner.peek()?.is_none() {
            return Ok(documents);
        }
        let before = parser.scanner.taken();
        if parser.next_is(&Kind::DocumentStart)? {
            parser.scanner.pop();
        }
        parser.anchors.clear();
        documents.push(parser.node(Within::Other)?);
        while parser.next_is(&Kind::DocumentEnd)? {
            parser.scanner.pop();
        }
        if parser.scanner.taken() == before {
            return Err(error(parser.next_mark()?, "unknown token"));
        }
    }
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    anchors: HashMap<String, Rc<Node>>,
    depth: u32,
    aliased: usize,
    /// Offset after the last token taken.
    end: usize,
}

/// Which collection a node is directly in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    FlowSequence,
    Other,
}

fn error(at: Position, reason: &str) -> YamlError {
    YamlError::new(at, reason)
}

/// The error of a flow collection that isn't closed, with where the innermost one was opened.
fn opened_at(error: YamlError, at: Position) -> YamlError {
    let unclosed = error.reason.ends_with("flow not found");
    YamlError { opened: error.opened.or(unclosed.then_some(at)), ..error }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

impl Parser<'_> {
    fn next_is(&mut self, kind: &Kind) -> Result<bool, YamlError> {
        Ok(self.scanner.peek()?.is_some_and(|token| token.kind == *kind))
    }

    /// Where the next token stands, or where reading has come to.
    fn next_mark(&mut self) -> Result<Position, YamlError> {
        let here = self.scanner.mark();
        Ok(match self.scanner.peek()? {
            Some(token) => token.at,
            None => here,
        })
    }

    fn pop(&mut self) {
        if let Ok(Some(token)) = self.scanner.next() {
            self.end = token.end;
        }
    }

    /// The next token, or an error if the text ends.
    fn expect(&mut self, reason: &str) -> Result<&Token, YamlError> {
        if self.scanner.peek()?.is_none() {
            return Err(error(self.scanner.mark(), reason));
        }
        let at = self.scanner.mark();
        self.scanner.peek()?.ok_or_else(|| error(at, reason))
    }

    fn make(&self, at: Position, value: Value) -> Result<Rc<Node>, YamlError> {
        let (mut depth, mut weight) = (0, 1usize);
        let mut add = |node: &Node| {
            depth = depth.max(node.depth);
            weight = weight.saturating_add(node.weight);
        };
        match &value {
            Value::Null | Value::Scalar(_) => {}
            Value::Sequence(elements) => elements.iter().for_each(|node| add(node)),
            Value::Map(entries) => entries.iter().for_each(|(key, value)| {
                add(key);
                add(value);
            }),
        }
        if depth >= DEEPEST {
            return Err(error(at, "bad file"));
        }
        Ok(Rc::new(Node { at, end: self.end.max(at.offset), value, depth: depth + 1, weight }))
    }

    fn node(&mut self, within: Within) -> Result<Rc<Node>, YamlError> {
        if self.depth >= DEEPEST {
            return Err(error(self.scanner.mark(), "bad file"));
        }
        self.depth += 1;
        let node = self.node_at_depth(within);
        self.depth -= 1;
        node
    }

    fn node_at_depth(&mut self, within: Within) -> Result<Rc<Node>, YamlError> {
        let at = self.next_mark()?;
        let mut anchor = None;
        let mut tagged = false;
        loop {
            match self.scanner.peek()?.map(|token| &token.kind) {
                Some(Kind::Value) if anchor.is_none() && !tagged => {
                    return if within == Within::FlowSequence {
                        self.single_pair(at)
                    } else {
                        self.block_map(at)
                    };
                }
                Some(Kind::Alias(name)) if anchor.is_none() && !tagged => {
                    let name = name.clone();
                    return self.alias(at, &name);
                }
                Some(Kind::Anchor(_)) if anchor.is_some() => {
                    return Err(error(self.next_mark()?, "cannot assign multiple anchors to the same node"));
                }
                Some(Kind::Tag) if tagged => {
                    return Err(error(self.next_mark()?, "cannot assign multiple tags to the same node"));
                }
                Some(Kind::Anchor(name)) => {
                    anchor = Some(name.clone());
                    self.pop();
                }
                Some(Kind::Tag) => {
                    tagged = true;
                    self.pop();
                }
                _ => break,
            }
        }
        let node = self.content(at, tagged, within)?;
        if let Some(name) = anchor {
            self.anchors.insert(name, Rc::clone(&node));
        }
        Ok(node)
    }

    fn alias(&mut self, at: Position, name: &str) -> Result<Rc<Node>, YamlError> {
        self.pop();
        let Some(node) = self.anchors.get(name) else {
            return Err(error(at, &format!("the referenced anchor is not defined: {name}")));
        };
        self.aliased = self.aliased.saturating_add(node.weight);
        if self.aliased > MOST_ALIASED {
            return Err(error(at, "aliases stand for more than a million nodes"));
        }
        Ok(Rc::clone(node))
    }

    fn content(&mut self, at: Position, tagged: bool, within: Within) -> Result<Rc<Node>, YamlError> {
        let kind = self.scanner.peek()?.map(|token| &token.kind);
        match kind {
            Some(Kind::Scalar(_)) => {
                let token = self.scanner.next()?;
                let Some(Token { kind: Kind::Scalar(scalar), end, .. }) = token else {
                    return self.make(at, Value::Null);
                };
                self.end = end;
                let null = scalar.style == Style::Plain && !tagged && is_null(&scalar.text);
                self.make(at, if null { Value::Null } else { Value::Scalar(scalar) })
            }
            Some(Kind::FlowSequenceStart) => self.flow_sequence(at).map_err(|error| opened_at(error, at)),
            Some(Kind::SequenceStart) => self.block_sequence(at),
            Some(Kind::FlowMapStart) => self.flow_map(at).map_err(|error| opened_at(error, at)),
            Some(Kind::MapStart) => {
                self.pop();
                self.block_map(at)
            }
            Some(Kind::Key) if within == Within::FlowSequence => self.single_pair(at),
            _ if tagged => {
                let empty = Scalar { text: String::new(), style: Style::Plain };
                self.make(at, Value::Scalar(empty))
            }
            _ => self.make(at, Value::Null),
        }
    }

    fn block_sequence(&mut self, at: Position) -> Result<Rc<Node>, YamlError> {
        const REASON: &str = "end of sequence not found";
        self.pop();
        let mut elements = Vec::new();
        loop {
            let token = self.expect(REASON)?;
            match token.kind {
                Kind::Entry => self.pop(),
                Kind::SequenceEnd => {
                    self.scanner.pop();
                    return self.make(at, Value::Sequence(elements));
                }
                _ => return Err(error(token.at, REASON)),
            }
            match self.scanner.peek()? {
                Some(Token { kind: Kind::Entry | Kind::SequenceEnd, at, .. }) => {
                    let at = *at;
                    elements.push(self.make(at, Value::Null)?);
                }
                _ => elements.push(self.node(Within::Other)?),
            }
        }
    }

    fn flow_sequence(&mut self, at: Position) -> Result<Rc<Node>, YamlError> {
        const REASON: &str = "end of sequence flow not found";
        self.pop();
        let mut elements = Vec::new();
        loop {
            if self.expect(REASON)?.kind == Kind::FlowSequenceEnd {
                self.pop();
                return self.make(at, Value::Sequence(elements));
            }
            elements.push(self.node(Within::FlowSequence)?);
            let token = self.expect(REASON)?;
            match token.kind {
                Kind::FlowEntry => self.pop(),
                Kind::FlowSequenceEnd => {}
                _ => return Err(error(token.at, REASON)),
            }
        }
    }

    /// The entries of a block map, its start already taken if it has one.
    fn block_map(&mut self, at: Position) -> Result<Rc<Node>, YamlError> {
        const REASON: &str = "end of map not found";
        let mut entries = Vec::new();
        loop {
            let token = self.expect(REASON)?;
            let pair_at = token.at;
            match token.kind {
                Kind::MapEnd => {
                    self.scanner.pop();
                    return self.make(at, Value::Map(entries));
                }
                Kind::Key | Kind::Value => {}
                _ => return Err(error(pair_at, REASON)),
            }
            entries.push(self.pair(pair_at)?);
        }
    }

    fn flow_map(&mut self, at: Position) -> Result<Rc<Node>, YamlError> {
        const REASON: &str = "end of map flow not found";
        self.pop();
        let mut entries = Vec::new();
        loop {
            let token = self.expect(REASON)?;
            let pair_at = token.at;
            if token.kind == Kind::FlowMapEnd {
                self.pop();
                return self.make(at, Value::Map(entries));
            }
            entries.push(self.pair(pair_at)?);
            let token = self.expect(REASON)?;
            match token.kind {
                Kind::FlowEntry => self.pop(),
                Kind::FlowMapEnd => {}
                _ => return Err(error(token.at, REASON)),
            }
        }
    }

    /// `[key: value]`, a map of one pair within a sequence.
    fn single_pair(&mut self, at: Position) -> Result<Rc<Node>, YamlError> {
        let pair = self.pair(at)?;
        self.make(at, Value::Map(vec![pair]))
    }

    fn pair(&mut self, at: Position) -> Result<(Rc<Node>, Rc<Node>), YamlError> {
        let key = match self.next_is(&Kind::Key)? {
            true => {
                self.pop();
                self.node(Within::Other)?
            }
            false => self.make(at, Value::Null)?,
        };
        let value = match self.next_is(&Kind::Value)? {
            true => {
                self.pop();
                self.node(Within::Other)?
            }
            false => self.make(at, Value::Null)?,
        };
        Ok((key, value))
    }
}
