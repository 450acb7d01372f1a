//! What can be wrong with the text of a condition.

use crate::ast::{Function, Operator};
use crate::position::Position;

/// A text that is not a condition.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct ParseError {
    /// What is wrong; its `Display` is Falco's text, which tools parse.
    pub reason: Reason,
    /// Where reading stopped.
    pub position: Position,
}

impl ParseError {
    /// What to do about it, for a person.
    pub fn advice(&self) -> String {
        self.reason.advice()
    }
}

/// What is wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Reason {
    /// Nothing at all.
    #[error("filter input string is empty")]
    Empty,
    /// A whole condition was read, and something follows it.
    #[error("unexpected token after '{after}', expecting 'or', 'and'")]
    Trailing {
        /// The last word that was understood.
        after: String,
        /// What stands there instead.
        found: char,
    },
    /// A field or transformer was to be read alone, and there is none.
    #[error("unexpected token after '{after}")]
    NoOperand {
        /// The last word that was understood.
        after: String,
    },
    /// Parentheses, `not` or transformers within each other, too deep.
    #[error("exceeded max depth limit of {limit}")]
    TooDeep {
        /// How deep the parser goes.
        limit: u32,
    },
    /// `and` or `or` runs into the next word.
    #[error("expected blank or '(' after '{keyword}'")]
    Keyword {
        /// Which.
        keyword: &'static str,
    },
    /// No check where one must be.
    #[error("expected a '(' token, a field check, or an identifier")]
    Check,
    /// No operator after a field.
    #[error("expected a valid check operator: one of {}", quoted(Operator::all_names()))]
    Operator,
    /// No number after `< <= > >=`.
    #[error("expected a number value or a field with a valid transformer: {}", functions())]
    Number,
    /// No text after a string operator.
    #[error("expected a string value or a field with a valid transformer: {}", functions())]
    Text,
    /// No text after a comma in a list.
    #[error("expected a string value")]
    ListItem,
    /// No list after `oneof`, `anyof`, `allof`.
    #[error("expected a list or an identifier")]
    List,
    /// No list after `in`, `intersects`, `pmatch`.
    #[error("expected a list, an identifier, or a field with a valid transformer: {}", functions())]
    ListOrField,
    /// A parenthesis is not closed.
    #[error("expected a ')' token")]
    Unclosed,
    /// A transformer's parenthesis is not closed.
    #[error("expected a ')' token closing the transformer")]
    UnclosedTransformer,
    /// A list within a transformer is not closed.
    #[error("expected ')'")]
    UnclosedTransformerList,
    /// `val()` of something that is not a field.
    #[error("expected a field within 'val' transformer")]
    ValOfNoField,
    /// Brackets without anything usable in them.
    #[error("expected a valid field argument: a quoted string or a bare string")]
    FieldArgument,
    /// A field's argument that is not text.
    #[error("expected a valid field argument: not UTF-8")]
    FieldArgumentBytes,
    /// A bracket is not closed.
    #[error("expected a ']' token")]
    UnclosedBracket,
    /// A transformer is given something that it can't take.
    #[error(
        "expected field transformer argument: field, transformer, quoted string, number, or transformer list"
    )]
    TransformerArgument,
    /// A list within a transformer has something in it that it can't have.
    #[error("expected transformer list argument: field, transformer, quoted string, or number")]
    TransformerListArgument,
    /// A backslash in a quoted text.
    #[error("{0}")]
    Escape(#[from] EscapeError),
}

/// What is wrong with a backslash in a quoted text.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EscapeError {
    /// `\"` between single quotes.
    #[error("invalid \\\" escape in '-quoted string")]
    DoubleInSingle,
    /// `\'` between double quotes.
    #[error("invalid \\' escape in \"-quoted string")]
    SingleInDouble,
    /// `\x` with fewer than two characters after it.
    #[error("truncated hex char escape sequence")]
    ShortHex,
    /// `\x` with something else than hexadecimal digits after it.
    #[error("invalid hex char escape sequence: {0}")]
    Hex(String),
    /// A letter that means nothing after a backslash.
    #[error("unsupported string escape sequence: \\{0}")]
    Unknown(char),
}

impl Reason {
    fn advice(&self) -> String {
        match self {
            Reason::Empty => "write a condition, for example: evt.type = open".into(),
            Reason::Trailing { found: ')', .. } => "this ')' closes nothing".into(),
            Reason::Trailing { after, .. } => format!(
                "the condition is complete after '{after}': join what follows with 'and' or 'or', or quote a value that has blanks, commas, quotes, '=' or parentheses in it"
            ),
            Reason::NoOperand { .. } => "write a field, for example: proc.name".into(),
            Reason::TooDeep { .. } => "move inner parts into macros".into(),
            Reason::Keyword { keyword } => format!("put a blank after '{keyword}'"),
            Reason::Check => {
                "write a check (proc.name = cat), the name of a macro, or a condition in parentheses here"
                    .into()
            }
            Reason::Operator => {
                "a field needs an operator after it: 'proc.name = cat', 'fd.name exists'; word operators such as 'contains' need a blank after them".into()
            }
            Reason::Number => {
                "this operator compares numbers: write one (10, -1, 0x1f, 2.5), or val(other.field)".into()
            }
            Reason::Text => "write a value after the operator; quote it if it has blanks, commas, '=' or parentheses in it".into(),
            Reason::ListItem => "a value is missing after the comma".into(),
            Reason::List => "write a list (a, b) or the name of one after the modifier".into(),
            Reason::ListOrField => "write a list in parentheses, 'in (a, b)', or the name of a list".into(),
            Reason::Unclosed | Reason::UnclosedTransformerList => {
                "a parenthesis is open: close it here, put commas between values, or quote a value that has blanks, quotes or '=' in it".into()
            }
            Reason::UnclosedTransformer => "close the transformer with ')'".into(),
            Reason::ValOfNoField => "val() takes the name of a field, for example: val(proc.pname)".into(),
            Reason::FieldArgument | Reason::FieldArgumentBytes => {
                "put an index or a key in the brackets, for example: proc.aname[2]".into()
            }
            Reason::UnclosedBracket => "close the argument with ']'; quote it if it has blanks, quotes or brackets in it".into(),
            Reason::TransformerArgument | Reason::TransformerListArgument => {
                "give the transformer a field (proc.name), another transformer, a text in quotes or a number".into()
            }
            Reason::Escape(error) => error.advice().into(),
        }
    }
}

impl EscapeError {
    fn advice(&self) -> &'static str {
        match self {
            EscapeError::DoubleInSingle => "between single quotes a double quote needs no backslash",
            EscapeError::SingleInDouble => "between double quotes a single quote needs no backslash",
            EscapeError::ShortHex | EscapeError::Hex(_) => {
                "write two hexadecimal digits after \\x, for example \\x1b"
            }
            EscapeError::Unknown(_) => {
                "known are \\b \\f \\n \\r \\t \\\\ \\/ \\\" \\' \\xHH; write \\\\ for a backslash itself"
            }
        }
    }
}

fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}

fn functions() -> String {
    quoted(Function::ALL.iter().map(|function| function.as_str()))
}
