//! What can stand on a side of a comparison or behind a `%`: fields, and transformers over them.

use std::fmt;

use crate::{
    Context, Field, FieldError, FieldType, Scratch, StableUntil, TermError, Value, Vocabulary, transform,
};

/// A function over one value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transformer {
    /// ASCII letters in lower case.
    ToLower,
    /// ASCII letters in upper case.
    ToUpper,
    /// What base 64 stands for; absent if it isn't.
    Base64,
    /// What follows the last slash.
    BaseName,
    /// Bytes of a text, values of a list.
    Len,
}

impl Transformer {
    const ALL: [Transformer; 5] = [
        Transformer::ToLower,
        Transformer::ToUpper,
        Transformer::Base64,
        Transformer::BaseName,
        Transformer::Len,
    ];

    /// Its name in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Transformer::ToLower => "tolower",
            Transformer::ToUpper => "toupper",
            Transformer::Base64 => "b64",
            Transformer::BaseName => "basename",
            Transformer::Len => "len",
        }
    }

    fn wants(self) -> &'static str {
        match self {
            Transformer::Base64 => "text or bytes",
            Transformer::Len => "text, bytes or a list",
            _ => "text",
        }
    }

    /// The type and list flag of what it makes of a value.
    fn over(self, ty: FieldType, list: bool) -> Option<(FieldType, bool)> {
        match (self, ty) {
            (Transformer::Len, _) if list => Some((FieldType::Uint64, false)),
            (Transformer::Len, FieldType::Text | FieldType::Bytes) => Some((FieldType::Uint64, false)),
            (Transformer::Base64, FieldType::Bytes) => Some((ty, list)),
            (Transformer::Len, _) => None,
            (_, FieldType::Text) => Some((ty, list)),
            _ => None,
        }
    }
}

/// A field, a constant, or a transformer over such.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Term {
    /// A field.
    Field(Field),
    /// A constant text.
    Text(Box<str>),
    /// A list of terms.
    List(Box<[Term]>),
    /// One of the simple transformers.
    Apply(Transformer, Box<Term>),
    /// Values of a list with a separator between.
    Join(Box<[Term; 2]>),
    /// Texts put together.
    Concat(Box<[Term]>),
    /// Options of a command line: the arguments, the option letters, and the option asked for, if one is.
    Getopt(Box<[Term; 2]>, Option<u8>),
}

