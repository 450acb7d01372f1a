//! A YAML document as a tree of texts, with the place of each. Scalars stay text until somebody asks for a
//! number: that is how `falco.yaml` has always been read, and `-o key=value` gives texts only.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Where something stands; line and column count from 1, line 0 is the command line.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Place {
    /// Which of the files that were read, by number.
    pub file: usize,
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Truth values as YAML 1.1 spells them.
pub(super) fn truth(text: &str) -> Option<bool> {
    let spelled = |word: &str| text == word || text == word.to_uppercase() || text == capital(word);
    if ["y", "yes", "true", "on"].iter().any(|w| spelled(w)) {
        return Some(true);
    }
    ["n", "no", "false", "off"].iter().any(|w| spelled(w)).then_some(false)
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A node's content.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub enum Content {
    /// Nothing: an absent or empty value.
    #[default]
    Null,
    /// One text.
    Scalar(String),
    /// Items in order.
    List(Vec<Node>),
    /// Values by key, in the order of the file.
    Map(Vec<(String, Node)>),
}

/// A value and where it stands.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Node {
    /// What it is.
    pub content: Content,
    /// Where it stands.
    pub place: Place,
}

/// Text that is no YAML.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {}, column {}: {message}", place.line, place.column)]
pub struct YamlError {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
}

/// Nodes within nodes beyond this depth are refused.
const MAX_DEPTH: usize = 64;
/// Nodes of one document, aliases expanded; refuses documents that explode.
const MAX_NODES: usize = 200_000;

impl Node {
    /// A scalar that stands nowhere.
    pub fn scalar(text: &str) -> Node {
        Node { content: Content::Scalar(text.to_owned()), place: Place::default() }
    }

    /// Reads the first document of a text; no document is null.
    ///
    /// # Errors
    /// When it is not YAML, nested too deeply or unreasonably large.
    pub fn parse(text: &str) -> Result<Node, YamlError> {
        Builder { parser: Parser::new_from_str(text), anchors: Vec::new(), nodes: 0 }.document()
    }

    /// The text of a scalar.
    pub fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a map's key, nulls left out.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Content::Map(pairs) = &self.content else { return None };
        let found = pairs.iter().find(|(k, _)| k == key).map(|(_, node)| node)?;
        (found.content != Content::Null).then_some(found)
    }

    /// The items of a list; a scalar is a list of itself, anything else is empty.
    pub fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            Content::Scalar(_) => std::slice::from_ref(self),
            _ => &[],
        }
    }

    /// The pairs of a map; anything else has none.
    pub fn pairs(&self) -> &[(String, Node)] {
        match &self.content {
            Content::Map(pairs) => pairs,
            _ => &[],
        }
    }

    /// The tree as JSON; scalars are texts.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.content {
            Content::Null => serde_json::Value::Null,
            Content::Scalar(text) => text.as_str().into(),
            Content::List(items) => items.iter().map(Node::to_json).collect(),
            Content::Map(pairs) => pairs.iter().map(|(key, node)| (key.clone(), node.to_json())).collect(),
        }
    }

    /// Says of the whole tree in which file it stands.
    pub(super) fn of_file(&mut self, file: usize) {
        self.place.file = file;
        match &mut self.content {
            Content::Null | Content::Scalar(_) => {}
            Content::List(items) => items.iter_mut().for_each(|node| node.of_file(file)),
            Content::Map(pairs) => pairs.iter_mut().for_each(|(_, node)| node.of_file(file)),
        }
    }

    /// Calls `change` for every scalar in the tree.
    pub fn each_scalar(&mut self, change: &mut dyn FnMut(&mut String)) {
        match &mut self.content {
            Content::Null => {}
            Content::Scalar(text) => change(text),
            Content::List(items) => items.iter_mut().for_each(|node| node.each_scalar(change)),
            Content::Map(pairs) => pairs.iter_mut().for_each(|(_, node)| node.each_scalar(change)),
        }
    }
}

struct Builder<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: Vec<(usize, Node)>,
    nodes: usize,
}

fn place(span: Span) -> Place {
    Place { file: 0, line: span.start.line(), column: span.start.col() + 1 }
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Place), YamlError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, place(span))),
            Some(Err(error)) => {
                let at = error.marker();
                let place = Place { file: 0, line: at.line(), column: at.col() + 1 };
                Err(YamlError { place, message: error.info().to_owned() })
            }
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    fn document(&mut self) -> Result<Node, YamlError> {
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(Node::default()),
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                other => return self.node(other, place, 0),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, YamlError> {
        let fail = |message: &str| Err(YamlError { place, message: message.to_owned() });
        self.nodes += 1;
        if depth > MAX_DEPTH {
            return fail("nested too deeply");
        }
        if self.nodes > MAX_NODES {
            return fail("the document is too large");
        }
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::SequenceStart(anchor, _) => (Content::List(self.list(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Content::Map(self.map(depth)?), anchor),
            Event::Alias(id) => {
                let Some(node) = self.anchors.iter().find(|(a, _)| *a == id).map(|(_, n)| n.clone()) else {
                    return fail("an alias of an anchor that is not complete");
                };
                self.nodes += count(&node);
                return Ok(node);
            }
            _ => return fail("a value is expected here"),
        };
        let node = Node { content, place };
        if anchor != 0 {
            self.anchors.push((anchor, node.clone()));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, place) => items.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(String, Node)>, YamlError> {
        let mut pairs: Vec<(String, Node)> = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(pairs);
            }
            let key = self.node(event, place, depth + 1)?;
            let Content::Scalar(key) = key.content else {
                return Err(YamlError { place, message: "a key must be a text".to_owned() });
            };
            let (event, place) = self.next()?;
            let value = self.node(event, place, depth + 1)?;
            match pairs.iter_mut().find(|(k, _)| *k == key) {
                Some(pair) => pair.1 = value,
                None => pairs.push((key, value)),
            }
        }
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.content {
        Content::List(items) => items.iter().map(count).sum(),
        Content::Map(pairs) => pairs.iter().map(|(_, n)| count(n)).sum(),
        _ => 0,
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Content {
    match text {
        "" | "~" | "null" | "Null" | "NULL" if style == ScalarStyle::Plain => Content::Null,
        _ => Content::Scalar(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_stay_text_and_know_their_place() {
        let node = Node::parse("a: 1\nb:\n  - yes\n  - {c: 'x'}\nd: ~\n").unwrap();
        assert_eq!(node.get("a").unwrap().as_str(), Some("1"));
        let items = node.get("b").unwrap().items();
        assert_eq!((items[0].as_str(), items[0].place), (Some("yes"), Place { file: 0, line: 3, column: 5 }));
        assert_eq!(items[1].get("c").unwrap().as_str(), Some("x"));
        assert_eq!(node.get("d"), None);
    }

    #[test]
    fn aliases_are_expanded_but_not_without_end() {
        let node = Node::parse("a: &x [1, 2]\nb: *x\n").unwrap();
        assert_eq!(node.get("b").unwrap().items().len(), 2);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let refs = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb += &format!("a{n}: &a{n} [{refs}]\n");
        }
        assert_eq!(Node::parse(&bomb).unwrap_err().message, "the document is too large");
        assert_eq!(Node::parse(&"[".repeat(100)).unwrap_err().message, "nested too deeply");
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_place() {
        let error = Node::parse("a: [1, 2\nb: 3\n").unwrap_err();
        assert_eq!(error.place.line, 2, "{error}");
    }
}
