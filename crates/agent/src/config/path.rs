//! Paths to a value: `base.list[1].key`, with `\` before a dot, bracket or backslash that belongs to a name.

use super::node::{Content, Node};

/// One step from a node to a node in it.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Key(String),
    Index(usize),
    /// `[]`: a new item behind the last.
    Append,
}

/// Why a path or an assignment is wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("Config error at key \"{path}\": {message}")]
pub struct PathError {
    /// The path as it was given.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

fn steps(path: &str) -> Result<Vec<Step>, PathError> {
    let fail = |message: String| PathError { path: path.to_owned(), message };
    let mut steps = Vec::new();
    let mut name = String::new();
    let mut chars = path.char_indices().peekable();
    // After `]` a name needs a dot before it.
    let mut closed = false;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, next @ ('.' | '[' | ']' | '\\'))) => name.push(next),
                Some((_, next)) => {
                    return Err(fail(format!(
                        "Parsing error: invalid escape sequence '\\{next}' at pos {at}"
                    )));
                }
                None => return Err(fail(format!("Parsing error: trailing backslash at pos {at}"))),
            },
            '.' if name.is_empty() && closed => closed = false,
            '.' | '[' => {
                if name.is_empty() && !(c == '[' && closed) {
                    return Err(fail(format!("Parsing error: unexpected character at pos {at}")));
                }
                if !name.is_empty() {
                    steps.push(Step::Key(std::mem::take(&mut name)));
                }
                closed = false;
                if c == '[' {
                    let rest = &path[at + 1..];
                    let len = rest.find(']').unwrap_or(rest.len());
                    steps.push(index(&rest[..len]).map_err(fail)?);
                    chars.by_ref().find(|(_, c)| *c == ']');
                    closed = true;
                }
            }
            _ if closed => {
                return Err(fail(format!("Parsing error: expected '.' character at pos {}", at - 1)));
            }
            _ => name.push(c),
        }
    }
    if !name.is_empty() {
        steps.push(Step::Key(name));
    }
    if steps.is_empty() { Err(fail("the key is empty".to_owned())) } else { Ok(steps) }
}

fn index(text: &str) -> Result<Step, String> {
    if text.is_empty() {
        return Ok(Step::Append);
    }
    // More items than that can only be a slip.
    let number = text.parse().ok().filter(|n| *n < 10_000);
    number.map(Step::Index).ok_or_else(|| format!("Parsing error: expected a numeric index, found '{text}'"))
}

impl Node {
    /// The value at a path of plain keys and indices.
    pub fn at(&self, path: &str) -> Option<&Node> {
        steps(path).ok()?.iter().try_fold(self, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Index(n) => match &node.content {
                Content::List(items) => items.get(*n),
                _ => None,
            },
            Step::Append => None,
        })
    }

    /// Puts a value at a path and makes the maps and lists on the way.
    ///
    /// # Errors
    /// When the path is malformed.
    pub fn set(&mut self, path: &str, value: Node) -> Result<(), PathError> {
        let steps = steps(path)?;
        *self = put(std::mem::take(self), &steps, value);
        Ok(())
    }
}

/// The node with the value put in behind the steps.
fn put(node: Node, steps: &[Step], value: Node) -> Node {
    let Some((step, rest)) = steps.split_first() else { return value };
    let place = node.place;
    let content = match (step, node.content) {
        (Step::Key(key), content) => put_key(pairs(content), key, rest, value),
        (Step::Index(n), content @ Content::Map(_)) => put_key(pairs(content), &n.to_string(), rest, value),
        (Step::Index(n), Content::List(items)) => put_item(items, *n, rest, value),
        (Step::Index(n), _) => put_item(Vec::new(), *n, rest, value),
        (Step::Append, Content::List(items)) => {
            let end = items.len();
            put_item(items, end, rest, value)
        }
        (Step::Append, _) => put_item(Vec::new(), 0, rest, value),
    };
    Node { content, place }
}

/// A map's pairs. A list that is asked for a name becomes a map of its items by number, as Falco's YAML
/// library does it: `-o append_output.suggested_output=false` relies on it.
fn pairs(content: Content) -> Vec<(String, Node)> {
    match content {
        Content::Map(pairs) => pairs,
        Content::List(items) => {
            items.into_iter().enumerate().map(|(n, item)| (n.to_string(), item)).collect()
        }
        Content::Null | Content::Scalar(_) => Vec::new(),
    }
}

fn put_key(mut pairs: Vec<(String, Node)>, key: &str, rest: &[Step], value: Node) -> Content {
    match pairs.iter_mut().find(|(k, _)| k == key) {
        Some((_, node)) => *node = put(std::mem::take(node), rest, value),
        None => pairs.push((key.to_owned(), put(Node::default(), rest, value))),
    }
    Content::Map(pairs)
}

fn put_item(mut items: Vec<Node>, n: usize, rest: &[Step], value: Node) -> Content {
    if items.len() <= n {
        items.resize_with(n + 1, Node::default);
    }
    items[n] = put(std::mem::take(&mut items[n]), rest, value);
    Content::List(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(yaml: &str, path: &str) -> Node {
        let mut node = Node::parse(yaml).unwrap();
        node.set(path, Node::scalar("v")).unwrap();
        assert_eq!(node.at(path).and_then(Node::as_str), Some("v"), "{path}");
        node
    }

    #[test]
    fn a_value_is_put_where_the_path_says() {
        set("", "a.b.c");
        set("a: 1", "a.b");
        set("a: [x, y]", "a[1]");
        set("a: []", "a[0].b[2].c");
        set("", r"a.b\.c\[0\]");
        assert_eq!(set("a: {x: 1, y: 2}", "a.x").at("a.y").and_then(Node::as_str), Some("2"));
    }

    #[test]
    fn an_empty_index_appends() {
        let mut node = Node::parse("a: [x]").unwrap();
        node.set("a[]", Node::scalar("y")).unwrap();
        node.set("b[].c", Node::scalar("z")).unwrap();
        assert_eq!(node.at("a[1]").and_then(Node::as_str), Some("y"));
        assert_eq!(node.at("b[0].c").and_then(Node::as_str), Some("z"));
    }

    #[test]
    fn a_list_asked_for_a_name_is_a_list_no_more() {
        let node = set("append_output: [{suggested_output: true}]", "append_output.suggested_output");
        assert!(node.get("append_output").unwrap().items().is_empty());
    }

    #[test]
    fn malformed_paths_say_why() {
        let mut node = Node::default();
        let mut message = |path: &str| node.set(path, Node::scalar("")).unwrap_err().message;
        assert_eq!(message("a[x]"), "Parsing error: expected a numeric index, found 'x'");
        assert_eq!(message("a..b"), "Parsing error: unexpected character at pos 2");
        assert_eq!(message("a[1]b"), "Parsing error: expected '.' character at pos 3");
        assert_eq!(message("a\\"), "Parsing error: trailing backslash at pos 1");
        assert_eq!(message("a\\b"), "Parsing error: invalid escape sequence '\\b' at pos 1");
        assert_eq!(message(""), "the key is empty");
    }
}