impl Term {
    /// A field as a term.
    ///
    /// # Errors
    /// Those of [`Field::resolve`].
    pub fn field<'v>(
        vocabulary: impl Into<Vocabulary<'v>>,
        name: &str,
        argument: Option<&str>,
    ) -> Result<Term, FieldError> {
        Field::resolve(vocabulary, name, argument).map(Term::Field)
    }

    /// A transformer, by name, over its arguments; `selector` is what stands in brackets behind it.
    ///
    /// # Errors
    /// When there is no such transformer, or it doesn't work on arguments of these types.
    pub fn apply(name: &str, arguments: Vec<Term>, selector: Option<&str>) -> Result<Term, TermError> {
        if let ("val", Ok([term])) = (name, <[Term; 1]>::try_from(arguments.clone())) {
            return Ok(term);
        }
        if let Some(transformer) = Transformer::ALL.into_iter().find(|t| t.as_str() == name) {
            return simple(transformer, arguments, selector);
        }
        match name {
            "join" => join(arguments, selector),
            "concat" => concat(arguments, selector),
            "getopt" => getopt(arguments, selector),
            "val" => Err(TermError::WrongArguments { transformer: "val", reason: "takes one field" }),
            _ => Err(TermError::UnknownTransformer { name: name.into() }),
        }
    }

    /// The type of its values.
    pub fn ty(&self) -> FieldType {
        match self {
            Term::Field(field) => field.ty(),
            Term::Apply(transformer, of) => of.transformed(*transformer).map_or(FieldType::Opaque, |t| t.0),
            _ => FieldType::Text,
        }
    }

    /// Whether it has a list of values.
    pub fn is_list(&self) -> bool {
        match self {
            Term::Field(field) => field.is_list(),
            Term::List(_) | Term::Getopt(_, None) => true,
            Term::Apply(transformer, of) => of.transformed(*transformer).is_some_and(|t| t.1),
            _ => false,
        }
    }

    fn transformed(&self, transformer: Transformer) -> Option<(FieldType, bool)> {
        transformer.over(self.ty(), self.is_list())
    }

    /// The field, where the term is nothing but one.
    pub fn as_field(&self) -> Option<&Field> {
        match self {
            Term::Field(field) => Some(field),
            _ => None,
        }
    }

    /// All fields in it.
    pub fn fields(&self) -> Vec<&Field> {
        match self {
            Term::Field(field) => vec![field],
            Term::Text(_) => Vec::new(),
            Term::List(terms) | Term::Concat(terms) => terms.iter().flat_map(Term::fields).collect(),
            Term::Apply(_, of) => of.fields(),
            Term::Join(two) | Term::Getopt(two, _) => two.iter().flat_map(Term::fields).collect(),
        }
    }

    /// How long a value may be remembered.
    pub fn stable_until(&self) -> StableUntil {
        self.fields().iter().fold(StableUntil::default(), |all, f| all.union(f.stable_until()))
    }

    /// Its value as an output shows it.
    pub fn value<'a>(&'a self, cx: &Context<'a>) -> Value<'a> {
        match self {
            Term::Field(field) => field.extract(cx),
            _ => self.evaluate(cx.scratch, &|field| field.extract(cx)),
        }
    }

    /// Its value as a condition compares it; see [`Field::operand`].
    pub fn operand<'a>(&'a self, cx: &Context<'a>) -> Value<'a> {
        match self {
            Term::Field(field) => field.operand(cx),
            _ => self.evaluate(cx.scratch, &|field| field.operand(cx)),
        }
    }

    pub(crate) fn evaluate<'a>(
        &'a self,
        scratch: &'a Scratch,
        extract: &dyn Fn(&Field) -> Value<'a>,
    ) -> Value<'a> {
        let value = |term: &'a Term| term.evaluate(scratch, extract);
        match self {
            Term::Field(field) => extract(field),
            Term::Text(text) => Value::Text(text.as_bytes()),
            Term::Apply(transformer, of) => transform::apply(*transformer, value(of), scratch),
            Term::List(terms) => transform::list(terms.iter().map(value), scratch),
            Term::Concat(terms) => transform::concat(terms.iter().map(value), scratch),
            Term::Join(two) => transform::join(value(&two[0]), value(&two[1]), scratch),
            Term::Getopt(two, selector) => {
                transform::getopt(value(&two[0]), value(&two[1]), *selector, scratch)
            }
        }
    }
}

fn simple(transformer: Transformer, arguments: Vec<Term>, selector: Option<&str>) -> Result<Term, TermError> {
    let name = transformer.as_str();
    let wrong = |reason| TermError::WrongArguments { transformer: name, reason };
    let [of] = <[Term; 1]>::try_from(arguments).map_err(|_| wrong("takes one argument"))?;
    if selector.is_some() {
        return Err(wrong("takes nothing in brackets"));
    }
    if let Some(field) = of.fields().into_iter().find(|f| !f.info().transformable) {
        return Err(TermError::NotTransformable { field: field.info().name });
    }
    if of.transformed(transformer).is_none() {
        return Err(TermError::WrongType {
            transformer: name,
            wants: transformer.wants(),
            is: format!("{}{}", of.ty().as_str(), if of.is_list() { " (list)" } else { "" }),
            of: of.to_string(),
        });
    }
    Ok(Term::Apply(transformer, Box::new(of)))
}

fn two(transformer: &'static str, arguments: Vec<Term>) -> Result<Box<[Term; 2]>, TermError> {
    let wrong = |_| TermError::WrongArguments { transformer, reason: "takes two arguments" };
    <[Term; 2]>::try_from(arguments).map(Box::new).map_err(wrong)
}

fn join(arguments: Vec<Term>, selector: Option<&str>) -> Result<Term, TermError> {
    let wrong = |reason| Err(TermError::WrongArguments { transformer: "join", reason });
    let both = two("join", arguments)?;
    match (&*both, selector) {
        (_, Some(_)) => wrong("takes nothing in brackets"),
        ([separator, _], _) if separator.is_list() => wrong("wants a single text, the separator, first"),
        ([_, list], _) if !list.is_list() => wrong("wants a list second"),
        _ => Ok(Term::Join(both)),
    }
}

