//! What the rules crate must be told of fields and events.

use std::sync::OnceLock;

use lanner_fields::{Format, Vocabulary, find, table};
use lanner_filter::{Check, Expr, ExprKind, Operand, Operator, Right, Span};
use lanner_rules::{CheckWarning, FieldCatalog, Problem};
use rustc_hash::FxHashSet;

use crate::lower::lower;
use crate::names;
use crate::output;
use crate::predicate::Predicate;

/// The fields of this build's table, the sources that events come from, and the plugins that are loaded.
#[derive(Clone, Debug)]
pub struct Catalog {
    sources: Vec<String>,
    plugins: Option<Vec<String>>,
}

impl Catalog {
    /// A catalog of these sources and all fields, whatever plugin has them.
    pub fn new<S: Into<String>>(sources: impl IntoIterator<Item = S>) -> Catalog {
        Catalog { sources: sources.into_iter().map(Into::into).collect(), plugins: None }
    }

    /// The same without the fields that need a plugin which is none of these.
    #[must_use]
    pub fn with_plugins(self, loaded: &[String]) -> Catalog {
        Catalog { plugins: Some(loaded.to_vec()), ..self }
    }

    fn vocabulary<'a>(&'a self, source: &'a str) -> Vocabulary<'a> {
        Vocabulary::new(source, self.plugins.as_deref())
    }
}

impl FieldCatalog for Catalog {
    fn has_source(&self, source: &str) -> bool {
        self.sources.iter().any(|known| known == source)
    }

    fn check_operand(&self, source: &str, operand: &Operand) -> Result<(), Problem> {
        lower(self.vocabulary(source), operand).map(|_| ())
    }

    fn check_condition(&self, source: &str, check: &Expr) -> Result<Vec<CheckWarning>, Problem> {
        let vocabulary = self.vocabulary(source);
        Predicate::new(vocabulary, check)?;
        Ok(match &check.kind {
            ExprKind::Check(check) => warnings(vocabulary, check),
            _ => Vec::new(),
        })
    }

    fn check_output(&self, source: &str, text: &str) -> Result<Vec<String>, Problem> {
        let format = Format::parse(self.vocabulary(source), text).map_err(|error| output::problem(&error))?;
        Ok(format.fields().map(ToString::to_string).collect())
    }

    fn event_type_count(&self, condition: &Expr) -> usize {
        names::count_types(&names::of_condition(condition))
    }

    fn event_names(&self, source: &str, condition: &Expr) -> Vec<String> {
        if !matches!(source, "" | "syscall") {
            return names::in_falco_order(&["pluginevent", "asyncevent"]);
        }
        let mut names = names::of_condition(condition);
        names.push("asyncevent");
        names::in_falco_order(&names)
    }

    fn field_names(&self, source: &str) -> Vec<String> {
        self.vocabulary(source).fields().map(|field| field.name.to_owned()).collect()
    }

    fn plugins_using(&self, source: &str, fields: &[String]) -> Vec<String> {
        let owner = |field: &String| {
            let name = field.split_once('[').map_or(field.as_str(), |(name, _)| name);
            find(self.vocabulary(source), name)
                .filter(|info| info.has_source(source))
                .and_then(|info| info.class.plugin)
        };
        let used = |plugin: &&String| fields.iter().any(|field| owner(field) == Some(plugin.as_str()));
        self.plugins.iter().flatten().filter(used).cloned().collect()
    }
}

