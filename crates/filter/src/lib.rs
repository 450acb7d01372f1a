//! The condition language: `evt.type = open and fd.name startswith /etc`.
//!
//! Turns the text of a condition into a syntax tree with positions, and a tree back into text.
//! It may not know which fields, macros or lists exist, nor what an event is: whatever is spelled
//! right is a condition here.
//!
//! The grammar and the texts of errors are those of Falco (`userspace/libsinsp/filter` of
//! falcosecurity/libs), because rule files and tools that read its messages depend on them; each
//! error also carries advice of our own.

mod ast;
mod error;
mod escape;
mod lex;
mod parse;
mod position;
mod print;
mod walk;

pub use ast::{Argument, Check, Expr, ExprKind, Field, Function, Literal, Modifier, Operand, Operator};
pub use ast::{Right, Transform};
pub use error::{EscapeError, ParseError, Reason};
pub use parse::{MAX_DEPTH, parse, parse_operand, parse_with_limit};
pub use position::{Position, Span};
pub use walk::FindMacro;