fn concat(arguments: Vec<Term>, selector: Option<&str>) -> Result<Term, TermError> {
    let wrong = |reason| Err(TermError::WrongArguments { transformer: "concat", reason });
    if selector.is_some() {
        return wrong("takes nothing in brackets");
    }
    if arguments.len() < 2 {
        return wrong("takes two arguments or more");
    }
    if arguments.iter().any(|a| a.is_list() || a.ty() != FieldType::Text) {
        return wrong("works on texts only");
    }
    Ok(Term::Concat(arguments.into()))
}

fn getopt(arguments: Vec<Term>, selector: Option<&str>) -> Result<Term, TermError> {
    let wrong = |reason| Err(TermError::WrongArguments { transformer: "getopt", reason });
    let both = two("getopt", arguments)?;
    let [args, letters] = &*both;
    if !args.is_list() || args.ty() != FieldType::Text {
        return wrong("wants a list of texts, the arguments, first");
    }
    if letters.is_list() || letters.ty() != FieldType::Text {
        return wrong("wants a text, the option letters, second");
    }
    match selector.map(str::as_bytes) {
        None => Ok(Term::Getopt(both, None)),
        Some([letter]) => Ok(Term::Getopt(both, Some(*letter))),
        Some(_) => wrong("wants one option letter in brackets"),
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, name: &str, terms: &[Term]| {
            write!(f, "{name}(")?;
            for (i, term) in terms.iter().enumerate() {
                write!(f, "{}{term}", if i > 0 { "," } else { "" })?;
            }
            f.write_str(")")
        };
        match self {
            Term::Field(field) => field.fmt(f),
            Term::Text(text) => f.write_str(&quoted(text)),
            Term::List(terms) => list(f, "", terms),
            Term::Apply(transformer, of) => write!(f, "{}({of})", transformer.as_str()),
            Term::Join(two) => list(f, "join", &**two),
            Term::Concat(terms) => list(f, "concat", terms),
            Term::Getopt(two, selector) => {
                list(f, "getopt", &**two)?;
                selector.map_or(Ok(()), |letter| write!(f, "[{}]", char::from(letter)))
            }
        }
    }
}

/// A constant as rules write it: in quotes where it needs them.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    let mut needed = false;
    for c in text.chars() {
        let escaped = match c {
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\\' => "\\\\",
            '"' => "\\\"",
            ' ' | '=' | '\'' | '\0' => "",
            _ => {
                out.push(c);
                continue;
            }
        };
        needed = true;
        if escaped.is_empty() { out.push(c) } else { out.push_str(escaped) }
    }
    if needed { format!("\"{out}\"") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> Term {
        Term::field("syscall", name, None).unwrap()
    }

    fn apply(name: &str, arguments: Vec<Term>) -> Result<Term, String> {
        Term::apply(name, arguments, None).map_err(|e| e.to_string())
    }

    #[test]
    fn types_follow_the_transformers() {
        let len = apply("len", vec![apply("tolower", vec![field("proc.name")]).unwrap()]).unwrap();
        assert_eq!((len.ty(), len.is_list()), (FieldType::Uint64, false));
        assert_eq!(len.to_string(), "len(tolower(proc.name))");
        let types = apply("toupper", vec![field("fd.types")]).unwrap();
        assert_eq!((types.ty(), types.is_list()), (FieldType::Text, true));
        let join = apply("join", vec![Term::Text(", ".into()), types]).unwrap();
        assert_eq!((join.ty(), join.is_list()), (FieldType::Text, false));
        assert_eq!(join.to_string(), "join(\", \",toupper(fd.types))");
        assert_eq!(apply("val", vec![field("proc.name")]).unwrap(), field("proc.name"));
    }

    #[test]
    fn wrong_uses_are_refused_with_a_reason() {
        let error = |name, arguments| apply(name, arguments).unwrap_err();
        assert_eq!(
            error("tolower", vec![field("proc.pid")]),
            "tolower() works on text, but proc.pid is INT64"
        );
        assert_eq!(error("len", vec![field("proc.aname")]), "field proc.aname takes no transformer");
        assert_eq!(error("join", vec![field("proc.name"), field("proc.name")]), "join() wants a list second");
        assert_eq!(error("concat", vec![field("proc.name")]), "concat() takes two arguments or more");
        assert_eq!(error("b64", vec![]), "b64() takes one argument");
        assert!(error("lower", vec![]).starts_with("there is no transformer lower;"));
    }
}