/// What is doubtful about constant values.
fn warnings(vocabulary: Vocabulary<'_>, check: &Check) -> Vec<CheckWarning> {
    let values = match &check.right {
        Right::Operand(_) => return Vec::new(),
        Right::Value(value) | Right::Name(value) => std::slice::from_ref(value),
        Right::List(values) => values,
    };
    let mut found = Vec::new();
    for value in values {
        let text = value.text();
        let mut warn = |message: String| found.push(CheckWarning { message, span: right_span(check) });
        if check.operator == Operator::Regex && !needs_regex(&value.bytes) {
            warn(format!(
                "regex check with '{text}' may be optimized with simpler operators such as '=', 'contains', 'startswith', 'endswith'"
            ));
        }
        if !text.contains(['.', '(']) {
            continue;
        }
        let dense: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        match lanner_filter::parse_operand(&dense) {
            Ok(Operand::Transform(_)) => {
                warn(format!("'{text}' may be a valid field transformer misused as a const string value"));
            }
            Ok(operand) if may_be_known(&operand) && lower(vocabulary, &operand).is_ok() => {
                warn(format!("'{text}' may be a valid field misused as a const string value"));
            }
            Ok(_) => {}
            Err(_) if looks_like_val(&dense) => {
                warn(format!("'{text}' may be a valid field transformer misused as a const string value"));
            }
            Err(_) => {}
        }
    }
    found
}

/// Whether a field's name, or what precedes a dot in it, is in the table. Spares most values, which are no
/// fields, the search for what they may have been meant to be.
fn may_be_known(operand: &Operand) -> bool {
    static NAMES: OnceLock<FxHashSet<&'static str>> = OnceLock::new();
    let names = NAMES.get_or_init(|| table().iter().map(|field| field.name).collect());
    let Operand::Field(field) = operand else { return true };
    let dots = field.name.match_indices('.').map(|(at, _)| &field.name[..at]);
    names.contains(field.name.as_str()) || dots.into_iter().any(|prefix| names.contains(prefix))
}

fn looks_like_val(text: &str) -> bool {
    lanner_filter::Function::ALL.iter().any(|function| {
        let inner = text.strip_prefix(function.as_str()).and_then(|rest| rest.strip_prefix('('));
        inner.is_some_and(|inner| inner.ends_with(')'))
    })
}

fn right_span(check: &Check) -> Span {
    match &check.right {
        Right::Value(value) | Right::Name(value) => value.span,
        Right::Operand(operand) => operand.span(),
        // A list has no place of its own: from its first item to its last.
        Right::List(values) => match (values.first(), values.last()) {
            (Some(first), Some(last)) => Span { start: first.span.start, end: last.span.end },
            _ => check.left.span(),
        },
    }
}

/// Whether a pattern has more in it than plain text, anchors at its ends and `.*` there.
fn needs_regex(pattern: &[u8]) -> bool {
    let length = pattern.len();
    let mut at = 0;
    while at < length {
        let byte = pattern[at];
        let anchor = (at == 0 && byte == b'^') || (at == length - 1 && byte == b'$');
        let any = byte == b'.' && matches!(pattern.get(at + 1), Some(b'+' | b'*' | b'?'));
        let at_end = (at == 0 && length > 1) || at + 2 == length;
        if any && at_end {
            at += 1;
        } else if !anchor && b".+*?^$()[]{}|\\".contains(&byte) {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_those_loaded_that_have_a_field() {
        let fields = ["proc.name", "json.value[/a]", "container.id"].map(str::to_owned);
        let using = |loaded: &[&str]| {
            let loaded: Vec<String> = loaded.iter().map(|name| (*name).to_owned()).collect();
            Catalog::new(["syscall"]).with_plugins(&loaded).plugins_using("syscall", &fields)
        };
        assert_eq!(using(&["json"]), ["json"]);
        assert_eq!(using(&["container", "json"]), ["container", "json"]);
        assert!(using(&[]).is_empty());
    }

    #[test]
    fn patterns_that_simpler_operators_can_do() {
        for plain in ["abc", "^abc$", ".*abc", "abc.*", "^abc", ""] {
            assert!(!needs_regex(plain.as_bytes()), "{plain}");
        }
        for needed in ["a.c", "a|b", "(a)", "a.*c", "[ab]"] {
            assert!(needs_regex(needed.as_bytes()), "{needed}");
        }
    }
}
